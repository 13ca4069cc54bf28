"""The source: which tiles it plans, and what it gives of each."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from rasterio.windows import Window

from s2fin_cli.inference.source import TILE_SIZES, StackSource
from s2fin_cli.stack.assembly import build_stack
from s2fin_cli.vector.read_area import read_area
from tests.files import TRANSFORM, write_raster
from tests.predictors import ValuePredictor

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from s2fin_cli.inference.source import LoadedTile
    from s2fin_cli.stack.stack import Stack

SHAPE = (70, 90)
MARGIN = ValuePredictor().margin


def make_stack(folder: Path, *, values: NDArray[np.float32] | None = None) -> Stack:
    image = write_raster(folder / "image.tif", numbered() if values is None else values)
    heights = write_raster(folder / "heights.tif", -numbered()[:1])
    return build_stack({"msi": [str(image)], "lidar": [str(heights)]})


def numbered() -> NDArray[np.float32]:
    """Two bands in which every pixel has a value of its own."""
    return np.arange(2 * SHAPE[0] * SHAPE[1], dtype=np.float32).reshape(2, *SHAPE)


def with_area(stack: Stack, window: Window) -> Stack:
    """The stack with a rectangle of interest, which is not aligned to the pixels."""
    left, top = TRANSFORM * (window.col_off - 0.3, window.row_off - 0.3)
    right, bottom = TRANSFORM * (window.col_off + window.width + 0.3, window.row_off + window.height + 0.3)
    return replace(stack, area=read_area(stack.grid, bounds=(left, bottom, right, top)))


def load(source: StackSource) -> list[LoadedTile]:
    with source.load() as tiles:
        return list(tiles)


def cover(source: StackSource) -> NDArray[np.int64]:
    """How many tiles each pixel of the grid is in."""
    times = np.zeros(SHAPE, dtype=np.int64)
    for tile in source.tiles:
        times[tile.window.toslices()] += 1
    return times


@pytest.mark.parametrize("tile_size", [16, 32, 48, 1000])
def test_tiles_of_whole_batches_cover_the_raster_once_row_by_row(tmp_path: Path, tile_size: int) -> None:
    source = StackSource(make_stack(tmp_path), ValuePredictor(), tile_size=tile_size)
    assert source.extent == Window(0, 0, SHAPE[1], SHAPE[0])
    assert (cover(source) == 1).all()
    offsets = [(tile.window.row_off, tile.window.col_off) for tile in source.tiles]
    assert offsets == sorted(offsets)
    assert all(row % 16 == col % 16 == 0 for row, col in offsets)
    assert all(tile.is_wanted for tile in source.tiles)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_the_size_of_tiles_suits_the_device(tmp_path: Path, device: str) -> None:
    side = 700
    path = write_raster(tmp_path / "image.tif", np.ones((1, side, side), np.uint8), tiled=True)
    source = StackSource(build_stack({"msi": [str(path)]}), ValuePredictor(device=device))
    assert source.tiles[0].window.height * source.tiles[0].window.width <= TILE_SIZES[device] ** 2
    assert len(source.tiles) > 1


def test_a_tile_has_the_values_with_a_margin_that_is_mirrored_at_the_edge(tmp_path: Path) -> None:
    source = StackSource(make_stack(tmp_path), ValuePredictor(), tile_size=32)
    padded = np.pad(numbered(), ((0, 0), (MARGIN, MARGIN), (MARGIN, MARGIN)), mode="symmetric")
    loaded = load(source)
    assert [tile.window for tile in loaded] == [tile.window for tile in source.tiles]
    for tile in loaded:
        rows, cols = tile.window.toslices()
        there = (slice(rows.start, rows.stop + 2 * MARGIN), slice(cols.start, cols.stop + 2 * MARGIN))
        assert np.array_equal(tile.images.image.numpy(), padded[:, *there])
        assert tile.images.aux is not None
        assert np.array_equal(tile.images.aux.numpy(), -padded[:1, *there])
        assert tile.valid.all()
        assert tile.valid.shape == (tile.window.height, tile.window.width)


def classified(source: StackSource) -> NDArray[np.bool_]:
    """Mask over the grid of the pixels that the source gives to classify."""
    mask = np.zeros(SHAPE, dtype=bool)
    for tile in load(source):
        mask[tile.window.toslices()] = tile.valid.numpy()
    return mask


def rectangle(window: Window, *, by: int = 0) -> NDArray[np.bool_]:
    mask = np.zeros(SHAPE, dtype=bool)
    top, left = max(window.row_off - by, 0), max(window.col_off - by, 0)
    mask[top : window.row_off + window.height + by, left : window.col_off + window.width + by] = True
    return mask


def whole_batches(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """All pixels of the batches of 16 x 16 pixels that hold a pixel of a mask."""
    full = np.zeros_like(mask)
    for row, col in {(row // 16, col // 16) for row, col in np.argwhere(mask)}:
        full[16 * row : 16 * row + 16, 16 * col : 16 * col + 16] = True
    return full


@pytest.mark.parametrize("reach", [0, 3])
@pytest.mark.parametrize("window", [Window(35, 20, 20, 9), Window(0, 0, 5, 70), Window(80, 60, 10, 10)])
def test_only_batches_with_pixels_of_interest_and_those_within_reach_are_classified(
    tmp_path: Path, reach: int, window: Window
) -> None:
    values = numbered()
    values[1, 22, 40:50] = values[0, 65, 85] = np.nan
    stack = with_area(make_stack(tmp_path, values=values), window)
    source = StackSource(stack, ValuePredictor(), tile_size=16, reach=reach)
    expected = whole_batches(rectangle(window, by=reach)) & np.isfinite(values).all(axis=0)
    assert np.array_equal(classified(source), expected)
    for tile in source.tiles:
        assert tile.is_wanted or not expected[tile.window.toslices()].any()
    assert (cover(source)[expected] == 1).all()


@pytest.mark.parametrize(("reach", "extent"), [(0, Window(32, 16, 32, 48)), (3, Window(16, 0, 64, 64))])
def test_a_part_of_the_raster_has_the_whole_ones_batches(tmp_path: Path, reach: int, extent: Window) -> None:
    """All of their pixels are classified, as those of the whole raster, whose rounding they have therefore."""
    stack = make_stack(tmp_path)
    window = Window(34, 17, 28, 44)
    source = StackSource(stack, ValuePredictor(), window=window, tile_size=32, reach=reach)
    assert source.extent == extent
    assert np.array_equal(classified(source), rectangle(extent))
    area = Window(50, 30, 40, 40)
    source = StackSource(with_area(stack, area), ValuePredictor(), window=window, tile_size=32, reach=reach)
    assert source.extent == extent
    assert np.array_equal(classified(source), rectangle(extent) & whole_batches(rectangle(area, by=reach)))


def test_values_are_put_beside_the_computing_where_that_takes_a_copy(tmp_path: Path) -> None:
    stack = make_stack(tmp_path)
    here, there = ValuePredictor(), ValuePredictor(device="cuda")
    load(StackSource(stack, here, tile_size=32))
    load(StackSource(stack, there, tile_size=32))
    assert here.putters == {threading.get_ident()}
    assert len(there.putters) == 1
    assert there.putters != here.putters


def test_it_may_be_left_early(tmp_path: Path) -> None:
    with StackSource(make_stack(tmp_path), ValuePredictor(device="cuda"), tile_size=16).load() as tiles:
        next(tiles)
    assert threading.active_count() == 1


def test_one_image_alone(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "image.tif", numbered())
    tiles = load(StackSource(build_stack({"msi": [str(path)]}), ValuePredictor()))
    assert [tile.images.aux for tile in tiles] == [None]
