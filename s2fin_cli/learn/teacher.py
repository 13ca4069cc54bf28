"""The teacher: an ensemble that learns from few labels what the network is then taught on the whole scene.

Few labels do not suffice to find a network's many weights, but they do suffice for classifiers of few choices: forests
and support vector machines on spectra, on spectral components and on statistics of the surroundings. Each errs
elsewhere; their weighted mean is better than any of them. It labels pixels of the scene that have no label, and those
are what the network mostly learns from (distillation).
"""

from __future__ import annotations

import logging
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from s2fin_cli.learn.features import Features, joined

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

logger = logging.getLogger(__name__)

TREES = 200
#: Trees of the forests that are cross-validated only.
FEWER_TREES = 50
FOLDS = 4
#: How much a member's weight falls with its accuracy: by e for a loss of a tenth.
SHARPNESS = 10.0
#: Temperatures among which the one is chosen that makes cross-validated probabilities most likely. Not above 1: the
#: mean of several classifiers is too timid already, and cross-validation with few labels makes it look bolder.
TEMPERATURES = np.geomspace(0.3, 1.0, 10)
SMALLEST = 1e-4
#: So many different seeds scikit-learn takes, and torch and NumPy far more.
SEEDS = 1 << 32


class _SupportVectors:
    """A support vector machine whose decision values become probabilities by a softmax."""

    def __init__(self, c: float) -> None:
        self.model = make_pipeline(StandardScaler(), SVC(C=c))

    def fit(self, values: NDArray[np.float32], targets: NDArray[np.int64]) -> None:
        self.model.fit(values, targets)

    @property
    def classes_(self) -> NDArray[np.int64]:
        return np.asarray(self.model.classes_)

    def predict_proba(self, values: NDArray[np.float32]) -> NDArray[np.float64]:
        scores = self.model.decision_function(values)
        if scores.ndim == 1:
            scores = np.stack([-scores, scores], axis=1) / 2
        return _softmax(2 * scores)


def _softmax(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def _forest(trees: int, seed: int) -> Any:
    return RandomForestClassifier(trees, random_state=seed, n_jobs=-1)


def _extra_trees(trees: int, seed: int) -> Any:
    return ExtraTreesClassifier(trees, random_state=seed, n_jobs=-1)


@dataclass(frozen=True)
class Member:
    """One classifier of the ensemble: what it is called, the features it looks at, and how it is made."""

    name: str
    features: tuple[str, ...]
    make: Callable[[int, int], Any]


def _surroundings(kind: str, *scales: int) -> tuple[str, ...]:
    return (kind, *(f"{kind} {what} {scale}" for scale in scales for what in ("mean", "deviation")))


#: NOTE: chosen by the mean accuracy of their weighted mean on disjoint blocks, and by how much worse it ever is than
#: the best single classifier, see docs/benchmarks.md.
MEMBERS = (
    Member("forest of bands", ("bands",), _forest),
    Member("forest of bands and surroundings", _surroundings("bands", 11), _forest),
    Member("extra trees of bands", ("bands",), _extra_trees),
    Member("extra trees of bands and two scales", _surroundings("bands", 3, 11), _extra_trees),
    Member("extra trees of bands and four scales", _surroundings("bands", 3, 7, 11, 21), _extra_trees),
    Member("extra trees of components and two scales", _surroundings("components", 3, 11), _extra_trees),
    Member("support vectors of bands", ("bands",), lambda _trees, _seed: _SupportVectors(100.0)),
    Member(
        "support vectors of components at four scales",
        tuple(f"components mean {scale}" for scale in (3, 7, 11, 21)),
        lambda _trees, _seed: _SupportVectors(10.0),
    ),
)


@dataclass(frozen=True)
class Teacher:
    """A trained ensemble.

    Attributes:
        models: one a member.
        weights: of the members, float64 (members,), sum 1.
        temperature: exponents of the probabilities are divided by it.
        cross_validated: float64 (n, classes), probabilities of the training pixels from ensembles that had not seen
            their part of them, rows of NaN for pixels of a class that no such ensemble knew.
    """

    models: tuple[Any, ...]
    weights: NDArray[np.float64]
    temperature: float
    cross_validated: NDArray[np.float64]

    def predict(self, features: Features) -> NDArray[np.float32]:
        """Probabilities (n, classes) of pixels."""
        probs = [
            model.predict_proba(joined(features, member.features))
            for model, member in zip(self.models, MEMBERS, strict=True)
        ]
        return _tempered(_mean(np.stack(probs), self.weights), self.temperature).astype(np.float32)


def train_teacher(
    features: Features, targets: NDArray[np.int64], units: NDArray[np.int64], *, num_classes: int, seed: int
) -> Teacher:
    """Train the ensemble; its weights and temperature come from cross-validation.

    Args:
        features: of the labelled pixels.
        targets: (n,), 0 to `num_classes` - 1, every class among them.
        units: (n,), pixels of one unit (polygon, block) are held out together.
        num_classes: classes.
        seed: of every random choice.
    """
    seed %= SEEDS
    folds = assign_folds(targets, units, np.random.default_rng(seed))
    held_out, models = [], []
    for member in MEMBERS:
        values = joined(features, member.features)
        held_out.append(_cross_validate(member, values, targets, folds, num_classes=num_classes, seed=seed))
        models.append(_fitted(member.make(TREES, seed), values, targets))
    probs = np.stack(held_out)
    known = np.isfinite(probs).all(axis=(0, 2))
    weights, temperature = np.full(len(MEMBERS), 1 / len(MEMBERS)), 1.0
    if known.any():
        accuracies = [_balanced_accuracy(part[known], targets[known]) for part in probs]
        weights = _softmax(SHARPNESS * np.array([accuracies]))[0]
        temperature = _fit_temperature(_mean(probs[:, known], weights), targets[known])
    for member, weight in zip(MEMBERS, weights, strict=True):
        logger.debug("teacher: weight %.3f for %s", weight, member.name)
    return Teacher(tuple(models), weights, temperature, _tempered(_mean(probs, weights), temperature))


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


def _cross_validate(
    member: Member,
    values: NDArray[np.float32],
    targets: NDArray[np.int64],
    folds: NDArray[np.int64],
    *,
    num_classes: int,
    seed: int,
) -> NDArray[np.float64]:
    probs = np.full((len(targets), num_classes), np.nan)
    for fold in range(FOLDS):
        inside, outside = folds == fold, folds != fold
        seen = np.unique(targets[outside])
        asked = inside & np.isin(targets, seen)  # a class that is not there cannot be right
        if len(seen) < 2 or not asked.any():
            continue
        model = _fitted(member.make(FEWER_TREES, seed), values[outside], targets[outside])
        probs[asked] = 0.0
        probs[np.ix_(asked, seen)] = model.predict_proba(values[asked])
    return probs


def _fitted(model: Any, values: NDArray[np.float32], targets: NDArray[np.int64]) -> Any:
    with warnings.catch_warnings():
        # few pixels of many classes look to scikit-learn like numbers to regress on
        warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)
        model.fit(values, targets)
    return model


def _mean(probs: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.einsum("m,mnc->nc", weights, probs))


def _balanced_accuracy(probs: NDArray[np.float64], targets: NDArray[np.int64]) -> float:
    right = probs.argmax(axis=1) == targets
    return float(np.mean([right[targets == number].mean() for number in np.unique(targets)]))


def _tempered(probs: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
    return _softmax(np.log(np.maximum(probs, SMALLEST)) / temperature)


def _fit_temperature(probs: NDArray[np.float64], targets: NDArray[np.int64]) -> float:
    def loss(temperature: float) -> float:
        of_target = _tempered(probs, temperature)[np.arange(len(targets)), targets]
        return -float(np.log(np.maximum(of_target, SMALLEST)).mean())

    return float(min(TEMPERATURES, key=loss))
