"""The command line, in this process: messages, exit codes, streams, project file."""

from __future__ import annotations

import json
import logging
import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import geopandas as gpd
import numpy as np
import pytest
import shapely
from affine import Affine
from click.testing import CliRunner, Result
from numpy.typing import NDArray

import s2fin_cli
from s2fin_cli.cli.main import Boundary, cli, main
from s2fin_cli.cli.parameters import verbosity_options
from s2fin_cli.core.modality import MODALITIES
from s2fin_cli.model.file import read_model
from s2fin_cli.reporting.files import CHANGE_FORMS, FORMS
from s2fin_cli.workflows.options.classify import ClassifyOptions
from s2fin_cli.workflows.options.train import TrainOptions
from tests.files import CRS_CODE, TRANSFORM, read_raster, write_raster, write_vector
from tests.scenes import SHAPE, Run, Scene, make_heights, make_image

QUICK = ("--patch-size", 5, "--epochs", 1, "--batch-size", 8, "--device", "cpu", "--no-refit")


def failed(result: Result, *, code: int = 1) -> str:
    """The one message of a failed command."""
    assert result.exit_code == code, result.output
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    errors = [line for line in result.stderr.splitlines() if line.lower().startswith("error: ")]
    assert len(errors) == 1, result.stderr
    return errors[0]


def succeeded(result: Result) -> Result:
    assert result.exit_code == 0, result.output
    return result


class _AtFirst(logging.Handler):
    """Calls something at the first message."""

    def __init__(self, call: Callable[[], None]) -> None:
        super().__init__()
        self._call = call

    def emit(self, record: logging.LogRecord) -> None:
        self._call()


@pytest.fixture
def at_first_progress() -> Iterator[Callable[[Callable[[], None]], None]]:
    """Has something called where progress is first shown, which is in the middle of the work."""
    logger = logging.getLogger("s2fin_cli.cli.console")
    yield lambda call: logger.addHandler(_AtFirst(call))
    logger.handlers.clear()


# ---- what commands print ---------------------------------------------------------------------------------------------


def test_version_and_help(run: Run) -> None:
    assert succeeded(run("--version")).stdout == f"s2fin, version {s2fin_cli.__version__}\n"
    text = succeeded(run("-h")).stdout
    for name in cli.commands:
        assert name in text
        assert "--verbose" in succeeded(run(name, "--help")).stdout


@pytest.mark.parametrize(
    ("command", "option"),
    [("evaluate", "output"), ("report", "output"), ("train", "report"), ("classify", "report"), ("compare", "report")],
)
def test_help_names_all_forms_of_a_report(command: str, option: str) -> None:
    forms = CHANGE_FORMS if command == "compare" else FORMS
    (found,) = [p for p in cli.commands[command].params if p.name == option]
    assert isinstance(found, click.Option)
    assert found.help is not None
    assert set(re.findall(r"\.[a-z]+\b", found.help)) == set(forms)


def test_the_two_lines_of_the_readme(run: Run, scene: Scene, tmp_path: Path) -> None:
    trained = succeeded(run("train", *scene.arguments, "--labels", scene.labels, *QUICK))
    assert trained.stdout == ""
    assert "OA " in trained.stderr
    assert "model: model.s2fin" in trained.stderr
    mapped = succeeded(run("classify", *scene.arguments, "-o", "map.tif"))
    assert mapped.stdout == ""
    assert "model: model.s2fin, found in the current directory" in mapped.stderr
    assert "forest" in mapped.stderr
    written = {"map.tif", "map.tif.aux.xml", "map.qml", "map.gpkg"}
    assert {path.name for path in tmp_path.iterdir()} == {"model.s2fin", *written}


def test_progress_is_shown_in_lines_where_there_is_no_terminal(run: Run, scene: Scene) -> None:
    trained = succeeded(run("train", *scene.arguments, "--labels", scene.labels, *QUICK, "--epochs", 2))
    for epoch in (1, 2):
        assert re.search(rf"^training: {epoch} of 2  loss \d\.\d{{3}}$", trained.stderr, re.MULTILINE)
    mapped = succeeded(run("classify", *scene.arguments, "-o", "map.tif", "--tile-size", 16, "--stride", 1))
    lines = re.findall(r"^classifying: (\d+) of (\d+)$", mapped.stderr, re.MULTILINE)
    assert len(lines) == 10
    assert lines[-1][0] == lines[-1][1]


def test_progress_for_programs_is_json(run: Run, scene: Scene, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ("classify", *scene.arguments, "-m", model, "-o", "map.tif", "--tile-size", 16, "--stride", 1)
    monkeypatch.setenv("S2FIN_PROGRESS", "json")
    done = succeeded(run(*arguments))
    steps = [json.loads(line) for line in done.stderr.splitlines() if line.startswith('{"stage": "classifying"')]
    assert len(steps) > 10, "finer than the lines for people"
    assert [step["done"] for step in steps] == sorted({step["done"] for step in steps})
    assert steps[-1] == {"stage": "classifying", "done": steps[-1]["total"], "total": steps[-1]["total"], "figures": {}}
    assert "forest" in done.stderr, "messages are as ever"
    quiet = succeeded(run(*arguments, "--overwrite", "-q"))
    assert "classifying" not in quiet.stderr


def test_the_accuracy_of_a_model_trained_on_all_labels_is_that_of_the_run_before(run: Run, scene: Scene) -> None:
    arguments = ("train", *scene.arguments, "--labels", scene.labels, *QUICK[:-1])
    heading = "accuracy on the pixels held out"
    assert f"{heading}, before the final training on all labels:" in succeeded(run(*arguments)).stderr
    assert f"{heading}:" in succeeded(run(*arguments, "--no-refit", "--overwrite")).stderr


def test_json_and_quiet(run: Run, scene: Scene) -> None:
    trained = succeeded(run("train", *scene.arguments, "--labels", scene.labels, *QUICK, "--json", "-q"))
    assert trained.stderr == ""
    answer = json.loads(trained.stdout)
    assert answer["model"] == "model.s2fin"
    assert [c["name"] for c in answer["classes"]] == ["forest", "meadow", "water"]
    assert 0 <= answer["training"]["validation"]["overall_accuracy"] <= 1
    mapped = succeeded(run("classify", *scene.arguments, "-o", "map.tif", "--json"))
    answer = json.loads(mapped.stdout)
    assert (answer["map"], answer["polygons"], answer["confidence"]) == ("map.tif", "map.gpkg", None)
    assert sum(c["pixels"] for c in answer["classes"]) == SHAPE[0] * SHAPE[1]
    for land_cover in answer["classes"]:  # pixels of 10 m, measured on the ellipsoid
        assert land_cover["area"] == pytest.approx(100 * land_cover["pixels"], rel=2e-3)
    quiet = succeeded(run("classify", *scene.arguments, "-o", "map.tif", "-q", "--overwrite"))
    assert quiet.output == ""
    inspected = succeeded(run("inspect", "model.s2fin", "--json", "-q"))
    assert json.loads(inspected.stdout)["kind"] == "model"
    assert inspected.stderr == ""
    assessed = succeeded(run("evaluate", "--map", "map.tif", "--reference", scene.labels, "--json", "-q"))
    assert json.loads(assessed.stdout)["n"] == 15 * 16
    (warning,) = assessed.stderr.splitlines()
    assert "the model of map.tif was trained on about" in warning


def test_quiet_and_verbose_exclude_each_other(run: Run, scene: Scene) -> None:
    assert "-q and -v exclude each other" in failed(run("inspect", scene.hsi, "-q", "-v"), code=2)


def test_a_traceback_with_verbose_only(run: Run) -> None:
    arguments = ("inspect", "none.tif")
    assert "Traceback" not in run(*arguments).stderr
    verbose = run(*arguments, "-v")
    assert verbose.exit_code == 1
    assert "Traceback" in verbose.stderr
    assert "RasterError" in verbose.stderr
    assert verbose.stdout == ""


def test_a_defect_is_reported_as_one() -> None:
    @click.command()
    @verbosity_options
    def fail() -> None:
        raise ZeroDivisionError("by zero")

    group = Boundary(commands={"fail": fail}, params=cli.params)
    text = failed(CliRunner().invoke(group, ["fail"]))
    assert "unexpected ZeroDivisionError: by zero; run it again with -v to see where" in text
    verbose = CliRunner().invoke(group, ["fail", "-v"])
    assert verbose.exit_code == 1
    assert "Traceback" in verbose.stderr


def test_an_interrupt_before_the_first_epoch_leaves_nothing(
    run: Run, scene: Scene, tmp_path: Path, at_first_progress: Callable[[Callable[[], None]], None]
) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    at_first_progress(interrupt)
    result = run("train", *scene.arguments, "--labels", scene.labels, *QUICK)
    assert result.exit_code == 1
    assert "stopped before the end" in result.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("step", "options", "kept"),
    [
        ("training: 1 of 3", [], "the model of epoch 1 is kept"),
        (
            "training on all labels: 1 of ",
            ["--refit"],
            "the validated model, trained without the held-out labels, is kept",
        ),
    ],
)
def test_ctrl_c_after_an_epoch_keeps_the_model(
    run: Run, scene: Scene, tmp_path: Path, step: str, options: list[str], kept: str
) -> None:
    class AfterThatEpoch(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.getMessage().startswith(step):
                signal.raise_signal(signal.SIGINT)

    logger = logging.getLogger("s2fin_cli.cli.console")
    logger.addHandler(handler := AfterThatEpoch())
    try:
        result = run("train", *scene.arguments, "--labels", scene.labels, *QUICK, "--epochs", 3, *options)
    finally:
        logger.removeHandler(handler)
    assert f"warning: interrupted: {kept}" in succeeded(result).stderr
    assert read_model(tmp_path / "model.s2fin")[1].training["interrupted"] is True


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 128 + signal.SIGTERM), (signal.SIGINT, 1)])
def test_a_request_to_end_ends_a_classification_at_once_and_leaves_nothing(
    scene: Scene,
    model: Path,
    in_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    at_first_progress: Callable[[Callable[[], None]], None],
    number: int,
    code: int,
) -> None:
    def terminate() -> None:
        assert any(in_folder.iterdir())
        os.kill(os.getpid(), number)
        time.sleep(60)  # the signal comes now

    at_first_progress(terminate)
    monkeypatch.setattr("sys.argv", ["s2fin", "classify", *scene.arguments, "-m", str(model), "-o", "map.tif"])
    before = signal.getsignal(signal.SIGTERM)
    try:
        with pytest.raises(SystemExit) as ended:
            main()
    finally:
        signal.signal(signal.SIGTERM, before)
    assert ended.value.code == code
    assert not list(in_folder.iterdir())


# ---- wrong usage: exit code 2 ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--patch-size", "4"], "--patch-size is 4; it must be odd, 5 to 21"),
        (["--patch-size", "23"], "--patch-size is 23"),
        (["--epochs", "0"], "--epochs is 0; it must be"),
        (["--epochs", "many"], "'many' is not a valid integer"),
        (["--learning-rate", "0"], "--learning-rate is 0.0"),
        (["--learning-rate", "nan"], "--learning-rate is nan"),
        (["--validation", "1"], "--validation is 1.0"),
        (["--split", "rows"], "'rows' is not one of"),
        (["--device", "abacus"], "'abacus' is not one of"),
        (["--epoch", "3"], "no such option"),
    ],
)
def test_wrong_values_of_options(run: Run, scene: Scene, arguments: list[str], message: str) -> None:
    result = run("train", *scene.arguments, "--labels", scene.labels, *arguments)
    assert message in failed(result, code=2)


def test_missing_options(run: Run, scene: Scene, tmp_path: Path) -> None:
    assert "no passive image was given; name it with --hsi or --msi" in failed(
        run("train", "--lidar", scene.lidar, "--labels", scene.labels), code=2
    )
    assert "missing option '--labels'" in failed(run("train", *scene.arguments), code=2)
    assert "missing option '-o'" in failed(run("classify", *scene.arguments), code=2)
    misspelt = run("clasify")
    assert misspelt.stderr.startswith("error: no such command 'clasify'")
    assert misspelt.stderr.endswith("--help)\n")
    assert failed(run("--clasify", "train"), code=2).startswith("error: no such option")
    assert run("train", *scene.arguments).stderr == "error: missing option '--labels' (see s2fin train --help)\n"
    assert "--stride is 2; it must be odd, at least 1" in failed(
        run("classify", *scene.arguments, "-o", "m.tif", "--stride", 2), code=2
    )
    assert "--tile-size is 8" in failed(run("classify", *scene.arguments, "-o", "m.tif", "--tile-size", 8), code=2)
    assert not list(tmp_path.iterdir())


def test_no_model_anywhere(run: Run, scene: Scene) -> None:
    text = failed(run("classify", *scene.arguments, "-o", "map.tif"))
    assert "no model: there is no model.s2fin in" in text
    assert "$S2FIN_MODEL is not set" in text


def test_the_environment_names_the_model(run: Run, scene: Scene, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("S2FIN_MODEL", str(model))
    result = succeeded(run("classify", *scene.arguments, "-o", "map.tif", "--no-vector"))
    assert "named by $S2FIN_MODEL" in result.stderr
    Path("model.s2fin").write_bytes(b"damaged")
    assert "model.s2fin is not a model file" in failed(run("classify", *scene.arguments, "-o", "other.tif"))
    text = failed(run("classify", *scene.arguments, "-o", "other.tif", "-m", scene.lidar))
    assert "is not a model file but a raster (GTiff); give the model file that s2fin train wrote" in text
    succeeded(run("classify", *scene.arguments, "-o", "other.tif", "-m", model, "--no-vector"))


# ---- inputs that do not go together: exit code 1 ---------------------------------------------------------------------


def test_images_that_cannot_be_used(run: Run, scene: Scene, tmp_path: Path) -> None:
    image, heights = make_image(scene.truth), make_heights(scene.truth)
    text_file = tmp_path / "text.tif"
    text_file.write_text("no raster", encoding="utf-8")
    no_crs = write_raster(tmp_path / "no_crs.tif", heights, crs=None)
    far = write_raster(tmp_path / "far.tif", heights, transform=Affine.translation(90_000, 0) * TRANSFORM)
    rotated = write_raster(tmp_path / "rotated.tif", image, transform=TRANSFORM * Affine.rotation(10))
    empty = write_raster(tmp_path / "empty.tif", np.full(SHAPE, np.nan, np.float32))
    cases: list[tuple[Any, Any, str]] = [
        (scene.folder / "none.tif", scene.lidar, "none.tif does not exist"),
        (scene.hsi, scene.folder / "none.tif", "none.tif does not exist"),
        (text_file, scene.lidar, "is not a raster that GDAL can read"),
        (scene.labels, scene.lidar, "labels.gpkg"),
        (scene.hsi, tmp_path, "is a folder"),
        (scene.hsi, no_crs, f"no_crs.tif has no CRS but --hsi {scene.hsi} has {CRS_CODE}"),
        (scene.hsi, far, "does not overlap"),
        (rotated, scene.lidar, "rotated grid"),
        (scene.hsi, empty, "has no data where the image is"),
    ]
    for hsi, lidar, message in cases:
        result = run("train", "--hsi", hsi, "--lidar", lidar, "--labels", scene.labels, *QUICK)
        assert message in failed(result)
        assert not Path("model.s2fin").exists()


def write_labels(path: Path, geometries: list[Any], names: list[str]) -> Path:
    return write_vector(path, geometries, **{"class": names})


def square(col: float, row: float, side: float = 6) -> shapely.Polygon:
    """A square from a pixel on."""
    (left, top), (right, bottom) = TRANSFORM * (col, row), TRANSFORM * (col + side, row + side)
    return shapely.box(left, bottom, right, top)


def test_labels_that_cannot_be_used(run: Run, scene: Scene, tmp_path: Path) -> None:
    empty = tmp_path / "empty.gpkg"
    gpd.GeoDataFrame({"class": []}, geometry=[], crs=CRS_CODE).to_file(empty, driver="GPKG")
    outside = write_labels(tmp_path / "out.gpkg", [square(500, 0), square(520, 0)], ["a", "b"])
    single = write_labels(tmp_path / "single.gpkg", [square(0, 0), square(20, 0)], ["a", "a"])
    floats = write_raster(tmp_path / "floats.tif", (scene.truth + 0.25).astype(np.float32))
    cases: list[tuple[Path, list[object], str]] = [
        (tmp_path / "none.gpkg", [], "none.gpkg does not exist"),
        (empty, [], "holds no features"),
        (outside, [], "no labelled pixel is in the image"),
        (single, [], "all labels are of one class (a)"),
        (floats, [], "class numbers must be whole numbers"),
        (
            scene.labels,
            ["--label-field", "kind"],
            "has no field 'kind'; its fields are: class; name one with --label-field",
        ),
    ]
    for labels, more, message in cases:
        assert message in failed(run("train", *scene.arguments, "--labels", labels, *more, *QUICK))
        assert not Path("model.s2fin").exists()


def test_a_class_with_one_pixel_is_trained_on_with_a_warning(run: Run, scene: Scene, tmp_path: Path) -> None:
    point = square(30, 30, side=1)
    labels = write_labels(
        tmp_path / "l.gpkg", [square(0, 0, 7), square(20, 0), square(2, 42), point], ["a", "b", "b", "rare"]
    )
    result = succeeded(run("train", *scene.arguments, "--labels", labels, *QUICK, "--json"))
    assert "warning: class 'rare' has only 1 labelled pixel\n" in result.stderr
    assert "too few labels to validate these classes" in result.stderr
    assert json.loads(result.stdout)["training"]["labelled_pixels"]["rare"] == 1


def test_one_polygon_a_class_leaves_nothing_to_validate(run: Run, scene: Scene, tmp_path: Path) -> None:
    labels = write_labels(tmp_path / "l.gpkg", [square(0, 0, 7), square(20, 0, 7)], ["a", "b"])
    result = succeeded(run("train", *scene.arguments, "--labels", labels, *QUICK, "--json"))
    assert "no class has enough labels to hold some out" in result.stderr
    answer = json.loads(result.stdout)["training"]
    assert (answer["validation"], answer["validation_pixels"]) == (None, 0)
    assert answer["cross_validation"]["n"] == 98, "pixel by pixel, for want of other polygons"
    assert succeeded(run("inspect", "model.s2fin")).stdout.count("held out") == 1


def test_few_labels_are_not_held_out_and_the_figures_are_the_ensembles(run: Run, scene: Scene, tmp_path: Path) -> None:
    labels = write_labels(tmp_path / "l.gpkg", [square(0, 0, 4), square(44, 0, 4), square(20, 2)], ["a", "a", "b"])
    arguments = ("train", *scene.arguments, "--labels", labels, *QUICK, "--overwrite")
    result = succeeded(run(*arguments, "--json"))
    assert "too few labels to hold any out (fewer than 40 in the median class)" in result.stderr
    assert "accuracy of the ensemble that taught the network, by cross-validation on the labels:" in result.stderr
    assert "on the pixels held out" not in result.stderr
    assert "OA " in result.stderr
    answer = json.loads(result.stdout)["training"]
    assert (answer["validation"], answer["split"], answer["train_pixels"]) == (None, "none", 68)
    assert 0 <= answer["cross_validation"]["overall_accuracy"] <= 1
    assert succeeded(run(*arguments, "-q")).output == ""
    assert "too few labels to hold any out" not in succeeded(run(*arguments, "--validation", 0)).stderr, (
        "none were asked for"
    )


def test_labels_without_data_are_left_out(run: Run, scene: Scene, tmp_path: Path) -> None:
    image = make_image(scene.truth).astype(np.float32)
    image[0, 10, 5:9] = np.nan
    image[1, 11, 5] = np.inf
    image[2, 9, 5] = -9
    hsi = write_raster(tmp_path / "hsi.tif", image, nodata=-9)
    arguments = ("--hsi", hsi, "--lidar", scene.lidar, "--labels", scene.labels)
    result = succeeded(run("train", *arguments, *QUICK))
    assert "warning: 6 labelled pixels have no data in some image and are skipped" in result.stderr


def test_a_class_that_lies_in_nodata_is_left_out(run: Run, scene: Scene, tmp_path: Path) -> None:
    heights: NDArray[np.float32] = make_heights(scene.truth)
    heights[scene.truth == 3] = np.nan
    lidar = write_raster(tmp_path / "lidar.tif", heights)
    arguments = ("--hsi", scene.hsi, "--lidar", lidar, "--labels", scene.labels)
    result = succeeded(run("train", *arguments, *QUICK, "--json"))
    assert "classes without a labelled pixel that has data are skipped: water" in result.stderr
    assert [c["name"] for c in json.loads(result.stdout)["classes"]] == ["forest", "meadow"]


def test_labels_that_all_lie_in_nodata(run: Run, scene: Scene, tmp_path: Path) -> None:
    heights: NDArray[np.float32] = make_heights(scene.truth)
    labelled = np.zeros(SHAPE, bool)
    for row in range(3):
        for col in range(5):
            labelled[20 * row + 6 : 20 * row + 14, 14 * col + 3 : 14 * col + 11] = True
    heights[labelled] = np.nan
    lidar = write_raster(tmp_path / "lidar.tif", heights)
    text = failed(run("train", "--hsi", scene.hsi, "--lidar", lidar, "--labels", scene.labels, *QUICK))
    assert "no labelled pixel has data in all images" in text


# ---- project file ----------------------------------------------------------------------------------------------------


def test_the_project_file_gives_inputs_and_options(run: Run, scene: Scene, tmp_path: Path) -> None:
    Path("s2fin.toml").write_text(
        f'hsi = "{scene.hsi}"\nlidar = "{scene.lidar}"\ndevice = "cpu"\n\n'
        '[train]\npatch-size = 5\nepochs = 2\nbatch_size = 8\n\n[classify]\noutput = "map.tif"\nvector = false\n',
        encoding="utf-8",
    )
    result = succeeded(run("train", "--labels", scene.labels, "--epochs", 1, "--json"))
    training_answer = json.loads(result.stdout)["training"]
    assert (training_answer["batch_size"], training_answer["epochs"]) == (8, 1), "the command line comes first"
    succeeded(run("classify"))
    assert (tmp_path / "map.tif").is_file()
    assert not (tmp_path / "map.gpkg").exists()


def test_mistakes_in_the_project_file(run: Run, scene: Scene) -> None:
    project = Path("s2fin.toml")
    for content, message in [
        ("[train]\nepoch = 3\n", "unknown key 'epoch'; did you mean 'epochs'?"),
        ("hsi =", "is not valid TOML"),
        ("[train]\nepochs = 'many'\n", "epochs is 'many'; it must be a whole number"),
        ("[train]\npatch_size = 4\n", "--patch-size is 4"),
    ]:
        project.write_text(content, encoding="utf-8")
        assert message in failed(run("train", *scene.arguments, "--labels", scene.labels), code=2)
    project.unlink()
    assert "none.toml does not exist (looked in" in failed(run("--config", "none.toml", "inspect", scene.hsi), code=2)


# ---- the command line and the Python API are one ---------------------------------------------------------------------


@pytest.mark.parametrize(("name", "options"), [("train", TrainOptions), ("classify", ClassifyOptions)])
def test_defaults_are_the_same(name: str, options: Any) -> None:
    needed: dict[str, dict[str, Any]] = {"train": {"labels": ("x",)}, "classify": {"output": "x"}}
    required = needed[name]
    arguments = ["--hsi", "x", *(part for key in required for part in (f"--{key}", "x"))]
    given = cli.commands[name].make_context(name, arguments).params
    nothing = dict.fromkeys(list(MODALITIES)[1:], ())  # an option that may come several times and did not
    own = {key: value for key, value in given.items() if key not in ("as_json", "quiet", "verbose")}
    assert own == {**vars(options(hsi=("x",), **required)), **nothing}


def test_python_and_command_line_give_the_same_map(run: Run, scene: Scene, model: Path, tmp_path: Path) -> None:
    stages: list[str] = []

    def listen(stage: str, done: int, total: int, **figures: float) -> None:
        stages.append(stage)

    result = s2fin_cli.classify(
        hsi=scene.hsi, lidar=str(scene.lidar), model=model, output=tmp_path / "api.tif", progress=listen
    )
    succeeded(run("classify", *scene.arguments, "-m", model, "-o", "cli.tif"))
    assert np.array_equal(read_raster(result.outputs.map), read_raster(tmp_path / "cli.tif"))
    assert (tmp_path / "api.tif").read_bytes() == (tmp_path / "cli.tif").read_bytes()
    assert set(stages) == {"classifying", "polygons"}


@pytest.mark.slow
def test_python_and_command_line_give_the_same_model(in_folder: Path, scene: Scene) -> None:
    labels = write_labels(in_folder / "l.gpkg", [square(0, 0, 2), square(20, 2, 2)], ["a", "b"])
    s2fin_cli.train(
        **scene.images, labels=labels, output=in_folder / "api.s2fin", patch_size=5, epochs=1, batch_size=8,
        device="cpu", refit=False,
    )  # fmt: skip
    arguments = ["train", *scene.arguments, "--labels", labels, *QUICK]
    succeeded(CliRunner().invoke(cli, [str(argument) for argument in arguments]))  # with the recipe of users
    assert Path("api.s2fin").read_bytes() == Path("model.s2fin").read_bytes()


def test_mistakes_in_python_are_named(scene: Scene) -> None:
    from s2fin_cli.core.errors import S2finError, UsageError

    cases: list[tuple[Callable[..., object], dict[str, Any], str]] = [
        (s2fin_cli.train, {"epoch": 3}, "unknown option 'epoch'; did you mean 'epochs'"),
        (s2fin_cli.classify, {"tilesize": 64}, "did you mean 'tile_size'"),
        (s2fin_cli.classify, {"zzz": 1}, "known are: hsi, msi"),
        (s2fin_cli.train, {"hsi": "a.tif"}, "`labels` is missing"),
        (s2fin_cli.train, {"labels": "a.shp"}, "no passive image"),
        (s2fin_cli.train, {"hsi": "a.tif", "labels": "a.shp", "epochs": "3"}, "`epochs` is '3'"),
    ]
    for call, options, message in cases:
        with pytest.raises(UsageError, match=message):
            call(**options)
    with pytest.raises(S2finError, match="does not exist"):
        s2fin_cli.train(hsi=scene.folder / "none.tif", labels=scene.labels, output=scene.folder / "m.s2fin")


@pytest.mark.parametrize("output", [".", ""])
def test_a_map_without_a_name(run: Run, scene: Scene, model: Path, output: str) -> None:
    assert "rasters are GeoTIFFs" in failed(run("classify", *scene.arguments, "-m", model, "-o", output), code=2)
