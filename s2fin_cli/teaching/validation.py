"""Cross-validation of the ensemble: the weights of its members, and the calibration of its mean."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from s2fin_cli.labels.distances import nearest_label
from s2fin_cli.teaching.calibration import Calibration, balanced_accuracy, consensus, fit_temperature
from s2fin_cli.teaching.features import START
from s2fin_cli.teaching.folds import assign_folds, learnt_outside
from s2fin_cli.teaching.members import STARTING
from s2fin_cli.teaching.starting import share_of_start
from s2fin_cli.teaching.threads import in_threads

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from s2fin_cli.core.progress import Stop
    from s2fin_cli.teaching.features import Features
    from s2fin_cli.teaching.members import Member
    from s2fin_cli.teaching.recipe import EnsembleRecipe
    from s2fin_cli.teaching.teacher import Lesson

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Trust:
    """What cross-validation found about an ensemble.

    Attributes:
        weights: weights of the members, float64 (members,), sum 1; 0 for those that are not worth fitting.
        calibration: calibration of their mean.
        cross_validated: float64 (n, classes), probabilities of the labelled pixels from ensembles that had not seen
            their part of them, rows of NaN for pixels of a class that no such ensemble knew.
    """

    weights: NDArray[np.float64]
    calibration: Calibration
    cross_validated: NDArray[np.float64]


def cross_validate(
    members: tuple[Member, ...], lesson: Lesson, recipe: EnsembleRecipe, *, stop: Stop | None = None
) -> Trust:
    """Find the members' weights, and the calibration of their mean, by cross-validation.

    NOTE: what surrounds a pixel also surrounds its neighbours. Without a buffer, members with a wide view recognise the
    places of the few polygons that they learnt from, and get too much weight.

    Raises:
        Stopped: it was asked to end, by `stop`.
    """
    targets = lesson.targets
    far = _validate(members, lesson, lesson.units, buffer=lesson.buffer, recipe=recipe, stop=stop)
    near = _validate(members, lesson, np.arange(len(targets)), buffer=0, recipe=recipe, stop=stop)
    weights = _weights(members, far, lesson, recipe)
    for member, weight in zip(members, weights, strict=True):
        logger.debug("teacher: weight %.3f for %s", weight, member.name)
    distances = [max(part.distance, 1.0) for part in (near, far)]
    temperatures = tuple(
        fit_temperature(consensus(part.probs[:, part.known], weights, vote=recipe.vote), targets[part.known])
        for part in (near, far)
    )
    calibration = Calibration((distances[0], max(distances[1], distances[0] + 1)), (temperatures[0], temperatures[1]))
    return Trust(weights, calibration, consensus(far.probs, weights, vote=recipe.vote))


@dataclass(frozen=True)
class _Validation:
    """The members' answers for labelled pixels that they had not seen.

    Attributes:
        probs: float64 (members, n, classes), NaN for pixels of a class that was not there.
        distance: pixels from such a pixel to the nearest one that was seen, the median.
    """

    probs: NDArray[np.float64]
    distance: float

    @property
    def known(self) -> NDArray[np.bool_]:
        """Mask over the pixels whose class was among those learnt."""
        return np.asarray(np.isfinite(self.probs).all(axis=(0, 2)))


def _validate(
    members: tuple[Member, ...],
    lesson: Lesson,
    units: NDArray[np.int64],
    *,
    buffer: int,
    recipe: EnsembleRecipe,
    stop: Stop | None,
) -> _Validation:
    features, targets, seed = lesson.features, lesson.targets, lesson.seed
    probs = np.full((len(members), len(targets), lesson.num_classes), np.nan)
    distances = np.full(len(targets), np.nan)
    folds = assign_folds(targets, units, np.random.default_rng(seed), count=recipe.folds)
    calls, places = [], []
    for fold in range(recipe.folds):
        inside = folds == fold
        outside = learnt_outside(features["position"], targets, inside, buffer=buffer, least=recipe.least_learnt)
        seen = np.unique(targets[outside])
        asked = inside & np.isin(targets, seen)  # a class that was not learnt cannot be right
        if len(seen) < 2 or not asked.any():
            continue
        probs[:, asked] = 0.0
        train, test = _select(features, outside), _select(features, asked)
        distances[asked] = nearest_label(train["position"], test["position"])
        for index, member in enumerate(members):
            calls.append((member, train, targets[outside], test))
            places.append((index, np.ix_(asked, seen)))

    def answer(member: Member, train: Features, labels: NDArray[np.int64], test: Features) -> NDArray[np.float32]:
        classifier = member.fit(train, labels, seed=seed, recipe=recipe, validating=True)
        return member.ask(classifier, test, at_once=recipe.pixels_at_once)

    for (index, where), answered in zip(places, in_threads(answer, calls, stop=stop), strict=True):
        probs[index][where] = answered
    found = distances[np.isfinite(distances)]
    return _Validation(probs, float(np.median(found)) if len(found) else 0.0)


def _weights(
    members: tuple[Member, ...], validation: _Validation, lesson: Lesson, recipe: EnsembleRecipe
) -> NDArray[np.float64]:
    """Weights of the members, sum 1; 0 for those that would hardly count."""
    learns = np.array([member is not STARTING for member in members])
    weights = np.zeros(len(members))
    weights[learns] = _weights_by_error(validation.probs[learns], validation.known, lesson.targets, recipe)
    if learns.all():
        return weights
    known = validation.known
    own = consensus(validation.probs[:, known], weights, vote=recipe.vote)
    share = share_of_start(lesson.features[START], own, lesson.targets, known=known, recipe=recipe)
    return np.where(learns, (1 - share) * weights, share)


def _weights_by_error(
    probs: NDArray[np.float64], known: NDArray[np.bool_], targets: NDArray[np.int64], recipe: EnsembleRecipe
) -> NDArray[np.float64]:
    """Weights of members (members, n, classes) by their errors at the pixels that are known, sum 1."""
    worth = np.ones(len(probs))
    if known.any():
        errors = 1 - np.array([balanced_accuracy(part[known], targets[known]) for part in probs])
        power = -recipe.power * known.sum() / (known.sum() + recipe.labels_to_trust)
        worth = (errors + recipe.error_floor) ** power
    worth[worth < recipe.least_weight * worth.max()] = 0
    return np.asarray(worth / worth.sum())


def _select(features: Features, which: NDArray[np.bool_]) -> Features:
    return {name: values[which] for name, values in features.items()}
