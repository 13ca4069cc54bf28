"""The provider in a real QGIS: `qgis_process` and Processing run s2fin."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import geopandas as gpd
import pytest
import rasterio

from s2fin_cli.model.file import read_model
from s2fin_cli.raster.class_names import read_class_names
from tests.files import everything_in
from tests.qgis.quick import NOTED, write_program
from tests.scenes import NAMES

if TYPE_CHECKING:
    from tests.qgis.conftest import Once
    from tests.qgis.qgis_of_debian import Qgis
    from tests.scenes import Scene

EXAMPLE = Path(__file__).parents[2] / "examples" / "olinda"
#: A training that takes seconds.
QUICK = {"EPOCHS": 1, "VALIDATION": 0, "REFIT": False, "PATCH_SIZE": 5, "LABELS_PER_CLASS": 20, "DEVICE": "cpu"}
COMMANDS = {"align", "classify", "compare", "evaluate", "report", "sample", "split", "suggest", "train"}


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """s2fin, which trains quickly."""
    return write_program(tmp_path_factory.mktemp("program"))


@pytest.fixture(scope="session")
def olinda(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the example, as QGIS writes statistics beside the rasters that it opens."""
    return shutil.copytree(EXAMPLE, tmp_path_factory.mktemp("examples") / "olinda")


def given(parameters: dict[str, Any]) -> list[str]:
    """Parameters as `qgis_process` takes them; a list is one that is given several times."""
    pairs = [
        (name, each) for name, value in parameters.items() for each in (value if isinstance(value, list) else [value])
    ]
    return ["--", *(f"{name}={value}" for name, value in pairs)]


def sentence(text: str) -> str:
    """The error of a run, which is one line and no traceback."""
    assert "Traceback" not in text
    assert "\n" not in text.strip()
    return text.strip()


# ---- quick -----------------------------------------------------------------------------------------------------------


def test_qgis_process_lists_the_commands(qgis: Qgis) -> None:
    done = qgis.process("list", "--json")
    assert done.returncode == 0, done.stderr
    provider = json.loads(done.stdout)["providers"]["s2fin"]
    assert {name.partition(":")[2] for name in provider["algorithms"]} == COMMANDS


def test_without_s2fin_a_sentence_says_how_to_install_it(qgis: Qgis, olinda: Path, tmp_path: Path) -> None:
    parameters = {"MAP": olinda / "L7_ETMs.tif", "OUTPUT": tmp_path / "sample.gpkg"}
    done = qgis.process("run", "s2fin:sample", *given(parameters))
    assert done.returncode != 0
    assert "s2fin is not installed, or not found: install it by “uv tool install" in done.stderr + done.stdout
    assert "Traceback" not in done.stderr + done.stdout
    assert not list(tmp_path.iterdir())


# ---- the loop on the example -----------------------------------------------------------------------------------------


def run_loop(qgis: Qgis, program: Path, olinda: Path, folder: Path) -> None:
    """Train, classify, report, suggest, labels filled in, and train again."""
    images = {"MSI": olinda / "L7_ETMs.tif", "DSM": olinda / "olinda_dem_utm25s.tif"}
    part = {**images, "BOUNDS": "291000,296000,9112000,9117000 [EPSG:31985]", "DEVICE": "cpu"}
    labels, reference, points = olinda / "training.shp", olinda / "validation.shp", folder / "next.gpkg"
    steps: list[tuple[str, dict[str, Any]]] = [
        ("train", {**images, **QUICK, "LABELS": labels, "OUTPUT": folder / "first.s2fin"}),
        ("classify", {**part, "MODEL": folder / "first.s2fin", "OUTPUT": folder / "map.tif"}),
        ("report", {"MAP": folder / "map.tif", "REFERENCE": reference, "OUTPUT": folder / "report.html"}),
        ("suggest", {**part, "MODEL": folder / "first.s2fin", "LABELS": labels, "NUMBER": 5, "OUTPUT": points}),
        ("", {"fill": str(points), "from": "likeliest"}),
        ("train", {**images, **QUICK, "LABELS": labels, "LABELS_FURTHER": points, "OUTPUT": folder / "second.s2fin"}),
    ]
    for command, parameters in steps:
        if not command:
            assert qgis.script("run_algorithms", json.dumps([parameters])) == [{"saved": True}]
            continue
        done = qgis.process("run", f"s2fin:{command}", *given(parameters), S2FIN_EXECUTABLE=str(program))
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"OUTPUT:\t{parameters['OUTPUT']}" in done.stdout


@pytest.fixture(scope="module")
def loop(qgis: Qgis, program: Path, olinda: Path, once: Once) -> Path:
    """The folder of the files of the loop."""
    return once("loop", lambda folder: run_loop(qgis, program, olinda, folder))[0]


@pytest.mark.slow
def test_the_loop_on_the_example(loop: Path) -> None:
    expected = {
        "first.s2fin",
        "map.tif",
        "map.tif.aux.xml",
        "map.qml",
        "report.html",
        "next.gpkg",
        "next.qml",
        "second.s2fin",
    }
    assert everything_in(loop) - {"map.gpkg"} == expected
    with rasterio.open(loop / "map.tif") as src, rasterio.open(EXAMPLE / "L7_ETMs.tif") as image:
        assert src.crs == image.crs
        assert src.bounds.left == pytest.approx(291_000, abs=28.5)
        assert src.bounds.top == pytest.approx(9_117_000, abs=28.5)
        assert src.read(1).any()
    points = gpd.read_file(loop / "next.gpkg", layer="suggestions")
    assert len(points) == 5
    assert (points["class"] == points["likeliest"]).all()
    assert "<html" in (loop / "report.html").read_text()


@pytest.mark.slow
def test_labels_that_were_filled_in_are_trained_on(loop: Path) -> None:
    first, second = (read_model(loop / f"{name}.s2fin")[1] for name in ("first", "second"))
    assert [each.name for each in first.classes] == [each.name for each in second.classes]
    assert str(loop / "next.gpkg") in json.dumps(second.findings)
    assert str(loop / "next.gpkg") not in json.dumps(first.findings)


# ---- each command, and each kind of layer ----------------------------------------------------------------------------

#: Variables of which each would break s2fin, as QGIS sets them on some systems for itself.
FOREIGN = dict.fromkeys(
    ("PYTHONHOME", "PYTHONPATH", "LD_LIBRARY_PATH", "GDAL_DATA", "GDAL_DRIVER_PATH", "PROJ_LIB", "PROJ_DATA"),
    "/not/there",
)


def steps_of(scene: Scene, model: Path, folder: Path) -> dict[str, dict[str, Any]]:
    """Runs by name."""
    images = {"HSI": str(scene.hsi), "LIDAR": str(scene.lidar)}
    train = {**images, **QUICK, "LABEL_FIELD": "class"}
    labels, made = str(scene.labels), str(folder / "map.tif")
    in_map = {"MODEL": str(model), **images, "DEVICE": "cpu"}
    half = f"{folder / 'several.gpkg'}|layername=half|subset=\"class\" <> 'water'"

    def split(given: Any, name: str) -> tuple[str, dict[str, Any]]:
        parts = {part.upper(): str(folder / f"{part}_{name}.tif") for part in ("train", "test")}
        return "split", {"LIKE": str(scene.hsi), "LABELS": given, "DISTANCE": 2, **parts}

    runs: dict[str, tuple[str, dict[str, Any]]] = {
        "classify": ("classify", {**in_map, "OUTPUT": {"load": made}, "CONFIDENCE": {"load": str(folder / "c.tif")}}),
        "evaluate": ("evaluate", {"MAP": made, "REFERENCE": labels, "OUTPUT": str(folder / "accuracy.json")}),
        "sample": ("sample", {"MAP": made, "SIZE": 9, "LEAST": 2, "OUTPUT": str(folder / "sample.gpkg")}),
        "compare": ("compare", {"BEFORE": made, "AFTER": made, "OUTPUT": str(folder / "change.tif")}),
        "align": ("align", {"LIKE": str(scene.hsi), "LIDAR": [str(scene.lidar)], "OUTPUT": str(folder / "on.tif")}),
        "split": split(labels, "all"),
        "memory": (
            "train",
            {**train, "LABELS": {"layer": labels, "memory": True}, "OUTPUT": str(folder / "memory.s2fin")},
        ),
        "selected": split({"layer": labels, "selected": [1, 2, 4, 5]}, "selected"),
        "subset": split({"layer": half}, "subset"),
        "wrong": (
            "train",
            {**train, "LABELS": labels, "LABEL_FIELD": "kind", "OUTPUT": str(folder / "wrong.s2fin")},
        ),
        "dialog": (
            "sample",
            {"MAP": {"layer": made}, "SIZE": 9, "LEAST": 2, "OUTPUT": {"load": f"{folder}//shown.gpkg"}},
        ),
        "foreign": ("sample", {"MAP": made, "SIZE": 9, "LEAST": 2, "OUTPUT": str(folder / "foreign.gpkg")}),
    }
    steps: dict[str, dict[str, Any]] = {
        name: {"algorithm": f"s2fin:{command}", "parameters": parameters}
        for name, (command, parameters) in runs.items()
    }
    steps["dialog"]["dialog"] = True
    steps["foreign"]["environment"] = FOREIGN
    return steps


@dataclass(frozen=True)
class Runs:
    """What became of each run, by its name, and the folder of their files."""

    folder: Path
    found: dict[str, dict[str, Any]]

    def results(self, name: str) -> dict[str, Any]:
        assert "error" not in self.found[name], self.found[name]
        results: dict[str, Any] = self.found[name]["results"]
        return results

    def split(self, name: str) -> set[str]:
        """The classes of both parts of labels that were split."""
        found = [read_class_names(self.folder / f"{part}_{name}.tif") for part in ("train", "test")]
        return {each for names in found for each in names.values()}


@pytest.fixture(scope="module")
def runs(qgis: Qgis, program: Path, scene: Scene, model: Path, once: Once) -> Runs:
    """All runs, in one process of QGIS."""

    def make(folder: Path) -> Any:
        frame = gpd.read_file(scene.labels)
        frame.to_file(folder / "several.gpkg", layer="whole")
        frame.iloc[:10].to_file(folder / "several.gpkg", layer="half")
        steps = steps_of(scene, model, folder)
        found = qgis.script("run_algorithms", json.dumps(list(steps.values())), S2FIN_EXECUTABLE=str(program))
        return dict(zip(steps, found, strict=True))

    return Runs(*once("runs", make))


@pytest.mark.slow
def test_each_command_runs(runs: Runs) -> None:
    for name, file in (
        ("classify", "map.tif"), ("evaluate", "accuracy.json"), ("sample", "sample.gpkg"), ("compare", "change.tif"),
        ("align", "on.tif"),
    ):  # fmt: skip
        assert runs.results(name)["OUTPUT"] == str(runs.folder / file)
        assert (runs.folder / file).stat().st_size
    assert json.loads((runs.folder / "accuracy.json").read_text())["overall_accuracy"] > 0.5
    assert len(gpd.read_file(runs.folder / "sample.gpkg", layer="sample")) == 9
    assert runs.results("split")["TRAIN"] == str(runs.folder / "train_all.tif")
    assert runs.split("all") == set(NAMES.values())


@pytest.mark.slow
def test_what_is_asked_for_is_loaded(runs: Runs) -> None:
    assert set(runs.found["classify"]["loaded"]) == {str(runs.folder / name) for name in ("map.tif", "c.tif")}
    assert runs.found["sample"]["loaded"] == []


@pytest.mark.slow
def test_the_dialog_runs_it_in_a_thread_and_loads_the_results(runs: Runs) -> None:
    # QGIS knows an output by its path as it was given, on Windows by one with slashes
    found = runs.found["dialog"]
    assert (found["done"], found["alive"]) == (True, True)
    assert found["results"] == {"OUTPUT": f"{runs.folder}//shown.gpkg"}
    assert found["layers"][0] == "Sample"


@pytest.mark.slow
def test_layers_as_qgis_has_them_are_used(runs: Runs) -> None:
    for name in ("memory", "selected", "subset"):
        runs.results(name)
    assert "labels: the classes of the layer 'vector' are taken from its field 'class'" in runs.found["subset"]["said"]
    model = read_model(runs.folder / "memory.s2fin")[1]
    assert {each.name for each in model.classes} == set(NAMES.values())
    assert runs.split("selected") == {"forest", "meadow"}
    assert runs.split("subset") == {"forest", "meadow"}


@pytest.mark.slow
def test_an_error_of_s2fin_is_a_sentence(runs: Runs, scene: Scene) -> None:
    message = sentence(runs.found["wrong"]["error"])
    assert "kind" in message
    assert str(scene.labels) in message
    assert not (runs.folder / "wrong.s2fin").exists()


@pytest.mark.slow
def test_variables_of_qgis_do_not_reach_s2fin(runs: Runs) -> None:
    runs.results("foreign")
    assert len(gpd.read_file(runs.folder / "foreign.gpkg", layer="sample")) == 9


# ---- cancel ----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_cancelled_run_leaves_nothing(qgis: Qgis, program: Path, scene: Scene, tmp_path: Path) -> None:
    noted, out, temporary = (tmp_path / name for name in ("noted", "out", "temporary"))
    for folder in (noted, out, temporary):
        folder.mkdir()
    parameters = {
        "HSI": str(scene.hsi), "LIDAR": str(scene.lidar), "LABELS": {"layer": str(scene.labels), "memory": True},
        **QUICK, "EPOCHS": 1000, "OUTPUT": str(out / "model.s2fin"),
    }  # fmt: skip
    step = {"algorithm": "s2fin:train", "parameters": parameters, "cancel": "Training"}
    variables = {"S2FIN_EXECUTABLE": str(program), NOTED: str(noted), "TMPDIR": str(temporary)}
    (found,) = qgis.script("run_algorithms", json.dumps([step]), **variables)
    assert "Training ..." in found["said"]
    assert "cancelled" in sentence(found["error"])
    processes = [int(path.name) for path in noted.iterdir()]
    assert len(processes) == 2  # one reported the version
    for number in processes:
        with pytest.raises(ProcessLookupError):
            os.kill(number, 0)
    assert not list(out.iterdir())
    assert not [path for path in temporary.rglob("*") if "s2fin" in path.name]
