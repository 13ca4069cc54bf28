"""Where rasters have no data, however they declare it."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import rasterio
import rasterio.shutil
import rasterio.warp
from affine import Affine
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT

from s2fin_cli.raster.info import read_info
from s2fin_cli.raster.warp import open_on_grid
from tests.files import write_raster
from tests.raster.grids import CORNER, GRID, HOLE, SHIFTED, random_values, read, vrt_of, write_with_alpha


@pytest.mark.parametrize("transform", [CORNER, SHIFTED], ids=["same grid", "warped"])
@pytest.mark.parametrize(
    ("kind", "dtype"),
    [
        *itertools.product(["nodata", "mask"], ["uint8", "uint16", "int32", "float32", "float64"]),
        *itertools.product(["alpha"], ["uint8", "uint16"]),
    ],
)
def test_pixels_without_data_are_nan(tmp_path: Path, transform: Affine, dtype: str, kind: str) -> None:
    values = random_values(dtype)
    path = tmp_path / "a.tif"
    if kind == "nodata":
        write_raster(path, np.where(HOLE, 0, values).astype(dtype), transform=transform, nodata=0)
    elif kind == "mask":
        write_raster(path, values, transform=transform, mask=~HOLE)
    else:
        write_raster(path, values, transform=transform, alpha=~HOLE)
    result = read(path, GRID)
    assert result.dtype == np.float32
    assert result.shape == (1, 40, 50)
    assert np.array_equal(np.isnan(result[0]), HOLE)
    if transform == CORNER:
        assert np.array_equal(result[0][~HOLE], values[0][~HOLE])


@pytest.mark.parametrize("transform", [CORNER, SHIFTED], ids=["same grid", "warped"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32"])
@pytest.mark.parametrize("resampling", [Resampling.nearest, Resampling.bilinear, Resampling.average])
def test_any_alpha_above_zero_means_data(tmp_path: Path, transform: Affine, dtype: str, resampling: Resampling) -> None:
    alpha = np.where(HOLE, 0, np.random.default_rng(0).choice([1, 2, 60, 128, 254, 255], HOLE.shape))
    values = random_values(dtype, (2, 40, 50))
    path = write_with_alpha(tmp_path / "a.tif", values, alpha, transform=transform)
    opaque = write_with_alpha(tmp_path / "b.tif", values, np.where(HOLE, 0, 255), transform=transform)
    result = read(path, GRID, resampling=resampling)
    if resampling != Resampling.average:
        assert np.array_equal(np.isnan(result), np.broadcast_to(HOLE, result.shape))
    assert np.array_equal(result, read(opaque, GRID, resampling=resampling), equal_nan=True)


@pytest.mark.parametrize("transform", [CORNER, SHIFTED], ids=["same grid", "warped"])
@pytest.mark.parametrize(
    ("kind", "bands", "dtype", "nodata"),
    [
        *[(kind, 2, "uint8", 0) for kind in ("mask", "alpha")],
        *itertools.product(["mask", "alpha"], [2], ["float32", "float64"], [None, np.nan, -9999]),
        *itertools.product(["mask"], [1], ["float32"], [None, np.nan, -9999]),
        ("mask", 1, "uint8", 0),
        ("mask", 2, "float64", -1e300),
    ],
)
def test_nodata_and_a_mask_both_count(
    tmp_path: Path,
    transform: Affine,
    kind: str,
    bands: int,
    dtype: str,
    nodata: float | None,
) -> None:
    values = random_values(dtype, (bands, 40, 50))
    values[:, 30:35, 30:35] = np.nan if nodata is None else nodata
    if kind == "mask":
        path = write_raster(tmp_path / "a.tif", values, transform=transform, nodata=nodata, mask=~HOLE)
    else:
        path = write_with_alpha(tmp_path / "a.tif", values, ~HOLE, transform=transform, nodata=nodata)
    result = read(path, GRID)
    hole = np.zeros_like(HOLE)
    hole[30:35, 30:35] = True
    if transform == SHIFTED:  # a kernel that reaches beyond a hole may fill its edge, or widen it
        hole[29:36, 29:36] = True
        assert np.isnan(result[:, 31:34, 31:34]).all()
    else:
        assert np.isnan(result[:, hole]).all()
    assert np.isnan(result[:, HOLE]).all()
    assert 1 <= result[:, ~HOLE & ~hole].min() <= result[:, ~HOLE & ~hole].max() <= 200


@pytest.mark.parametrize("transform", [CORNER, SHIFTED], ids=["same grid", "warped"])
@pytest.mark.parametrize("rounded", [-3.4e38, -3.4028235e38, -9999.0004])
def test_a_rounded_nodata_value_is_found_as_gdal_finds_it(tmp_path: Path, transform: Affine, rounded: float) -> None:
    hole = -3.4028235e38 if rounded < -1e38 else -9999
    values = np.where(HOLE, hole, random_values("float32")).astype("float32")
    path = write_raster(tmp_path / "a.tif", values, nodata=rounded, transform=transform)
    with rasterio.open(path) as src:
        masked = src.read_masks(1) == 0
    assert np.array_equal(masked, HOLE)
    result = read(path, GRID, resampling=Resampling.nearest)[0]
    assert np.array_equal(np.isnan(result), HOLE)
    assert np.nanmin(result) >= 1


@pytest.mark.parametrize("resampling", [Resampling.nearest, Resampling.bilinear, Resampling.average])
def test_each_band_has_its_own_nodata_value(tmp_path: Path, resampling: Resampling) -> None:
    values = random_values("float32", (3, 40, 50))
    values[0, HOLE], values[1, 25:30], values[2, :5] = -9999, 0, np.nan
    alone = [
        write_raster(tmp_path / f"{number}.tif", band, nodata=nodata, transform=SHIFTED)
        for number, band, nodata in zip(range(3), values, (-9999, 0, None), strict=True)
    ]
    stacked = tmp_path / "stack.vrt"
    stacked.write_text(
        vrt_of([(path, "Float32", nodata) for path, nodata in zip(alone, (-9999, 0, None), strict=True)])
    )
    for grid in (GRID, read_info(alone[0]).grid):
        expected = np.concatenate([read(path, grid, resampling=resampling) for path in alone])
        assert np.array_equal(read(stacked, grid, resampling=resampling), expected, equal_nan=True)
        with open_on_grid(stacked, grid, indexes=(3, 1), resampling=resampling) as reader:
            assert np.array_equal(reader.read(grid.window), expected[[2, 0]], equal_nan=True)


def test_bands_of_a_warped_virtual_raster_have_their_own_nodata_values(tmp_path: Path) -> None:
    values = random_values("float32", (2, 40, 50))
    values[0, HOLE] = -9999
    path = write_raster(tmp_path / "a.tif", values, transform=SHIFTED)
    warped = tmp_path / "w.vrt"
    with rasterio.open(path) as src, WarpedVRT(src) as vrt:
        rasterio.shutil.copy(vrt, warped, driver="VRT")
    text = warped.read_text()
    band = text.index("<VRTRasterBand")
    end = text.index(">", band) + 1
    warped.write_text(f"{text[:end]}<NoDataValue>-9999</NoDataValue>{text[end:]}")
    assert read_info(warped).count == 2
    first, second = read(warped, GRID, resampling=Resampling.nearest)
    assert np.array_equal(np.isnan(first), HOLE)
    assert np.array_equal(second, values[1])


def test_bands_of_different_data_types_are_read_together(tmp_path: Path) -> None:
    dtypes = {"uint8": "Byte", "float32": "Float32", "int16": "Int16"}
    alone = [write_raster(tmp_path / f"{name}.tif", random_values(name), transform=SHIFTED) for name in dtypes]
    mixed = tmp_path / "mixed.vrt"
    mixed.write_text(vrt_of([(path, dtype, None) for path, dtype in zip(alone, dtypes.values(), strict=True)]))
    assert read_info(mixed).count == 3
    for grid in (GRID, read_info(alone[0]).grid):
        expected = np.concatenate([read(path, grid) for path in alone])
        assert np.array_equal(read(mixed, grid), expected, equal_nan=True)


@pytest.mark.parametrize("nodata", [None, np.nan, -9999])
@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_are_never_data(tmp_path: Path, nodata: float | None, odd: float) -> None:
    values = np.where(HOLE, odd, random_values("float32")).astype("float32")
    path = write_raster(tmp_path / "a.tif", values, nodata=nodata)
    result = read(path, GRID)
    assert np.array_equal(np.isnan(result[0]), HOLE)
    assert np.array_equal(result[0][~HOLE], values[0][~HOLE])


def test_values_beyond_float32_are_no_data(tmp_path: Path) -> None:
    values = np.where(HOLE, -1.7976931348623157e308, random_values("float64"))
    for transform in (CORNER, SHIFTED):
        for nodata in (None, -1.7976931348623157e308):
            path = write_raster(tmp_path / "a.tif", values, transform=transform, nodata=nodata)
            result = read(path, GRID)[0]
            assert np.isnan(result[11:19, 11:19]).all()
            assert np.nanmin(result) >= 0


@pytest.mark.parametrize("nodata", [-9999.0, None], ids=["declared", "NaN"])
@pytest.mark.parametrize("resampling", [Resampling.nearest, Resampling.bilinear, Resampling.average])
def test_a_hole_in_one_band_is_no_hole_in_another(tmp_path: Path, nodata: float | None, resampling: Resampling) -> None:
    values = random_values("float32", (2, 40, 50))
    values[0][HOLE] = np.nan if nodata is None else nodata
    path = write_raster(tmp_path / "a.tif", values, transform=SHIFTED, nodata=nodata)
    first, second = read(path, GRID, resampling=resampling)
    assert np.isfinite(second).all()
    assert np.isnan(first[11:19, 11:19]).all()
    assert np.isfinite(first[~HOLE]).all()
    assert np.nanmin(first) >= 1
    assert np.nanmax(first) <= 200


def test_undeclared_integers_outside_the_raster_are_nan(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", random_values("uint8"), transform=CORNER @ Affine.translation(10, 5))
    result = read(path, GRID)[0]
    assert np.isnan(result[:5]).all()
    assert np.isnan(result[:, :10]).all()
    assert np.array_equal(result[5:, 10:], random_values("uint8")[0, :-5, :-10])


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32", "int32", "float64"])
def test_a_nodata_value_is_found_in_every_data_type(tmp_path: Path, dtype: str) -> None:
    """Those that float32 holds exactly are compared here, the others by GDAL."""
    values = np.arange(1, 2 * 20 * 30 + 1).reshape(2, 20, 30).astype(dtype)
    nodata = 7 if dtype != "float32" else -3.4028234663852886e38
    values[:, 3, 4] = nodata
    path = write_raster(tmp_path / "a.tif", values, nodata=nodata)
    info = read_info(path)
    with open_on_grid(path, info.grid, indexes=(1, 2)) as reader:
        read = reader.read(info.grid.window)
    expected = values.astype("float32")
    expected[values == np.array(nodata, dtype)] = np.nan
    assert np.array_equal(read, expected, equal_nan=True)
    assert np.isnan(read[:, 3, 4]).all()
