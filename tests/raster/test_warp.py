"""Rasters read on another grid."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import rasterio
import rasterio.shutil
import rasterio.warp
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Transformer
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.windows import Window

from s2fin_cli.core.errors import GeoreferencingError
from s2fin_cli.geo.extents import resolution_on
from s2fin_cli.geo.grid import Grid
from s2fin_cli.raster.info import read_info
from s2fin_cli.raster.warp import default_resampling
from tests.files import write_raster
from tests.raster.grids import CORNER, GRID, random_values, read

if TYPE_CHECKING:
    from numpy.typing import NDArray


DEGREES = Affine(1e-4, 0, 8.99, 0, -1e-4, 45.16)  # pixels of about 8 x 11 m that cover most of the grid below
WIDE_GRID = Grid(CRS.from_epsg(32632), Affine(10, 0, 500_000, 0, -10, 4_999_000), (300, 320))


def smooth_values(dtype: str, shape: tuple[int, int]) -> NDArray[Any]:
    rows, cols = np.indices(shape)
    return np.asarray(128 + 60 * np.sin(rows / 20) + 60 * np.cos(cols / 30))[None].astype(dtype)


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize("resampling", [1, 2, 3, 4, 5, Resampling.med, Resampling.rms])
def test_a_warp_agrees_with_rasterio(tmp_path: Path, resampling: int, dtype: str) -> None:
    values = smooth_values(dtype, (400, 420))
    path = write_raster(tmp_path / "a.tif", values, crs="EPSG:4326", transform=DEGREES)
    result = read(path, WIDE_GRID, resampling=Resampling(resampling))
    expected = np.full((1, *WIDE_GRID.shape), np.nan, dtype="float32")
    rasterio.warp.reproject(
        values.astype("float32"), expected, src_transform=DEGREES, src_crs="EPSG:4326", src_nodata=np.nan,
        dst_transform=WIDE_GRID.transform, dst_crs=WIDE_GRID.crs, dst_nodata=np.nan, resampling=Resampling(resampling),
    )  # fmt: skip
    assert np.array_equal(np.isnan(result), np.isnan(expected))
    assert 0.6 < np.isfinite(result).mean() < 0.9
    # rasterio finds places to an eighth of a pixel, and GDAL's median is one of the values, not a mean of two
    assert np.nanmax(np.abs(result - expected)) < (4 if resampling == Resampling.med else 0.5)
    assert np.nanmean(np.abs(result - expected)) < 0.1


def test_the_nearest_pixel_is_the_nearest(tmp_path: Path) -> None:
    values = random_values("uint16", (1, 400, 420))
    path = write_raster(tmp_path / "a.tif", values, crs="EPSG:4326", transform=DEGREES)
    result = read(path, WIDE_GRID, resampling=Resampling.nearest)[0]
    rows, cols = np.indices(WIDE_GRID.shape) + 0.5
    xs, ys = 500_000 + 10 * cols, 4_999_000 - 10 * rows
    lons, lats = Transformer.from_crs(32632, 4326, always_xy=True).transform(xs, ys)
    src_cols, src_rows = (lons - DEGREES.c) / DEGREES.a, (lats - DEGREES.f) / DEGREES.e
    inside = (src_cols > 0) & (src_cols < 420) & (src_rows > 0) & (src_rows < 400)
    assert np.array_equal(np.isfinite(result), inside)
    assert np.array_equal(result[inside], values[0, src_rows[inside].astype(int), src_cols[inside].astype(int)])


windows = st.tuples(
    st.integers(0, WIDE_GRID.height - 1),
    st.integers(0, WIDE_GRID.width - 1),
    st.integers(1, WIDE_GRID.height),
    st.integers(1, WIDE_GRID.width),
).map(lambda w: Window(w[1], w[0], min(w[3], WIDE_GRID.width - w[1]), min(w[2], WIDE_GRID.height - w[0])))


@pytest.fixture(scope="module")
def warped(tmp_path_factory: pytest.TempPathFactory) -> dict[Resampling, Any]:
    """A path and, by method, what the whole grid reads from it."""
    values = random_values("float32", (1, 400, 420))
    values[0, 100:130, 200:220] = np.nan
    path = write_raster(tmp_path_factory.mktemp("warp") / "a.tif", values, crs="EPSG:4326", transform=DEGREES)
    methods = (Resampling.bilinear, Resampling.cubic, Resampling.lanczos, Resampling.average)
    return {method: (path, read(path, WIDE_GRID, resampling=method)) for method in methods}


@given(window=windows, resampling=st.sampled_from([Resampling.bilinear, Resampling.cubic, Resampling.average]))
@settings(max_examples=40)
def test_values_do_not_depend_on_the_window(
    warped: dict[Resampling, Any], window: Window, resampling: Resampling
) -> None:
    path, whole = warped[resampling]
    part = read(path, WIDE_GRID, window, resampling)
    np.testing.assert_allclose(part[0], whole[0][window.toslices()], rtol=1e-5)


def test_south_up_rasters_and_grids(tmp_path: Path) -> None:
    south_up = Grid(GRID.crs, Affine(10, 0, 500_000, 0, 10, 4_999_600), (40, 50))
    values = random_values("uint8")
    path = write_raster(tmp_path / "a.tif", values)
    assert np.array_equal(read(path, south_up)[0], values[0, ::-1])
    path = write_raster(tmp_path / "b.tif", values[:, ::-1], transform=south_up.transform)
    assert np.array_equal(read(path, south_up)[0], values[0, ::-1])
    assert np.array_equal(read(path, GRID)[0], values[0])


def test_average_for_much_finer_rasters_only(tmp_path: Path) -> None:
    fine = write_raster(
        tmp_path / "fine.tif", random_values("uint8", (1, 80, 100)), transform=CORNER @ Affine.scale(0.5)
    )
    assert default_resampling(read_info(fine).grid, GRID) == Resampling.average
    expected = random_values("uint8", (1, 80, 100))[0].reshape(40, 2, 50, 2).mean(axis=(1, 3))
    np.testing.assert_allclose(read(fine, GRID)[0], expected, rtol=1e-6)
    other = write_raster(tmp_path / "other.tif", random_values("uint8"), transform=CORNER @ Affine.scale(0.6))
    assert default_resampling(read_info(other).grid, GRID) == Resampling.bilinear
    degrees = write_raster(tmp_path / "degrees.tif", random_values("uint8"), crs="EPSG:4326", transform=DEGREES)
    width, height = resolution_on(read_info(degrees).grid, GRID)
    assert width == pytest.approx(7.88, abs=0.05)
    assert height == pytest.approx(11.1, abs=0.05)


def test_no_warp_without_a_crs(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", random_values("uint8"), crs=None)
    with pytest.raises(GeoreferencingError, match=r"a\.tif cannot be warped: 50 x 40 px .*no CRS.* onto .*EPSG:32632"):
        read(path, GRID)
