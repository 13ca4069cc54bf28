"""Arrays of xarray as rasters: a raster opened and written again is the same; what has no place is refused."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import dask.array
import numpy as np
import pytest
import rasterio
import rioxarray
import xarray as xr
from affine import Affine

from s2fin_cli.core.errors import InputError
from s2fin_cli.raster.arrays import BLOCK_BYTES, Bands, class_names_of, write_array
from s2fin_cli.raster.class_names import read_class_names
from s2fin_cli.raster.info import read_info
from s2fin_cli.raster.raster_info import RasterInfo
from tests.files import TRANSFORM, read_raster, write_raster

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

VALUES = np.arange(2 * 30 * 40).reshape(2, 30, 40)
#: By how much 40 coordinates are off an even grid of 10 m: up to 10 m, although no step is off by more than 0.5 m.
DRIFT = 0.5 * np.concatenate([np.arange(20), np.arange(20, 0, -1)])


def image(folder: Path, dtype: str = "int16", **profile: Any) -> Path:
    return write_raster(folder / "image.tif", VALUES.astype(dtype), **profile)


def opened(path: Path, **how: Any) -> Any:
    return rioxarray.open_rasterio(path, **how)


def written(folder: Path, array: xr.DataArray) -> RasterInfo:
    path = folder / "written.tif"
    write_array(path, array, name="`hsi` (DataArray)", on_block=lambda: None)
    return read_info(path)


def values_of(info: RasterInfo) -> NDArray[Any]:
    return read_raster(Path(info.src_path))


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int16", "int32", "int64", "float32", "float64"])
def test_a_raster_is_the_same_after_a_way_through_an_array(tmp_path: Path, dtype: str) -> None:
    path = image(tmp_path, dtype, nodata=7)
    found, given = written(tmp_path, opened(path)), read_info(path)
    assert (found.grid, found.dtype, found.nodata) == (given.grid, given.dtype, given.nodata)
    assert np.array_equal(values_of(found), read_raster(path))


def test_what_a_file_says_of_its_bands_is_kept(tmp_path: Path) -> None:
    path = image(tmp_path)
    with rasterio.open(path, "r+") as dst:
        dst.descriptions, dst.units = ("red", "665 nm"), ("m", "m")
        dst.scales, dst.offsets = (0.5, 0.5), (3, 3)
    found = written(tmp_path, opened(path))
    assert (found.band_names, found.units) == (("red", "665 nm"), ("m", "m"))
    assert (found.scales, found.offsets) == ((0.5, 0.5), (3, 3))


def test_one_unit_and_one_scale_are_those_of_all_bands(tmp_path: Path) -> None:
    found = written(tmp_path, opened(image(tmp_path)).assign_attrs(units="ft", scale_factor=0.5))
    assert (found.units, found.scales) == (("ft", "ft"), (0.5, 0.5))


def test_floats_that_declare_a_scale_are_doubtful(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    array = opened(image(tmp_path)).assign_attrs(scale_factor=0.5)
    assert written(tmp_path, array).scales == (0.5, 0.5)
    assert not caplog.text
    # xarray keeps attributes in arithmetic
    assert written(tmp_path, array * 0.5).scales == (0.5, 0.5)
    assert "has floating-point values, which are scaled as its attribute scale_factor says" in caplog.text


def test_decoded_values_are_not_scaled_again(tmp_path: Path) -> None:
    path = image(tmp_path, nodata=0)
    with rasterio.open(path, "r+") as dst:
        dst.scales, dst.offsets = (0.5, 0.5), (3, 3)
    found = written(tmp_path, opened(path, mask_and_scale=True))
    assert (found.scales, found.offsets) == ((1, 1), (0, 0))
    assert np.isnan(found.nodata or 0)
    expected = np.where(VALUES == 0, np.nan, VALUES * 0.5 + 3)
    assert np.array_equal(values_of(found), expected.astype(found.dtype), equal_nan=True)


@pytest.mark.parametrize(
    "change",
    [
        lambda array: array.transpose("x", "band", "y"),
        lambda array: array.rename(x="lon", y="lat"),
        lambda array: array.rename(x="easting", y="Northing", band="time"),
        lambda array: array.expand_dims("time", axis=1),
        lambda array: array.drop_vars(["x", "y"]),
        lambda array: array.chunk({"band": 1, "x": 16, "y": 16}),
        lambda array: array.assign_coords(x=array.x.astype("float32"), y=array.y + 1e-4),
    ],
    ids=["transposed", "lon and lat", "other names", "one time", "no coordinates", "chunks", "rounded coordinates"],
)
def test_the_same_pixels_in_other_arrays(tmp_path: Path, change: Callable[[Any], Any]) -> None:
    path = image(tmp_path)
    found = written(tmp_path, change(opened(path)))
    assert found.grid == read_info(path).grid
    assert np.array_equal(values_of(found), read_raster(path))


def test_a_part_has_its_own_place(tmp_path: Path) -> None:
    array = opened(image(tmp_path))
    found = written(tmp_path, array[:, 5:25:2, 7:30])
    assert found.grid.transform == TRANSFORM @ Affine.translation(7, 4.5) @ Affine.scale(1, 2)
    assert np.array_equal(values_of(found), VALUES[:, 5:25:2, 7:30])
    upwards = written(tmp_path, array.isel(y=slice(None, None, -1)))
    assert upwards.grid.transform == TRANSFORM @ Affine.translation(0, 30) @ Affine.scale(1, -1)


@pytest.mark.parametrize("size", [{"x": slice(3, 4)}, {"y": slice(3, 4)}])
def test_a_single_row_or_column_has_the_declared_size(tmp_path: Path, size: dict[str, slice]) -> None:
    found = written(tmp_path, opened(image(tmp_path)).isel(size))
    assert found.grid.res == (10, 10)


def test_a_rotated_transform_is_kept(tmp_path: Path) -> None:
    rotated = TRANSFORM @ Affine.rotation(20)
    path = image(tmp_path, transform=rotated)
    assert written(tmp_path, opened(path)).grid == read_info(path).grid


def test_a_part_of_a_rotated_array_is_refused(tmp_path: Path) -> None:
    array = opened(image(tmp_path, transform=TRANSFORM @ Affine.rotation(20)))
    assert np.array_equal(values_of(written(tmp_path, array[1:])), VALUES[1:])
    for part in (array[:, 1:], array[:, :, ::2], array[:, ::-1]):
        with pytest.raises(InputError, match="is a part of a rotated array, and its transform is that of the whole"):
            written(tmp_path, part)


def test_neither_crs_nor_transform(tmp_path: Path) -> None:
    found = written(tmp_path, xr.DataArray(VALUES[0], dims=("y", "x")))
    assert (found.grid.crs, found.grid.transform) == (None, Affine.identity())


def test_types_without_a_raster(tmp_path: Path) -> None:
    array = opened(image(tmp_path, "uint8"))
    assert written(tmp_path, array > 3).dtype == "uint8"
    assert written(tmp_path, array.astype("float16")).dtype == "float32"
    assert written(tmp_path, array.assign_attrs(_FillValue=-9999)).nodata is None  # no byte can be that
    assert written(tmp_path, array.rio.write_nodata(4, encoded=True)).nodata == 4
    assert written(tmp_path, array.astype("longdouble")).dtype == "float64"


def test_names_and_wavelengths_of_coordinates(tmp_path: Path) -> None:
    array = opened(image(tmp_path)).assign_coords(wavelength=("band", [0.45, 0.56], {"units": "µm"}))
    assert written(tmp_path, array).wavelengths == pytest.approx((450, 560))
    named = array.drop_vars("wavelength").assign_coords(band=["blue", "green"])
    assert written(tmp_path, named).band_names == ("blue", "green")


def test_names_of_classes_go_with_them(tmp_path: Path) -> None:
    attrs = {"flag_values": np.array([1, 4], "uint8"), "flag_meanings": "bare_soil water"}
    found = written(tmp_path, opened(image(tmp_path, "uint8"))[0].assign_attrs(attrs))
    assert read_class_names(found.src_path) == {1: "bare_soil", 4: "water"}
    assert class_names_of({**attrs, "class_names": ["bare soil", "water"]}) == {1: "bare soil", 4: "water"}
    assert class_names_of({**attrs, "class_names": np.array(["bare soil", "water"])}) == {1: "bare soil", 4: "water"}
    assert class_names_of({**attrs, "flag_meanings": "water"}) == {}
    assert class_names_of({**attrs, "flag_values": ["low", "high"]}) == {}
    again = opened(Path(found.src_path)).load()  # a map opened by rioxarray
    assert read_class_names(written(tmp_path, again).src_path) == {1: "bare_soil", 4: "water"}


class Recorder:
    """An array that keeps what is asked of it."""

    def __init__(self, values: NDArray[Any]) -> None:
        self.values, self.shape, self.dtype, self.ndim = values, values.shape, values.dtype, values.ndim
        self.sizes: list[int] = []

    def __getitem__(self, key: Any) -> NDArray[Any]:
        self.sizes.append(self.values[key].size)
        return np.asarray(self.values[key])


def test_chunks_are_computed_one_by_one_and_once(tmp_path: Path) -> None:
    recorder = Recorder(VALUES)
    lazy = dask.array.from_array(recorder, chunks=(1, 16, 16), asarray=False, meta=np.empty((0, 0, 0), VALUES.dtype))
    found = written(tmp_path, xr.DataArray(lazy, dims=("band", "y", "x")))
    assert np.array_equal(values_of(found), VALUES)
    assert (max(recorder.sizes), sum(recorder.sizes)) == (16 * 16, VALUES.size)


def test_arrays_without_chunks_are_read_in_strips() -> None:
    wide = np.broadcast_to(np.float64(1), (4, 30_000, 5000))
    found = Bands.of(xr.DataArray(wide, dims=("band", "y", "x")), "x")
    rows = [window.height for _, window in found.blocks()]
    assert sum(rows) == 30_000
    assert BLOCK_BYTES / 2 < max(rows) * 4 * 5000 * 8 <= BLOCK_BYTES


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda array: xr.DataArray(array.values), "dimensions dim_0, dim_1, dim_2, and which of them are rows and"),
        (lambda array: array.expand_dims(time=2), r"time \(2\), band \(2\), y \(30\), x \(40\).*array.isel\(time=0\)"),
        (lambda array: array[:, :0], r"has no values: its shape is \(2, 0, 40\)"),
        (lambda array: array.astype("complex64"), "holds complex values"),
        (lambda array: array.astype("datetime64[s]"), r"holds values of datetime64\[s\]"),
        (lambda array: array.isel(x=[0, 1, 5]), "along x that are not evenly spaced, from 500005 to 500055"),
        (lambda array: array.assign_coords(x=array.x + DRIFT), "along x that are not evenly"),
        (lambda array: array.isel(y=[3, 3]), "along y that are not evenly spaced"),
        (lambda array: array.assign_coords(x=[f"{i}" for i in range(40)]), "along x that are no numbers"),
        (
            lambda array: array.drop_vars(["x", "y", "spatial_ref"]).rio.write_crs("EPSG:32632"),
            "has a CRS, but neither coordinates nor a transform",
        ),
        (lambda array: array.drop_vars("spatial_ref").assign_attrs(crs="EPSG:999999"), "has a CRS that PROJ cannot"),
        (lambda array: array.assign_attrs(transform="here").drop_vars("spatial_ref"), "a transform that cannot be"),
        (lambda array: array.assign_attrs(_FillValue="none"), "has an attribute _FillValue that is no number, 'none'"),
        (lambda array: array.assign_attrs(_FillValue=[0, 1]), "has the nodata values 0, 1, and an array can have one"),
        (lambda array: array[[1]].assign_attrs(scales=(0.5, 2)), "has 1 band and 2 scales; give one for each band"),
        (lambda array: array.assign_attrs(add_offset="x"), "has an attribute add_offset that is no number"),
    ],
)
def test_what_cannot_be_a_raster_is_refused(
    tmp_path: Path, change: Callable[[Any], xr.DataArray], message: str
) -> None:
    with pytest.raises(InputError, match=rf"`hsi` \(DataArray\) .*{message}"):
        written(tmp_path, change(opened(image(tmp_path))))


def test_a_chunk_that_cannot_be_computed_is_reported(tmp_path: Path) -> None:
    def fail(block: NDArray[Any]) -> NDArray[Any]:
        raise OSError("no such bucket")

    lazy = dask.array.from_array(VALUES, chunks=(2, 30, 40)).map_blocks(fail, dtype=VALUES.dtype)
    with pytest.raises(InputError, match=r"`hsi` \(DataArray\) cannot be computed \(no such bucket\)"):
        written(tmp_path, xr.DataArray(lazy, dims=("band", "y", "x")))
