from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from s2fin_cli.stack.cells import (
    CELL_SIZE,
    Cells,
    count_cells,
    have_data,
    read_cells,
    scatter_pixels,
    thin_out,
    whole_cells,
)
from s2fin_cli.stack.stack import Stack
from tests.files import write_raster
from tests.scenes import Scene
from tests.stack.images import read, stack_of


def around(
    part: NDArray[np.float32], rows: NDArray[np.int64], cols: NDArray[np.int64], *, margin: int
) -> NDArray[np.float32]:
    """Neighbourhoods (n, bands, 2 margin + 1, 2 margin + 1) of pixels, in an image with that margin."""
    side = 2 * margin + 1
    windows = np.lib.stride_tricks.sliding_window_view(part, (side, side), axis=(1, 2))
    return windows[:, rows, cols].transpose(1, 0, 2, 3)


def around_in_cells(cells: Cells, part: NDArray[np.float32], *, margin: int) -> NDArray[np.float32]:
    side = 2 * margin + 1
    return np.stack(
        [
            part[index, :, row : row + side, col : col + side]
            for index, row, col in zip(cells.places.index, cells.places.rows, cells.places.cols, strict=True)
        ]
    )


def check_neighbourhoods(stack: Stack, rows: NDArray[np.int64], cols: NDArray[np.int64], *, margin: int) -> Cells:
    """Every pixel has the neighbourhood in its cell that it has in the whole raster with a mirrored halo."""
    cells = read_cells(stack, rows, cols, margin=margin)
    image, aux = read(stack, halo=margin)
    expected = around(image, rows, cols, margin=margin)
    assert np.array_equal(around_in_cells(cells, cells.images.image, margin=margin), expected, equal_nan=True)
    assert (cells.images.aux is None) == (aux is None)
    if aux is not None and cells.images.aux is not None:
        expected = around(aux, rows, cols, margin=margin)
        assert np.array_equal(around_in_cells(cells, cells.images.aux, margin=margin), expected, equal_nan=True)
    return cells


@pytest.mark.parametrize("margin", [0, 1, 8, 16])
def test_neighbourhoods_are_those_of_the_whole_image(scene: Scene, margin: int) -> None:
    """The raster's sides are no multiples of a cell's: cells at its right and lower edge are cut."""
    rows, cols = (places.ravel() for places in np.indices((60, 70)))
    order = np.random.default_rng(0).permutation(len(rows))
    cells = check_neighbourhoods(stack_of(**scene.images), rows[order], cols[order], margin=margin)
    count = -(-60 // CELL_SIZE) * -(-70 // CELL_SIZE)
    assert cells.images.image.shape == (count, 5, CELL_SIZE + 2 * margin, CELL_SIZE + 2 * margin)
    assert cells.images.image.dtype == np.float32
    assert cells.images.aux is not None
    assert cells.images.aux.shape[:2] == (count, 1)


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (5, 3), (16, 16), (17, 33)])
@pytest.mark.parametrize("margin", [3, 16])
def test_rasters_smaller_than_a_cell_and_its_margin(tmp_path: Path, shape: tuple[int, int], margin: int) -> None:
    values = np.random.default_rng(0).normal(size=(2, *shape)).astype(np.float32)
    rows, cols = (places.ravel() for places in np.indices(shape))
    check_neighbourhoods(stack_of(msi=write_raster(tmp_path / "small.tif", values)), rows, cols, margin=margin)


def test_no_data_is_nan_in_a_neighbourhood_and_mirrored_as_well(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    values = generator.normal(size=(2, 40, 40)).astype(np.float32)
    values[0, 0, 3], values[1, 38, 20], values[:, 10:14, 39], values[0, 20, 20] = -9, -9, -9, np.inf
    heights = generator.normal(size=(40, 40)).astype(np.float32)
    heights[5:7, 30] = -9
    stack = stack_of(
        hsi=write_raster(tmp_path / "a.tif", values, nodata=-9),
        dsm=write_raster(tmp_path / "b.tif", heights, nodata=-9),
    )
    rows, cols = (places.ravel() for places in np.indices((40, 40)))
    cells = check_neighbourhoods(stack, rows, cols, margin=5)
    first = cells.images.image[cells.places.index[0], 0]  # of the raster's corner
    assert np.isnan(first[5, 8])
    assert np.isnan(first[4, 8]), "its mirror image beyond the edge"


def test_beyond_the_margin_of_a_cut_cell_there_is_no_data(tmp_path: Path) -> None:
    stack = stack_of(msi=write_raster(tmp_path / "cut.tif", np.ones((18, 20), np.float32)))
    cells = read_cells(stack, np.array([17]), np.array([19]), margin=3)
    there = np.isfinite(cells.images.image[0, 0])
    assert there[: 2 + 6, : 4 + 6].all(), "two rows and four columns of the raster, and the margin around them"
    assert there.sum() == 8 * 10


def test_cells_of_a_raster_over_many_blocks_keep_the_pixels_order(tmp_path: Path) -> None:
    values = np.arange(300 * 700, dtype=np.float32).reshape(300, 700)
    stack = stack_of(msi=write_raster(tmp_path / "big.tif", values))
    generator = np.random.default_rng(0)
    rows, cols = generator.integers(300, size=200), generator.integers(700, size=200)
    rows[:4], cols[:4] = (0, 0, 299, 299), (0, 699, 0, 699)
    cells = read_cells(stack, rows, cols, margin=1)
    assert cells.images.aux is None
    assert len(cells.places) == 200
    assert np.array_equal(
        cells.images.image[cells.places.index, 0, cells.places.rows + 1, cells.places.cols + 1], values[rows, cols]
    )
    assert len(cells) == len(set(zip(rows // CELL_SIZE, cols // CELL_SIZE, strict=True))), "each cell once"
    assert count_cells(rows, cols) == len(cells)


def test_a_pixel_that_is_asked_for_twice_lies_twice_in_one_cell(scene: Scene) -> None:
    cells = read_cells(stack_of(**scene.images), np.array([3, 40, 3]), np.array([5, 60, 5]), margin=1)
    assert len(cells) == 2
    assert (cells.places.index[0], cells.places.rows[0], cells.places.cols[0]) == (
        cells.places.index[2],
        cells.places.rows[2],
        cells.places.cols[2],
    )


def test_some_of_the_pixels_and_some_of_the_cells(scene: Scene) -> None:
    cells = read_cells(stack_of(**scene.images), np.array([3, 40, 20]), np.array([5, 60, 5]), margin=1)
    assert (len(cells), len(cells.places), cells.margin) == (3, 3, 1)
    chosen = cells.places.select(np.array([2, 0]))
    assert len(chosen) == 2
    assert chosen.rows.tolist() == [20 % CELL_SIZE, 3]
    assert np.array_equal(chosen.index, cells.places.index[[2, 0]])
    few = cells.select(slice(1, 3))
    for part, whole in zip(few.parts(), cells.images.parts(), strict=True):
        assert np.array_equal(part, whole[1:3])


def test_have_data_asks_every_band_of_every_modality(tmp_path: Path) -> None:
    values = np.ones((2, 6, 6), np.float32)
    values[1, 0, 0], values[0, 1, 1], values[0, 2, 2] = -9, np.nan, np.inf
    heights = np.ones((6, 6), np.float32)
    heights[3, 3] = -9
    stack = stack_of(
        hsi=write_raster(tmp_path / "a.tif", values, nodata=-9),
        dsm=write_raster(tmp_path / "b.tif", heights, nodata=-9),
    )
    diagonal = np.arange(6)
    assert have_data(stack, diagonal, diagonal).tolist() == [False, False, False, False, True, True]
    assert have_data(stack, diagonal[:0], diagonal[:0]).tolist() == []


def test_no_pixels_are_no_cells(scene: Scene) -> None:
    nothing = np.empty(0, np.int64)
    cells = read_cells(stack_of(**scene.images), nothing, nothing, margin=1)
    assert (len(cells), len(cells.places), count_cells(nothing, nothing)) == (0, 0, 0)


# ---- pixels all over the scene ---------------------------------------------------------------------------------------


def scatter(shape: tuple[int, int], *, cells: int, pixels: int, seed: int = 0) -> tuple[NDArray[np.int64], ...]:
    return scatter_pixels(shape, cells=cells, pixels=pixels, generator=np.random.default_rng(seed))


@given(
    height=st.integers(1, 200),
    width=st.integers(1, 200),
    cells=st.integers(1, 60),
    pixels=st.integers(1, 3000),
    seed=st.integers(0, 5),
)
def test_scattered_pixels(height: int, width: int, cells: int, pixels: int, seed: int) -> None:
    rows, cols = scatter((height, width), cells=cells, pixels=pixels, seed=seed)
    assert len(rows) == len(cols)
    assert rows.dtype == cols.dtype == np.int64
    assert ((rows >= 0) & (rows < height) & (cols >= 0) & (cols < width)).all()
    assert len(np.unique(rows * width + cols)) == len(rows), "no pixel twice"
    used, counts = np.unique(rows // CELL_SIZE * width + cols // CELL_SIZE, return_counts=True)
    there = -(-height // CELL_SIZE) * -(-width // CELL_SIZE)
    assert len(used) <= min(cells, there)
    assert counts.max(initial=0) <= -(-pixels // min(cells, there)), "no cell has more than its part"
    again = scatter((height, width), cells=cells, pixels=pixels, seed=seed)
    assert np.array_equal([rows, cols], again)


def test_as_many_pixels_as_are_asked_for_spread_over_the_scene() -> None:
    rows, cols = scatter((800, 1600), cells=100, pixels=3000)
    assert len(rows) == 3000, "there is room for them"
    number = rows // CELL_SIZE * 1600 + cols // CELL_SIZE
    assert np.unique(number, return_counts=True)[1].tolist() == [30] * 100
    for quarter in np.unique(rows // 400 * 2 + cols // 800, return_counts=True)[1]:
        assert quarter > 300, "at random, and far from all in one place"
    other = scatter((800, 1600), cells=100, pixels=3000, seed=1)
    assert not np.array_equal([rows, cols], other)


def test_a_small_scene_gives_all_its_pixels() -> None:
    rows, cols = scatter((20, 35), cells=256, pixels=8192)
    assert sorted(rows * 35 + cols) == list(range(20 * 35))


def test_pixels_lie_anywhere_in_a_cell() -> None:
    rows, cols = scatter((1600, 1600), cells=1000, pixels=4000)
    assert set(rows % CELL_SIZE) == set(cols % CELL_SIZE) == set(range(CELL_SIZE))


@given(cells=st.integers(1, 40), seed=st.integers(0, 9))
def test_thinned_out_cells_are_whole_and_spread(cells: int, seed: int) -> None:
    rows, cols = scatter_pixels((200, 300), cells=100, pixels=400, generator=np.random.default_rng(seed))
    kept = thin_out(rows, cols, cells=cells)
    numbers = rows // CELL_SIZE * 1000 + cols // CELL_SIZE
    assert 1 <= len(np.unique(numbers[kept])) <= cells
    assert not np.isin(numbers[~kept], numbers[kept]).any()  # a cell is kept with all of its pixels
    if cells >= 20:
        assert np.ptp(rows[kept]) > 100  # and not only the first ones


def test_whole_cells_are_all_their_pixels_inside_the_raster() -> None:
    asked = np.zeros((21, 30), bool)
    asked[0, 3], asked[1, 2], asked[20, 29] = True, True, True
    expected = np.zeros_like(asked)
    expected[:8, :8], expected[16:, 24:] = True, True
    asked_rows, asked_cols = np.nonzero(asked)
    rows, cols = whole_cells(asked_rows, asked_cols, (21, 30))
    assert len(rows) == expected.sum(), "each once"
    assert expected[rows, cols].all()
