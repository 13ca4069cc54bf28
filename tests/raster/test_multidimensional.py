"""NetCDF and Zarr, read as xarray reads them, which shares no code with GDAL; and what GDAL would place wrongly."""

from __future__ import annotations

import shutil
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import rioxarray  # noqa: F401  adds .rio
import xarray as xr

from s2fin_cli.core.errors import GeoreferencingError, RasterError
from s2fin_cli.raster.info import check_placed, read_info
from s2fin_cli.raster.warp import open_on_grid
from s2fin_cli.stack.layer import Layer
from s2fin_cli.workflows.input_identity import facts_of_inputs

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

HEIGHT, WIDTH = 12, 16
X, Y = 500_005 + 10 * np.arange(WIDTH), 4_999_995 - 10 * np.arange(HEIGHT)
DATES = ("2024-06-01", "2024-06-11", "2024-06-21")
DEGREES = {
    "lat": {"units": "degrees_north", "standard_name": "latitude"},
    "lon": {"units": "degrees_east", "standard_name": "longitude"},
}


def series(crs: str = "EPSG:32632") -> xr.DataArray:
    """Three dates on a grid in metres, with coordinates as CF wants them."""
    values = np.random.default_rng(0).integers(1, 200, (3, HEIGHT, WIDTH)).astype("float32")
    times = np.array(DATES, "datetime64[ns]")
    made = xr.DataArray(values, dims=("time", "y", "x"), coords={"time": times, "y": Y, "x": X}, name="ndvi")
    return made.rio.write_crs(crs).rio.write_coordinate_system()  # type: ignore[no-any-return]


def degrees(lon: NDArray[Any], lat: NDArray[Any]) -> xr.DataArray:
    """One band in longitudes and latitudes."""
    values = (lat[:, None] * 1000 + lon[None]).astype("float32")
    coords = {"lat": ("lat", lat, DEGREES["lat"]), "lon": ("lon", lon, DEGREES["lon"])}
    made = xr.DataArray(values, dims=("lat", "lon"), coords=coords, name="band")
    return made.rio.write_crs("EPSG:4326")  # type: ignore[no-any-return]


def write(data: xr.DataArray | xr.Dataset, path: Path) -> Path:
    """Write netCDF, or Zarr of version 2."""
    whole = data.to_dataset() if isinstance(data, xr.DataArray) else data
    if path.suffix == ".zarr":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of consolidated metadata
            whole.to_zarr(path, zarr_format=2, mode="w")
    else:
        whole.to_netcdf(path, engine="h5netcdf")
    return path


def read_by_xarray(path: Path, name: str) -> xr.DataArray:
    """A variable with scale, offset and nodata applied, north up and longitudes ascending from the west."""
    engine = "zarr" if path.suffix == ".zarr" else "h5netcdf"
    with xr.open_dataset(path, engine=engine) as data:
        found = data[name].load()
    y, x = found.dims[-2:]
    return found.sortby(y, ascending=False).sortby(x)


def read_by_s2fin(path: Path | str) -> tuple[NDArray[np.float32], NDArray[Any], NDArray[Any]]:
    """Values (bands, height, width) with scale and offset applied, x of the columns and y of the rows."""
    info = read_info(path)
    check_placed(info, str(path))
    with open_on_grid(path, info.grid, indexes=info.indexes) as reader:
        values = reader.read(info.grid.window)
    Layer.of("raster", [info]).scaling.apply(values)
    transform, (height, width) = info.grid.transform, info.grid.shape
    xs = transform.c + transform.a * (np.arange(width) + 0.5)
    ys = transform.f + transform.e * (np.arange(height) + 0.5)
    rows, cols = np.argsort(-ys), np.argsort(xs)
    return values[:, rows][:, :, cols], xs[cols], ys[rows]


def packed() -> xr.DataArray:
    data = series()
    data[0, 0, 0] = np.nan
    data.encoding |= {"dtype": "int16", "scale_factor": 0.5, "add_offset": 10.0, "_FillValue": -999}
    return data


GRIDS: dict[str, Callable[[], xr.DataArray]] = {
    "north up": series,
    "south up": lambda: series().isel(y=slice(None, None, -1)),
    "from the east": lambda: series().isel(x=slice(None, None, -1)),
    "packed": packed,
    "one date": lambda: series()[1],
    "degrees": lambda: degrees(9 + 0.01 * np.arange(WIDTH), 45 - 0.01 * np.arange(HEIGHT)),
    "degrees south up": lambda: degrees(9 + 0.01 * np.arange(WIDTH), 45 + 0.01 * np.arange(HEIGHT)),
    "degrees as float32": lambda: degrees(
        (9 + 0.01 * np.arange(WIDTH)).astype("float32"), (45 - 0.01 * np.arange(HEIGHT)).astype("float32")
    ),
    "longitudes to 360": lambda: degrees(0.5 + np.arange(360), 89.5 - np.arange(180)),
    "the Pacific": lambda: degrees(100.5 + np.arange(160), 39.5 - np.arange(60)),
}


@pytest.mark.parametrize("suffix", [".nc", ".zarr"])
@pytest.mark.parametrize("name", GRIDS)
def test_values_and_places_are_those_of_xarray(tmp_path: Path, name: str, suffix: str) -> None:
    data = GRIDS[name]()
    path = write(data, tmp_path / f"a{suffix}")
    expected = read_by_xarray(path, str(data.name))
    values, xs, ys = read_by_s2fin(path)
    y, x = expected.dims[-2:]
    assert np.allclose(ys, expected[y], atol=1e-5)
    assert np.allclose((xs - expected[x].values + 180) % 360 - 180, 0, atol=1e-4)
    wanted = expected.values if expected.ndim == 3 else expected.values[None]
    assert np.array_equal(values, wanted.astype("float32"), equal_nan=True)
    assert np.isnan(values).any() == (name == "packed")


@pytest.mark.parametrize("suffix", [".nc", ".zarr"])
def test_steps_of_time_are_bands_with_dates(tmp_path: Path, suffix: str) -> None:
    info = read_info(write(series(), tmp_path / f"a{suffix}"))
    assert [name.split()[-1] for name in info.band_names] == list(DATES)
    assert info.doubts == ()


@pytest.mark.parametrize(
    ("attributes", "names"),
    [
        ({"units": "hours since 2024-06-01 00:00:00 +12:00"}, ("2024-05-31T13:00:00", "2024-06-01")),
        ({"units": "hours since 2024-06-01T00:00:00Z"}, ("2024-06-01T01:00:00", "2024-06-01T12:00:00")),
        ({"units": "days since 2024-02-28", "calendar": "360_day"}, ("time 1", "time 12")),
    ],
)
def test_dates_of_other_zones_and_calendars(tmp_path: Path, attributes: dict[str, str], names: tuple[str, str]) -> None:
    data = series()[:2].assign_coords(time=("time", [1, 12], attributes))
    assert read_info(write(data, tmp_path / "a.nc")).band_names == tuple(f"ndvi {name}" for name in names)


def test_bands_by_wavelength_and_those_of_several_dates(tmp_path: Path) -> None:
    data = (
        series().rename(time="wavelength").assign_coords(wavelength=("wavelength", [490.0, 560, 665], {"units": "nm"}))
    )
    assert read_info(write(data, tmp_path / "a.nc")).wavelengths == (490, 560, 665)
    both = xr.concat([data, data + 1], xr.Variable("time", np.array(DATES[:2], "datetime64[ns]")))
    assert read_info(write(both[:1], tmp_path / "one.nc")).wavelengths == (490, 560, 665)
    info = read_info(write(both, tmp_path / "b.nc"))
    assert info.wavelengths is None
    assert info.band_names[:4:3] == ("ndvi 2024-06-01 wavelength 490", "ndvi 2024-06-11 wavelength 490")


@pytest.mark.parametrize("suffix", [".nc", ".zarr"])
def test_several_variables_are_listed_and_one_is_read_by_its_name(tmp_path: Path, suffix: str) -> None:
    data = series().to_dataset()
    path = write(data.assign(evi=data.ndvi + 1), tmp_path / f"a{suffix}")
    with pytest.raises(RasterError, match="holds no bands of its own; give one of its subdatasets:") as caught:
        read_info(path)
    listed = [line.strip() for line in str(caught.value).splitlines()[1:]]
    assert sorted(name.rpartition(":")[2].strip("/") for name in listed) == ["evi", "ndvi"]
    (evi,) = [name for name in listed if name.endswith("evi")]
    assert np.array_equal(read_by_s2fin(evi)[0], read_by_xarray(path, "evi").values)


def test_zarr_in_an_archive(tmp_path: Path) -> None:
    path = write(series(), tmp_path / "a.zarr")
    archive = shutil.make_archive(str(tmp_path / "a"), "zip", path)
    values, *_ = read_by_s2fin(f'ZARR:"/vsizip/{archive}":/ndvi')
    assert np.array_equal(values, read_by_xarray(path, "ndvi").values)


def test_zarr_of_version_3_is_refused_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "a.zarr"
    series().to_dataset().to_zarr(path, zarr_format=3, consolidated=False)
    with pytest.raises(RasterError, match=r"holds no images that GDAL 3.* can read .*; write it as Zarr of version 2"):
        read_info(path)
    with pytest.raises(RasterError, match="write it as Zarr of version 2"):
        read_info(f'ZARR:"{path}":/ndvi')


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda: bare(series()), r"has a CRS, but no evenly spaced coordinates that GDAL recognises; write it with"),
        (
            lambda: series()[0].transpose("x", "y"),
            r"has x coordinates that are not evenly spaced or not those of",
        ),
        (
            lambda: series()[0, :, :HEIGHT].transpose("x", "y"),
            r"has x coordinates that are .*; put its",
        ),
        (lambda: uneven(0.09), r"has y coordinates that are not evenly spaced or not those of its rows"),
        (lambda: uneven(0.8), r"has a CRS, but no evenly spaced coordinates that GDAL recognises"),
    ],
    ids=["no attributes", "x before y", "x before y, square", "uneven rows", "very uneven rows"],
)
def test_what_gdal_would_place_wrongly(tmp_path: Path, made: Callable[[], xr.DataArray], message: str) -> None:
    path = write(made(), tmp_path / "a.nc")
    with pytest.raises(GeoreferencingError, match=message):
        read_by_s2fin(path)


def bare(data: xr.DataArray) -> xr.DataArray:
    """The same without attributes of the coordinates, as xarray alone writes them."""
    return data.assign_coords({name: (name, data[name].values) for name in ("x", "y")})


def uneven(by: float) -> xr.DataArray:
    rows = np.arange(40)
    return degrees(np.arange(40) + 0.5, 80 - rows - by * np.sin(rows))


def test_a_position_that_is_not_known_is_doubtful(tmp_path: Path) -> None:
    plain = bare(series()).drop_vars("spatial_ref")
    (doubt,) = read_info(write(plain, tmp_path / "a.nc")).doubts
    assert "so its rows are read from the last one up; if labels or other images have no position either" in doubt
    there = degrees(9 + 0.01 * np.arange(WIDTH), 45 - 0.01 * np.arange(HEIGHT)).drop_vars("spatial_ref")
    (doubt,) = read_info(write(there, tmp_path / "b.nc")).doubts
    assert "has longitudes and latitudes without a CRS; if they are of WGS 84, say so: gdal_translate -a_srs" in doubt


def test_any_changed_part_of_a_zarr_folder_is_noticed(tmp_path: Path) -> None:
    path = write(series(), tmp_path / "a.zarr")
    before = facts_of_inputs([("msi", str(path))])
    (chunk,) = [file for file in (path / "ndvi").iterdir() if not file.name.startswith(".")][:1]
    content = bytearray(chunk.read_bytes())
    content[-1] ^= 1
    chunk.write_bytes(content)
    after = facts_of_inputs([("msi", str(path))])
    assert {name for name in before if before[name] != after[name]} == {"the contents of `msi` a.zarr"}
