"""Samples of pixels: even, of bounded size, and without holding whole tiles."""

from __future__ import annotations

import math
import tracemalloc
from typing import TYPE_CHECKING

import numpy as np
import pytest
from rasterio.windows import Window, intersection

from s2fin_cli.stack.assembly import build_stack
from s2fin_cli.stack.sampling import QUICK, THOROUGH, TILE_SIZE, Sampling, sample_pixels, scattered_tiles, spread_tiles
from tests.files import write_raster

if TYPE_CHECKING:
    from pathlib import Path

LARGE_SHAPES = [(16128, 16128), (5376, 5376), (16384, 16384), (300, 100_000), (100_000, 300)]


@pytest.mark.parametrize("shape", LARGE_SHAPES)
def test_sampled_tiles_lie_all_over_the_raster(shape: tuple[int, int]) -> None:
    tiles = spread_tiles(Window(0, 0, shape[1], shape[0]), most=THOROUGH.tiles)
    assert THOROUGH.tiles // 2 <= len(tiles) <= THOROUGH.tiles
    for offsets, size in (({w.row_off for w in tiles}, shape[0]), ({w.col_off for w in tiles}, shape[1])):
        wanted = min(-(-size // TILE_SIZE), math.isqrt(THOROUGH.tiles))
        gaps = np.diff(sorted(offsets))
        assert len(offsets) >= wanted
        assert min(offsets) == 0
        assert max(offsets) + TILE_SIZE >= size
        assert len(gaps) == 0 or gaps.max() <= 2 * gaps.min()


@pytest.mark.parametrize("shape", [*LARGE_SHAPES, (100, 100), (640, 640), (1000, 500), (256, 257)])
def test_a_few_sampled_tiles_lie_each_in_a_row_and_column_of_its_own(shape: tuple[int, int]) -> None:
    extent = Window(70, 30, shape[1], shape[0])
    tiles = scattered_tiles(extent, most=QUICK.tiles)
    rows, cols = (-(-size // TILE_SIZE) for size in shape)
    assert len(tiles) == min(max(rows, cols), QUICK.tiles)
    assert len({w.row_off for w in tiles}) == min(rows, QUICK.tiles)
    assert len({w.col_off for w in tiles}) == min(cols, QUICK.tiles)
    assert all(intersection(tile, extent) == tile for tile in tiles)
    assert {w.row_off for w in tiles} >= {30, 30 + (rows - 1) * TILE_SIZE}
    assert {w.col_off for w in tiles} >= {70, 70 + (cols - 1) * TILE_SIZE}


def test_the_sample_does_not_hold_whole_tiles(tmp_path: Path) -> None:
    values = np.arange(2048, dtype=np.uint8)[None, None].repeat(8, 0).repeat(2048, 1)
    path = write_raster(tmp_path / "large.tif", values, tiled=True)
    stack = build_stack({"msi": [str(path)]})
    tracemalloc.start()
    pixels = sample_pixels(stack)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    one_tile = 8 * TILE_SIZE**2 * 4
    assert peak < 2.5 * pixels.nbytes + 6 * one_tile  # 64 whole tiles would be ten times that


def test_a_small_raster_is_sampled_whole(tmp_path: Path) -> None:
    values = np.random.default_rng(0).random((3, 300, 270)).astype("float32")
    heights = np.random.default_rng(1).random((1, 300, 270)).astype("float32")
    stack = build_stack(
        {
            "hsi": [str(write_raster(tmp_path / "a.tif", values))],
            "dsm": [str(write_raster(tmp_path / "b.tif", heights))],
        }
    )
    sample = sample_pixels(stack)
    whole = np.concatenate([values, heights]).reshape(4, -1).T
    assert sample.dtype == np.float32
    assert np.array_equal(sample[np.lexsort(sample.T)], whole[np.lexsort(whole.T)])


def test_a_large_raster_is_sampled_evenly(tmp_path: Path) -> None:
    rows, cols = np.indices((700, 600))
    values = np.stack([rows, cols]).astype("float32")
    stack = build_stack({"hsi": [str(write_raster(tmp_path / "a.tif", values))]})
    sample = sample_pixels(stack, Sampling(pixels=2000, tiles=4))
    assert 1000 < len(sample) <= 2000 + 4
    share = np.bincount((sample[:, 0] // 256).astype(int)) / len(sample)
    assert share[0] > share[2]  # full tiles weigh more than those that the lower edge cuts
    assert np.unique(sample[:, 1] % 256).size > 150  # not the same few columns of each tile
    assert sample[:, 0].max() > 600
    assert sample[:, 0].min() < 50
