"""STAC items: their contents, and whether other software finds them valid.

The schema of STAC itself comes with pystac, and stac-model checks what the MLM extension asks for, without network.
"""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pystac
import pytest
import rasterio
import torch
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from pystac.validation.stac_validator import JsonSchemaSTACValidator
from stac_model.schema import MLModelProperties

from s2fin_cli.core.classes import LandCoverClass
from s2fin_cli.geo.grid import Grid
from s2fin_cli.model.file import read_item, read_model
from s2fin_cli.model.map_item import Provenance, Written, map_item
from s2fin_cli.model.model_item import model_item
from s2fin_cli.model.stac import class_objects, href
from s2fin_cli.raster.info import read_info as read_raster_info
from tests.files import write_raster

if TYPE_CHECKING:
    from tests.scenes import Run, Scene


def check(item: dict[str, Any]) -> None:
    """Fail unless an item is valid STAC, and its extensions are those that its fields are of."""
    JsonSchemaSTACValidator().validate_core(item, pystac.STACObjectType.ITEM, item["stac_version"])
    assert pystac.Item.from_dict(item).to_dict()["id"] == item["id"]
    keys = set(_keys(item))
    prefixes = {"mlm", "eo", "file", "processing", "proj", "classification", "raster"}
    used = {key.split(":")[0] for key in keys if key.split(":")[0] in prefixes and ":" in key}
    declared = {url.removeprefix("https://stac-extensions.github.io/").split("/")[0] for url in item["stac_extensions"]}
    assert {name.replace("projection", "proj") for name in declared} >= used


def _keys(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [*value, *(key for part in value.values() for key in _keys(part))]
    return [key for part in value for key in _keys(part)] if isinstance(value, list) else []


def multihash(path: Path) -> str:
    return f"1220{hashlib.sha256(path.read_bytes()).hexdigest()}"


def test_a_model_carries_a_valid_item(model: Path) -> None:
    item = read_item(model)
    check(item)
    said = MLModelProperties.model_validate(item["properties"])
    network, info = read_model(model)
    assert said.total_parameters == sum(p.numel() for p in network.parameters())
    assert [list(part.bands or []) for part in said.input] == [
        [f"hsi-{i}" for i in range(1, 6)],
        ["lidar-1"],
    ]
    # What it says of the input is what the network takes, and what comes out is as it says.
    images = [torch.zeros(2, *part.input.shape[1:]) for part in said.input]
    with torch.inference_mode():
        assert list(network(*images).shape[1:]) == said.output[0].result.shape[1:]
    assert [c["value"] for c in item["properties"]["mlm:output"][0]["classification:classes"]] == [
        c.id for c in info.classes
    ]
    bands = item["properties"]["bands"]
    assert [band["statistics"]["mean"] for band in bands] == [mean for part in info.bands for mean in part.mean]
    assert item["geometry"] == info.footprint
    assert item["id"] == item["properties"]["mlm:name"]


def test_an_item_of_wavelengths_is_of_the_eo_extension(model: Path) -> None:
    _, info = read_model(model)
    first = info.bands[0]
    placed = type(first)(**{**vars(first), "wavelengths": (450.0, 550.0, 650.0, 850.0, 1650.0)})
    item = model_item(type(info)(**{**vars(info), "bands": (placed, *info.bands[1:])}), parameters=1, digest="ab" * 32)
    check(item)
    assert [band.get("eo:center_wavelength") for band in item["properties"]["bands"]] == [
        0.45, 0.55, 0.65, 0.85, 1.65, None,
    ]  # fmt: skip
    assert "eo:center_wavelength" not in json.dumps(read_item(model))


def test_inspect_writes_the_item_of_a_model(run: Run, model: Path, in_folder: Path) -> None:
    result = run("inspect", model, "--stac", "item.json")
    assert result.exit_code == 0, result.stderr
    item = json.loads((in_folder / "item.json").read_text())
    check(item)
    asset = item["assets"]["model"]
    assert (in_folder / asset["href"]).resolve() == model.resolve()
    assert (asset["file:size"], asset["file:checksum"]) == (model.stat().st_size, multihash(model))
    again = run("inspect", model, "--stac", "item.json")
    assert (again.exit_code, "item.json already exists" in again.stderr) == (1, True)
    assert run("inspect", model, "--stac", "item.json", "--overwrite").exit_code == 0


@pytest.mark.parametrize(
    ("name", "types"),
    [
        ("p.shp", {"polygons": "application/vnd.shp", "polygons-dbf": "application/vnd.dbf"}),
        ("p.tab", {"polygons": "application/x-tab", "polygons-map": None}),
        ("p.sqlite", {"polygons": "application/vnd.sqlite3"}),
    ],
)
def test_polygons_are_described_whole(
    run: Run, scene: Scene, model: Path, in_folder: Path, *, name: str, types: dict[str, str | None]
) -> None:
    result = run("classify", *scene.arguments, "-m", model, "-o", "map.tif", "--stac", "--polygons", name)
    assert result.exit_code == 0, result.stderr
    assets = json.loads((in_folder / "map.json").read_text())["assets"]
    found = {name: asset["href"] for name, asset in assets.items() if name.startswith("polygons")}
    assert set(found.values()) == {f"./{path.name}" for path in in_folder.glob("p.*")}
    assert {asset: assets[asset].get("type") for asset in types} == types


def test_an_item_is_json(run: Run, model: Path, in_folder: Path) -> None:
    result = run("inspect", model, "--stac", "item.txt")
    assert (result.exit_code, "give a name that ends in .json" in result.stderr) == (2, True)
    assert not list(in_folder.glob("item*"))


def test_a_raster_has_no_item(run: Run, scene: Scene) -> None:
    result = run("inspect", scene.hsi, "--stac", "item.json")
    assert (result.exit_code, "is not a model file" in result.stderr) == (1, True)
    assert not Path("item.json").exists()


def test_classify_writes_the_item_of_a_map(run: Run, scene: Scene, model: Path, in_folder: Path) -> None:
    (in_folder / "other").mkdir()
    result = run(
        "classify", *scene.arguments, "-m", model, "-o", "map.tif", "--stac", "--confidence", "other/sure.tif", "--json"
    )
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["stac"] == "map.json"
    item = json.loads((in_folder / "map.json").read_text())
    check(item)
    assert list(item["assets"]) == ["map", "map-aux-xml", "style", "polygons", "confidence"]
    for asset in item["assets"].values():
        path = in_folder / asset["href"]
        assert (asset["file:size"], asset["file:checksum"]) == (path.stat().st_size, multihash(path))
    links = {link["title"].split(",")[0]: link for link in item["links"]}
    assert all(link["rel"] == "derived_from" for link in links.values())
    assert (in_folder / links["hsi"]["href"]).resolve() == scene.hsi.resolve()
    assert (in_folder / links["lidar"]["href"]).resolve() == scene.lidar.resolve()
    identifier = read_item(model)["id"]
    assert links[f"model {identifier}"]["file:checksum"] == multihash(model)
    assert item["properties"]["processing:expression"] == {"format": "stac-mlm", "expression": identifier}
    with rasterio.open("map.tif") as src:
        assert item["properties"]["proj:transform"] == list(src.transform[:6])
        assert item["properties"]["proj:shape"] == list(src.shape)
        assert item["properties"]["proj:code"] == "EPSG:32632"
        assert item["assets"]["map"]["nodata"] == src.nodata
    west, south, east, north = item["bbox"]
    assert west <= 9 < east < 9.01  # the easting of the left edge is 500 km
    assert 45.14 < south < north < 45.16


def test_scaled_probabilities_say_their_scale(run: Run, scene: Scene, model: Path) -> None:
    names = ("--confidence", "c.tif", "--scaled", "--no-vector", "-f", "COG", "--prior", "water=5", "--prior", "1=60")
    assert run("classify", *scene.arguments, "-m", model, "-o", "map.tif", "--stac", *names).exit_code == 0
    item = json.loads(Path("map.json").read_text())
    check(item)
    assert item["properties"]["processing:lineage"] == (
        "classified by s2fin with a stride of 3 pixels, float32, with a prior of water=5, 1=60"
    )
    assert "polygons" not in item["assets"]
    assert item["assets"]["map"]["type"] == "image/tiff; application=geotiff; profile=cloud-optimized"
    confidence = item["assets"]["confidence"]
    with rasterio.open("c.tif") as src:
        assert (confidence["data_type"], confidence["nodata"]) == (src.dtypes[0], src.nodata)
        assert confidence["raster:scale"] == src.scales[0]


def test_nothing_is_left_where_the_item_cannot_be_written(run: Run, scene: Scene, model: Path, in_folder: Path) -> None:
    (in_folder / "map.json").write_text("mine")
    result = run("classify", *scene.arguments, "-m", model, "-o", "map.tif", "--stac")
    assert (result.exit_code, "map.json already exists" in result.stderr) == (1, True)
    assert [path.name for path in in_folder.iterdir()] == ["map.json"]


def test_the_time_of_the_image_is_the_map_s(tmp_path: Path) -> None:
    grid = Grid(None, Affine.identity(), (3, 4))
    taken = datetime(2018, 5, 7, 10, 30, tzinfo=UTC)
    (tmp_path / "m.s2fin").write_bytes(b"m")
    for acquired in (taken, None):
        made = Provenance([], tmp_path / "m.s2fin", "m", acquired, lineage="a test", software={})
        item = map_item(tmp_path / "map.json", grid, files={"map": _written(tmp_path / "map.tif")}, provenance=made)
        check(item)
        assert (item["properties"]["datetime"] == "2018-05-07T10:30:00Z") == (acquired is not None)
        assert item["geometry"] is None
        assert "bbox" not in item


def _written(path: Path) -> Written:
    path.write_bytes(b"map")
    return Written("Class map", ("data",), path, path, {})


@pytest.mark.parametrize(
    ("namespace", "key", "text", "taken"),
    [
        ("IMAGERY", "ACQUISITIONDATETIME", "2018-05-07 10:30:00", datetime(2018, 5, 7, 10, 30, tzinfo=UTC)),
        ("ENVI", "acquisition_time", "{2018-05-07T12:30:00+02:00}", datetime(2018, 5, 7, 10, 30, tzinfo=UTC)),
        ("ENVI", "acquisition_time", "in May", None),
        ("IMAGERY", "SATELLITEID", "Sentinel-2", None),
    ],
)
def test_when_an_image_was_taken(tmp_path: Path, namespace: str, key: str, text: str, taken: datetime | None) -> None:
    write_raster(tmp_path / "a.tif", np.ones((8, 8), np.uint8))
    with rasterio.open(tmp_path / "a.tif", "r+") as dst:
        dst.update_tags(ns=namespace, **{key: text})
    assert read_raster_info(tmp_path / "a.tif").acquired == taken


def test_ways_to_files(tmp_path: Path) -> None:
    folder = tmp_path / "maps"
    folder.mkdir()
    for path, wanted in (
        (tmp_path / "maps" / "a.tif", "./a.tif"),
        (tmp_path / "a b, c#1 50%.tif", "../a%20b,%20c%231%2050%25.tif"),
        ("/vsicurl/https://example.org/a%20b.tif?x=1", "https://example.org/a%20b.tif"),
        ("/vsicurl/https://example.org/a.tif", "https://example.org/a.tif"),
        ("https://example.org/a.tif", "https://example.org/a.tif"),
        ("/vsizip/a.zip/b.tif", "/vsizip/a.zip/b.tif"),
        ("NETCDF:a.nc:ndvi", "NETCDF:a.nc:ndvi"),
    ):
        assert href(str(path), folder) == wanted


@given(st.lists(st.text(min_size=1, max_size=12), min_size=1, max_size=5))
def test_classes_of_any_name(names: list[str]) -> None:
    classes = [LandCoverClass(i, name, (i, 0, 255)) for i, name in enumerate(names, 1)]
    for given_class, found in zip(classes, class_objects(classes), strict=True):
        assert found["name"]
        assert all(c.isascii() and (c.isalnum() or c in "-_") for c in found["name"])
        assert (found["description"], found["color_hint"]) == (given_class.name, f"{given_class.id:02X}00FF")
