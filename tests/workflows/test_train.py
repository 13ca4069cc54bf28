"""Training from files to a model file: what is kept, requests to end, chance, and what a caller may exchange."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from s2fin_cli.core.errors import S2finError
from s2fin_cli.core.progress import Stop, Stopped
from s2fin_cli.model.file import read_info, read_model
from s2fin_cli.teaching.ensemble import EnsembleTeacher
from s2fin_cli.training.learning import FIRST_RUN, ON_ALL_LABELS
from s2fin_cli.training.targets import make_lesson
from s2fin_cli.workflows.options.train import TrainOptions
from s2fin_cli.workflows.train import TrainResult, prepare, run
from tests.recipes import QUICK, SMALL_ENSEMBLE, TINY_NETWORK
from tests.scenes import Scene, tiny_options
from tests.stops import AtCheck
from tests.teachers import Undecided, Watched


def quick_train(options: TrainOptions, **changes: Any) -> TrainResult:
    """Train a tiny network in hardly any steps."""
    return run(options, **{"recipe": QUICK, "network": TINY_NETWORK, **changes})


@pytest.mark.parametrize(
    ("network", "message"),
    [({"afcm": False}, r"diverged.*`learning_rate`"), ({}, r"diverged.*absurd values")],
    ids=["all", "AFCM"],
)
def test_a_run_that_diverges_is_no_model(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, network: dict[str, Any], message: str
) -> None:
    monkeypatch.setattr(
        "torch.nn.functional.cross_entropy", lambda logits, *_, **__: logits.sum() * torch.tensor(torch.nan)
    )
    with pytest.raises(S2finError, match=message):
        quick_train(tiny_options(scene, tmp_path / "model.s2fin"), network={**TINY_NETWORK, **network})
    assert list(tmp_path.iterdir()) == []


# ---- requests to end -------------------------------------------------------------------------------------------------


def stopped_at(stage: str, scene: Scene, folder: Path, *, done: int = 0, **options: Any) -> TrainResult:
    """The result of training that is asked to end at a step of a stage."""
    stop, asked_at = Stop(), (stage, done)

    def ask(stage: str, done: int, total: int, **figures: float) -> None:
        if (stage, done) == asked_at:
            stop.set()

    given = tiny_options(scene, folder / "model.s2fin", **{"epochs": 1, "refit": True, **options})
    return quick_train(given, teacher=Undecided(), progress=ask, stop=stop)


@pytest.mark.parametrize("number", range(1, 6))
def test_a_request_is_honoured_between_the_steps_of_reading_images_and_labels(
    scene: Scene, tmp_path: Path, number: int
) -> None:
    stop, stages = AtCheck(number), []

    def listen(stage: str, done: int, total: int, **figures: float) -> None:
        stages.append(stage)

    with pytest.raises(Stopped):
        quick_train(tiny_options(scene, tmp_path / "model.s2fin"), progress=listen, stop=stop)
    assert stop.checks == number
    assert not stages, "training has not begun"
    assert not list(tmp_path.iterdir())


def test_the_ensemble_ends_with_its_job(scene: Scene, tmp_path: Path) -> None:
    stop = Stop()
    job = prepare(tiny_options(scene, tmp_path / "model.s2fin"), network=TINY_NETWORK, recipe=QUICK, stop=stop)
    lesson = make_lesson(job, job.labels, np.arange(len(job.labels)), dense=False)
    stop.set()
    with pytest.raises(Stopped):
        job.teacher.examine(lesson)


def test_a_request_before_there_is_a_model_leaves_nothing(scene: Scene, tmp_path: Path) -> None:
    for done in range(4):
        with pytest.raises(Stopped):
            stopped_at("ensemble", scene, tmp_path, done=done)
    assert not list(tmp_path.iterdir())


def test_an_interrupt_leaves_nothing(scene: Scene, tmp_path: Path) -> None:
    """Without a stop token, Python's own way to end applies."""

    def interrupt(stage: str, done: int, total: int, **figures: float) -> None:
        if (stage, done) == (FIRST_RUN, 2):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        quick_train(tiny_options(scene, tmp_path / "model.s2fin"), progress=interrupt)
    assert not list(tmp_path.iterdir())


def test_a_request_in_the_validation_keeps_the_model_unvalidated(scene: Scene, tmp_path: Path) -> None:
    result = stopped_at("validating", scene, tmp_path)
    assert (result.outcome.interrupted, result.accuracy) == (True, None)
    training = read_info(result.model).training
    assert (training["interrupted"], training["refitted"], training["validation"]) == (True, False, None)


def test_a_request_in_the_last_run_keeps_the_validated_model(scene: Scene, tmp_path: Path) -> None:
    result = stopped_at(ON_ALL_LABELS, scene, tmp_path)
    assert result.outcome.interrupted
    training = read_info(result.model).training
    assert (training["interrupted"], training["refitted"]) == (True, False)
    assert training["validation"] is not None
    assert read_model(result.model)[0].training is False


def test_a_request_after_a_round_of_the_first_run_keeps_what_it_gave(scene: Scene, tmp_path: Path) -> None:
    result = stopped_at(FIRST_RUN, scene, tmp_path, done=1, epochs=4)
    assert (result.outcome.interrupted, result.outcome.epochs) == (True, 1)
    training = read_info(result.model).training
    assert (training["epochs"], training["interrupted"], training["refitted"]) == (1, True, False)


def test_the_kept_model_is_trained_on_all_labels(scene: Scene, tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("first", "refitted", "interrupted")]
    for folder in folders:
        folder.mkdir()
    plain, full = (
        quick_train(tiny_options(scene, folder / "model.s2fin", epochs=1, refit=refit), teacher=Undecided())
        for folder, refit in zip(folders, (False, True), strict=False)
    )
    stopped = stopped_at(ON_ALL_LABELS, scene, folders[2], done=1)
    results = plain, full, stopped
    assert [result.info.training["refitted"] for result in results] == [False, True, False]
    assert [result.info.training["refit_epochs"] for result in results] == [None, 1, None]
    sketches = [result.info.training["label_sketch"]["pixels"] for result in results]
    assert sketches[0] == sketches[2] == plain.info.training["train_pixels"]
    assert sketches[1] == sum(full.info.training["labelled_pixels"].values()) > sketches[0]
    assert [result.outcome.interrupted for result in results] == [False, False, True]
    figures = [result.info.training["validation"] for result in results]
    assert figures[0] == figures[1] == figures[2], "the figures are those of the pixels held out before"
    weights = [read_model(result.model)[0].state_dict() for result in results]
    assert all(torch.equal(weights[0][name], weights[2][name]) for name in weights[0])
    assert any(not torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


# ---- chance ----------------------------------------------------------------------------------------------------------


def test_training_leaves_the_callers_random_numbers_alone(scene: Scene, tmp_path: Path) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    quick_train(tiny_options(scene, tmp_path / "model.s2fin", epochs=1))
    assert torch.equal(torch.rand(3), expected)


def test_the_seed_decides_every_byte_of_the_model(scene: Scene, tmp_path: Path) -> None:
    first, again, other, largest = (
        quick_train(tiny_options(scene, tmp_path / f"{name}.s2fin", epochs=1, refit=refit, seed=seed)).model
        for name, seed, refit in (
            ("first", 3, True),
            ("again", 3, True),
            ("other", 4, False),
            ("largest", 2**63 - 1, False),
        )
    )
    assert first.read_bytes() == again.read_bytes()
    weights = [read_model(path)[0].state_dict() for path in (first, other, largest)]
    for others in weights[1:]:
        assert any(not torch.equal(value, others[name]) for name, value in weights[0].items())


# ---- what a caller may exchange --------------------------------------------------------------------------------------


@pytest.mark.parametrize("alone", [False, True], ids=["two images", "one image"])
def test_the_model_reports_how_much_the_second_image_was_used(scene: Scene, tmp_path: Path, *, alone: bool) -> None:
    images: dict[str, Any] = {"lidar": None} if alone else {}
    teacher = Watched(EnsembleTeacher(SMALL_ENSEMBLE))
    options = tiny_options(scene, tmp_path / "m.s2fin", epochs=1, **images)
    use = quick_train(options, teacher=teacher).info.training["use_of_second_image"]
    (answers,) = teacher.answers
    if alone:
        assert use is None
        assert answers.use_of_second is None
    else:
        assert use == pytest.approx(answers.use_of_second, abs=6e-4)
        assert 0 < use < 1


def test_a_teacher_and_a_network_of_the_callers_own(scene: Scene, tmp_path: Path) -> None:
    teacher = Watched(Undecided())
    options = tiny_options(scene, tmp_path / "model.s2fin", epochs=1)
    result = quick_train(options, teacher=teacher, network={**TINY_NETWORK, "hfrm": False, "components": 2})
    assert len(teacher.lessons) == 1
    assert np.ptp(teacher.answers[0].probs) == 0
    assert result.info.training["cross_validation"]["overall_accuracy"] == (teacher.lessons[0].targets == 0).mean()
    architecture = result.info.architecture
    assert (architecture["hfrm"], architecture["components"], architecture["width"]) == (False, 2, 8)
    assert read_model(result.model)[0].cfg.to_dict() == architecture
