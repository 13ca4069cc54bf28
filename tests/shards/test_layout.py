"""Shards cover a map once, in whole batches of windows, and in whole storage blocks where the map is large."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from rasterio.crs import CRS
from rasterio.windows import Window

from s2fin_cli.core.formats import BLOCK_SIZE
from s2fin_cli.geo.area import Area
from s2fin_cli.geo.grid import Grid
from s2fin_cli.shards.layout import shard_size_for, shard_windows
from tests.files import CRS_CODE, TRANSFORM

SHAPE = (70, 90)


def times(windows: list[Window]) -> np.ndarray:
    found = np.zeros(SHAPE, int)
    for window in windows:
        found[window.toslices()] += 1
    return found


@pytest.mark.parametrize("extent", [Window(0, 0, 90, 70), Window(17, 5, 40, 60), Window(33, 33, 3, 3)])
@pytest.mark.parametrize("size", [16, 48, 1000])
def test_each_pixel_is_in_one_shard_and_each_batch_too(extent: Window, size: int) -> None:
    windows = shard_windows(extent, size)
    expected = np.zeros(SHAPE, int)
    expected[extent.toslices()] = 1
    assert np.array_equal(times(windows), expected)
    offsets = [(window.row_off, window.col_off) for window in windows]
    assert offsets == sorted(offsets)
    for window in windows:
        assert window.row_off % size == 0 or window.row_off == extent.row_off
        assert window.col_off % size == 0 or window.col_off == extent.col_off


def test_squares_without_a_pixel_of_interest_are_left_out() -> None:
    grid = Grid(crs=CRS.from_user_input(CRS_CODE), transform=TRANSFORM, shape=SHAPE)
    corners = [TRANSFORM * (3.2, 3.2), TRANSFORM * (60.0, 60.0)]
    area = Area(grid, tuple(shapely.Point(*corner).buffer(45) for corner in corners), Window(0, 0, 90, 70), count=128)
    windows = shard_windows(area.window, 16, area=area)
    assert 2 <= len(windows) < 10
    inside = area.mask(grid.window)
    assert (times(windows)[inside] == 1).all()
    assert all(area.mask(window).any() for window in windows)


@pytest.mark.parametrize(
    ("batch_side", "large"), [(16, 1280), (48, 768), (80, 1280), (112, 1792)], ids=["1", "3", "5", "7"]
)
def test_the_size_suits_batches_storage_blocks_and_the_map(batch_side: int, large: int) -> None:
    assert shard_size_for(10**10, batch_side=batch_side) == large
    assert large % batch_side == large % BLOCK_SIZE == 0
    for pixels in (1, 10**5, 10**6, 10**7):
        size = shard_size_for(pixels, batch_side=batch_side)
        assert size % batch_side == 0
        assert min(256, large) <= size <= large
        assert size == 256 + -256 % batch_side or size == large or pixels / size**2 <= 16
