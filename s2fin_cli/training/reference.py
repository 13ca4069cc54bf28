"""The reference pixels of a model, from what its teacher learnt from and what it answered."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from sklearn.cluster import KMeans

from s2fin_cli.geo.windows import evenly_spread
from s2fin_cli.model.reference import Prototypes, ReferencePixels
from s2fin_cli.teaching.features import compared_features
from s2fin_cli.teaching.folds import assign_folds
from s2fin_cli.teaching.members import SEEDS
from s2fin_cli.teaching.threads import in_threads

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from s2fin_cli.teaching.teacher import Answers, Lesson, Questions


#: Prototypes of the pixels that the teacher labels, pixels that they are made of, and rounds of k-means, at most.
PROTOTYPES, MOST_CLUSTERED, ROUNDS = 256, 8192, 10


def reference_pixels(lesson: Lesson, questions: Questions, answers: Answers, *, folds: int) -> ReferencePixels:
    """The reference pixels of what a teacher learnt from, and prototypes of those that it labelled.

    Args:
        lesson: what the teacher learnt from.
        questions: the pixels that it labelled.
        answers: its answers.
        folds: parts of the lesson that are held out in turn, to find how far labels are from those of other parts.
    """
    generator = np.random.default_rng(lesson.seed)
    held_out = assign_folds(lesson.targets, lesson.units, generator, count=folds)
    prototypes = None
    if answers.disagreement is not None:
        unlabelled = np.flatnonzero(questions.labels < 0)
        asked = unlabelled if len(unlabelled) else np.arange(len(questions.labels))
        asked = asked[evenly_spread(len(asked) - 1, most=MOST_CLUSTERED)]
        values = compared_features({name: part[asked] for name, part in questions.features.items()})
        prototypes = _prototypes(values, answers.disagreement[asked], seed=lesson.seed)
    return ReferencePixels.of(compared_features(lesson.features), lesson.targets, held_out, prototypes=prototypes)


def _prototypes(values: NDArray[np.float32], disagreement: NDArray[np.float32], *, seed: int) -> Prototypes:
    """The centres of clusters of pixels (n, k), with the mean of their disagreement (n,)."""
    clusters = KMeans(
        min(PROTOTYPES, len(np.unique(values, axis=0))), n_init=1, max_iter=ROUNDS, random_state=seed % SEEDS
    )
    (fitted,) = in_threads(clusters.fit, [(values,)])  # in one thread, as the last bits depend on how many there are
    sizes = np.bincount(fitted.labels_, minlength=len(fitted.cluster_centers_))
    sums = np.bincount(fitted.labels_, disagreement, minlength=len(sizes))
    kept = sizes > 0
    centres = fitted.cluster_centers_[kept].astype(np.float32)
    means = (sums[kept] / sizes[kept]).astype(np.float32)
    return Prototypes(torch.from_numpy(centres), torch.from_numpy(means))
