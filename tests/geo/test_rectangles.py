"""Rectangles of pixels, against the pixels themselves."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rasterio.windows import Window

from s2fin_cli.geo.rectangles import SQUARE, Rectangle, count_covered, joined

BLOCKS = st.sets(st.tuples(st.integers(0, 5), st.integers(0, 5)))


def painted(rectangles: list[Rectangle], shape: tuple[int, int]) -> np.ndarray:
    times = np.zeros(shape, int)
    for col, row, width, height in rectangles:
        times[row : row + height, col : col + width] += 1
    return times


@given(BLOCKS)
def test_joined_blocks_cover_the_same_pixels_once(blocks: set[tuple[int, int]]) -> None:
    rectangles = [(3 * col, 2 * row, 3, 2) for row, col in blocks]
    found = joined(rectangles)
    assert np.array_equal(painted(found, (12, 18)), painted(rectangles, (12, 18)))
    assert found == joined(reversed(rectangles))
    assert len(found) <= len(rectangles)


def test_a_full_grid_of_blocks_is_one_rectangle() -> None:
    assert joined((3 * col, 2 * row, 3, 2) for row in range(4) for col in range(5)) == [(0, 0, 15, 8)]


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(1, 6), st.integers(1, 6)), max_size=6))
def test_pixels_are_counted_once_within_the_window(rectangles: list[Rectangle]) -> None:
    window = Window(2, 3, 7, 5)
    expected = painted(rectangles, (20, 20))[window.toslices()] > 0
    assert count_covered(rectangles, window, None) == np.count_nonzero(expected)


@pytest.mark.parametrize("offset", [0, SQUARE - 10, 3 * SQUARE])
def test_large_rectangles_are_counted_square_by_square(offset: int) -> None:
    rectangles = [(offset, offset, 1500, 20), (offset + 1490, offset + 10, 30, 1100)]
    assert count_covered(rectangles, Window(0, 0, 9000, 9000), None) == 1500 * 20 + 30 * 1100 - 10 * 10
