"""Texts from files in messages, XML, JSON, Markdown and tables that are written: nothing in them is markup."""

from __future__ import annotations

import json
import logging
import xml.etree.ElementTree as ET
from dataclasses import replace
from typing import TYPE_CHECKING

import geopandas as gpd
import numpy as np
import pytest
import rasterio

import s2fin_cli
from s2fin_cli.cli.messages import displayed
from s2fin_cli.core.errors import InputError
from s2fin_cli.model.file import read_model, write_model
from s2fin_cli.raster.class_names import read_class_names
from s2fin_cli.raster.styles import xml_text
from s2fin_cli.vector.text_tables import distinct
from tests.files import read_raster, write_raster

if TYPE_CHECKING:
    from pathlib import Path

    from tests.scenes import Run, Scene

#: Names that are markup, end lines, quote, or hold what XML and terminals must not get.
NAMES = ["<script>alert('1')</script> & \"q\"", "a\nb | c ]]> --> `d` [e](f)", "\x1b[31mred\x07 {0} %s $HOME \u202e"]


@pytest.fixture
def model_of_names(model: Path, in_folder: Path) -> Path:
    """A model whose classes have such names."""
    network, info = read_model(model)
    classes = tuple(replace(each, name=name) for each, name in zip(info.classes, NAMES, strict=True))
    path = in_folder / "named.s2fin"
    write_model(path, network, info=replace(info, classes=classes))
    return path


def labels_in(root: ET.Element, tag: str) -> list[str]:
    return [str(node.get("label")) for node in root.iter(tag)]


def test_names_of_classes_are_no_markup_in_any_output(scene: Scene, model_of_names: Path, in_folder: Path) -> None:
    output, stored = in_folder / "map.tif", [xml_text(name) for name in NAMES]
    s2fin_cli.classify(**scene.images, model=model_of_names, output=output, stac=True, device="cpu", stride=1)
    assert labels_in(ET.parse(in_folder / "map.qml").getroot(), "paletteEntry") == stored  # noqa: S314
    sidecar = ET.parse(in_folder / "map.tif.aux.xml").getroot()  # noqa: S314
    assert [node.text for node in sidecar.iter("Category")][1:] == stored
    item = json.loads((in_folder / "map.json").read_text())
    found = json.dumps(item)
    assert all(json.dumps(name)[1:-1] in found for name in NAMES)
    with rasterio.open(output) as src:
        assert src.count == 1
    assert list(read_class_names(output).values()) == NAMES
    polygons = gpd.read_file(in_folder / "map.gpkg", layer="landcover")
    assert set(polygons["class_name"]) <= set(NAMES)
    style = gpd.read_file(in_folder / "map.gpkg", layer="layer_styles")["styleQML"][0]
    assert labels_in(ET.fromstring(style), "category") == stored  # noqa: S314


def test_names_of_classes_keep_to_their_cells_in_reports(scene: Scene, model_of_names: Path, in_folder: Path) -> None:
    output = in_folder / "map.tif"
    s2fin_cli.classify(**scene.images, model=model_of_names, output=output, device="cpu", stride=1, vector=False)
    reference = write_raster(in_folder / "labels.tif", np.where(read_raster(output)[0] > 0, 1, 0).astype(np.uint8))
    s2fin_cli.evaluate(map=output, reference=reference, output=in_folder / "report.md")
    lines = (in_folder / "report.md").read_text(encoding="utf-8").splitlines()
    assert not [line for line in lines if "<script" in line.replace("\\<", "")]
    bars = {line.replace("\\|", "").count("|") for line in lines if "alert" in line or "red" in line}
    assert len(bars) == 2, "rows of two tables, of one number of cells each"


def test_messages_are_no_commands_to_a_terminal() -> None:
    assert displayed("a\x1b[31m\r\x00\x9b\u202eb\u2028") == "a\\x1b[31m\\r\\x00\\x9b\\u202eb\\u2028"
    assert displayed("two\n  lines\tand \u68ee\u200c\u6797") == "two\n  lines\tand \u68ee\u200c\u6797"
    assert displayed("x" * 5000) == "x" * 700 + " ... " + "x" * 200


def test_an_error_and_a_warning_with_control_characters(in_folder: Path, run: Run) -> None:
    (in_folder / "a.csv").write_text("x,y,class,\x1b[2Ja,\x1b[2Ja\n1,2,\x1b[31m,1,1\n", encoding="utf-8")
    result = run("inspect", "a.csv")
    assert "\x1b" not in result.stderr


def test_a_project_file_without_bounds(in_folder: Path, run: Run) -> None:
    for text in (
        "a = " + "[" * 100_000,
        'seed = "' + "x" * 100_000 + '"',
        '"\\u001b[31m" = 1',
        "seed = " + "9" * 5000,
        "a" + ".a" * 50_000 + " = 1",
        "#" * 2_000_000,
    ):
        (in_folder / "s2fin.toml").write_text(text, encoding="utf-8")
        result = run("split")
        assert result.exit_code == 2, result.stderr
        assert "unexpected" not in result.stderr
        assert "\x1b" not in result.stderr
        assert len(result.stderr) < 3000


def test_many_repeated_names_of_fields_are_not_named_one_by_one(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        names = distinct(["a"] * 5000, "a.csv")
    assert names[:3] == ["a", "a_2", "a_3"]
    assert len(set(names)) == 5000
    assert len(caplog.records) == 11
    assert "4989 more fields with repeated names" in caplog.text


def test_the_reason_of_another_library_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    path.write_bytes(b"PAR1" + b"\x15\x04\x15" * 30 + b"\x20\0\0\0PAR1")
    with pytest.raises(InputError) as caught:
        s2fin_cli.inspect(src=path)
    assert "\n" not in str(caught.value)
