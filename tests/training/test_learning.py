"""What the teacher and the network learn from, from a part of the labels and from all of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from s2fin_cli.core.progress import Stop, Stopped, stoppable
from s2fin_cli.inference.engine import Engine
from s2fin_cli.inference.pixels import predict_pixels
from s2fin_cli.labels.distances import nearest_label
from s2fin_cli.stack.cells import CELL_SIZE
from s2fin_cli.teaching.ensemble import EnsembleTeacher, ask_members
from s2fin_cli.teaching.features import positions
from s2fin_cli.teaching.members import choose_members
from s2fin_cli.teaching.propagation import average_similar, guide_of, propagate
from s2fin_cli.teaching.teacher import Lesson, Questions
from s2fin_cli.training.job import Job
from s2fin_cli.training.learning import FIRST_RUN, ON_ALL_LABELS, learn_scene
from s2fin_cli.training.recipe import Dense, Recipe, Sampling
from tests.recipes import QUICK, SMALL_ENSEMBLE
from tests.scenes import SHAPE, Scene
from tests.teachers import Undecided, Watched
from tests.training.jobs import labelled_numbers, make_job, numbers_of, with_numbers


@pytest.fixture(scope="module")
def numbered(scene: Scene, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return with_numbers(scene, tmp_path_factory.mktemp("numbered"))


def watched() -> Watched:
    return Watched(EnsembleTeacher(SMALL_ENSEMBLE))


def rounds_of(job: Job) -> tuple[Job, dict[str, int]]:
    """The job, and how many rounds each of its stages has, once it has run."""
    totals: dict[str, int] = {}

    def listen(stage: str, done: int, total: int, **figures: float) -> None:
        totals[stage] = total

    return replace(job, progress=listen), totals


def test_the_network_is_taught_by_labels_and_elsewhere_by_the_teacher(numbered: Scene, tmp_path: Path) -> None:
    job = make_job(numbered, tmp_path, refit=True)
    first, second = learn_scene(job)
    assert second is not None
    truth = numbered.truth.ravel() - 1
    held_out = job.labels.select(job.split.validation)
    numbers_held_out = held_out.rows * SHAPE[1] + held_out.cols
    scores = predict_pixels(Engine(first.network, torch.device("cpu")), job.scene.stack, held_out.rows, held_out.cols)
    assert first.accuracy is not None
    assert first.accuracy.overall_accuracy == (scores.argmax(axis=1) == truth[numbers_held_out]).mean()
    assert second.accuracy is None
    learnt_from = labelled_numbers() - set(numbers_held_out.tolist())
    for learnt, expected in ((first, learnt_from), (second, labelled_numbers())):
        samples, numbers = learnt.taught.train_set, numbers_of(job, learnt.taught.train_set)
        labelled = samples.labels >= 0
        assert sorted(numbers) == list(range(truth.size)), "the scene is small enough to take each pixel, once"
        assert set(numbers[labelled]) == expected
        assert np.array_equal(samples.labels[labelled], truth[numbers[labelled]])
        assert samples.targets.sum(axis=1) == pytest.approx(np.ones(truth.size), abs=1e-5)
        share = Recipe.label_smoothing
        smoothed = np.eye(3)[samples.labels[labelled]] * (1 - share) + share / 3
        assert samples.targets[labelled] == pytest.approx(smoothed, abs=1e-6)
        assert (samples.targets.argmax(axis=1) == truth[numbers]).mean() > 0.9, "the teacher knows the easy scene"
    assert first.pixels == (240 - len(held_out), len(held_out))
    assert second.pixels == (240, 0)


def test_all_labels_are_learnt_by_resuming_from_what_a_part_of_them_taught(scene: Scene, tmp_path: Path) -> None:
    """In fewer rounds; and the teacher is what it was found to be. Steps so small that nothing more is learnt."""
    teacher = watched()
    job, totals = rounds_of(make_job(scene, tmp_path, refit=True, teacher=teacher, learning_rate=1e-9))
    first, second = learn_scene(job)
    assert second is not None
    assert (totals[FIRST_RUN], totals[ON_ALL_LABELS]) == (4, 2)
    assert (len(teacher.examined), len(teacher.lessons)) == (1, 2)
    assert second.taught.examination is first.taught.examination
    assert second.taught.accuracy is None
    for (name, own), other in zip(first.network.named_parameters(), second.network.parameters(), strict=True):
        if "classify" not in name:  # whose logits have another temperature
            torch.testing.assert_close(other, own, rtol=0, atol=1e-6)


def test_a_network_of_another_kind_starts_afresh(scene: Scene, tmp_path: Path) -> None:
    """As where all labels are dense, and a part of them is not."""
    job = make_job(scene, tmp_path)
    medians = []
    for part in (job.split.train, np.arange(len(job.labels))):
        labels = job.labels.select(part)
        away = nearest_label(positions(labels.rows, labels.cols), positions(job.scene.rows, job.scene.cols))
        medians.append(float(np.median(away)))
    assert medians[0] > medians[1]
    recipe, teacher = replace(QUICK, dense=Dense(within=sum(medians) / 2)), watched()
    job, totals = rounds_of(make_job(scene, tmp_path, refit=True, recipe=recipe, teacher=teacher, learning_rate=1e-9))
    first, second = learn_scene(job)
    assert second is not None
    assert [lesson.dense for lesson in teacher.examined] == [False, True]
    assert (first.network.cfg.block_size, second.network.cfg.block_size) == (5, 3)
    assert totals[FIRST_RUN] == totals[ON_ALL_LABELS] == 4
    afcms = [afcm for learnt in (first, second) if (afcm := learnt.network.map_stem.afcm) is not None]
    own, other = (next(afcm.fuse.parameters()) for afcm in afcms)
    assert not torch.allclose(own, other, rtol=0, atol=1e-4), "AFCM was taught alone once more"
    assert second.taught.accuracy is not None


@pytest.mark.parametrize("dense", [True, False])
def test_whole_cells_are_taught_what_neighbours_agree_on(numbered: Scene, tmp_path: Path, *, dense: bool) -> None:
    """Between dense labels answers spread from pixel to pixel, elsewhere those of similar pixels are averaged."""
    sampling, teacher = Sampling(scene_cells=20, scene_pixels=20 * 5), watched()
    recipe = replace(QUICK, dense=Dense(within=20.0 if dense else 1.0), sampling=sampling)
    job = make_job(numbered, tmp_path, recipe=recipe, teacher=teacher, validation=0)
    learnt, _ = learn_scene(job)
    samples, numbers = learnt.taught.train_set, numbers_of(job, learnt.taught.train_set)
    (lesson,), (questions,) = teacher.lessons, teacher.questions
    assert samples.dense == lesson.dense == dense
    assert lesson.buffer == (0 if dense else 15)
    assert learnt.network.cfg.block_size == (3 if dense else 5)
    cells = numbers // SHAPE[1] // CELL_SIZE * 9 + numbers % SHAPE[1] // CELL_SIZE
    rows, cols = np.indices(SHAPE) // CELL_SIZE
    assert sorted(numbers) == np.flatnonzero(np.isin(rows * 9 + cols, cells)).tolist(), "whole cells, each pixel once"
    assert labelled_numbers() <= set(numbers.tolist())
    assert 0 < len(set(cells) - set(cells[samples.labels >= 0])) <= 20
    asked = questions.features
    assert np.array_equal(asked["position"], np.stack(np.divmod(numbers, SHAPE[1]), axis=1))
    members = choose_members(lesson.features, dense=dense)
    alone = ask_members(members, lesson, asked, trust=learnt.taught.examination, recipe=SMALL_ENSEMBLE).probs
    guide = guide_of(asked["components"], asked["aux"])
    expected = (
        propagate(alone, samples.labels, guide, asked["position"])
        if dense
        else average_similar(alone, guide, samples.cells.places)
    )
    unlabelled = samples.labels < 0
    assert samples.targets[unlabelled] == pytest.approx(expected[unlabelled], abs=1e-6)
    assert np.abs(expected - alone).max() > 0.01
    truth = numbered.truth.ravel()[numbers] - 1
    assert (samples.targets.argmax(axis=1) == truth).mean() > 0.9


def test_the_figures_count_the_pixels_that_are_left_by_the_limit(scene: Scene, tmp_path: Path) -> None:
    learnt, _ = learn_scene(make_job(scene, tmp_path, labels_per_class=10))
    labels = learnt.taught.train_set.labels
    assert np.bincount(labels[labels >= 0]).tolist() == [10] * 3
    assert learnt.accuracy is not None
    assert learnt.accuracy.matrix.sum(axis=1).tolist() == [10] * 3
    assert learnt.pixels == (30, 30)


# ---- requests to end -------------------------------------------------------------------------------------------------


class StopsIn:
    """A teacher during whose work the user asks training to end, when it teaches or is examined that time.

    Args:
        stop: what is set.
        step: "examine" or "teach".
        time: which time, from 1.
    """

    def __init__(self, stop: Stop, step: str, time: int) -> None:
        self.stop, self.step, self.left, self.teacher = stop, step, time, Undecided()

    def _count(self, step: str) -> None:
        self.left -= step == self.step
        if step == self.step and self.left == 0:
            self.stop.set()

    def examine(self, lesson: Lesson) -> Any:
        self._count("examine")
        return self.teacher.examine(lesson)

    def teach(self, lesson: Lesson, questions: Questions, examination: Any) -> Any:
        self._count("teach")
        return self.teacher.teach(lesson, questions, examination)


def stopping(job: Job, teacher: StopsIn) -> Job:
    stop = teacher.stop
    return replace(job, teacher=teacher, stop=stop, progress=stoppable(job.progress, stop))


@pytest.mark.parametrize("step", ["examine", "teach"])
def test_a_request_before_there_is_a_network_leaves_nothing(scene: Scene, tmp_path: Path, step: str) -> None:
    stop = Stop()
    with pytest.raises(Stopped):
        learn_scene(stopping(make_job(scene, tmp_path, refit=True), StopsIn(stop, step, 1)))
    assert not stop.has_result


def test_a_request_in_the_second_run_keeps_the_first_one(scene: Scene, tmp_path: Path) -> None:
    job = make_job(scene, tmp_path, epochs=1, refit=True)
    first, second = learn_scene(stopping(job, StopsIn(Stop(), "teach", 2)))
    assert second is None
    assert first.outcome.interrupted
    assert first.accuracy is not None
    assert first.network.training is False


@pytest.mark.parametrize("stage", ["ensemble", "validating", ON_ALL_LABELS])
def test_a_request_at_any_stage_is_honoured(scene: Scene, tmp_path: Path, stage: str) -> None:
    """While it validates, the network is kept unvalidated; later, as it was validated."""
    stop = Stop()

    asked_at = stage

    def ask(stage: str, done: int, total: int, **figures: float) -> None:
        if stage == asked_at:
            stop.set()

    job = replace(make_job(scene, tmp_path, epochs=1, refit=True), stop=stop, progress=stoppable(ask, stop))
    if stage == "ensemble":
        with pytest.raises(Stopped):
            learn_scene(job)
        return
    first, second = learn_scene(job)
    assert first.outcome.interrupted
    assert second is None
    assert (first.accuracy is None) == (stage == "validating")


def test_a_request_in_the_first_run_ends_all_training(scene: Scene, tmp_path: Path) -> None:
    stop, stages = Stop(), set()

    def ask(stage: str, done: int, total: int, **figures: float) -> None:
        stages.add(stage)
        if stage == FIRST_RUN and done == 1:
            stop.set()

    job = replace(make_job(scene, tmp_path, refit=True), stop=stop, progress=stoppable(ask, stop))
    first, second = learn_scene(job)
    assert (first.outcome.interrupted, first.outcome.epochs) == (True, 1)
    assert second is None
    assert ON_ALL_LABELS not in stages
