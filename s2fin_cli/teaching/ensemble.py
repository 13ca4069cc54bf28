"""The teacher: an ensemble that learns from few labels what the network is then taught on the whole scene.

Few labels do not suffice to find a network's many weights, but they do suffice for trees on features of both images at
several scales. Each member errs elsewhere; their weighted mean is better than any of them. The ensemble labels pixels
of the scene that have no label, and those are what the network mostly learns from (distillation).
"""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from joblib import Parallel, delayed  # type: ignore[import-untyped]
from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier
from sklearn.neighbors import KDTree
from sklearn.svm import SVC
from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]

from s2fin_cli.teaching.features import FEW_BANDS, MARGIN, SCALES, SHAPE_SCALES, Features

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

logger = logging.getLogger(__name__)

#: Trees of a forest, and of one that is cross-validated only. A tree keeps a value for each class in each of its nodes,
#: so with many classes there are fewer: as many as hold `VALUES` values, but at least `FEWEST_TREES`.
TREES, TREES_TO_VALIDATE, FEWEST_TREES = 200, 50, 32
VALUES = 40_000_000
#: Rounds of boosting, each of which grows a tree for each class, and trees in all that it may grow.
ROUNDS, FEWEST_ROUNDS, BOOSTED_TREES = 100, 20, 1500
#: Share of the features that a split of boosting chooses among.
FEATURES_OF_SPLIT = 0.1
#: Of support vector machines, for errors.
PENALTY = 100.0
FOLDS = 4
#: The share of a class's labels outside a fold that is learnt from at least, however near they lie to it.
LEAST_LEARNT = 0.5
#: Of the scales, those that tell little of a pixel's place.
NEAR_SCALES = (3, 7)
#: A member's weight falls with its cross-validated error by a power of it: (error + `ERROR_FLOOR`) ** -power. The more
#: labels n there are, the more certain the error is, and the higher the power: `POWER` n / (n + `LABELS_TO_TRUST`).
POWER, LABELS_TO_TRUST, ERROR_FLOOR = 16.0, 700, 0.1
#: A member that counts less than this share of the best one is not fitted.
LEAST_WEIGHT = 0.05
#: Temperatures among which the one is chosen that makes cross-validated labels most likely. Not above 1: the mean of
#: several classifiers is too timid already, and cross-validation with few labels makes it look bolder.
TEMPERATURES = np.geomspace(0.1, 1.0, 15)
SMALLEST = 1e-4
#: How much of what a member says is its vote, all for its likeliest class; the rest are its probabilities. Forests of
#: few labels spread theirs widely and boosting does not: without votes a bold member outvotes several timid ones.
VOTE = 0.5
#: Pixels whose features are put side by side at a time.
PIXELS_AT_ONCE = 1 << 15
#: So many different seeds scikit-learn takes, and torch and NumPy far more.
SEEDS = 1 << 32


class Classifier(Protocol):
    """What a member fits: scikit-learn's interface."""

    def fit(self, values: NDArray[np.float32], targets: NDArray[np.int64]) -> object:
        """Learn from pixels (n, features) with targets (n,)."""

    def predict_proba(self, values: NDArray[np.float32]) -> NDArray[np.float64]:
        """Probabilities (n, classes it knows) of pixels."""


@dataclass(frozen=True)
class Task:
    """What a classifier is made for.

    Attributes:
        labels: pixels that it learns from.
        classes: of them.
        widths: of the parts that the values consist of.
        validating: whether it is fitted for cross-validation alone.
    """

    labels: int
    classes: int
    widths: tuple[int, ...]
    validating: bool


@dataclass(frozen=True)
class Member:
    """One classifier of the ensemble.

    Attributes:
        name: what it is called.
        see: gives the parts (n, features) of what it looks at.
        make: gives a classifier that is not fitted yet, for a task, by a seed.
    """

    name: str
    see: Callable[[Features], list[NDArray[np.float32]]]
    make: Callable[[Task, int], Classifier]


# ---- what members look at --------------------------------------------------------------------------------------------


def _scales(features: Features, kind: str, scales: Sequence[int] = SCALES) -> list[NDArray[np.float32]]:
    """Values of a kind, and their means and deviations at scales; none where there is no such kind."""
    if kind not in features:
        return []
    around = [features[f"{kind} {what} {scale}"] for scale in scales for what in ("mean", "deviation")]
    return [features[kind], *around]


def _values(features: Features, scales: Sequence[int] = SCALES) -> list[NDArray[np.float32]]:
    """The image's bands with their surroundings, or with those of the components where there are many bands."""
    if features["bands"].shape[1] <= FEW_BANDS:
        return _scales(features, "bands", scales)
    return [features["bands"], *_scales(features, "components", scales)]


def _differences(features: Features, kind: str) -> list[NDArray[np.float32]]:
    """How means at one scale differ from those at the next one, and values from means at the largest."""
    if kind not in features:
        return []
    means = [features[kind], *(features[f"{kind} mean {scale}"] for scale in SCALES)]
    return [near - far for near, far in zip(means, [*means[1:], means[0]], strict=True)]


def see_differences(features: Features) -> list[NDArray[np.float32]]:
    """Both images' values at all scales, and how these differ."""
    kind = "bands" if features["bands"].shape[1] <= FEW_BANDS else "components"
    own = [*_values(features), *_differences(features, kind)]
    return [*own, *_scales(features, "aux"), *_differences(features, "aux")]


def see_components(features: Features) -> list[NDArray[np.float32]]:
    """The image's components and the second image's values at all scales."""
    return [*_scales(features, "components"), *_scales(features, "aux")]


def see_shapes(features: Features) -> list[NDArray[np.float32]]:
    """Both images' values at all scales, and the shape of the image's spectra."""
    shapes = [features["shape"], *(features[f"shape mean {scale}"] for scale in SHAPE_SCALES)]
    return [*_values(features), *shapes, *_scales(features, "aux")]


def see_near(features: Features) -> list[NDArray[np.float32]]:
    """Both images' values at the near scales, and the shape of the image's spectra."""
    shapes = [features["shape"], features[f"shape mean {NEAR_SCALES[0]}"]]
    return [*_values(features, NEAR_SCALES), *shapes, *_scales(features, "aux", NEAR_SCALES)]


def see_pixel(features: Features) -> list[NDArray[np.float32]]:
    """Both images' values at the pixel alone, and the shape of its spectrum."""
    return [features["bands"], features["shape"], *_scales(features, "aux", ())]


def see_position(features: Features) -> list[NDArray[np.float32]]:
    """Row and column."""
    return [features["position"]]


def see_components_and_position(features: Features) -> list[NDArray[np.float32]]:
    """The position, and means of the image's components and of the second image at all scales."""
    means = [features[f"{kind} mean {s}"] for kind in ("components", "aux") if kind in features for s in SCALES]
    return [features["position"], *means]


# ---- classifiers -----------------------------------------------------------------------------------------------------


def extra_trees(task: Task, seed: int) -> Classifier:
    """A forest of random splits."""
    trees = TREES_TO_VALIDATE if task.validating else TREES
    most = VALUES // (2 * task.labels * task.classes)
    classifier: Classifier = ExtraTreesClassifier(min(trees, max(most, FEWEST_TREES)), random_state=seed)
    return classifier


def boosting(task: Task, seed: int) -> Classifier:
    """Gradient boosting whose splits see few features each."""
    rounds = min(max(BOOSTED_TREES // task.classes, FEWEST_ROUNDS), ROUNDS)
    classifier: Classifier = HistGradientBoostingClassifier(
        max_iter=rounds,
        learning_rate=0.1 * (ROUNDS / rounds) ** 0.5,
        max_leaf_nodes=8,
        min_samples_leaf=3,
        max_features=FEATURES_OF_SPLIT,
        l2_regularization=1.0,
        early_stopping=False,
        random_state=seed,
    )
    return classifier


class SupportVectors:
    """A support vector machine whose decision values become probabilities by a softmax.

    Args:
        widths: of the parts that the values consist of. Each is scaled as a whole, as its values have one unit, and the
            larger of them tell more.
        shares: of the first part, and of all others together, in the mean squared length of what the kernel sees.
    """

    def __init__(self, widths: tuple[int, ...], shares: tuple[float, float]) -> None:
        self.widths = np.array(widths)
        others = max(len(widths) - 1, 1)
        self.shares = np.array([shares[0], *[shares[1] / others] * (len(widths) - 1)])
        self.model = SVC(C=PENALTY, gamma=1.0)

    def fit(self, values: NDArray[np.float32], targets: NDArray[np.int64]) -> None:
        """Learn from pixels (n, features) with targets (n,)."""
        self.centre = values.mean(axis=0, dtype=np.float64)
        starts = np.cumsum(self.widths) - self.widths
        squares = np.add.reduceat(((values - self.centre) ** 2).mean(axis=0), starts)
        scales = np.sqrt(self.shares / np.where(squares > 0, squares, 1))
        self.scale = np.repeat(scales, self.widths)
        self.model.fit(self._scaled(values), targets)

    def _scaled(self, values: NDArray[np.float32]) -> NDArray[np.float64]:
        return np.asarray((values - self.centre) * self.scale)

    def predict_proba(self, values: NDArray[np.float32]) -> NDArray[np.float64]:
        """Probabilities (n, classes it knows) of pixels."""
        scores = self.model.decision_function(self._scaled(values))
        if scores.ndim == 1:
            scores = np.stack([-scores, scores], axis=1) / 2
        return _softmax(2 * scores)


def by_position(task: Task, _seed: int) -> Classifier:
    """Support vectors of position alone."""
    return SupportVectors(task.widths, (8.0, 0.0))


def by_position_and_values(task: Task, _seed: int) -> Classifier:
    """Support vectors of position first, and of values."""
    return SupportVectors(task.widths, (2.0, 2.0))


def _softmax(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


#: NOTE: what each is worth is told in docs/benchmarks.md; it is measured by `benchmarks/members.py`.
FORESTS = (
    Member("extra trees of differences", see_differences, extra_trees),
    Member("extra trees of components", see_components, extra_trees),
    Member("extra trees of near values", see_near, extra_trees),
    Member("extra trees of single pixels", see_pixel, extra_trees),
)
BOOSTING = Member("boosting of shapes", see_shapes, boosting)
POSITION = (
    Member("support vectors of position and components", see_components_and_position, by_position_and_values),
    Member("support vectors of position", see_position, by_position),
)


def choose_members(features: Features, *, dense: bool) -> tuple[Member, ...]:
    """Members for features.

    Args:
        features: what there is to look at. With many bands boosting would take minutes, and adds nothing.
        dense: whether labels lie densely, so that what is next to a label is mostly of its class.
    """
    few_bands = features["bands"].shape[1] <= FEW_BANDS
    return (*FORESTS, *((BOOSTING,) if few_bands else ()), *(POSITION if dense else ()))


# ---- the ensemble ----------------------------------------------------------------------------------------------------


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
class Ensemble:
    """An ensemble that is not fitted yet.

    Attributes:
        members: what it consists of.
        num_classes: classes, 0 to `num_classes` - 1.
        seed: of every random choice.
    """

    members: tuple[Member, ...]
    num_classes: int
    seed: int


@dataclass(frozen=True)
class Trust:
    """What cross-validation found of an ensemble.

    Attributes:
        weights: of the members, float64 (members,), sum 1; 0 for those that are not worth fitting.
        calibration: of their mean.
        cross_validated: float64 (n, classes), probabilities of the labelled pixels from ensembles that had not seen
            their part of them, rows of NaN for pixels of a class that no such ensemble knew.
    """

    weights: NDArray[np.float64]
    calibration: Calibration
    cross_validated: NDArray[np.float64]


@dataclass(frozen=True)
class Lessons:
    """What an ensemble says.

    Attributes:
        probs: float32 (n, classes), of the pixels that it was asked about.
        use_of_second: how much of what its forests look at is the second image, 0 to 1; None without one.
    """

    probs: NDArray[np.float32]
    use_of_second: float | None


def cross_validate(
    ensemble: Ensemble,
    features: Features,
    targets: NDArray[np.int64],
    units: NDArray[np.int64],
    *,
    buffer: int = MARGIN,
) -> Trust:
    """Find what members are worth, and how sure they may be, by cross-validation.

    NOTE: what lies around a pixel lies around its neighbours too. Without a buffer, members that see far know the place
    of the few polygons that they learnt from, and get too much weight for it.

    Args:
        ensemble: the ensemble.
        features: of the labelled pixels.
        targets: (n,), their classes, every class among them.
        units: (n,), pixels of one unit (polygon, block) are held out together.
        buffer: pixels around those held out whose labels are not learnt from, as far as each class has enough others;
            0 where the map's pixels lie as near to labels as labels to each other.
    """
    far = _validate(ensemble, features, targets, units, buffer=buffer)
    near = _validate(ensemble, features, targets, np.arange(len(targets)), buffer=0)
    weights = _weights(far, targets)
    for member, weight in zip(ensemble.members, weights, strict=True):
        logger.debug("teacher: weight %.3f for %s", weight, member.name)
    distances = [max(part.distance, 1.0) for part in (near, far)]
    calibration = Calibration(
        (distances[0], max(distances[1], distances[0] + 1)),
        (_fit_temperature(near, weights, targets), _fit_temperature(far, weights, targets)),
    )
    return Trust(weights, calibration, _consensus(far.probs, weights))


def teach(
    ensemble: Ensemble, features: Features, targets: NDArray[np.int64], asked: Features, *, trust: Trust
) -> Lessons:
    """Fit the ensemble to all labels and ask it about pixels; one member is held in memory for each thread.

    Args:
        ensemble: the ensemble.
        features: of the labelled pixels.
        targets: (n,), their classes, every class among them.
        asked: features of the pixels that it is asked about.
        trust: what its members are worth.
    """
    needed = [(member, weight) for member, weight in zip(ensemble.members, trust.weights, strict=True) if weight > 0]

    def ask(member: Member) -> tuple[NDArray[np.float32], float | None]:
        model = _fitted(member, features, targets, seed=ensemble.seed, validating=False)
        return _asked(model, member, asked), _use_of_second(model, member, features)

    said = _in_threads(ask, [(member,) for member, _ in needed])
    weights = np.array([weight for _, weight in needed])
    probs = _consensus(np.stack([part for part, _ in said]), weights)
    distances = nearest_label(features["position"], asked["position"])
    uses = [(use, weight) for (_, use), weight in zip(said, weights, strict=True) if use is not None]
    use = float(np.average([use for use, _ in uses], weights=[weight for _, weight in uses])) if uses else None
    return Lessons(trust.calibration.apply(probs, distances).astype(np.float32), use)


def _in_threads(function: Callable[..., Any], calls: list[tuple[Any, ...]]) -> list[Any]:
    """The function's results, in order, computed by as many threads as torch may use.

    NOTE: each call keeps to one thread. Threads that share one small piece of work wait for each other at its end, and
    wait long where another process takes one of their cores.

    NOTE: OpenMP keeps its limit by thread. Those of BLAS and the filters of warnings are the whole process's: threads
    that set them and put them back at their own times would leave each other's behind.
    """
    controller = ThreadpoolController()  # to look for the libraries takes some milliseconds

    def alone(*arguments: Any) -> Any:
        with controller.limit(limits=1, user_api="openmp"):
            return function(*arguments)

    with controller.limit(limits=1, user_api="blas"), warnings.catch_warnings():
        # few pixels of many classes look to scikit-learn like numbers to regress on
        warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)
        return list(Parallel(torch.get_num_threads(), require="sharedmem")(delayed(alone)(*call) for call in calls))


def _fitted(
    member: Member, features: Features, targets: NDArray[np.int64], *, seed: int, validating: bool
) -> Classifier:
    """A member's classifier, fitted to pixels (n,) with targets (n,)."""
    parts = member.see(features)
    task = Task(len(targets), len(np.unique(targets)), tuple(part.shape[1] for part in parts), validating)
    classifier = member.make(task, seed % SEEDS)
    classifier.fit(np.concatenate(parts, axis=1), targets)
    return classifier


def _asked(model: Classifier, member: Member, features: Features) -> NDArray[np.float32]:
    """Probabilities (n, classes it knows) of pixels, some at a time to save memory."""
    count = len(features["position"])
    parts = np.array_split(np.arange(count), -(-count // PIXELS_AT_ONCE))
    values = (np.concatenate(member.see({n: v[part] for n, v in features.items()}), axis=1) for part in parts)
    return np.concatenate([model.predict_proba(part).astype(np.float32) for part in values])


def _use_of_second(model: Classifier, member: Member, features: Features) -> float | None:
    """The share of a forest's importance (Breiman 2001, mean decrease in impurity) that is the second image's."""
    if "aux" not in features or not isinstance(model, ExtraTreesClassifier):
        return None
    # one pixel whose features are 0 but for the second image's, which all differ: neither do their differences vanish
    marked = {
        name: np.full((1, values.shape[1]), number if name.startswith("aux") else 0, np.float32)
        for number, (name, values) in enumerate(features.items(), start=1)
    }
    is_second = np.concatenate(member.see(marked), axis=1)[0] != 0
    return float(model.feature_importances_[is_second].sum())


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
class _Validation:
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


def _validate(
    ensemble: Ensemble, features: Features, targets: NDArray[np.int64], units: NDArray[np.int64], *, buffer: int
) -> _Validation:
    members, seed = ensemble.members, ensemble.seed
    probs = np.full((len(members), len(targets), ensemble.num_classes), np.nan)
    distances = np.full(len(targets), np.nan)
    folds = assign_folds(targets, units, np.random.default_rng(seed))
    calls, places = [], []
    for fold in range(FOLDS):
        inside = folds == fold
        outside = _apart(features["position"], targets, inside, buffer)
        seen = np.unique(targets[outside])
        asked = inside & np.isin(targets, seen)  # a class that is not there cannot be right
        if len(seen) < 2 or not asked.any():
            continue
        probs[:, asked] = 0.0
        train, test = _select(features, outside), _select(features, asked)
        distances[asked] = nearest_label(train["position"], test["position"])
        for index, member in enumerate(members):
            calls.append((member, train, targets[outside], test))
            places.append((index, np.ix_(asked, seen)))

    def say(member: Member, train: Features, labels: NDArray[np.int64], test: Features) -> NDArray[np.float32]:
        return _asked(_fitted(member, train, labels, seed=seed, validating=True), member, test)

    for (index, where), said in zip(places, _in_threads(say, calls), strict=True):
        probs[index][where] = said
    found = distances[np.isfinite(distances)]
    return _Validation(probs, float(np.median(found)) if len(found) else 0.0)


def _apart(
    positions: NDArray[np.float32], targets: NDArray[np.int64], inside: NDArray[np.bool_], buffer: int
) -> NDArray[np.bool_]:
    """Mask over pixels (n,) of those to learn from while those inside are held out.

    Of each class it is all pixels outside whose squares of `buffer` pixels to each side hold none inside; but at least
    `LEAST_LEARNT` of its pixels outside, the farthest ones.
    """
    outside = ~inside
    if not buffer or inside.all() or not inside.any():
        return outside
    distances = nearest_label(positions[inside], positions, metric="chebyshev")
    result = np.zeros_like(outside)
    for number in np.unique(targets[outside]):
        own = np.flatnonzero(outside & (targets == number))
        own = own[np.argsort(-distances[own], kind="stable")]
        far = np.count_nonzero(distances[own] > buffer)
        result[own[: max(far, math.ceil(LEAST_LEARNT * len(own)))]] = True
    return result


def nearest_label(
    positions: NDArray[np.float32], asked: NDArray[np.float32], *, metric: str = "euclidean"
) -> NDArray[np.float64]:
    """Distances (m,), in pixels, of positions (m, 2) to the nearest of those of labels (n, 2)."""
    return np.asarray(KDTree(positions, metric=metric).query(asked)[0][:, 0])


def _weights(validation: _Validation, targets: NDArray[np.int64]) -> NDArray[np.float64]:
    """Weights of the members by their errors, sum 1; 0 for those that would hardly count."""
    known = validation.known
    worth = np.ones(len(validation.probs))
    if known.any():
        errors = 1 - np.array([_balanced_accuracy(part[known], targets[known]) for part in validation.probs])
        worth = (errors + ERROR_FLOOR) ** (-POWER * known.sum() / (known.sum() + LABELS_TO_TRUST))
    worth[worth < LEAST_WEIGHT * worth.max()] = 0
    return np.asarray(worth / worth.sum())


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


def _fit_temperature(validation: _Validation, weights: NDArray[np.float64], targets: NDArray[np.int64]) -> float:
    """The temperature that makes the labels most likely."""
    known = validation.known
    if not known.any():
        return 1.0
    probs = _consensus(validation.probs[:, known], weights)

    def loss(temperature: float) -> float:
        of_target = _tempered(probs, temperature)[np.arange(len(probs)), targets[known]]
        return -float(np.log(np.maximum(of_target, SMALLEST)).mean())

    return float(min(TEMPERATURES, key=loss))
