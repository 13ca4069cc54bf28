"""Wavelengths and bad bands as headers give them, bands of noise, and bands matched by wavelength."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st
from rasterio.shutil import copy

from s2fin_cli.core.errors import RasterError
from s2fin_cli.raster.info import read_info
from s2fin_cli.raster.spectra import are_same_wavelengths, implausible_bands, match_wavelengths
from s2fin_cli.stack.layer import Layer
from tests.files import write_raster

if TYPE_CHECKING:
    from pathlib import Path


PLACES = (450.5, 550.0, 1400.0, 2100.0)


def write_envi(path: Path, *lines: str, bands: int = 4) -> Path:
    values = np.random.default_rng(0).random((bands, 5, 6)).astype("float32")
    write_raster(path, values, driver="ENVI")
    header = path.with_suffix(".hdr")
    header.write_text(header.read_text() + "\n".join(lines) + "\n")
    return path


def test_an_envi_header_gives_wavelengths_and_bad_bands(tmp_path: Path) -> None:
    path = write_envi(
        tmp_path / "a.dat",
        "wavelength units = Nanometers",
        "wavelength = {450.5, 550, 1400.0, 2100}",
        "fwhm = {5, 5, 6, 6}",
        "bbl = {1, 1, 0, 1}",
    )
    info = read_info(path)
    assert info.wavelengths == PLACES
    assert info.bad_indexes == (3,)
    copy(path, tmp_path / "b.tif", driver="GTiff")
    assert read_info(tmp_path / "b.tif").wavelengths == PLACES
    vrt = tmp_path / "c.vrt"
    copy(path, vrt, driver="VRT")
    assert read_info(vrt).wavelengths == PLACES


def test_wavelengths_in_micrometres_and_without_a_unit(tmp_path: Path) -> None:
    for name, lines in (("a", ["wavelength units = Micrometers"]), ("b", ["wavelength units = Unknown"]), ("c", [])):
        path = write_envi(tmp_path / f"{name}.dat", *lines, "wavelength = {0.4505, 0.55, 1.4, 2.1}")
        assert read_info(path).wavelengths == pytest.approx(PLACES)


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["B1 (450.5 nm)", "550nm", "1400.0 Nanometers", "band at 2.1 um"], PLACES),
        (["0.4505 µm", "0.55 micrometers", "1.4 microns", "2100 nm"], PLACES),
        (["450.5 nm", "550 nm", "SWIR", "2100 nm"], (450.5, 550.0, None, 2100.0)),
        (["B1", "B2", "B11", "B12"], None),
    ],
)
def test_descriptions_give_wavelengths(tmp_path: Path, names: list[str], found: tuple[float, ...] | None) -> None:
    path = write_raster(tmp_path / "a.tif", np.ones((4, 3, 3), np.float32))
    with rasterio.open(path, "r+") as dst:
        dst.descriptions = names
    assert read_info(path).wavelengths == found


def test_tags_give_wavelengths(tmp_path: Path) -> None:
    by_band, imagery, listed = (
        write_raster(tmp_path / f"{name}.tif", np.ones((2, 3, 3), np.float32)) for name in ("a", "b", "c")
    )
    with rasterio.open(by_band, "r+") as dst:
        dst.update_tags(1, wavelength="450.5", wavelength_units="nm")
        dst.update_tags(2, Wavelength="0.55", Wavelength_Units="um")
    with rasterio.open(imagery, "r+") as dst:
        dst.update_tags(1, ns="IMAGERY", CENTRAL_WAVELENGTH_UM="0.4505")
        dst.update_tags(2, ns="IMAGERY", CENTRAL_WAVELENGTH_UM="0.55")
    with rasterio.open(listed, "r+") as dst:
        dst.update_tags(wavelength="{450.5, 550}", wavelength_units="nm", bbl="0 1")
    for path in (by_band, imagery, listed):
        assert read_info(path).wavelengths == pytest.approx(PLACES[:2])
    assert read_info(listed).bad_indexes == (1,)


@pytest.mark.parametrize("line", ["wavelength = {450, 550, x, 2100}", "bbl = {0, a}"])
def test_a_header_that_makes_no_sense_gives_nothing(tmp_path: Path, line: str) -> None:
    info = read_info(write_envi(tmp_path / "a.dat", line))
    assert info.wavelengths is None
    assert info.bad_indexes == ()


def test_wavelengths_of_some_bands(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", np.ones((3, 4, 4), np.float32))
    with rasterio.open(path, "r+") as dst:
        dst.update_tags(3, wavelength="665", wavelength_units="nm")
    assert read_info(path).wavelengths == (None, None, 665.0)
    layer = Layer.of("msi", [read_info(path)])
    assert (layer.wavelengths, layer.known_wavelengths) == (None, {3: 665.0})


@pytest.mark.parametrize(
    ("unit", "texts"),
    [
        ("Angstroms", ["4505", "5500", "14000", "21000"]),
        ("Å", ["4505", "5500", "14000", "21000"]),
        ("Meters", ["4.505e-7", "5.5E-07", "0.0000014", "2.1e-6"]),
        ("m", ["4.505e-7", "5.5E-07", "0.0000014", "2.1e-6"]),
        ("", ["4.505e-7", "5.5E-07", "0.0000014", "2.1e-6"]),
        ("Millimeters", ["0.0004505", "0.00055", "0.0014", "0.0021"]),
        ("Wavenumber", ["22197.558", "18181.818", "7142.857", "4761.905"]),
        ("cm-1", ["22197.558", "18181.818", "7142.857", "4761.905"]),
        ("um", ["0,4505;", "0,55;", "1,4;", "2,1"]),
        ("nm", ["450,5 ", "550,0 ", "1400,0 ", "2100,0"]),
    ],
)
def test_units_of_wavelengths(tmp_path: Path, unit: str, texts: list[str]) -> None:
    joined = "".join(texts) if texts[0][-1] in "; " else ", ".join(texts)
    lines = [f"wavelength = {{{joined}}}", *([f"wavelength units = {unit}"] if unit else [])]
    assert read_info(write_envi(tmp_path / "a.dat", *lines)).wavelengths == pytest.approx(PLACES, rel=1e-6)


@pytest.mark.parametrize("unit", ["Index", "GHz", "furlongs", "days since 1970-01-01"])
def test_numbers_of_a_unit_that_is_no_wavelengths_count_for_nothing(tmp_path: Path, unit: str) -> None:
    path = write_envi(tmp_path / "a.dat", f"wavelength units = {unit}", "wavelength = {450, 550, 1400, 2100}")
    assert read_info(path).wavelengths is None


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["Band 1 (450,5 nm)", "550,0 nm", "1,4 um", "2,1 µm"], PLACES),
        (["4505 Angstrom", "5500 Å", "7142.857 cm-1", "2100 nm"], PLACES),
        (["450.5 nm", "550 nm", "1,400 nm", "2100 nm"], (450.5, 550.0, None, 2100.0)),  # 1400 nm, or 400 nm of band 1
    ],
)
def test_decimal_commas_and_other_units_in_descriptions(
    tmp_path: Path, names: list[str], found: tuple[float | None, ...]
) -> None:
    path = write_raster(tmp_path / "a.tif", np.ones((4, 3, 3), np.float32))
    with rasterio.open(path, "r+") as dst:
        dst.descriptions = names
    assert read_info(path).wavelengths == pytest.approx(found)


@pytest.mark.parametrize(
    ("name", "attributes", "found"),
    [
        ("wavelength", {"units": "nanometers"}, PLACES),
        ("wavelength", {}, PLACES),
        ("wl", {"units": "nm"}, PLACES),
        ("band", {"units": "nm"}, PLACES),
        ("band", {"standard_name": "radiation_wavelength"}, PLACES),
        ("band", {}, None),
        ("band", {"units": "1"}, None),
        ("height", {"units": "m"}, None),
    ],
)
def test_a_band_coordinate_of_netcdf_is_a_wavelength(
    tmp_path: Path, name: str, attributes: dict[str, str], found: tuple[float, ...] | None
) -> None:
    with h5py.File(tmp_path / "a.nc", "w") as file:  # netCDF 4 is HDF5
        for axis, values in {name: PLACES, "y": np.arange(5.0, 0, -1), "x": np.arange(6.0)}.items():
            file.create_dataset(axis, data=np.asarray(values)).make_scale(axis)
        for key, text in attributes.items():
            file[name].attrs[key] = np.bytes_(text)
        cube = file.create_dataset("cube", data=np.ones((4, 5, 6), np.float32))
        for dimension, axis in zip(cube.dims, (name, "y", "x"), strict=True):
            dimension.attach_scale(file[axis])
    assert read_info(f"NETCDF:{tmp_path}/a.nc:cube").wavelengths == found


def spectrum(bands: int = 200) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    places = np.linspace(400, 2500, bands)
    return places, 3000 + 800 * np.sin(places / 300)


def test_absorption_windows_go_as_a_whole_where_values_are_implausible() -> None:
    places, high = spectrum()
    inside = (places > 1340) & (places < 1460)
    spoilt = high.copy()
    spoilt[np.flatnonzero(inside)[3]] = 14998
    assert np.array_equal(implausible_bands(spoilt, places.tolist()), inside)
    assert not implausible_bands(high, places.tolist()).any()
    # outside of the windows what is known to be light is left alone
    elsewhere = high.copy()
    elsewhere[10] = 14998
    assert not implausible_bands(elsewhere, places.tolist()).any()
    assert np.flatnonzero(implausible_bands(elsewhere, None)).tolist() == [10]


def test_absorption_is_found_however_many_bands_it_takes() -> None:
    """Fine spectrometers of the short-wave infrared have more than a tenth of their bands there."""
    places = np.linspace(1000, 2500, 300)
    high = 3000 + 800 * np.sin(places / 300)
    absorbing = ((places >= 1340) & (places <= 1460)) | ((places >= 1790) & (places <= 1970))
    assert absorbing.mean() > 0.19
    high[absorbing] = 60000
    assert np.array_equal(implausible_bands(high, places.tolist()), absorbing)
    only = places[absorbing]
    assert not implausible_bands(np.full(len(only), 9.0), only.tolist()).any()  # nothing to compare with


def test_few_bands_and_bands_without_data_are_never_implausible() -> None:
    assert not implausible_bands(np.array([1.0, 1, 1, 90]), None).any()
    assert not implausible_bands(np.full(80, np.nan), None).any()
    values = np.ones(80)
    values[[3, 4]] = np.nan, 5.0
    assert np.flatnonzero(implausible_bands(values, None)).tolist() == [4]


def test_real_bands_where_water_vapour_absorbs_are_found(real_scenes: Path) -> None:
    """NEON's bands lie 5 nm apart from 381 nm on, which this file does not say."""
    with rasterio.open(real_scenes / "neon_sjer" / "sjer_hsi426.tif") as src:
        high = np.percentile(src.read().reshape(src.count, -1), 98, axis=1).astype(float)
    places = 381.4 + 5.008 * np.arange(426)
    absorbing = ((places > 1340) & (places < 1460)) | ((places > 1790) & (places < 1970))
    found = implausible_bands(high, None)
    assert found.sum() >= 8
    assert absorbing[found].all()
    assert np.array_equal(implausible_bands(high, places.tolist()), absorbing)


def test_bands_are_matched_by_wavelength() -> None:
    assert match_wavelengths([450, 550, 665], [665.2, 449, 552, 700]) == [1, 2, 0]
    assert match_wavelengths([450, 550, 665], [450, 665]) == [0, None, 1]
    assert match_wavelengths([842, 865], [864, 833]) == [1, 0]
    assert match_wavelengths([2202], [2186]) == [None]  # alone: within 2 nm only
    assert match_wavelengths([1610, 2202], [1614, 2186]) == [0, 1]
    assert match_wavelengths([1610, 2202], [1614, 2150]) == [0, None]  # farther than 30 nm
    assert match_wavelengths([500, 500], [500.1, 500.2]) in ([0, 1], [1, 0])
    assert match_wavelengths([500, 505], [505]) == [None, 0]


def test_bands_in_the_same_order_are_not_reported_as_matched() -> None:
    assert are_same_wavelengths([450, 900, 900, 1600], [449, 901, 899, 1620])
    assert not are_same_wavelengths([450, 900, 900, 1600], [449, 903, 899, 1620])
    assert not are_same_wavelengths([450, 550], [550, 450])


@given(st.lists(st.floats(400, 2500), min_size=2, max_size=40, unique=True), st.randoms())
def test_the_same_wavelengths_in_any_order_are_found(places: list[float], chance: Any) -> None:
    order = list(range(len(places)))
    chance.shuffle(order)
    found = match_wavelengths(places, [places[index] for index in order])
    assert [order[position] for position in found if position is not None] == list(range(len(places)))


def test_zipped_rasters_and_subdatasets_are_read(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", np.arange(24, dtype=np.float32).reshape(2, 3, 4))
    shutil.make_archive(str(tmp_path / "b"), "zip", tmp_path, "a.tif")
    assert read_info(f"/vsizip/{tmp_path}/b.zip/a.tif").count == 2
    copy(path, tmp_path / "c.nc", driver="netCDF")
    assert read_info(f"NETCDF:{tmp_path}/c.nc:Band2").count == 1
    with h5py.File(tmp_path / "d.h5", "w") as file:
        file["group/cube"], file["other"] = np.zeros((5, 12, 9), np.int16), np.zeros((12, 9), np.float32)
    cube = read_info(f'HDF5:"{tmp_path}/d.h5"://group/cube')
    assert (cube.count, cube.grid.shape, cube.dtype) == (5, (12, 9), "int16")
    with pytest.raises(RasterError, match=r"holds no bands of its own; give one of its subdatasets:\n  HDF5:.*cube"):
        read_info(tmp_path / "d.h5")


def test_numbers_of_bands_are_no_wavelengths(tmp_path: Path) -> None:
    path = write_envi(tmp_path / "a.img", "wavelength = {1, 2, 3, 4}", "wavelength units = Index")
    assert read_info(path).wavelengths is None
