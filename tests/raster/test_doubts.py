"""Doubtful headers cause warnings, and a raw file that is too short is refused."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest
import rasterio
from click.testing import CliRunner
from rasterio.enums import ColorInterp
from rasterio.rio.main import main_group

from s2fin_cli.core.errors import GeoreferencingError, RasterError
from s2fin_cli.raster.info import check_placed, read_info
from s2fin_cli.raster.opening import without_georeferencing_warning
from tests.files import write_raster

if TYPE_CHECKING:
    from pathlib import Path


VALUES = np.random.default_rng(0).integers(1, 200, (3, 40, 50)).astype("uint8")
GREYS = {number: (number, number, number, 255) for number in range(256)}


def test_an_ordinary_raster_gives_no_doubt(tmp_path: Path) -> None:
    assert read_info(write_raster(tmp_path / "a.tif", VALUES, nodata=0)).doubts == ()


def test_a_tiff_of_several_images_names_the_others(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", VALUES[:1])
    write_raster(path, VALUES[1:2], append_subdataset=True)
    (doubt,) = read_info(path).doubts
    assert "holds 2 images, and the first is read" in doubt
    assert f"GTIFF_DIR:2:{path}" in doubt


@pytest.mark.parametrize("is_grey", [True, False])
def test_places_in_a_colour_table_are_no_colours(tmp_path: Path, *, is_grey: bool) -> None:
    path = write_raster(tmp_path / "a.tif", VALUES[:1], photometric="palette")
    with rasterio.open(path, "r+") as dst:
        dst.write_colormap(1, GREYS if is_grey else {**GREYS, 7: (255, 0, 0, 255)})
    assert read_info(path).colors == ("",)
    assert [f"gdal_translate -expand rgb {path}" in doubt for doubt in read_info(path).doubts] == [True] * (not is_grey)


def test_nodata_that_jpeg_changes(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", VALUES, compress="jpeg", nodata=0, photometric="rgb")
    (doubt,) = read_info(path).doubts
    assert "is compressed by JPEG and declares the nodata value 0" in doubt
    assert read_info(path).colors == ("red", "green", "blue")
    with_mask = write_raster(tmp_path / "b.tif", VALUES, compress="jpeg")
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(with_mask, "r+") as dst:
        dst.write_mask(VALUES[0] > 50)
    assert read_info(with_mask).doubts == ()


@pytest.mark.parametrize("interleave", ["bsq", "bil", "bip"])
def test_an_envi_file_that_is_cut_off_is_refused(tmp_path: Path, interleave: str) -> None:
    path = write_raster(tmp_path / "a.img", VALUES, driver="ENVI", interleave=interleave)
    whole = path.read_bytes()
    assert read_info(path).count == 3
    path.write_bytes(whole[:-1])
    with pytest.raises(RasterError, match=f"is cut off: it has 5999 bytes, and its header describes {len(whole)}"):
        read_info(path)
    path.write_bytes(whole + b"more")
    assert read_info(path).count == 3


def test_geolocation_arrays_alone_are_refused_with_the_command(tmp_path: Path) -> None:
    path = tmp_path / "a.vrt"
    source = write_raster(tmp_path / "a.tif", VALUES[:1], crs=None, transform=None)
    path.write_text(
        '<VRTDataset rasterXSize="50" rasterYSize="40"><Metadata domain="GEOLOCATION"><MDI key="X_BAND">1</MDI>'
        f'<MDI key="X_DATASET">{source}</MDI></Metadata><VRTRasterBand dataType="Byte" band="1"><SimpleSource>'
        f"<SourceFilename>{source}</SourceFilename></SimpleSource></VRTRasterBand></VRTDataset>"
    )
    info = read_info(path)
    with pytest.raises(GeoreferencingError, match="gdalwarp -geoloc -t_srs EPSG:CODE"):
        check_placed(info, "`msi` a.vrt")


def test_rational_polynomials_alone_are_refused_with_the_command(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", VALUES, crs=None, transform=None)
    names = "LINE_OFF SAMP_OFF LAT_OFF LONG_OFF HEIGHT_OFF LINE_SCALE SAMP_SCALE LAT_SCALE LONG_SCALE HEIGHT_SCALE"
    lists = ("LINE_NUM_COEFF", "LINE_DEN_COEFF", "SAMP_NUM_COEFF", "SAMP_DEN_COEFF")
    with without_georeferencing_warning(), rasterio.open(path, "r+") as dst:
        dst.update_tags(ns="RPC", **dict.fromkeys(names.split(), "1"), **dict.fromkeys(lists, " ".join(["1"] * 20)))
    info = read_info(path)
    assert info.rectified_by == "rpcs"
    with pytest.raises(GeoreferencingError, match=r"gdalwarp -rpc -to RPC_DEM=HEIGHTS\.tif"):
        check_placed(info, "`msi` a.tif")


@pytest.mark.parametrize(
    ("attributes", "said"),
    [
        ({"missing_value": -5.0, "_FillValue": -9999.0}, "missing_value = -5"),
        ({"missing_value": -9999.0, "_FillValue": -9999.0}, None),
        ({"missing_value": 9.9692099683868690e36, "_FillValue": 9.9692099683868690e36}, None),
        ({"valid_min": 0.0}, "valid_min = 0"),
        ({"valid_min": 0.0, "_FillValue": -9999.0}, None),
        ({}, None),
    ],
)
def test_what_netcdf_says_of_missing_values_and_gdal_does_not(
    tmp_path: Path, attributes: dict[str, float], said: str | None
) -> None:
    with h5py.File(tmp_path / "a.nc", "w") as file:  # netCDF 4 is HDF5
        for axis, values in {"y": np.arange(5.0, 0, -1), "x": np.arange(6.0)}.items():
            file.create_dataset(axis, data=values).make_scale(axis)
        heights = file.create_dataset("heights", data=np.ones((5, 6), np.float32))
        for dimension, axis in zip(heights.dims, ("y", "x"), strict=True):
            dimension.attach_scale(file[axis])
        for name, value in attributes.items():
            heights.attrs[name] = np.float32(value)
    found = read_info(f"NETCDF:{tmp_path}/a.nc:heights").doubts
    doubts = [doubt for doubt in found if "no coordinates that GDAL recognises" not in doubt]
    assert len(doubts) < len(found)
    assert [f"declares no-data values by {said}" in doubt for doubt in doubts] == ([] if said is None else [True])


def test_marks_of_colour_are_read(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", VALUES, photometric="minisblack")
    with rasterio.open(path, "r+") as dst:
        dst.colorinterp = [ColorInterp.blue, ColorInterp.green, ColorInterp.gray]
    assert read_info(path).colors == ("blue", "green", "")


@pytest.mark.parametrize(
    ("fault", "remedy"),
    [
        ({"alpha": VALUES[0] > 50, "photometric": "rgb"}, r"if it is data: rio (.*)"),
        ({"crs": "EPSG:4326"}, r"assign its right CRS with: rio (.*)"),
    ],
)
def test_the_commands_that_doubts_name_mend_the_raster(tmp_path: Path, fault: dict[str, Any], remedy: str) -> None:
    path = write_raster(tmp_path / "a b.tif", VALUES, **fault)

    def found() -> list[str]:
        info = read_info(path)
        try:
            check_placed(info, "a")
        except GeoreferencingError as error:
            return [*info.doubts, str(error)]
        return [*info.doubts]

    (doubt,) = found()
    (command,) = re.findall(remedy, doubt)
    arguments = shlex.split(command.replace("EPSG:CODE", "EPSG:32632"))
    done = CliRunner().invoke(main_group, arguments)
    assert done.exit_code == 0, done.output
    assert found() == []
