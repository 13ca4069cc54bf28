"""The stack: several rasters on one grid, read by window, mirrored beyond the edge, checked before anything is read."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.env import get_gdal_config
from rasterio.windows import Window

from s2fin_cli.core.errors import RasterError
from s2fin_cli.raster.opening import LEAST_CACHE
from s2fin_cli.stack.stack import Stack
from tests.files import write_raster
from tests.stack.images import CORNER, random_values, read, stack_of

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def test_scattered_windows_come_in_their_order(tmp_path: Path) -> None:
    values, heights = random_values(3, 64, 64), random_values(1, 64, 64)
    image, lidar = write_raster(tmp_path / "a.tif", values), write_raster(tmp_path / "b.tif", heights)
    windows = [Window(col, row, 7, 5) for row in range(0, 59, 5) for col in (50, 0, 20)]
    tiles = stack_of(hsi=image, lidar=lidar).read_scattered(windows, lambda tile: tile)
    for window, tile in zip(windows, tiles, strict=True):
        assert np.array_equal(tile.images.image, values[:, *window.toslices()])
        assert tile.images.aux is not None
        assert np.array_equal(tile.images.aux, heights[:, *window.toslices()])


def test_a_broken_file_is_reported_wherever_its_windows_are_read(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", random_values(3, 256, 256))
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)
    windows = [Window(0, row, 16, 16) for row in range(0, 240, 16)]
    with pytest.raises(RasterError, match="is the file whole"):
        stack_of(hsi=path).read_scattered(windows, lambda tile: tile)


def test_gdal_keeps_the_blocks_of_a_row_of_tiles_whatever_the_height(image: Path) -> None:
    """rasterio takes the number for bytes: one meant in MiB would keep nothing, and each window be decoded again."""
    stack = stack_of(hsi=image)
    with stack.open():
        assert get_gdal_config("GDAL_CACHEMAX") == LEAST_CACHE == 16 << 20
    (info,) = stack.image.rasters
    bands = tuple(range(1, 27))
    for shape, rows, expected in (
        ((1000, 1000), 354, 768 * 1024 * 26 * 4), ((9000, 1000), 354, 768 * 1024 * 26 * 4),
        ((9000, 1000), 674, 1024 * 1024 * 26 * 4), ((9000, 9000), 354, 256 << 20),
    ):  # fmt: skip
        large = replace(info, grid=replace(info.grid, shape=shape), block_shape=(256, 256), indexes=bands)
        assert replace(stack, image=replace(stack.image, rasters=(large,)))._cache(rows, 256 << 20) == expected


def test_the_second_image_comes_onto_the_passive_images_grid(tmp_path: Path, image: Path) -> None:
    fine = random_values(1, 80, 100)
    lidar = write_raster(tmp_path / "lidar.tif", fine, transform=CORNER @ Affine.scale(0.5))
    values, aux = read(stack_of(hsi=image, lidar=lidar))
    assert np.array_equal(values, random_values(3))
    assert aux is not None
    np.testing.assert_allclose(aux[0], fine[0].reshape(40, 2, 50, 2).mean(axis=(1, 3)), rtol=1e-5)


def test_a_pixel_is_valid_where_every_band_of_every_image_has_data(tmp_path: Path) -> None:
    values, heights = random_values(3), random_values(1)
    values[1, 0, 0] = np.nan
    heights[0, 5, 6] = -9999
    image = write_raster(tmp_path / "a.tif", values)
    stack = stack_of(hsi=image, dsm=write_raster(tmp_path / "b.tif", heights, nodata=-9999))
    with stack.open() as opened:
        valid = opened.read(stack.grid.window).valid
    expected = np.ones((40, 50), dtype=bool)
    expected[0, 0] = expected[5, 6] = False
    assert np.array_equal(valid, expected)


@pytest.fixture(scope="module")
def stacks(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[int, int], tuple[Stack, NDArray[Any], NDArray[Any]]]:
    """Stacks by shape, one-pixel strips too, with all that they hold."""
    folder = tmp_path_factory.mktemp("stacks")
    result = {}
    for height, width in ((1, 1), (1, 9), (8, 1), (3, 4), (30, 23)):
        image = write_raster(folder / f"image_{height}_{width}.tif", random_values(2, height, width))
        finer = random_values(1, 3 * height + 20, 4 * width + 20)
        corner = CORNER @ Affine.scale(0.4) @ Affine.translation(-3.3, -2.1)
        stack = stack_of(hsi=image, sar=write_raster(folder / f"sar_{height}_{width}.tif", finer, transform=corner))
        whole, whole_aux = read(stack)
        assert whole_aux is not None
        result[height, width] = (stack, whole, whole_aux)
    return result


@given(data=st.data(), halo=st.integers(0, 12))
@settings(max_examples=60)
def test_what_is_read_does_not_depend_on_the_window(
    stacks: dict[tuple[int, int], tuple[Stack, NDArray[Any], NDArray[Any]]], data: st.DataObject, halo: int
) -> None:
    height, width = data.draw(st.sampled_from(sorted(stacks)))
    row_off, col_off = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    window_height = data.draw(st.integers(1, height - row_off))
    window_width = data.draw(st.integers(1, width - col_off))
    stack, *whole = stacks[height, width]
    parts = read(stack, Window(col_off, row_off, window_width, window_height), halo=halo)
    for part, values in zip(parts, whole, strict=True):
        assert part is not None
        mirrored = np.pad(values, ((0, 0), (halo, halo), (halo, halo)), mode="symmetric")
        rows, cols = (
            slice(row_off, row_off + window_height + 2 * halo),
            slice(col_off, col_off + window_width + 2 * halo),
        )
        np.testing.assert_allclose(part, mirrored[:, rows, cols], rtol=1e-5)


def test_a_south_up_image_keeps_its_grid(tmp_path: Path) -> None:
    south_up = Affine(10, 0, 500_000, 0, 10, 4_999_600)
    image = write_raster(tmp_path / "a.tif", random_values(2)[:, ::-1], transform=south_up)
    stack = stack_of(msi=image, sar=write_raster(tmp_path / "b.tif", random_values(1)))
    assert stack.grid.transform == south_up
    values, aux = read(stack)
    assert np.array_equal(values[:, ::-1], random_values(2))
    assert aux is not None
    assert np.array_equal(aux[:, ::-1], random_values(1))
