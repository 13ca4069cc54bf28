"""The classifiers that members of the ensemble fit: forests, boosting and support vector machines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier
from sklearn.svm import SVC

from s2fin_cli.teaching.calibration import SMALLEST_PROB, softmax

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from s2fin_cli.teaching.recipe import EnsembleRecipe

#: Share of the features that a split of boosting chooses among.
FEATURES_OF_SPLIT = 0.1
#: Penalty of support vector machines for errors.
PENALTY = 100.0


class Classifier(Protocol):
    """The interface of scikit-learn's classifiers that a member fits."""

    def fit(self, values: NDArray[np.float32], targets: NDArray[np.int64]) -> object:
        """Learn from pixels (n, features) with targets (n,)."""

    def predict_proba(self, values: NDArray[np.float32]) -> NDArray[np.float64]:
        """Give the probabilities (n, classes it knows) of pixels."""


@dataclass(frozen=True)
class Task:
    """The size of what a classifier has to learn.

    Attributes:
        labels: how many pixels it learns from.
        classes: how many classes they have.
        widths: widths of the parts that the values consist of.
        validating: whether it is fitted for cross-validation only.
        recipe: how large it is.
    """

    labels: int
    classes: int
    widths: tuple[int, ...]
    validating: bool
    recipe: EnsembleRecipe


def extra_trees(task: Task, seed: int) -> Classifier:
    """A forest of random splits."""
    recipe = task.recipe
    trees = recipe.trees_to_validate if task.validating else recipe.trees
    most = recipe.forest_values // (2 * task.labels * task.classes)
    classifier: Classifier = ExtraTreesClassifier(min(trees, max(most, recipe.fewest_trees)), random_state=seed)
    return classifier


def boosting(task: Task, seed: int) -> Classifier:
    """Gradient boosting whose splits see few features each."""
    recipe = task.recipe
    rounds = min(max(recipe.boosted_trees // task.classes, recipe.fewest_rounds), recipe.rounds)
    classifier: Classifier = HistGradientBoostingClassifier(
        max_iter=rounds,
        learning_rate=0.1 * (recipe.rounds / rounds) ** 0.5,
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
        widths: widths of the parts that the values consist of. Each part is scaled as a whole, because its values have
            one unit and larger ones matter more.
        shares: shares of the first part, and of all others together, in the mean squared length of the kernel's inputs.
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
        self.model.fit(self.scaled(values), targets)

    def scaled(self, values: NDArray[np.float32]) -> NDArray[np.float64]:
        """Values (n, features) as the kernel sees them; after `fit`."""
        return np.asarray((values - self.centre) * self.scale)

    def predict_proba(self, values: NDArray[np.float32]) -> NDArray[np.float64]:
        """Give the probabilities (n, classes it knows) of pixels."""
        scores = self.model.decision_function(self.scaled(values))
        if scores.ndim == 1:
            scores = np.stack([-scores, scores], axis=1) / 2
        return softmax(2 * scores)


def by_position(task: Task, _seed: int) -> Classifier:
    """Support vectors of position alone."""
    return SupportVectors(task.widths, (8.0, 0.0))


def by_position_and_values(task: Task, _seed: int) -> Classifier:
    """Support vectors of position first, and of values."""
    return SupportVectors(task.widths, (2.0, 2.0))


class GivenAnswers:
    """Learns nothing: the values of a pixel are the answer already."""

    def fit(self, _values: NDArray[np.float32], targets: NDArray[np.int64]) -> None:
        """Find out which classes are asked for, those of pixels (n,)."""
        self.known = np.unique(targets)

    def predict_proba(self, values: NDArray[np.float32]) -> NDArray[np.float64]:
        """Give the probabilities (n, classes it knows) of pixels."""
        own = values[:, self.known].astype(np.float64) + SMALLEST_PROB
        return np.asarray(own / own.sum(axis=1, keepdims=True))


def as_given(_task: Task, _seed: int) -> Classifier:
    """The answers of a model that was trained elsewhere."""
    return GivenAnswers()
