"""Windows that cover a raster, or the scattered pixels in it."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2fin_cli.geo.windows import SQUARE_SIZE, grown, iter_squares, iter_tiles, tile_shape_for

sides = st.integers(1, 60)


@given(shape=st.tuples(sides, sides), tile_shape=st.tuples(st.integers(1, 70), st.integers(1, 70)))
def test_tiles_cover_each_pixel_once(shape: tuple[int, int], tile_shape: tuple[int, int]) -> None:
    covered = np.zeros(shape, dtype=int)
    for window in iter_tiles(shape, tile_shape):
        assert 0 < window.height <= tile_shape[0]
        assert 0 < window.width <= tile_shape[1]
        covered[window.toslices()] += 1
        assert window.row_off + window.height <= shape[0]
        assert window.col_off + window.width <= shape[1]
    assert (covered == 1).all()


def test_tiles_go_row_by_row() -> None:
    assert [window.flatten() for window in iter_tiles((3, 5), (2, 2))] == [
        (0, 0, 2, 2), (2, 0, 2, 2), (4, 0, 1, 2), (0, 2, 2, 1), (2, 2, 2, 1), (4, 2, 1, 1),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("block_shape", "shape", "kept", "expected"),
    [
        ((512, 512), (4000, 6000), 50, (288, 288)),  # tiled, and a row of blocks can be kept
        ((512, 512), (4000, 6000), 8, (1344, 48)),  # only those of a few tall tiles can
        ((512, 512), (300, 6000), 8, (336, 240)),  # no taller than the raster
        ((256, 256), (200, 200), 9, (288, 288)),  # one block
        ((1, 6000), (4000, 6000), 9, (48, 1728)),  # strips, and a tile cannot be as wide
        ((1, 900), (4000, 900), 9, (48, 912)),  # strips: all of the width, as many rows as make no more pixels
        ((8, 400), (4000, 400), 9, (192, 432)),
        ((1, 6000), (4000, 6000), 1000, (288, 288)),  # strips that can be kept
    ],
)
def test_tiles_suit_how_a_raster_is_stored(
    block_shape: tuple[int, int], shape: tuple[int, int], kept: float, expected: tuple[int, int]
) -> None:
    assert tile_shape_for(block_shape, shape, size=256, unit=48, halo=6, kept=kept) == expected


@given(
    block_shape=st.tuples(st.integers(1, 600), st.integers(1, 600)),
    shape=st.tuples(st.integers(1, 5000), st.integers(1, 5000)),
    size=st.integers(16, 600),
    unit=st.sampled_from([16, 48, 80]),
    kept=st.floats(0, 1000),
)
def test_tiles_are_made_of_units_and_no_larger_than_a_square(
    block_shape: tuple[int, int], shape: tuple[int, int], size: int, unit: int, kept: float
) -> None:
    height, width = tile_shape_for(block_shape, shape, size=size, unit=unit, halo=6, kept=kept)
    assert height % unit == width % unit == 0 < height
    assert height * width <= (-(-size // unit) * unit) ** 2


@pytest.mark.parametrize(
    ("block_shape", "shape", "kept", "share"),
    [
        ((256, 256), (1280, 10240), 14, 0.8),  # 144 bands of uint16 in 256 MiB
        ((512, 512), (2048, 10980), 20, 0.6),
        ((1024, 1024), (2048, 10980), 10, 0.5),
        ((16, 3000), (1000, 3000), 4, 0.4),
        ((256, 256), (1024, 1024), 14, 1),
        ((256, 256), (2000, 2000), 1, 1),
    ],
)
def test_less_is_decoded_than_for_square_tiles(
    block_shape: tuple[int, int], shape: tuple[int, int], kept: int, share: float
) -> None:
    chosen = tile_shape_for(block_shape, shape, size=256, unit=80, halo=6, kept=kept)
    decoded, for_square = (
        decoded_blocks(tiles, block_shape, shape, halo=6, kept=kept) for tiles in (chosen, (320,) * 2)
    )
    assert decoded <= share * for_square


def decoded_blocks(
    tile_shape: tuple[int, int], block_shape: tuple[int, int], shape: tuple[int, int], *, halo: int, kept: int
) -> int:
    """Blocks that are decoded when those used last are kept."""
    cache: dict[tuple[int, int], None] = {}
    decoded = 0
    for tile in iter_tiles(shape, tile_shape):
        window = grown(tile, shape, by=halo)
        spans = zip((window.row_off, window.col_off), (window.height, window.width), block_shape, strict=True)
        rows, cols = (range(start // block, (start + length - 1) // block + 1) for start, length, block in spans)
        for place in itertools.product(rows, cols):
            decoded += place not in cache
            cache.pop(place, None)
            cache[place] = None
            if len(cache) > kept:
                cache.pop(next(iter(cache)))
    return decoded


@given(st.lists(st.tuples(st.integers(0, 5 * SQUARE_SIZE), st.integers(0, 10**6)), max_size=40))
def test_squares_hold_each_pixel_once_in_the_smallest_window(pixels: list[tuple[int, int]]) -> None:
    rows, cols = (np.array([pixel[i] for pixel in pixels], dtype=np.int64) for i in (0, 1))
    seen: list[int] = []
    squares: set[tuple[int, int]] = set()
    for positions, window in iter_squares(rows, cols):
        square = {
            (int(r), int(c))
            for r, c in zip(rows[positions] // SQUARE_SIZE, cols[positions] // SQUARE_SIZE, strict=True)
        }
        assert len(square) == 1
        assert square.isdisjoint(squares)
        squares |= square
        own_rows, own_cols = rows[positions], cols[positions]
        assert window.row_off == own_rows.min()
        assert window.col_off == own_cols.min()
        assert window.row_off + window.height == own_rows.max() + 1
        assert window.col_off + window.width == own_cols.max() + 1
        seen += positions.tolist()
    assert sorted(seen) == list(range(len(pixels)))
