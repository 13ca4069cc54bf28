"""What s2fin writes, loaded by a real QGIS as the plugin does: names, styles, groups, lists of classes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

import s2fin_cli
from tests.scenes import NAMES

if TYPE_CHECKING:
    from pathlib import Path

    from tests.qgis.conftest import Once
    from tests.qgis.qgis_of_debian import Qgis
    from tests.scenes import Scene

CLASSES = list(NAMES.values())


def write_results(scene: Scene, model: Path, folder: Path) -> dict[str, dict[str, str]]:
    """Files that runs write, by run and output."""
    rasters: dict[str, Any] = {name: folder / f"{name}.tif" for name in ("confidence", "uncertainty", "probabilities")}
    page = folder / "report.html"
    s2fin_cli.classify(**scene.images, model=model, output=folder / "map.tif", report=page, **rasters)
    s2fin_cli.suggest(**scene.images, model=model, output=folder / "next.gpkg", number=4)
    for name in ("sample", "another"):
        s2fin_cli.sample(map=folder / "map.tif", output=folder / f"{name}.gpkg", size=20, least=2)
    parts: dict[str, Any] = {name: folder / f"{name}.tif" for name in ("train", "test")}
    s2fin_cli.split(like=scene.hsi, labels=scene.labels, distance=2, **parts)
    for name, bounds in (("before", None), ("after", (500_100, 4_999_700, 500_300, 4_999_900))):
        output = folder / f"{name}.tif"
        s2fin_cli.classify(**scene.images, model=model, output=output, bounds=bounds, vector=False)
    runs = {
        "before": {"map": folder / "before.tif"},
        "after": {"map": folder / "after.tif"},
        "classify": {"map": folder / "map.tif", "polygons": folder / "map.gpkg", **rasters, "report": page},
        "suggest": {"suggestions": folder / "next.gpkg"},
        "sample": {"sample": folder / "sample.gpkg"},
        "another": {"sample": folder / "another.gpkg"},
        "split": parts,
    }
    return {run: {name: str(path) for name, path in files.items()} for run, files in runs.items()}


@pytest.fixture(scope="module")
def written(scene: Scene, model: Path, once: Once) -> dict[str, dict[str, str]]:
    """What the runs wrote, by run and output."""
    found: dict[str, dict[str, str]] = once("results", lambda folder: write_results(scene, model, folder))[1]
    return found


def a_run(outputs: dict[str, str], *, load: list[str], group: str = "a run") -> dict[str, Any]:
    return {"outputs": outputs, "load": load, "group": group}


@pytest.fixture(scope="module")
def loaded(qgis: Qgis, written: dict[str, dict[str, str]], once: Once) -> dict[str, Any]:
    """A desktop after six runs, of which two were made again."""
    before, after = written["before"]["map"], written["after"]["map"]
    runs = [
        a_run(written["sample"], load=["sample"], group="Model") | {"called": "by its author"},
        a_run(written["before"], load=["map"], group="Again"),
        a_run(written["before"], load=["map"], group="Again") | {"replace": {before: after}},
        a_run(written["classify"], load=["map", "confidence", "uncertainty", "probabilities"], group="Classify"),
        a_run(written["suggest"], load=["suggestions"], group="Suggest"),
        a_run({"sample": written["another"]["sample"]}, load=["sample"], group="Sample"),
        a_run(written["split"], load=["train", "test"], group="Split"),
        a_run(written["suggest"], load=["suggestions"], group="Suggest"),
    ]
    found: dict[str, Any] = once("loaded", lambda _: qgis.script("load_results", json.dumps(runs), "desktop"))[1]
    return found


def layers_of(loaded: dict[str, Any], group: str) -> dict[str, dict[str, Any]]:
    (found,) = (each for each in loaded["tree"] if each.get("group") == group)
    layers = {layer["layer"]: layer for layer in found["layers"]}
    assert all(layer["valid"] for layer in layers.values())
    return layers


def test_each_run_has_a_group_and_the_latest_is_on_top(loaded: dict[str, Any]) -> None:
    assert [each["group"] for each in loaded["tree"]] == ["Suggest", "Split", "Sample", "Classify", "Again", "Model"]
    assert loaded["layers"] == sum(len(each["layers"]) for each in loaded["tree"])
    assert not [line for said in loaded["said"] for line in said if line.startswith(("error", "warning"))]


def test_a_layer_whose_file_was_replaced_shows_the_new_one(loaded: dict[str, Any]) -> None:
    layers = layers_of(loaded, "Again")
    assert list(layers) == ["Land cover"]
    assert layers["Land cover"]["place"] == [500_100, 4_999_900, 20, 20]


def test_maps_lie_above_what_they_were_made_with(loaded: dict[str, Any]) -> None:
    layers = layers_of(loaded, "Classify")
    below = ["Confidence", "Dissimilarity to the labels", "Probabilities"]
    assert list(layers) == ["Polygons", "Land cover", *below]
    assert layers["Land cover"]["expanded"]
    assert not layers["Polygons"]["expanded"]


def test_maps_have_their_classes(loaded: dict[str, Any]) -> None:
    layers = layers_of(loaded, "Classify")
    assert layers["Land cover"]["renderer"] == "paletted"
    assert [label for label, _ in layers["Land cover"]["legend"]] == CLASSES
    assert layers["Polygons"]["renderer"] == "categorizedSymbol"
    assert layers["Polygons"]["legend"] == CLASSES
    for title in ("Training labels", "Test labels"):
        assert layers_of(loaded, "Split")[title]["renderer"] == "paletted"
        assert {label for label, _ in layers_of(loaded, "Split")[title]["legend"]} >= set(CLASSES)


def test_rasters_without_a_style_are_coloured(loaded: dict[str, Any]) -> None:
    layers = layers_of(loaded, "Classify")
    for title, band, last in (
        ("Confidence", 1, "above 0.9"),
        ("Dissimilarity to the labels", 4, "above 1: unlike all labels"),
    ):
        assert layers[title]["renderer"] == "singlebandpseudocolor"
        assert layers[title]["bands"] == [band]
        assert layers[title]["legend"][-1][0] == last


def test_forms_offer_the_classes(loaded: dict[str, Any]) -> None:
    for group, title in (("Suggest", "Places to label"), ("Sample", "Sample")):
        assert layers_of(loaded, group)[title]["lists"] == {"class": CLASSES}
    assert layers_of(loaded, "Suggest")["Places to label"]["labelled"]


def test_an_output_of_a_model_keeps_its_name(loaded: dict[str, Any]) -> None:
    assert list(layers_of(loaded, "Model")) == ["by its author"]


def test_the_report_is_opened_on_a_desktop(loaded: dict[str, Any], written: dict[str, dict[str, str]]) -> None:
    assert loaded["opened"] == [written["classify"]["report"]]


def test_nothing_is_loaded_or_opened_without_being_asked_for(qgis: Qgis, written: dict[str, dict[str, str]]) -> None:
    found = qgis.script("load_results", json.dumps([a_run(written["classify"], load=[])]), "external")
    assert found == {"tree": [], "layers": 0, "said": [[]], "opened": []}
