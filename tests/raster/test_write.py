"""Rasters of values, as they are written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from rasterio.enums import ColorInterp

from s2fin_cli.core.errors import RasterError
from s2fin_cli.geo.grid import Grid
from s2fin_cli.raster.creation import RasterFormat
from s2fin_cli.raster.info import read_info
from s2fin_cli.raster.warp import open_on_grid
from s2fin_cli.raster.write import Encoding, create_image
from tests.files import write_raster
from tests.raster.maps import GRID, LARGE

if TYPE_CHECKING:
    from pathlib import Path


def test_bands_of_floats(tmp_path: Path) -> None:
    values = np.random.default_rng(0).random((2, *GRID.shape)).astype("float32")
    values[:, :5] = np.nan
    with create_image(tmp_path / "p.tif", GRID, ["water", "Ödland"], tags={"A": "b"}) as dst:
        dst.write(values, GRID.window)
    with rasterio.open(tmp_path / "p.tif") as src:
        assert np.array_equal(src.read(), values, equal_nan=True)
        assert np.isnan(src.nodata)
        assert src.descriptions == ("water", "Ödland")
        assert src.tags()["A"] == "b"
        assert Grid(src.crs, src.transform, src.shape) == GRID
        assert src.profile["compress"] == "deflate"
    assert {path.name for path in tmp_path.iterdir()} == {"p.tif"}


def test_an_input_that_breaks_off_is_no_failure_to_write(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "input.tif", np.random.default_rng(0).random((1, *GRID.shape)))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with (
        pytest.raises(RasterError, match=r"input\.tif cannot be read"),
        create_image(tmp_path / "p.tif", GRID, ["a"]) as dst,
        open_on_grid(path, GRID, indexes=(1,)) as reader,
    ):
        dst.write(reader.read(GRID.window), GRID.window)


@pytest.mark.parametrize("driver", ["GTiff", "COG"])
def test_float_rasters_in_either_format(tmp_path: Path, driver: str) -> None:
    values = np.random.default_rng(0).random((2, *LARGE.shape), dtype=np.float32)
    values[:, :300] = np.nan
    fmt = RasterFormat(driver, {"COMPRESS": "LZW"})
    with create_image(tmp_path / "p.tif", LARGE, ["a", "b"], tags={"x": "y"}, fmt=fmt) as dst:
        dst.write(values, LARGE.window)
    with rasterio.open(tmp_path / "p.tif") as src:
        assert np.array_equal(src.read(), values, equal_nan=True)
        assert src.descriptions == ("a", "b")
        assert src.compression == rasterio.enums.Compression.lzw, "the user's option comes before ours"
        assert np.isnan(src.nodata)
        assert src.tags()["x"] == "y"


@pytest.mark.parametrize("driver", ["GTiff", "COG"])
@pytest.mark.parametrize("count", [3, 4])
def test_bands_of_bytes_are_neither_colours_nor_a_mask(tmp_path: Path, driver: str, count: int) -> None:
    values = np.full((count, *GRID.shape), 7, "uint8")
    names = [f"class {index}" for index in range(count)]
    fmt = RasterFormat(driver)
    with create_image(tmp_path / "p.tif", GRID, names, fmt=fmt, encoding=Encoding("uint8", None)) as dst:
        dst.write(values, GRID.window)
    assert read_info(tmp_path / "p.tif").count == count
    with rasterio.open(tmp_path / "p.tif") as src:
        assert src.colorinterp == (ColorInterp.gray, *(ColorInterp.undefined,) * (count - 1))
