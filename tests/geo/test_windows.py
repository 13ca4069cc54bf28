"""Windows that cover a raster, or the scattered pixels in it."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from s2fin_cli.geo.windows import BLOCK_SIZE, iter_blocks, iter_tiles


@given(height=st.integers(1, 60), width=st.integers(1, 60), tile_size=st.integers(1, 70))
def test_tiles_cover_each_pixel_once(height: int, width: int, tile_size: int) -> None:
    covered = np.zeros((height, width), dtype=int)
    for window in iter_tiles((height, width), tile_size):
        assert 0 < window.height <= tile_size
        assert 0 < window.width <= tile_size
        covered[window.toslices()] += 1
        assert window.row_off + window.height <= height
        assert window.col_off + window.width <= width
    assert (covered == 1).all()


def test_tiles_go_row_by_row() -> None:
    assert [window.flatten() for window in iter_tiles((3, 5), 2)] == [
        (0, 0, 2, 2), (2, 0, 2, 2), (4, 0, 1, 2), (0, 2, 2, 1), (2, 2, 2, 1), (4, 2, 1, 1),
    ]  # fmt: skip


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
