"""Which pixels the teacher and the network are given, and how much memory they take."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from s2fin_cli.stack.cells import CELL_SIZE
from s2fin_cli.teaching.ensemble import EnsembleTeacher
from s2fin_cli.teaching.teacher import Answers, Lesson, Questions
from s2fin_cli.training.architecture import make_network
from s2fin_cli.training.job import Job
from s2fin_cli.training.memory import cell_bytes
from s2fin_cli.training.recipe import Recipe, Sampling
from s2fin_cli.training.targets import Taught, ask_teacher
from tests.files import write_raster
from tests.recipes import QUICK, SMALL_ENSEMBLE
from tests.scenes import SHAPE, Scene, make_heights, make_image
from tests.teachers import Undecided, Watched
from tests.training.jobs import labelled_numbers, make_job, numbers_of, with_numbers


@pytest.fixture(scope="module")
def numbered(scene: Scene, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return with_numbers(scene, tmp_path_factory.mktemp("numbered"))


def taught_by(job: Job) -> Taught:
    """What the teacher gives for all labels, which are not dense."""
    network = make_network(job.config, job.scene, seed=0)
    return ask_teacher(job, network, job.labels, dense=False, before=None)


def sampled(**changes: Any) -> Recipe:
    return replace(QUICK, sampling=Sampling(**changes))


@pytest.mark.parametrize(("split", "buffer"), [("random", 0), ("polygons", 15), ("auto", 15)])
def test_random_pixels_are_cross_validated_without_a_buffer(
    scene: Scene, tmp_path: Path, split: str, buffer: int
) -> None:
    teacher = Watched(Undecided())
    taught_by(make_job(scene, tmp_path, teacher=teacher, split=split))
    assert [lesson.buffer for lesson in teacher.examined] == [buffer]


def test_the_teacher_learns_from_whole_polygons_and_not_too_many_pixels(numbered: Scene, tmp_path: Path) -> None:
    teacher = Watched(EnsembleTeacher(SMALL_ENSEMBLE))
    job = make_job(numbered, tmp_path, teacher=teacher, recipe=sampled(teacher_labels=30))
    taught = taught_by(job)
    (lesson,) = teacher.examined
    assert np.bincount(lesson.targets).tolist() == [30] * 3
    hsi = job.scene.statistics
    numbers = np.rint(lesson.features["bands"][:, 5] * hsi.std[5] + hsi.mean[5]).astype(int)
    assert set(numbers) <= labelled_numbers()
    assert np.array_equal(lesson.targets, numbered.truth.ravel()[numbers] - 1), "features and classes are in step"
    polygon = numbers // SHAPE[1] // 20 * 5 + numbers % SHAPE[1] // 14
    assert len(set(zip(lesson.units, polygon, strict=True))) == len(set(lesson.units)) == len(set(polygon)) == 15
    assert taught.accuracy is not None
    assert taught.accuracy.n == 90
    right = taught.examination.cross_validated.argmax(axis=1) == lesson.targets
    assert taught.accuracy.overall_accuracy == right.mean()


def test_a_teacher_that_is_known_is_not_examined_again(scene: Scene, tmp_path: Path) -> None:
    """Unless labels were dense then and are not now, or the other way round."""
    teacher = Watched(Undecided())
    job = make_job(scene, tmp_path, teacher=teacher)
    network, first = make_network(job.config, job.scene, seed=0), taught_by(job)
    again = ask_teacher(job, network, job.labels, dense=False, before=first)
    assert (len(teacher.examined), again.accuracy) == (1, None)
    assert again.examination is first.examination
    ask_teacher(job, network, job.labels, dense=True, before=first)
    assert [lesson.dense for lesson in teacher.examined] == [False, True]


class Silent(Undecided):
    """A teacher that answers for every third pixel only."""

    def teach(self, lesson: Lesson, questions: Questions, examination: Any) -> Answers:
        answers = super().teach(lesson, questions, examination)
        probs = np.where(np.arange(len(answers.probs))[:, None] % 3 == 0, answers.probs, np.nan)
        return replace(answers, probs=probs.astype(np.float32), use_of_second=0.25, nearly_right=True)


def test_pixels_that_the_teacher_leaves_out_are_learnt_if_they_have_a_label(numbered: Scene, tmp_path: Path) -> None:
    job = make_job(numbered, tmp_path, teacher=Watched(Silent()))
    taught = taught_by(job)
    samples = taught.train_set
    numbers, labelled = numbers_of(job, samples), samples.labels >= 0
    assert set(numbers[labelled]) == labelled_numbers()
    assert np.isfinite(samples.targets).all()
    unlabelled = SHAPE[0] * SHAPE[1] - len(labelled_numbers())
    assert (~labelled).sum() == pytest.approx(unlabelled / 3, rel=0.05)
    assert len(np.unique(numbers)) == len(numbers)
    assert samples.dense, "what it answers is nearly right, as it says"
    assert taught.use_of_second == 0.25


@pytest.mark.parametrize("cells", [8, 0])
def test_scattered_labels_take_no_more_memory_than_they_may(scene: Scene, tmp_path: Path, cells: int) -> None:
    """The network learns from few of them; the teacher, which needs no cells of theirs, from all."""
    size, teacher = cell_bytes(make_job(scene, tmp_path).config), Watched(Undecided())
    recipe = sampled(label_bytes=cells * size, scene_cells=1)  # whose labels are learnt from too
    train = taught_by(make_job(scene, tmp_path, teacher=teacher, recipe=recipe)).train_set
    labelled = train.labels >= 0
    assert set(train.labels[labelled]) == {0, 1, 2}, "one pixel of each class there must be"
    assert len(np.unique(train.cells.places.index[labelled])) <= max(cells, 3) + 1
    assert len(teacher.lessons[0].targets) == 240
    assert labelled.sum() < 240


@pytest.mark.parametrize("alone", [False, True], ids=["two images", "one image"])
@pytest.mark.parametrize("bands", [5, 40])
def test_it_is_known_roughly_what_memory_a_cell_takes(scene: Scene, tmp_path: Path, *, bands: int, alone: bool) -> None:
    teacher = Watched(Undecided())
    hsi = write_raster(tmp_path / "hsi.tif", np.resize(make_image(scene.truth), (bands, *SHAPE)))
    job = make_job(scene, tmp_path, teacher=teacher, hsi=hsi, lidar=None if alone else scene.lidar)
    cells = taught_by(job).train_set.cells
    held = sum(part.nbytes for part in (cells.near, cells.near_aux, cells.context))
    values = 4 * sum(part.shape[1] for part in teacher.questions[0].features.values()) * CELL_SIZE**2
    assert 0.4 * cell_bytes(job.config) < held / len(cells) + values < 1.1 * cell_bytes(job.config)


def test_labels_in_the_corners_of_the_raster(numbered: Scene, tmp_path: Path) -> None:
    corners = [(0, 0), (0, 69), (59, 0), (59, 69)]
    values = np.zeros(SHAPE, np.uint8)
    rows, cols = zip(*corners, strict=True)
    values[rows, cols] = numbered.truth[rows, cols]
    labels = write_raster(tmp_path / "labels.tif", values)
    job = make_job(numbered, tmp_path, teacher=Undecided(), labels=labels)
    train = taught_by(job).train_set
    assert sorted(numbers_of(job, train)[train.labels >= 0]) == [70 * row + col for row, col in corners]


def test_where_there_is_no_data_nothing_is_taught(numbered: Scene, tmp_path: Path) -> None:
    heights = make_heights(numbered.truth)
    heights[:, :30] = np.nan
    lidar = write_raster(tmp_path / "lidar.tif", heights)
    job = make_job(numbered, tmp_path, teacher=Undecided(), lidar=lidar)
    assert (numbers_of(job, taught_by(job).train_set) % SHAPE[1] >= 30).all()
