"""Windows that cover a raster, or the scattered pixels in it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2fin_cli.geo.windows import BLOCK_SIZE, iter_blocks, iter_tiles, tile_shape_for

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
    ("block_shape", "shape", "expected"),
    [
        ((512, 512), (4000, 6000), (288, 288)),  # tiled
        ((256, 256), (200, 200), (288, 288)),  # one block
        ((1, 6000), (4000, 6000), (48, 1728)),  # strips, and a tile cannot be as wide
        ((1, 900), (4000, 900), (48, 912)),  # strips: all of the width, as many rows as make no more pixels
        ((8, 400), (4000, 400), (192, 432)),
        ((1, 200), (4000, 200), (288, 288)),  # strips that are narrower than a tile
    ],
)
def test_tiles_suit_how_a_raster_is_stored(
    block_shape: tuple[int, int], shape: tuple[int, int], expected: tuple[int, int]
) -> None:
    assert tile_shape_for(block_shape, shape, size=256, unit=48) == expected


@given(
    block_shape=st.tuples(st.integers(1, 600), st.integers(1, 600)),
    shape=st.tuples(st.integers(1, 5000), st.integers(1, 5000)),
    size=st.integers(16, 600),
    unit=st.sampled_from([16, 48, 80]),
)
def test_tiles_are_made_of_units_and_no_larger_than_a_square(
    block_shape: tuple[int, int], shape: tuple[int, int], size: int, unit: int
) -> None:
    height, width = tile_shape_for(block_shape, shape, size=size, unit=unit)
    assert height % unit == width % unit == 0 < height
    assert height * width <= (-(-size // unit) * unit) ** 2


@given(st.lists(st.tuples(st.integers(0, 5 * BLOCK_SIZE), st.integers(0, 10**6)), max_size=40))
def test_blocks_hold_each_pixel_once_in_the_smallest_window(pixels: list[tuple[int, int]]) -> None:
    rows, cols = (np.array([pixel[i] for pixel in pixels], dtype=np.int64) for i in (0, 1))
    seen: list[int] = []
    blocks: set[tuple[int, int]] = set()
    for positions, window in iter_blocks(rows, cols):
        block = {(int(r), int(c)) for r, c in zip(rows[positions] // 256, cols[positions] // 256, strict=True)}
        assert len(block) == 1
        assert block.isdisjoint(blocks)
        blocks |= block
        own_rows, own_cols = rows[positions], cols[positions]
        assert window.row_off == own_rows.min()
        assert window.col_off == own_cols.min()
        assert window.row_off + window.height == own_rows.max() + 1
        assert window.col_off + window.width == own_cols.max() + 1
        seen += positions.tolist()
    assert sorted(seen) == list(range(len(pixels)))
