"""Names of classes, written and read back."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import rasterio
import rasterio.shutil

from s2fin_cli.raster.class_names import CLASSES_TAG, read_class_names
from tests.files import write_raster
from tests.raster.maps import NAMES, write

if TYPE_CHECKING:
    from pathlib import Path


def test_names_of_classes_in_gdals_sidecar(tmp_path: Path) -> None:
    write(tmp_path / "map.tif", NAMES)
    root = ET.parse(tmp_path / "map.tif.aux.xml").getroot()  # noqa: S314  written a line above
    assert root.tag == "PAMDataset"
    categories = [node.text or "" for node in root.findall("./PAMRasterBand[@band='1']/CategoryNames/Category")]
    assert categories == [NAMES.get(class_id, "") for class_id in range(10)]
    with rasterio.open(tmp_path / "map.tif") as src:  # GDAL reads both together, and still finds what is in the TIFF
        assert src.descriptions == ("class",)
        assert src.nodata == 0


@pytest.mark.skipif(shutil.which("gdalinfo") is None, reason="gdalinfo is not at hand")
def test_names_of_classes_as_gdal_shows_them(tmp_path: Path) -> None:
    write(tmp_path / "map.tif", NAMES)
    command = ["gdalinfo", str(tmp_path / "map.tif")]
    shown = subprocess.run(command, capture_output=True, text=True, check=True, encoding="utf-8").stdout
    for class_id, name in NAMES.items():
        assert f"{class_id}: {name}" in shown


def test_names_survive_a_translation_by_gdal(tmp_path: Path) -> None:
    write(tmp_path / "map.tif", NAMES)
    rasterio.shutil.copy(tmp_path / "map.tif", tmp_path / "copy.vrt", driver="VRT")
    root = ET.parse(tmp_path / "copy.vrt").getroot()  # noqa: S314  written a line above
    names = [node.text or "" for node in root.findall("./VRTRasterBand/CategoryNames/Category")]
    assert {class_id: name for class_id, name in enumerate(names) if name} == NAMES


def test_names_are_read_back(tmp_path: Path) -> None:
    write(tmp_path / "map.tif", NAMES)
    assert read_class_names(tmp_path / "map.tif") == NAMES
    (tmp_path / "map.tif.aux.xml").unlink()
    assert read_class_names(tmp_path / "map.tif") == NAMES
    foreign = write_raster(tmp_path / "foreign.tif", np.ones((4, 5), dtype="uint8"))
    assert read_class_names(foreign) == {}
    sidecar = tmp_path / "foreign.tif.aux.xml"
    sidecar.write_text(
        '<PAMDataset><PAMRasterBand band="1"><CategoryNames><Category/><Category>sea</Category></CategoryNames>'
        "</PAMRasterBand></PAMDataset>"
    )
    assert read_class_names(foreign) == {1: "sea"}
    sidecar.write_text("<PAMDataset>")
    assert read_class_names(foreign) == {}


def test_names_in_an_envi_header(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "classes.img", np.ones((4, 5), "uint8"), driver="ENVI")
    header = path.with_suffix(".hdr")
    header.write_text(
        header.read_text().replace("ENVI Standard", "ENVI Classification")
        + "classes = 4\nclass names = {Unclassified, dry wood, , sea}\n"
        "class lookup = {0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9}\n"
    )
    assert read_class_names(path) == {0: "Unclassified", 1: "dry wood", 3: "sea"}


@pytest.mark.parametrize(
    ("columns", "rows", "found"),
    [
        ([("Value", 0, 5), ("Count", 1, 1), ("Class", 2, 2)], [(3, 9, "wood"), (7, 1, "sea")], {3: "wood", 7: "sea"}),
        ([("Histogram", 1, 1), ("Class_Names", 2, 0)], [(0, ""), (5, "wood"), (6, "sea")], {1: "wood", 2: "sea"}),
        ([("Value", 0, 5), ("Remark", 2, 0), ("Author", 2, 0)], [(1, "a", "b")], {}),
        ([("Value", 0, 5), ("Count", 1, 1)], [(1, 4)], {}),
    ],
)
def test_names_in_a_raster_attribute_table(
    tmp_path: Path,
    columns: list[tuple[str, int, int]],
    rows: list[tuple[Any, ...]],
    found: dict[int, str],
) -> None:
    path = write_raster(tmp_path / "map.tif", np.ones((4, 5), dtype="uint8"))
    fields = "".join(
        f'<FieldDefn index="{i}"><Name>{name}</Name><Type>{kind}</Type><Usage>{usage}</Usage></FieldDefn>'
        for i, (name, kind, usage) in enumerate(columns)
    )
    cells = ("".join(f"<F>{cell}</F>" for cell in row) for row in rows)
    table = fields + "".join(f'<Row index="{i}">{row}</Row>' for i, row in enumerate(cells))
    (tmp_path / "map.tif.aux.xml").write_text(
        '<PAMDataset><PAMRasterBand band="1"><GDALRasterAttributeTable Row0Min="0" BinSize="1" tableType="thematic">'
        f"{table}</GDALRasterAttributeTable></PAMRasterBand></PAMDataset>"
    )
    assert read_class_names(path) == found


@pytest.mark.parametrize(("dtype", "nodata"), [("int16", -9999), ("uint8", 255), ("float32", -9999.0)])
def test_the_name_of_nodata_is_that_of_no_class(tmp_path: Path, dtype: str, nodata: float) -> None:
    names = {"-9999": "No data", "0": "shadow", "1": "wood", "255": "cloud", "70000": "sea"}
    path = write_raster(tmp_path / "map.tif", np.ones((4, 5), dtype), nodata=nodata)
    with rasterio.open(path, "r+") as dst:
        dst.update_tags(**{CLASSES_TAG: json.dumps(names)})
    expected = {0: "shadow", 1: "wood", 255: "cloud"}
    assert read_class_names(path) == {i: name for i, name in expected.items() if i != nodata}


@pytest.mark.parametrize("odd", ["a\x00b", "a\x0bb", "a\nb", "a\ufffeb"])
def test_names_that_xml_cannot_hold_do_not_spoil_the_sidecar(tmp_path: Path, odd: str) -> None:
    write(tmp_path / "map.tif", {1: odd, 2: "water"})
    root = ET.parse(tmp_path / "map.tif.aux.xml").getroot()  # noqa: S314  written a line above
    assert [node.text for node in root.iter("Category")][2] == "water"
    assert read_class_names(tmp_path / "map.tif")[2] == "water"
