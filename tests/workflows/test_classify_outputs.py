"""Outputs of a classification that must not or cannot be written, and what is left when one fails."""

from __future__ import annotations

import filecmp
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import s2fin_cli
from s2fin_cli.core.errors import OutputError, S2finError, UsageError
from s2fin_cli.core.progress import Stop, Stopped
from s2fin_cli.workflows.classify import ClassifyResult, carry_out
from s2fin_cli.workflows.classify_job import ClassifyJob, prepare
from s2fin_cli.workflows.options.classify import ClassifyOptions
from s2fin_cli.workflows.train import run as train
from tests.files import TRANSFORM
from tests.maps import check_polygons, run_classify
from tests.predictors import WatchedPredictor
from tests.recipes import QUICK, TINY_NETWORK
from tests.scenes import Scene, tiny_options
from tests.stops import AtCheck


def test_an_output_that_is_there_is_refused_and_left_alone(scene: Scene, model: Path, tmp_path: Path) -> None:
    for name in ("map.tif", "map.gpkg", "p.tif"):
        old = tmp_path / name
        old.write_bytes(b"old")
        with pytest.raises(OutputError, match="already exists"):
            run_classify(scene, model, tmp_path / "map.tif", probabilities=tmp_path / "p.tif")
        assert old.read_bytes() == b"old"
        assert list(tmp_path.iterdir()) == [old]
        old.unlink()


def test_files_that_an_earlier_map_left_are_warned_of(
    scene: Scene, model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run_classify(scene, model, tmp_path / "map.tif", stac=True)
    caplog.clear()
    run_classify(scene, model, tmp_path / "map.tif", overwrite=True, vector=False)
    for name in ("map.gpkg", "map.json"):
        assert f"{tmp_path / name} was left by an earlier map and does not belong to the new one" in caplog.text
        assert (tmp_path / name).exists()


def test_options_that_rasters_cannot_have_are_refused_at_once(scene: Scene, model: Path, tmp_path: Path) -> None:
    for options, message in (
        ({"co": ["COMPRESS=JPEG"]}, "is lossy: classes would change"),
        ({"co": ["NBITS=4"], "confidence": tmp_path / "c.tif"}, "does not accept for 1 band of float32"),
    ):
        with pytest.raises(UsageError, match=message):
            run_classify(scene, model, tmp_path / "map.tif", **options)
    assert not list(tmp_path.iterdir())
    # the confidence that the polygons need is no output, and is written otherwise
    run_classify(scene, model, tmp_path / "map.tif", co=["NBITS=4"], format="COG")


def test_overwrite_replaces(scene: Scene, model: Path, tmp_path: Path, result: ClassifyResult) -> None:
    (tmp_path / "map.tif").write_bytes(b"old")
    (tmp_path / "map.gpkg").write_bytes(b"old")
    again = run_classify(scene, model, tmp_path / "map.tif", overwrite=True)
    assert filecmp.cmp(again.outputs.map, result.outputs.map, shallow=False)
    check_polygons(again.outputs, TRANSFORM)


def test_an_output_that_is_an_input_is_refused(scene: Scene, model: Path, tmp_path: Path) -> None:
    before = scene.hsi.read_bytes()
    for changes in (
        {"output": scene.hsi},
        {"output": scene.folder / ".." / scene.folder.name / "lidar.tif"},
        {"confidence": scene.hsi},
        {"probabilities": scene.lidar},
    ):
        with pytest.raises(UsageError, match="is an input, which would be lost"):
            run_classify(scene, model, tmp_path / "map.tif", overwrite=True, **changes)
    assert scene.hsi.read_bytes() == before
    assert not list(tmp_path.iterdir())


def test_training_over_an_input_is_refused(scene: Scene) -> None:
    before = scene.labels.read_bytes()
    with pytest.raises(UsageError, match="is an input, which would be lost"):
        train(tiny_options(scene, scene.labels, overwrite=True))
    assert scene.labels.read_bytes() == before


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"output": "map.png"}, "name that ends in .tif"),
        ({"output": "map"}, "name that ends in .tif"),
        ({"confidence": "conf.gpkg"}, "name that ends in .tif"),
        ({"output": "none/map.tif"}, "folder .* does not exist"),
        ({"confidence": "map.tif"}, "same name"),
        ({"model": "none.s2fin"}, "there is no model file"),
    ],
)
def test_wrong_outputs(scene: Scene, model: Path, in_folder: Path, changes: dict[str, str], message: str) -> None:
    with pytest.raises(S2finError, match=message):
        run_classify(scene, model, Path("map.tif"), **changes)
    assert not list(in_folder.iterdir())


class Fault:
    """Raises an error at the second tile, when the first one is on its way to the disk."""

    def __init__(self, error: BaseException, folder: Path) -> None:
        self.error, self.folder, self.calls = error, folder, 0

    def __call__(self, number: int) -> None:
        self.calls += 1
        if number == 1:
            assert any(self.folder.iterdir())
            raise self.error


def prepared(scene: Scene, model: Path, output: Path, /, **changes: Any) -> ClassifyJob:
    how = {"device": "cpu", "tile_size": 16, "stride": 1, **changes}
    return prepare(ClassifyOptions.from_kwargs({**scene.images, "model": model, "output": output, **how}))


@pytest.mark.parametrize("error", [RuntimeError("defect"), KeyboardInterrupt(), MemoryError()])
def test_a_failure_midway_leaves_nothing(scene: Scene, model: Path, tmp_path: Path, error: BaseException) -> None:
    job = prepared(scene, model, tmp_path / "map.tif", probabilities=tmp_path / "p.tif")
    fault = Fault(error, tmp_path)
    with pytest.raises(type(error)):
        carry_out(replace(job, predictor=WatchedPredictor(job.predictor, fault)))
    assert fault.calls == 2
    assert not list(tmp_path.iterdir())


def test_a_failure_midway_leaves_old_outputs_as_they_were(scene: Scene, model: Path, tmp_path: Path) -> None:
    (tmp_path / "map.tif").write_bytes(b"old")
    job = prepared(scene, model, tmp_path / "map.tif", overwrite=True)
    fault = Fault(RuntimeError("defect"), tmp_path)
    with pytest.raises(RuntimeError, match="defect"):
        carry_out(replace(job, predictor=WatchedPredictor(job.predictor, fault)))
    assert [path.name for path in tmp_path.iterdir()] == ["map.tif"]
    assert (tmp_path / "map.tif").read_bytes() == b"old"


def test_a_classification_that_is_asked_to_end_leaves_nothing(scene: Scene, model: Path, tmp_path: Path) -> None:
    stop = Stop()
    steps: list[int] = []

    def progress(stage: str, done: int, total: int, **figures: float) -> None:
        steps.append(done)
        if done == 2:
            stop.set()

    options = {**scene.images, "model": model, "output": tmp_path / "map.tif", "tile_size": 16, "stride": 1}
    with pytest.raises(Stopped, match="no incomplete file was left"):
        s2fin_cli.classify(**options, device="cpu", progress=progress, stop=stop)
    assert steps == [0, 1, 2]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_request_is_honoured_between_the_steps_of_opening(
    scene: Scene, model: Path, tmp_path: Path, number: int
) -> None:
    stop, stages = AtCheck(number), []

    def listen(stage: str, done: int, total: int, **figures: float) -> None:
        stages.append(stage)

    options = {**scene.images, "model": model, "output": tmp_path / "map.tif", "device": "cpu"}
    with pytest.raises(Stopped):
        s2fin_cli.classify(**options, progress=listen, stop=stop)
    assert (stop.checks, stages) == (number, [])
    assert not list(tmp_path.iterdir())


def test_training_that_fails_leaves_nothing(scene: Scene, tmp_path: Path) -> None:
    def fail(stage: str, done: int, total: int, **figures: float) -> None:
        if (stage, done) == ("training", 1):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        train(tiny_options(scene, tmp_path / "m.s2fin"), recipe=QUICK, network=TINY_NETWORK, progress=fail)
    assert not list(tmp_path.iterdir())
