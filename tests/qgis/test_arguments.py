"""Values of QGIS's dialogs on the command line of s2fin: a program that repeats its arguments stands in for it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from qgis_plugin.s2fin.command_line import command_line, shown, with_titles
from qgis_plugin.s2fin.commands import Description
from s2fin_cli.core.version import __version__

if TYPE_CHECKING:
    from tests.qgis.qgis_of_debian import Qgis
    from tests.scenes import Scene

COMMANDS = Description.read()
#: The folder that QGIS is started in.
ROOT = Path(__file__).parents[2]
_PROGRAM = """#!{python}
import json, sys
print("s2fin, version {version}" if sys.argv[1:] == ["--version"] else json.dumps(sys.argv[1:]))
"""


def test_what_is_as_the_command_has_it_is_not_given() -> None:
    train = COMMANDS.command("train")
    values = {option.name: option.command_default for option in train.options}
    assert command_line(train, values) == ["train"]
    assert command_line(train, {**values, "refit": False, "overwrite": True, "verbose": True}) == [
        "train", "--no-refit", "--verbose", "--overwrite",
    ]  # fmt: skip
    assert command_line(train, {**values, "epochs": 10.0, "validation": 0.0, "label_buffer": 5.0}) == [
        "train", "--label-buffer", "5", "--validation", "0",
    ]  # fmt: skip
    assert command_line(train, {**values, "label_buffer": 1234567.0})[1:] == ["--label-buffer", "1234567"]


def test_a_value_that_looks_like_an_option_is_none() -> None:
    given = command_line(COMMANDS.command("classify"), {"prior": ["-x=5", "a=3"], "polygons": None, "output": "--map"})
    assert given == ["classify", "--prior=-x=5", "--prior", "a=3", "--output=--map", "--no-vector"]


def test_a_command_is_shown_as_it_can_be_typed() -> None:
    assert shown("s2fin", ["sample", "--map", "a b.tif", "--size", "9"]) == "s2fin sample --map 'a b.tif' --size 9"
    on_windows = shown("s2fin.exe", ["sample", "--map", r"C:\a b\c.tif", "--prior", "it's=1"], for_windows=True)
    assert on_windows == r"""s2fin.exe sample --map "C:\a b\c.tif" --prior it's=1"""


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("m.tif already exists; give --overwrite to", "m.tif already exists; give “Replace existing outputs” to"),
        ("--label-field kind is not in a.shp", "“Class field” kind is not in a.shp"),
        ("--label-fields, --no-refit, ---labels, x--labels", "--label-fields, --no-refit, ---labels, x--labels"),
        ("the file /data/--labels/a.shp", "the file /data/--labels/a.shp"),
        (
            "as s2fin suggest wrote them, then s2fin split.",
            "as “Suggest places to label” wrote them, then “Split labels”.",
        ),
        ("s2fin doctor, s2fin train.tif, /s2fin train", "s2fin doctor, s2fin train.tif, /s2fin train"),
        ("s2fin classify-all, s2fin trains", "s2fin classify-all, s2fin trains"),
        (
            "(--seed) or `--seed`, --seed.",
            "(“Random seed”) or `“Random seed”`, “Random s",
        ),
    ],
)
def test_messages_name_what_the_dialog_has(message: str, expected: str) -> None:
    assert with_titles(COMMANDS.command("train"), message, COMMANDS.titles).startswith(expected)


def runs_of(scene: Scene, folder: Path) -> dict[str, tuple[str, dict[str, Any]]]:
    """Runs by name: the command, and its parameters as QGIS hands them over."""
    hsi, lidar, labels = str(scene.hsi), str(scene.lidar), str(scene.labels)
    inputs = {"HSI": [hsi], "LIDAR": lidar}
    return {
        "dialog": (  # what an untouched dialog hands over besides
            "train",
            {**inputs, "LABELS": labels, "LABEL_FIELD": None, "BIDX": "", "BOUNDS": None, "MSI": [], "RESAMPLING": None}
            | {"VALIDATION": 0.25, "EPOCHS": 10, "DEVICE": "auto", "REFIT": True, "LABEL_BUFFER": None, "CLASSES": ""}
            | {"OUTPUT": "TEMPORARY_OUTPUT", "OVERWRITE": True, "VERBOSE": False, "LABELS_FURTHER": None},
        ),
        "all": (
            "train",
            {"MSI": [lidar, hsi], "LABELS": {"layer": labels}, "LABELS_FURTHER": [{"layer": hsi}, {"layer": labels}]}
            | {"LABEL_FIELD": "class", "BIDX": "1..3,5\n\n lidar:1 ", "NODATA": ["0", "lidar:-9999"], "EPOCHS": 3}
            | {"RESAMPLING": "cubic", "REFIT": False, "OVERWRITE": False, "LABEL_BUFFER": 2.5, "SEED": 7}
            | {"REPORT": "TEMPORARY_OUTPUT", "OUTPUT": "m.s2fin", "AOI": labels, "CLASSES": "classes.csv"},
        ),
        "map": ("classify", {**inputs, "MODEL": "m.s2fin", "OUTPUT": "map.tif", "STAC": True, "PRIOR": "a=1\nb=2"}),
        "polygons": (
            "classify",
            {**inputs, "MODEL": "m.s2fin", "OUTPUT": {"load": f"{folder}/map.tif"}, "POLYGONS": "TEMPORARY_OUTPUT"},
        ),
        "bounds": (
            "align",
            {"LIKE": hsi, "DSM": lidar, "BOUNDS": "500020,500500,4999500,4999990 [EPSG:32632]", "OUTPUT": "a.tif"},
        ),
        "copied": ("train", {**inputs, "LABELS": {"layer": labels, "memory": True}, "OUTPUT": "m.s2fin"}),
        "mesh": (
            "train",
            {
                **inputs,
                "LABELS_FURTHER": [{"layer": "0,0\n9,0\n9,9\n---\n0,1,2", "mesh": "heights"}],
                "OUTPUT": "m.s2fin",
            },
        ),
        "elsewhere": ("align", {"LIKE": hsi, "DSM": lidar, "BOUNDS": "0,9,0,9 [EPSG:32632]", "OUTPUT": "a.tif"}),
    }


@pytest.fixture(scope="module")
def runs(qgis: Qgis, scene: Scene, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What became of each run."""
    folder = tmp_path_factory.mktemp("arguments")
    program = folder / "s2fin"
    program.write_text(_PROGRAM.format(python=sys.executable, version=__version__))
    program.chmod(0o755)
    wanted = runs_of(scene, folder)
    steps = [
        {"algorithm": f"s2fin:{command}", "parameters": parameters, "lost": name == "copied"}
        for name, (command, parameters) in wanted.items()
    ]
    found = qgis.script("run_algorithms", json.dumps(steps), S2FIN_EXECUTABLE=str(program))
    return dict(zip(wanted, found, strict=True))


@pytest.fixture(scope="module")
def given(runs: dict[str, dict[str, Any]]) -> dict[str, list[str]]:
    """The arguments that s2fin got in each run."""
    succeeded = {name: run["said"] for name, run in runs.items() if "error" not in run}
    assert len(succeeded) == len(runs) - 2
    return {name: json.loads(next(line for line in said if line[0] == "[")) for name, said in succeeded.items()}


@pytest.mark.slow
def test_an_untouched_dialog_gives_no_more_than_what_was_chosen(given: dict[str, list[str]], scene: Scene) -> None:
    *arguments, model = given["dialog"]
    inputs = ["--hsi", str(scene.hsi), "--lidar", str(scene.lidar), "--labels", str(scene.labels)]
    assert arguments == ["train", *inputs, "--overwrite", "--output"]
    assert Path(model).is_absolute()
    assert Path(model).name == "OUTPUT.s2fin"


@pytest.mark.slow
def test_each_kind_of_value(given: dict[str, list[str]], scene: Scene) -> None:
    hsi, lidar, labels = str(scene.hsi), str(scene.lidar), str(scene.labels)
    arguments = given["all"]
    for expected in (
        ["--msi", lidar, "--msi", hsi],
        ["--labels", labels, "--labels", hsi, "--labels", labels],
        ["--label-field", "class"],
        ["--bidx", "1..3,5", "--bidx", "lidar:1"],
        ["--nodata", "0", "--nodata", "lidar:-9999"],
        ["--resampling", "cubic"],
        ["--label-buffer", "2.5"],
        ["--epochs", "3"],
        ["--seed", "7"],
        ["--aoi", labels],
        ["--classes", str(ROOT / "classes.csv")],
        ["--no-refit"],
        ["--output", str(ROOT / "m.s2fin")],
    ):
        place = arguments.index(expected[0])
        assert arguments[place : place + len(expected)] == expected
    assert arguments[arguments.index("--report") + 1].endswith(".html")
    assert "--overwrite" not in arguments


@pytest.mark.slow
def test_outputs_that_are_not_wanted(given: dict[str, list[str]]) -> None:
    assert "--no-vector" in given["map"]
    assert {"--stac", "--overwrite", str(ROOT / "m.s2fin")} <= set(given["map"])
    assert given["map"][-3:] == ["--output", str(ROOT / "map.tif"), "--no-vector"]
    assert given["map"][given["map"].index("--prior") :][:4] == ["--prior", "a=1", "--prior", "b=2"]
    assert "--no-vector" not in given["polygons"]
    assert given["polygons"][-1].endswith(".gpkg")


@pytest.mark.slow
def test_a_copy_of_a_layer_is_removed_after_the_run(given: dict[str, list[str]]) -> None:
    """QGIS's temporary folder was taken away before this run, as systems do that clean up."""
    copy = Path(given["copied"][given["copied"].index("--labels") + 1])
    assert copy.is_absolute()
    assert copy.parent.name.startswith("s2fin_")
    assert not copy.parent.exists()


@pytest.mark.slow
def test_an_extent_is_four_numbers_in_the_order_of_s2fin(given: dict[str, list[str]]) -> None:
    edges = given["bounds"][given["bounds"].index("--bounds") + 1 :][:4]
    assert [float(edge) for edge in edges] == [500020, 4999500, 500500, 4999990]


@pytest.mark.slow
def test_a_layer_that_cannot_be_handed_over_is_an_error_in_a_sentence(runs: dict[str, dict[str, Any]]) -> None:
    assert runs["elsewhere"]["error"].startswith(
        "the extent 0.00,0.00 : 9.00,9.00 in EPSG:32632 is not where the layer"
    )
    assert runs["mesh"]["error"] == "the layer 'heights' has no labels: it is neither a vector nor a raster"
    assert not [line for line in runs["elsewhere"]["said"] if "Traceback" in line or line.startswith("[")]
