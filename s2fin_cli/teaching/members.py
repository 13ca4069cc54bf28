"""The members of the ensemble: the features that each uses, and the classifier that it fits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from sklearn.ensemble import ExtraTreesClassifier

from s2fin_cli.stack.guide import FEW_BANDS
from s2fin_cli.teaching.classifiers import (
    Classifier,
    Task,
    as_given,
    boosting,
    by_position,
    by_position_and_values,
    extra_trees,
)
from s2fin_cli.teaching.features import START, Features
from s2fin_cli.teaching.views import (
    see_components,
    see_components_and_position,
    see_differences,
    see_near,
    see_pixel,
    see_position,
    see_shapes,
    see_start,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from s2fin_cli.teaching.recipe import EnsembleRecipe

#: How many different seeds scikit-learn takes; torch and NumPy take far more.
SEEDS = 1 << 32


@dataclass(frozen=True)
class Member:
    """One classifier of the ensemble.

    Attributes:
        name: what it is called.
        see: gives the parts (n, features) of the features that it uses.
        make: gives an unfitted classifier for a task and a seed.
    """

    name: str
    see: Callable[[Features], list[NDArray[np.float32]]]
    make: Callable[[Task, int], Classifier]

    def fit(
        self,
        features: Features,
        targets: NDArray[np.int64],
        *,
        seed: int,
        recipe: EnsembleRecipe,
        validating: bool = False,
    ) -> Classifier:
        """Fit its classifier to pixels (n,) with targets (n,)."""
        parts = self.see(features)
        widths = tuple(part.shape[1] for part in parts)
        task = Task(len(targets), len(np.unique(targets)), widths, validating, recipe)
        classifier = self.make(task, seed % SEEDS)
        classifier.fit(np.concatenate(parts, axis=1), targets)
        return classifier

    def ask(self, classifier: Classifier, features: Features, *, at_once: int) -> NDArray[np.float32]:
        """Ask its classifier for probabilities (n, classes it knows) of pixels, in parts to save memory."""
        return np.concatenate(
            [classifier.predict_proba(part).astype(np.float32) for part in self._parts(features, at_once)]
        )

    def leaves(self, classifier: Classifier, features: Features, *, at_once: int) -> NDArray[np.int32] | None:
        """The leaf (n, trees) of each tree of a forest that pixels end in; None for a classifier that is no forest."""
        if not isinstance(classifier, ExtraTreesClassifier):
            return None
        return np.concatenate([classifier.apply(part).astype(np.int32) for part in self._parts(features, at_once)])

    def _parts(self, features: Features, at_once: int) -> Iterator[NDArray[np.float32]]:
        """The values (pixels, features) that it uses, some pixels at a time."""
        count = len(features["position"])
        for part in np.array_split(np.arange(count), -(-count // at_once)):
            yield np.concatenate(self.see({name: values[part] for name, values in features.items()}), axis=1)

    def use_of_second(self, classifier: Classifier, features: Features) -> float | None:
        """The second image's share of a forest's importance (Breiman 2001, mean decrease in impurity).

        None without a second image, and for a classifier that is no forest.
        """
        if "aux" not in features or not isinstance(classifier, ExtraTreesClassifier):
            return None
        # one pixel whose features are 0 but for the second image's, which all differ: neither do their differences
        # vanish
        marked = {
            name: np.full((1, values.shape[1]), number if name.startswith("aux") else 0, np.float32)
            for number, (name, values) in enumerate(features.items(), start=1)
        }
        is_second = np.concatenate(self.see(marked), axis=1)[0] != 0
        return float(classifier.feature_importances_[is_second].sum())


#: NOTE: docs/experiments.md has what each of them contributes, as measured by `benchmarks/members.py`.
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

#: A model of another scene: it learns nothing here.
STARTING = Member("model to start from", see_start, as_given)


def choose_members(features: Features, *, dense: bool) -> tuple[Member, ...]:
    """Members for features.

    Args:
        features: the available features. With many bands boosting would take minutes, and adds nothing.
        dense: whether labels are dense, so that what is next to a label is mostly of its class.
    """
    few_bands = features["bands"].shape[1] <= FEW_BANDS
    learning = (*FORESTS, *((BOOSTING,) if few_bands else ()), *(POSITION if dense else ()))
    return (*learning, STARTING) if START in features else learning
