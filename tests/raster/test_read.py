"""Reading rasters: what they say about themselves, where they have no data, and their warp onto another grid."""

from __future__ import annotations

import itertools
import subprocess
import sys
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
from rasterio.enums import ColorInterp, Resampling
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from s2fin_cli.core.errors import GeoreferencingError, RasterError
from s2fin_cli.core.names import is_dataset_name
from s2fin_cli.geo.extents import resolution_on, share_covered
from s2fin_cli.geo.grid import Grid
from s2fin_cli.raster.info import read_info
from s2fin_cli.raster.warp import default_resampling, open_on_grid
from tests.files import write_raster

if TYPE_CHECKING:
    from numpy.typing import NDArray


CORNER = Affine(10, 0, 500_000, 0, -10, 5_000_000)
GRID = Grid(CRS.from_epsg(32632), CORNER, (40, 50))
SHIFTED = CORNER @ Affine.translation(0.3, 0.4)
HOLE = np.zeros((40, 50), dtype=bool)
HOLE[10:20, 10:20] = True
DEGREES = Affine(1e-4, 0, 8.99, 0, -1e-4, 45.16)  # pixels of about 8 x 11 m that cover most of the grid below
WIDE_GRID = Grid(CRS.from_epsg(32632), Affine(10, 0, 500_000, 0, -10, 4_999_000), (300, 320))


def read(path: Path, grid: Grid, window: Window | None = None, resampling: Resampling | None = None) -> NDArray[Any]:
    with open_on_grid(path, grid, indexes=read_info(path).indexes, resampling=resampling) as reader:
        return reader.read(grid.window if window is None else window)


def random_values(dtype: str, shape: tuple[int, ...] = (1, 40, 50)) -> NDArray[Any]:
    return np.random.default_rng(0).integers(1, 200, shape).astype(dtype)


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


@pytest.mark.parametrize(
    ("src_path", "expected"),
    [
        ("/vsizip/a.zip/b.tif", True), ("https://example.org/a.tif", True), ("NETCDF:a.nc:ndvi", True),
        ('GPKG:"a b.gpkg":one', True), ("C:\\x.tif", False), ("c:/x.tif", False), ("/data/a:b.tif", False),
        ("a.tif", False), ("data/2020-01-01T10:00.tif", False),
    ],
)  # fmt: skip
def test_names_of_gdals_own(src_path: str, expected: bool) -> None:
    assert is_dataset_name(src_path) == expected


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


def test_a_missing_file_is_named_with_its_folder(tmp_path: Path) -> None:
    with pytest.raises(RasterError, match=rf"gone\.tif does not exist \(looked in {tmp_path}\)"):
        read_info(tmp_path / "gone.tif")


def test_a_folder_is_no_raster(tmp_path: Path) -> None:
    with pytest.raises(RasterError, match="is a folder; give the raster file inside it"):
        read_info(tmp_path)


def test_a_text_file_is_no_raster(tmp_path: Path) -> None:
    (tmp_path / "notes.tif").write_text("no raster")
    with pytest.raises(RasterError, match=r"notes\.tif is not a raster that GDAL can read"):
        read_info(tmp_path / "notes.tif")


def test_complex_values_are_refused(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "slc.tif", np.ones((1, 4, 5), dtype=np.complex64))
    with pytest.raises(RasterError, match=r"complex values \(complex64\); convert it to amplitude"):
        read_info(path)


def test_a_container_of_subdatasets_lists_them(tmp_path: Path) -> None:
    path, values = tmp_path / "many.gpkg", random_values("uint8")
    write_raster(path, values, driver="GPKG", crs="EPSG:3857", RASTER_TABLE="one")
    write_raster(path, values, driver="GPKG", crs="EPSG:3857", RASTER_TABLE="two", APPEND_SUBDATASET="YES")
    with pytest.raises(RasterError, match=r"holds no bands of its own.*\n.*:one\n.*:two"):
        read_info(path)


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


def write_with_alpha(path: Path, values: NDArray[Any], alpha: NDArray[Any], **profile: Any) -> Path:
    write_raster(path, values, alpha=alpha.astype(values.dtype), **profile)
    assert read_info(path).alpha_indexes == (len(values) + 1,)
    return path


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


def vrt_of(bands: list[tuple[Path, str, float | None]]) -> str:
    """A VRT of files of one band each, which lie as `SHIFTED` says."""
    text = "".join(
        f'<VRTRasterBand dataType="{dtype}" band="{number}">'
        + ("" if nodata is None else f"<NoDataValue>{nodata}</NoDataValue>")
        + f"<SimpleSource><SourceFilename>{path}</SourceFilename></SimpleSource></VRTRasterBand>"
        for number, (path, dtype, nodata) in enumerate(bands, start=1)
    )
    transform = ", ".join(map(str, SHIFTED.to_gdal()))
    return (
        f'<VRTDataset rasterXSize="50" rasterYSize="40"><SRS>EPSG:32632</SRS><GeoTransform>{transform}</GeoTransform>'
        f"{text}</VRTDataset>"
    )


def test_bands_of_different_data_types_are_read_together(tmp_path: Path) -> None:
    dtypes = {"uint8": "Byte", "float32": "Float32", "int16": "Int16"}
    alone = [write_raster(tmp_path / f"{name}.tif", random_values(name), transform=SHIFTED) for name in dtypes]
    mixed = tmp_path / "mixed.vrt"
    mixed.write_text(vrt_of([(path, dtype, None) for path, dtype in zip(alone, dtypes.values(), strict=True)]))
    assert read_info(mixed).count == 3
    for grid in (GRID, read_info(alone[0]).grid):
        expected = np.concatenate([read(path, grid) for path in alone])
        assert np.array_equal(read(mixed, grid), expected, equal_nan=True)


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
    assert (info.indexes, info.alpha_indexes, info.alpha_data_indexes) == ((1, 2, 3, 4), (), (4,))
    plain = write_raster(tmp_path / "plain.tif", values, transform=transform)
    assert np.array_equal(read(path, GRID), read(plain, GRID), equal_nan=True)
    assert (read(path, info.grid)[3, :3] == 0).all()


@pytest.mark.parametrize("opaque", [255, 128, 1])
def test_an_alpha_band_with_soft_edges_is_a_mask(tmp_path: Path, opaque: int) -> None:
    alpha = np.full(HOLE.shape, opaque)
    alpha[:, :20] = np.linspace(0, opaque, 20).astype(int)
    path = write_with_alpha(tmp_path / "a.tif", random_values("uint8", (2, 40, 50)), alpha, transform=CORNER)
    assert np.array_equal(np.isnan(read(path, GRID)[0]), alpha == 0)


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


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", random_values("float64"))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(RasterError, match=r"a\.tif"):
        read(path, GRID)


UTM_100 = Grid(CRS.from_epsg(32633), Affine(10, 0, 500_000, 0, -10, 5_000_000), (100, 100))


@pytest.mark.parametrize(
    ("transform", "expected"),
    [
        (Affine(10, 0, 500_000, 0, -10, 5_000_000), 1.0),
        (Affine(10, 0, 500_250, 0, -10, 5_000_000), 0.75),
        (Affine(10, 0, 500_250, 0, 10, 4_999_250), 0.75 * 0.75),
        (Affine(10, 0, 500_004, 0, -10, 5_000_000), 1.0),  # less than half a pixel off: every centre is still on it
        (Affine(10, 0, 501_000, 0, -10, 5_000_000), 0.0),
        (Affine.translation(500_500, 5_000_000) * Affine.rotation(-45) * Affine.scale(10 / 2**0.5, -10 / 2**0.5), 0.5),
    ],
)
def test_share_covered(transform: Affine, expected: float) -> None:
    share = share_covered(UTM_100, Grid(UTM_100.crs, transform, (100, 100)))
    assert share == pytest.approx(expected, abs=0.011)


def test_share_covered_by_another_crs() -> None:
    degrees = Grid(CRS.from_epsg(4326), Affine(0.01, 0, 14, 0, -0.01, 46), (200, 200))
    assert share_covered(UTM_100, degrees) == 1.0
    assert 0 < share_covered(degrees, UTM_100) < 0.01
    assert share_covered(UTM_100, Grid(degrees.crs, Affine(0.01, 0, -170, 0, -0.01, 46), (200, 200))) == 0.0


#: Gives parts of files, as servers of large rasters do and Python's own does not.
RANGE_SERVER = """
import http.server, pathlib, re

class Handler(http.server.SimpleHTTPRequestHandler):
    def do_GET(self):
        path = pathlib.Path(self.translate_path(self.path))
        if not path.is_file():
            return self.send_error(404)
        content = path.read_bytes()
        first, last = 0, len(content) - 1
        if found := re.fullmatch(r"bytes=(\\d+)-(\\d*)", self.headers.get("Range", "")):
            first, last = int(found[1]), min(int(found[2] or last), last)
        self.send_response(206 if found else 200)
        self.send_header("Content-Range", f"bytes {first}-{last}/{len(content)}")
        self.send_header("Content-Length", str(last - first + 1))
        self.end_headers()
        self.wfile.write(content[first : last + 1])

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
"""


@pytest.mark.parametrize(
    "name", ["/vsicurl/http://127.0.0.1:{}/bucket/a.tif", "/vsis3/bucket/a.tif", "s3://bucket/a.tif"]
)
def test_a_raster_over_http_is_read_as_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """From a server on this machine, as the suite needs no network, in a process of its own, as GDAL keeps the GIL."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("GDAL_HTTP_TIMEOUT", "10")
    for key, value in (("NO_SIGN_REQUEST", "YES"), ("HTTPS", "NO"), ("VIRTUAL_HOSTING", "FALSE")):
        monkeypatch.setenv(f"AWS_{key}", value)
    values = random_values("uint16", (3, 300, 200))
    (tmp_path / "bucket").mkdir()
    write_raster(tmp_path / "bucket" / "a.tif", values)
    command = [sys.executable, "-c", RANGE_SERVER]
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        try:
            assert server.stdout is not None
            port = int(server.stdout.readline())
            monkeypatch.setenv("AWS_S3_ENDPOINT", f"127.0.0.1:{port}")
            name = name.format(port)
            info = read_info(name)
            assert (info.count, info.grid.shape) == (3, (300, 200))
            with open_on_grid(name, info.grid, indexes=(3, 1)) as reader:
                assert np.array_equal(reader.read(Window(10, 20, 50, 60)), values[[2, 0], 20:80, 10:60])
            with pytest.raises(RasterError, match="is not a raster that GDAL can read"):
                read_info(name.replace("a.tif", "b.tif"))
        finally:
            server.kill()


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


def test_jpeg_2000_is_read(tmp_path: Path) -> None:
    values = np.add.outer(np.arange(3) * 500, np.add.outer(np.arange(80) * 7, np.arange(60) * 11)).astype("uint16")
    write_raster(tmp_path / "a.jp2", values, crs="EPSG:32633", driver="JP2OpenJPEG", quality="100", reversible="yes")
    info = read_info(tmp_path / "a.jp2")
    assert (info.driver, info.count, info.grid.shape) == ("JP2OpenJPEG", 3, (80, 60))
    assert info.grid.crs == "EPSG:32633"
    with open_on_grid(tmp_path / "a.jp2", info.grid, indexes=(3, 1)) as reader:
        assert np.array_equal(reader.read(Window(10, 20, 30, 40)), values[[2, 0], 20:60, 10:40])
