"""Targets: the probabilities that the network learns, from the labels and elsewhere from the teacher."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from s2fin_cli.labels.splits import cap_per_class, units_of
from s2fin_cli.stack.cells import count_cells, have_data, iter_cells, whole_cells
from s2fin_cli.teaching.features import MARGIN, START, features_at, merged, pixel_features, positions
from s2fin_cli.teaching.teacher import Lesson, Questions
from s2fin_cli.training.cell_probs import probs_at, probs_of_cells
from s2fin_cli.training.labelled import common_radius, targets_of
from s2fin_cli.training.memory import cell_bytes, cell_margin
from s2fin_cli.training.reference import reference_pixels
from s2fin_cli.training.samples import StandardizedCells, TrainingSet
from s2fin_cli.training.validation import cross_validated_accuracy

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from s2fin import S2Fin
    from s2fin_cli.assess.metrics import Accuracy
    from s2fin_cli.labels.pixels import LabelledPixels
    from s2fin_cli.model.reference import ReferencePixels
    from s2fin_cli.teaching.teacher import MemberShare
    from s2fin_cli.training.job import Job
    from s2fin_cli.training.scene import Scene

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Taught:
    """The results of a teacher.

    Attributes:
        train_set: pixels with targets.
        dense: whether labels are dense.
        examination: the teacher's cross-validation.
        accuracy: accuracy of the teacher, if it was cross-validated in this run.
        use_of_second: how much it used the second image, 0 to 1; None if that is unknown.
        members: how much each of its members counted.
        reference: reference pixels of what it learnt from.
    """

    train_set: TrainingSet
    dense: bool
    examination: Any
    accuracy: Accuracy | None
    use_of_second: float | None
    members: tuple[MemberShare, ...]
    reference: ReferencePixels


def ask_teacher(job: Job, network: S2Fin, labels: LabelledPixels, *, dense: bool, before: Taught | None) -> Taught:
    """Train the teacher on labels, and ask it for targets.

    Args:
        job: the training job.
        network: the network to train, which determines what it needs of a cell.
        labels: to learn from.
        dense: whether they are dense.
        before: the teacher's results on a part of the labels; then it need not be cross-validated again.
    """
    job.progress("ensemble", 0, 3)
    generator = np.random.default_rng(job.options.seed)
    most = job.recipe.sampling.teacher_labels
    kept = cap_per_class(labels.class_ids, np.arange(len(labels)), most=most, generator=generator)
    lesson = make_lesson(job, labels, kept, dense=dense)
    job.progress("ensemble", 1, 3)
    if before is None or before.dense != dense:
        examination = job.teacher.examine(lesson)
        accuracy = cross_validated_accuracy(labels.select(kept), examination.cross_validated)
    else:
        examination, accuracy = before.examination, None
    job.progress("ensemble", 2, 3)
    cells, questions = _read(job, network, labels, generator)
    answers = job.teacher.teach(lesson, questions, examination)
    job.progress("ensemble", 3, 3)
    targets = _with_labels(answers.probs, questions.labels, job.recipe.label_smoothing)
    train_set = _without_unknown(TrainingSet(cells, targets, questions.labels, answers.nearly_right))
    reference = reference_pixels(lesson, questions, answers, folds=job.recipe.ensemble.folds)
    return Taught(train_set, dense, examination, accuracy, answers.use_of_second, answers.members, reference)


def make_lesson(job: Job, labels: LabelledPixels, kept: NDArray[np.int64], *, dense: bool) -> Lesson:
    """The teacher's lesson: some of the labels, at positions (n,) among them."""
    known, options = labels.select(kept), job.options
    features = features_at(job.scene.standardizer, job.scene.stack, known.rows, known.cols)
    if job.start is not None:
        features[START] = probs_at(job.start.network, job.scene.stack, known.rows, known.cols)
    return Lesson(
        features=features,
        targets=targets_of(labels)[kept],
        units=units_of(labels, options.split, radius=common_radius(options, job.recipe.holding_out))[kept],
        num_classes=len(labels.classes),
        seed=options.seed,
        dense=dense,
        buffer=0 if dense or options.split == "random" else MARGIN,
    )


def _read(
    job: Job, network: S2Fin, labels: LabelledPixels, generator: np.random.Generator
) -> tuple[StandardizedCells, Questions]:
    """Read the cells of the labels and of the scene: as the network takes them, and as questions to the teacher."""
    sampling, scene = job.recipe.sampling, job.scene
    most_cells = min(max(sampling.label_bytes // cell_bytes(job.config), 1), sampling.label_cells)
    few = _capped(labels, most=job.options.labels_per_class, most_cells=most_cells, generator=generator)
    rows, cols, known = _pixels_of_cells(labels, few, scene)
    features, standardized = [], []
    for part, cells in iter_cells(scene.stack, rows, cols, margin=cell_margin(job.config)):
        features.append((part, pixel_features(scene.standardizer, cells)))
        standardized.append((part, StandardizedCells.of(network, cells)))
    joined = StandardizedCells.joined(standardized)
    asked = merged(features) | {"position": positions(rows, cols)}
    if job.start is not None:
        asked[START] = probs_of_cells(job.start.network, joined)
    return joined, Questions(asked, known, joined.places)


def _capped(labels: LabelledPixels, *, most: int, most_cells: int, generator: np.random.Generator) -> LabelledPixels:
    """Pixels of each class from at most as many cells as the recipe allows."""
    everything, kept = np.arange(len(labels)), labels
    while most > 1 and count_cells(kept.rows, kept.cols) > most_cells:
        most //= 2
        kept = labels.select(cap_per_class(labels.class_ids, everything, most=most, generator=generator))
    if len(kept) < len(labels):
        logger.info(
            "the labels are scattered: the network sees the surroundings of at most %d labelled pixels of a class", most
        )
    return kept


def _pixels_of_cells(
    labels: LabelledPixels, around: LabelledPixels, scene: Scene
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Rows, columns and positions of classes of all pixels with data in the cells of some labels and of the scene.

    Args:
        labels: all labels to learn from; other pixels have the class -1.
        around: those whose cells are taken.
        scene: the scene.
    """
    rows, cols = whole_cells(
        np.append(around.rows, scene.rows), np.append(around.cols, scene.cols), scene.stack.grid.shape
    )
    valid = have_data(scene.stack, rows, cols)
    rows, cols = rows[valid], cols[valid]
    known, width = np.full(len(rows), -1), scene.stack.grid.width
    # NOTE: the two have no common order; a pixel's number is its position in the raster
    numbers, labelled = rows * width + cols, labels.rows * width + labels.cols
    order = np.argsort(labelled, kind="stable")
    found = np.searchsorted(labelled[order], numbers).clip(max=len(order) - 1)
    is_labelled = labelled[order][found] == numbers
    known[is_labelled] = targets_of(labels)[order][found[is_labelled]]
    return rows, cols, known


def _with_labels(targets: NDArray[np.float32], known: NDArray[np.int64], smoothing: float) -> NDArray[np.float32]:
    """Targets (n, classes) in which labelled pixels get their label (n,); -1 means unlabelled."""
    result, labelled = targets.copy(), known >= 0
    result[labelled] = smoothing / targets.shape[1]
    result[labelled, known[labelled]] += 1 - smoothing
    return result


def _without_unknown(train: TrainingSet) -> TrainingSet:
    """The pixels that have a target."""
    known = np.flatnonzero(np.isfinite(train.targets).all(axis=1))
    if len(known) == len(train):
        return train
    cells = replace(train.cells, places=train.cells.places.select(known))
    return replace(train, cells=cells, targets=train.targets[known], labels=train.labels[known])
