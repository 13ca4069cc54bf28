"""Formats and creation options, which are tried before any work is done."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import rasterio
import rasterio.shutil

from s2fin_cli.core.classes import make_classes
from s2fin_cli.core.errors import OutputError, RasterError, UsageError
from s2fin_cli.raster.class_map import create_class_map
from s2fin_cli.raster.class_names import read_class_names
from s2fin_cli.raster.creation import RasterFormat, check_format
from tests.raster.maps import GRID, LARGE, NAMES, write_as

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("driver", ["GTiff", "COG"])
def test_either_format_holds_the_map(tmp_path: Path, driver: str) -> None:
    values = write_as(tmp_path / "map.tif", RasterFormat(driver))
    with rasterio.open(tmp_path / "map.tif") as src:
        assert np.array_equal(src.read(1), values)
        assert (src.crs, src.transform, src.nodata, src.descriptions) == (LARGE.crs, LARGE.transform, 0, ("class",))
        assert {c.id: src.colormap(1)[c.id][:3] for c in make_classes(NAMES)} == {
            c.id: c.color for c in make_classes(NAMES)
        }
        assert src.tags()["S2FIN_MODEL"] == "m"
        assert src.overviews(1)[0] == 2
        assert src.tags(ns="IMAGE_STRUCTURE").get("LAYOUT") == ("COG" if driver == "COG" else None)
    assert read_class_names(tmp_path / "map.tif") == NAMES
    assert {path.name for path in tmp_path.iterdir()} == {"map.tif", "map.tif.aux.xml"}


@pytest.mark.parametrize("driver", ["GTiff", "COG"])
@pytest.mark.parametrize(
    ("name", "value", "message"), [("COMPRES", "LZW", "COMPRES"), ("COMPRESS", "NONSENSE", "'NONSENSE'")]
)
def test_creation_options_that_gdal_would_leave_aside_are_refused(
    driver: str, name: str, value: str, message: str
) -> None:
    options = [f"{name}={value}", "BIGTIFF=YES"], ["Compress=LZW", "BIGTIFF=YES"]
    wrong, right = (RasterFormat.of(driver, given) for given in options)
    message = rf"`co` has {name}={value}, which the {driver} driver does not accept for 1 band of uint8 \(.*{message}"
    with pytest.raises(UsageError, match=message):
        check_format(wrong, count=1, dtype="uint8")
    check_format(right, count=1, dtype="uint8", values=[1, 2, 255])


def test_creation_options_count_whatever_their_case(tmp_path: Path) -> None:
    write_as(tmp_path / "map.tif", RasterFormat.of("GTiff", ["TILED=NO"]))
    with rasterio.open(tmp_path / "map.tif") as src:
        assert not src.profile["tiled"]


def test_what_gdal_itself_puts_into_the_sidecar_stays_there(tmp_path: Path) -> None:
    """With this profile a TIFF has no georeferencing."""
    write_as(tmp_path / "map.tif", RasterFormat.of("GTiff", ["PROFILE=BASELINE"]))
    with rasterio.open(tmp_path / "map.tif") as src:
        assert (src.crs, src.transform) == (LARGE.crs, LARGE.transform)
    assert read_class_names(tmp_path / "map.tif") == NAMES
    assert ET.parse(tmp_path / "map.tif.aux.xml").find("PAMRasterBand/GDALRasterAttributeTable") is not None  # noqa: S314


def test_creation_options_are_tried_on_what_is_to_be_written() -> None:
    jpeg = RasterFormat.of("COG", ["COMPRESS=JPEG"])
    check_format(jpeg, count=3, dtype="uint8")
    with pytest.raises(UsageError, match="the COG driver does not accept for 1 band of float32"):
        check_format(jpeg, count=1, dtype="float32")
    for driver, option in (
        ("COG", "COMPRESS=JPEG"), ("GTiff", "DISCARD_LSB=2"), ("GTiff", "NBITS=1"), ("COG", "COMPRESS=LERC"),
    ):  # fmt: skip
        fmt = RasterFormat.of(driver, [option, *(["MAX_Z_ERROR=5"] if "LERC" in option else [])])
        with pytest.raises(UsageError, match="is lossy: classes would change; leave it out"):
            check_format(fmt, count=1, dtype="uint8", values=range(8))
    for driver, option, message in (
        ("COG", "OVERVIEW_RESAMPLING=BILINEAR", "mixes class numbers; leave it out"),
        ("COG", "TILING_SCHEME=GoogleMapsCompatible", "would change the grid of the rasters"),
        ("GTiff", "BLOCKXSIZE=100", "must be multiples of 16"),
    ):
        with pytest.raises(UsageError, match=message):
            check_format(RasterFormat.of(driver, [option]), count=1, dtype="uint8", values=range(8))
    check_format(RasterFormat.of("COG", ["OVERVIEW_RESAMPLING=CUBIC"]), count=1, dtype="float32")
    check_format(RasterFormat.of("GTiff", ["NBITS=4"]), count=1, dtype="uint8", values=range(16))


def test_a_failure_leaves_no_plain_raster_beside_a_cog(tmp_path: Path) -> None:
    def fail() -> None:
        with create_class_map(tmp_path / "map.tif", LARGE, make_classes(NAMES), fmt=RasterFormat("COG")):
            raise RasterError("no")

    with pytest.raises(RasterError):
        fail()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("driver", "options"),
    [("GTiff", {"DISCARD_LSB": "2"}), ("GTiff", {"NBITS": "1"}), ("COG", {"COMPRESS": "LERC", "MAX_Z_ERROR": "5"})],
)
def test_a_lossy_map_is_none(tmp_path: Path, driver: str, options: dict[str, str]) -> None:
    values = np.random.default_rng(0).integers(1, 8, (1, *GRID.shape)).astype("uint8")
    classes = make_classes({i: f"class {i}" for i in range(1, 8)})
    lossy = create_class_map(tmp_path / "map.tif", GRID, classes, fmt=RasterFormat(driver, options))
    with pytest.raises(OutputError, match="not those that were written: `co` must not be lossy"), lossy as writer:
        writer.write(values, GRID.window)
