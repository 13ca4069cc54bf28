"""Bands that are marked as alpha: masks, or data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
import rasterio.shutil
import rasterio.warp
from affine import Affine
from rasterio.enums import ColorInterp

from s2fin_cli.raster.info import read_info
from tests.files import write_raster
from tests.raster.grids import CORNER, GRID, HOLE, SHIFTED, random_values, read, write_with_alpha


@pytest.mark.parametrize("transform", [CORNER, SHIFTED], ids=["same grid", "warped"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_an_alpha_band_that_holds_data_is_data(tmp_path: Path, transform: Affine, dtype: str) -> None:
    """GDAL calls the fourth band of red, green, blue and near infrared alpha."""
    values = random_values(dtype, (4, 40, 50))
    values[3, :3] = 0  # which is data here, as in water
    path = write_raster(tmp_path / "rgbn.tif", values, transform=transform, photometric="rgb")
    with rasterio.open(path, "r+") as dst:
        dst.colorinterp = [ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha]
    info = read_info(path)
    assert (info.indexes, info.alpha_indexes) == ((1, 2, 3, 4), ())
    assert "has band 4 marked as alpha, which is used as data" in info.doubts[0]
    plain = write_raster(tmp_path / "plain.tif", values, transform=transform)
    assert np.array_equal(read(path, GRID), read(plain, GRID), equal_nan=True)
    assert (read(path, info.grid)[3, :3] == 0).all()


@pytest.mark.parametrize("opaque", [255, 128, 1])
def test_an_alpha_band_with_soft_edges_is_a_mask(tmp_path: Path, opaque: int) -> None:
    alpha = np.full(HOLE.shape, opaque)
    alpha[:, :20] = np.linspace(0, opaque, 20).astype(int)
    path = write_with_alpha(tmp_path / "a.tif", random_values("uint8", (2, 40, 50)), alpha, transform=CORNER)
    assert np.array_equal(np.isnan(read(path, GRID)[0]), alpha == 0)
