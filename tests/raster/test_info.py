"""Descriptions of rasters."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
import rasterio.shutil
import rasterio.warp

from s2fin_cli.core.errors import GeoreferencingError, RasterError
from s2fin_cli.raster.info import read_info
from s2fin_cli.raster.warp import open_on_grid
from tests.files import write_raster
from tests.raster.grids import GRID, HOLE, random_values, read


def test_what_a_raster_says_about_itself(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", random_values("uint16", (3, 40, 50)), nodata=0, alpha=~HOLE)
    with rasterio.open(path, "r+") as dst:
        dst.set_band_description(2, "red")
        for index in (1, 2, 3):
            dst.update_tags(index, wavelength=str(index / 10), wavelength_units="Micrometers")
    info = read_info(path)
    assert info.grid == GRID
    assert (info.indexes, info.count, info.dtype, info.nodata, info.driver) == ((1, 2, 3), 3, "uint16", 0, "GTiff")
    assert info.band_names == ("", "red", "")
    assert info.wavelengths == pytest.approx((100, 200, 300))
    assert info.rectified_by is None


def test_wavelengths_of_gdals_own_kind(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", random_values("uint8", (2, 40, 50)))
    assert read_info(path).wavelengths is None
    with rasterio.open(path, "r+") as dst:
        dst.update_tags(1, ns="IMAGERY", CENTRAL_WAVELENGTH_UM="0.665")
        dst.update_tags(2, wavelength="865.0")
    assert read_info(path).wavelengths == pytest.approx((665, 865))
    with rasterio.open(path, "r+") as dst:
        dst.update_tags(2, wavelength="nan")
    assert read_info(path).wavelengths is None


def test_pixels_without_a_size_are_refused(tmp_path: Path) -> None:
    write_raster(tmp_path / "a.tif", random_values("uint8"))
    path = tmp_path / "flat.vrt"
    rasterio.shutil.copy(tmp_path / "a.tif", path, driver="VRT")
    text = path.read_text()
    start, end = text.index("<GeoTransform>"), text.index("</GeoTransform>")
    path.write_text(f"{text[:start]}<GeoTransform>500000, 0, 0, 5000000, 0, -10{text[end:]}")
    with pytest.raises(GeoreferencingError, match=r"flat\.vrt has a transform that gives its pixels no size"):
        read_info(path)
    with pytest.raises(GeoreferencingError, match="no size"), open_on_grid(path, GRID, indexes=(1,)):
        pass


def test_complex_values_are_refused(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "slc.tif", np.ones((1, 4, 5), dtype=np.complex64))
    with pytest.raises(RasterError, match=r"complex values \(complex64\); convert it to amplitude"):
        read_info(path)


def test_declared_scales_and_offsets(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", random_values("uint16", (2, 40, 50)))
    assert (read_info(path).scales, read_info(path).offsets) == ((1, 1), (0, 0))
    with rasterio.open(path, "r+") as dst:
        dst.scales, dst.offsets = (0.5, 2), (-1, 0)
    assert (read_info(path).scales, read_info(path).offsets) == ((0.5, 2), (-1, 0))
    assert np.array_equal(read(path, GRID), random_values("uint16", (2, 40, 50)))  # as they are stored
    with rasterio.open(path, "r+") as dst:
        dst.scales = (0, 2)
    with pytest.raises(RasterError, match=r"a\.tif declares the scale 0 and the offset -1 for band 1"):
        read_info(path)
