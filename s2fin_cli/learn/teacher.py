"""The teacher: an ensemble that learns from few labels what the network is then taught on the whole scene.

Few labels do not suffice to find a network's many weights, but they do suffice for classifiers of few choices: forests
and support vector machines on spectra, on spectral components, on statistics and texture of the surroundings and, where
labels lie densely, on position. Each errs elsewhere; their weighted mean is better than any of them. Where there is a
second image, most are there twice, with it and without, and cross-validation says how far it is to be trusted. The
ensemble labels pixels of the scene that have no label, and those are what the network mostly learns from
(distillation).
"""

from __future__ import annotations

import logging
import math
import warnings
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.neighbors import KDTree
from sklearn.svm import SVC

from s2fin_cli.learn.features import SCALES, TEXTURE_SCALES, Features, joined

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

logger = logging.getLogger(__name__)

TREES = 200
#: Trees of the forests that are cross-validated only.
FEWER_TREES = 50
#: Of support vector machines, for errors.
PENALTY = 100.0
FOLDS = 4
#: A member's weight falls with its cross-validated error by a power of it: (error + `ERROR_FLOOR`) ** -power. The more
#: labels n there are, the more certain the error is, and the higher the power: `POWER` n / (n + `LABELS_TO_TRUST`).
POWER, LABELS_TO_TRUST, ERROR_FLOOR = 16.0, 700, 0.1
#: Temperatures among which the one is chosen that makes cross-validated labels most likely. Not above 1: the mean of
#: several classifiers is too timid already, and cross-validation with few labels makes it look bolder.
TEMPERATURES = np.geomspace(0.1, 1.0, 15)
SMALLEST = 1e-4
#: How much of what a member says is its vote, all for its likeliest class; the rest are its probabilities. Forests of
#: few labels spread theirs widely and support vectors do not: without votes a few bold members outvote many timid ones.
VOTE = 0.5
#: What members that look at both images see of the second one, and how much of all that they see it is. As a band among
#: many others it would be lost: of two hundred bands and a height, the height is half a percent.
SECOND = ("aux", "aux mean 3", "aux deviation 7")
SECOND_SHARE = 0.1
_SECOND_TO_OWN = SECOND_SHARE / (1 - SECOND_SHARE)
#: So many different seeds scikit-learn takes, and torch and NumPy far more.
SEEDS = 1 << 32


class _SupportVectors:
    """A support vector machine whose decision values become probabilities by a softmax.

    Args:
        widths: of the parts that the values consist of.
        shares: of the parts in the mean squared length of what the kernel sees. Each part is scaled as a whole, as its
            values have one unit, and the larger of them tell more.
    """

    def __init__(self, widths: Sequence[int], shares: Sequence[float]) -> None:
        self.widths, self.shares = np.array(widths), np.array(shares)
        self.model = SVC(C=PENALTY, gamma=1.0)

    def fit(self, values: NDArray[np.float32], targets: NDArray[np.int64]) -> None:
        self.centre = values.mean(axis=0, dtype=np.float64)
        starts = np.cumsum(self.widths) - self.widths
        squares = np.add.reduceat(((values - self.centre) ** 2).mean(axis=0), starts)
        scales = np.sqrt(self.shares / np.where(squares > 0, squares, 1))
        self.scale = np.repeat(scales, self.widths)
        self.model.fit(self._scaled(values), targets)

    def _scaled(self, values: NDArray[np.float32]) -> NDArray[np.float64]:
        return np.asarray((values - self.centre) * self.scale)

    @property
    def classes_(self) -> NDArray[np.int64]:
        return np.asarray(self.model.classes_)

    def predict_proba(self, values: NDArray[np.float32]) -> NDArray[np.float64]:
        scores = self.model.decision_function(self._scaled(values))
        if scores.ndim == 1:
            scores = np.stack([-scores, scores], axis=1) / 2
        return _softmax(2 * scores)


def _softmax(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


@dataclass(frozen=True)
class Member:
    """One classifier of the ensemble.

    Attributes:
        name: what it is called.
        features: what it looks at.
        forest: the class of forest that it is, or None for support vectors.
        shares: of the features for support vectors, one each.
        both: whether it looks at the second image too.
    """

    name: str
    features: tuple[str, ...]
    forest: type[RandomForestClassifier | ExtraTreesClassifier] | None = None
    shares: tuple[float, ...] = ()
    both: bool = False

    def seen(self, features: Features) -> tuple[str, ...]:
        """The names of what it looks at.

        NOTE: a forest draws the features that it splits by, so one height among hundreds of bands would hardly ever be
        asked; to be asked as often as is due, features of the second image are there several times.
        """
        if not self.both:
            return self.features
        times = 1
        if self.forest is not None:
            own, second = (sum(features[name].shape[1] for name in names) for names in (self.features, SECOND))
            times = max(1, round(own * _SECOND_TO_OWN / second))
        return (*self.features, *SECOND * times)

    def fitted(self, features: Features, targets: NDArray[np.int64], trees: int, seed: int) -> Any:
        """A classifier fitted to pixels (n,) with targets (n,)."""
        names = self.seen(features)
        classifier = self.make([features[name].shape[1] for name in names], trees, seed)
        with warnings.catch_warnings():
            # few pixels of many classes look to scikit-learn like numbers to regress on
            warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)
            classifier.fit(joined(features, names), targets)
        return classifier

    def make(self, widths: Sequence[int], trees: int, seed: int) -> Any:
        """A classifier of features of such widths, not fitted yet."""
        if self.forest is not None:
            return self.forest(trees, random_state=seed, n_jobs=-1)
        shares = self.shares
        if self.both:
            shares += (sum(shares) * _SECOND_TO_OWN / len(SECOND),) * len(SECOND)
        return _SupportVectors(widths, shares)

    def asked(self, model: Any, features: Features) -> NDArray[np.float64]:
        """What a classifier that is fitted says of pixels: probabilities (n, classes it knows)."""
        return np.asarray(model.predict_proba(joined(features, self.seen(features))))


def _surroundings(kind: str, *scales: int) -> tuple[str, ...]:
    return (kind, *(f"{kind} {what} {scale}" for scale in scales for what in ("mean", "deviation")))


def _shapes(*scales: int) -> tuple[str, ...]:
    return ("shape", *(f"shape mean {scale}" for scale in scales))


_FOUR_SCALES = tuple(f"components mean {scale}" for scale in SCALES)

#: NOTE: chosen by the mean accuracy of their weighted mean on disjoint blocks and on the published split, see
#: docs/benchmarks.md.
_MEMBERS = (
    Member("forest of bands", ("bands",), RandomForestClassifier),
    Member("forest of spectra, one scale", (*_surroundings("bands", 11), *_shapes(11)), RandomForestClassifier),
    Member("extra trees of spectra", ("bands", "shape"), ExtraTreesClassifier),
    Member(
        "extra trees of spectra, two scales", (*_surroundings("bands", 3, 11), *_shapes(3, 11)), ExtraTreesClassifier
    ),
    Member(
        "extra trees of spectra, all scales",
        (*_surroundings("bands", *SCALES), *_shapes(*SCALES)),
        ExtraTreesClassifier,
    ),
    Member(
        "extra trees of components, two scales",
        (*_surroundings("components", 3, 11), *_shapes(3, 11)),
        ExtraTreesClassifier,
    ),
    Member("support vectors of spectra", ("bands", "shape"), shares=(0.5, 0.5)),
    Member("support vectors of spectra around", ("bands mean 3", "shape mean 3"), shares=(0.5, 0.5)),
    Member("support vectors of components, all scales", _FOUR_SCALES, shares=(0.5,) * 4),
    Member("support vectors of components and position", (*_FOUR_SCALES, "position"), shares=(*(0.5,) * 4, 2.0)),
)
_TEXTURE = tuple(f"texture mean {scale}" for scale in TEXTURE_SCALES)
#: Members where labels are sparse, and so what tells classes apart in general counts.
MEMBERS = (
    *_MEMBERS,
    Member("extra trees of texture", _TEXTURE, ExtraTreesClassifier),
    Member("support vectors of texture", _TEXTURE, shares=(0.5, 0.5)),
)
#: Members where labels lie densely: what is next to a label is mostly of its class, and the arrangement of values
#: tells little beside.
MEMBERS_AMONG_LABELS = (*_MEMBERS, Member("support vectors of position", ("position",), shares=(8.0,)))


def choose_members(features: Features, *, dense: bool) -> tuple[Member, ...]:
    """Members for features; where there is a second image, all of spectra and components with it and without.

    Args:
        features: what there is to look at.
        dense: whether labels lie densely.
    """
    members = MEMBERS_AMONG_LABELS if dense else MEMBERS
    return members + tuple(replace(member, both=True) for member in _MEMBERS if "aux" in features)


@dataclass(frozen=True)
class Calibration:
    """How much to sharpen probabilities, by how far the nearest label is: near labels a classifier errs less.

    Attributes:
        distances: in pixels, two, ascending, which temperatures were found for.
        temperatures: there; exponents of the probabilities are divided by them.
    """

    distances: tuple[float, float]
    temperatures: tuple[float, float]

    def apply(self, probs: NDArray[np.float64], distances: NDArray[np.float64]) -> NDArray[np.float64]:
        """Calibrated probabilities (n, classes) of pixels with nearest labels at distances (n,)."""
        logs = np.interp(np.log(np.maximum(distances, 1)), np.log(self.distances), np.log(self.temperatures))
        return _tempered(probs, np.exp(logs)[:, None])


@dataclass(frozen=True)
class Teacher:
    """A trained ensemble.

    Attributes:
        members: what it consists of.
        models: one a member.
        weights: of the members, float64 (members,), sum 1.
        calibration: of their mean.
        positions: of the pixels that it was trained on.
        cross_validated: float64 (n, classes), probabilities of the training pixels from ensembles that had not seen
            their part of them, rows of NaN for pixels of a class that no such ensemble knew.
    """

    members: tuple[Member, ...]
    models: tuple[Any, ...]
    weights: NDArray[np.float64]
    calibration: Calibration
    positions: NDArray[np.float32]
    cross_validated: NDArray[np.float64]

    def predict(self, features: Features) -> NDArray[np.float32]:
        """Probabilities (n, classes) of pixels."""
        probs = [member.asked(model, features) for model, member in zip(self.models, self.members, strict=True)]
        distances = nearest_label(self.positions, features["position"])
        return self.calibration.apply(_consensus(np.stack(probs), self.weights), distances).astype(np.float32)


def train_teacher(
    features: Features,
    targets: NDArray[np.int64],
    units: NDArray[np.int64],
    *,
    num_classes: int,
    seed: int,
    members: tuple[Member, ...],
) -> Teacher:
    """Train the ensemble; its weights and calibration come from cross-validation.

    Args:
        features: of the labelled pixels.
        targets: (n,), 0 to `num_classes` - 1, every class among them.
        units: (n,), pixels of one unit (polygon, block) are held out together.
        num_classes: classes.
        seed: of every random choice.
        members: what it is to consist of.
    """
    seed %= SEEDS
    near = far = _cross_validate(members, features, targets, units, num_classes=num_classes, seed=seed)
    if len(np.unique(units)) < len(units):
        pixels = np.arange(len(targets))
        near = _cross_validate(members, features, targets, pixels, num_classes=num_classes, seed=seed)
    weights = _weights(far, targets, members)
    for member, weight in zip(members, weights, strict=True):
        logger.debug("teacher: weight %.3f for %s%s", weight, member.name, ", both images" if member.both else "")
    distances = [max(part.distance, 1.0) for part in (near, far)]
    calibration = Calibration(
        (distances[0], max(distances[1], distances[0] + 1)),
        (_fit_temperature(near, weights, targets), _fit_temperature(far, weights, targets)),
    )
    models = tuple(member.fitted(features, targets, TREES, seed) for member in members)
    return Teacher(members, models, weights, calibration, features["position"], _consensus(far.probs, weights))


def assign_folds(
    targets: NDArray[np.int64], units: NDArray[np.int64], generator: np.random.Generator
) -> NDArray[np.int64]:
    """The fold, 0 to `FOLDS` - 1, of each of (n,) pixels: whole units, each class spread as evenly as they allow.

    A class that lies in one unit only is spread pixel by pixel, as it could not be validated otherwise.
    """
    classes = int(targets.max()) + 1
    pairs = np.unique(np.stack([targets, units]), axis=1)[0]
    alone = np.bincount(pairs, minlength=classes)[targets] == 1
    _, unit_index = np.unique(np.where(alone, -1 - np.arange(len(units)), units), return_inverse=True)
    counts = np.zeros((unit_index.max() + 1, classes))
    np.add.at(counts, (unit_index, targets), 1)
    shares = counts / np.maximum(counts.sum(axis=0), 1)  # of each class, so that a rare one weighs like any other
    load = np.zeros((FOLDS, classes))
    fold_of = np.empty(len(counts), dtype=np.int64)
    shuffled = generator.permutation(len(counts))
    for unit in shuffled[np.argsort(-counts[shuffled].sum(axis=1), kind="stable")]:
        # the fold that has least of what the unit holds; between equals, the one that has least of all
        held = load @ (shares[unit] / shares[unit].sum())
        fold_of[unit] = np.argmin(held + 1e-4 * load.sum(axis=1))
        load[fold_of[unit]] += shares[unit]
    return fold_of[unit_index]


@dataclass(frozen=True)
class _CrossValidation:
    """What members said of labelled pixels that they had not seen.

    Attributes:
        probs: float64 (members, n, classes), NaN for pixels of a class that was not there.
        distance: pixels from such a pixel to the nearest one that was seen, the median.
    """

    probs: NDArray[np.float64]
    distance: float

    @property
    def known(self) -> NDArray[np.bool_]:
        """Mask over the pixels of those whose class was there."""
        return np.asarray(np.isfinite(self.probs).all(axis=(0, 2)))


def _cross_validate(
    members: tuple[Member, ...],
    features: Features,
    targets: NDArray[np.int64],
    units: NDArray[np.int64],
    *,
    num_classes: int,
    seed: int,
) -> _CrossValidation:
    probs = np.full((len(members), len(targets), num_classes), np.nan)
    distances = np.full(len(targets), np.nan)
    folds = assign_folds(targets, units, np.random.default_rng(seed))
    for fold in range(FOLDS):
        inside, outside = folds == fold, folds != fold
        seen = np.unique(targets[outside])
        asked = inside & np.isin(targets, seen)  # a class that is not there cannot be right
        if len(seen) < 2 or not asked.any():
            continue
        probs[:, asked] = 0.0
        train, test = _select(features, outside), _select(features, asked)
        distances[asked] = nearest_label(train["position"], test["position"])
        for index, member in enumerate(members):
            model = member.fitted(train, targets[outside], FEWER_TREES, seed)
            probs[index][np.ix_(asked, seen)] = member.asked(model, test)
    found = distances[np.isfinite(distances)]
    return _CrossValidation(probs, float(np.median(found)) if len(found) else 0.0)


def nearest_label(positions: NDArray[np.float32], asked: NDArray[np.float32]) -> NDArray[np.float64]:
    """Distances (m,), in pixels, of positions (m, 2) to the nearest of those of labels (n, 2)."""
    return np.asarray(KDTree(positions).query(asked)[0][:, 0])


def _weights(
    validation: _CrossValidation, targets: NDArray[np.int64], members: tuple[Member, ...]
) -> NDArray[np.float64]:
    """Weights of the members, sum 1: by their errors and, where some look at both images, by what that helps."""
    worth = _worth(validation, targets)
    both = np.array([member.both for member in members])
    if not both.any():
        return np.asarray(worth / worth.sum())
    names = {member.name for member in members if member.both}
    twins = np.array([not member.both and member.name in names for member in members])
    ensembles = [np.where(group, worth, 0) / worth[group].sum() for group in (~both, ~twins)]
    known = validation.known
    alone, together = (
        _consensus(validation.probs[:, known], weights).argmax(axis=1) == targets[known] for weights in ensembles
    )
    trust = _trust(alone, together)
    logger.info("by cross-validation on the labels, the second image is trusted by %.0f %%", 100 * trust)
    return np.asarray((1 - trust) * ensembles[0] + trust * ensembles[1])


def _worth(validation: _CrossValidation, targets: NDArray[np.int64]) -> NDArray[np.float64]:
    """What each member counts, by its error."""
    known = validation.known
    if not known.any():
        return np.ones(len(validation.probs))
    errors = 1 - np.array([_balanced_accuracy(part[known], targets[known]) for part in validation.probs])
    return np.asarray((errors + ERROR_FLOOR) ** (-POWER * known.sum() / (known.sum() + LABELS_TO_TRUST)))


def _trust(alone: NDArray[np.bool_], together: NDArray[np.bool_]) -> float:
    """How far an ensemble that sees both images is to be believed, 0 to 1, and not one of the image alone.

    Equation (ours): Phi(2 z - 1) with the normal distribution Phi and z = (b - c) / sqrt(b + c + 1), b the pixels that
    only the former tells and c those that only the latter does: the statistic of McNemar (1947), and 1 for where both
    are 0. NOTE: a second image that tells nothing misleads where labels are few, so one that has shown nothing counts
    0.16, and one that tells much soon nearly 1.

    Args:
        alone: (n,), which labelled pixels that it had not seen the ensemble of the image alone is right of.
        together: likewise of the other.
    """
    gained, lost = np.count_nonzero(together & ~alone), np.count_nonzero(alone & ~together)
    return NormalDist().cdf(2 * (gained - lost) / math.sqrt(gained + lost + 1) - 1)


def _select(features: Features, which: NDArray[np.bool_]) -> Features:
    return {name: values[which] for name, values in features.items()}


def _consensus(probs: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """What members (members, n, classes) say together, each by vote and by probabilities."""
    votes = np.eye(probs.shape[2])[probs.argmax(axis=2)]
    return np.asarray(np.einsum("m,mnc->nc", weights, VOTE * votes + (1 - VOTE) * probs))


def _balanced_accuracy(probs: NDArray[np.float64], targets: NDArray[np.int64]) -> float:
    right = probs.argmax(axis=1) == targets
    return float(np.mean([right[targets == number].mean() for number in np.unique(targets)]))


def _tempered(probs: NDArray[np.float64], temperature: float | NDArray[np.float64]) -> NDArray[np.float64]:
    return _softmax(np.log(np.maximum(probs, SMALLEST)) / temperature)


def _fit_temperature(validation: _CrossValidation, weights: NDArray[np.float64], targets: NDArray[np.int64]) -> float:
    """The temperature that makes the labels most likely."""
    known = validation.known
    if not known.any():
        return 1.0
    probs = _consensus(validation.probs[:, known], weights)

    def loss(temperature: float) -> float:
        of_target = _tempered(probs, temperature)[np.arange(len(probs)), targets[known]]
        return -float(np.log(np.maximum(of_target, SMALLEST)).mean())

    return float(min(TEMPERATURES, key=loss))
