"""The classifiers that one would take instead of s2fin, fitted to the same training pixels and tuned on them alone.

Hyper-parameters are chosen by cross-validation or out-of-bag on the training pixels. Settings that are the same for all
scenes were chosen by trial, in favour of the peers, on single draws of some of these scenes. So their figures are not
independent of that choice either.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy.special import softmax
from sklearn.ensemble import ExtraTreesClassifier, GradientBoostingClassifier, RandomForestClassifier
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from peer_cnn import fit_cnn
from peer_features import Predict, Samples

if TYPE_CHECKING:
    from numpy.typing import NDArray

TREES = 500
#: The baseline to beat: a plain ensemble on the same features of both images.
ENSEMBLE = "ET+GB"
#: Version of the peers, which measured results carry. Raise it by one when the results of any of them may change, and
#: recompute these (`accuracy.py --refresh`).
PEERS_VERSION = 1


@dataclass(frozen=True)
class Peer:
    """A classifier: the kind of features it takes, and the function of samples and a seed that fits it."""

    kind: str
    fit: Callable[[Samples, int], Predict]


def _folds(samples: Samples, most: int, seed: int) -> StratifiedKFold:
    return StratifiedKFold(max(2, min(most, samples.smallest)), shuffle=True, random_state=seed)


def fit_random_forest(samples: Samples, seed: int) -> Predict:
    """Random forest; the share of features tried at a split is the one with the better out-of-bag accuracy."""
    forests = [
        RandomForestClassifier(
            TREES, max_features=share, oob_score=True, random_state=seed, n_jobs=torch.get_num_threads()
        ).fit(samples.features, samples.targets)
        for share in ("sqrt", 0.3)
    ]
    best: Predict = max(forests, key=lambda forest: forest.oob_score_).predict_proba
    return best


def fit_svm(samples: Samples, seed: int) -> Predict:
    """SVM with an RBF kernel on standardised features; C and gamma by cross-validation, probabilities by softmax.

    NOTE: the usual values come first in the grid, because the first of equals is taken. Ties of the votes are broken by
    the decision values, so that the most probable class is the one that the SVM predicts.
    """
    pipeline = make_pipeline(StandardScaler(), SVC(C=100, break_ties=True, random_state=seed))
    scale = 1 / samples.features.shape[1]  # scikit-learn's "scale" for features of variance 1
    grid = {"svc__C": [100, 10, 1000, 1], "svc__gamma": [scale, scale / 4, scale * 4]}
    if samples.smallest > 1:
        pipeline = GridSearchCV(pipeline, grid, cv=_folds(samples, 5, seed))
    pipeline.fit(samples.features, samples.targets)

    def predict(features: NDArray[np.float32]) -> NDArray[np.float64]:
        values = pipeline.decision_function(features)
        if values.ndim == 1:  # two classes have one value, positive for the second
            values = np.column_stack([-values, values]) / 2
        probabilities: NDArray[np.float64] = softmax(values, axis=1)
        return probabilities

    return predict


def fit_boosting(samples: Samples, seed: int) -> Predict:
    """Gradient boosting of small trees, each on a part of the samples and features; the rest by cross-validation.

    NOTE: with tens of labels, scikit-learn's histogram boosting was up to 30 points worse where every tree sees all
    features, and neither better nor faster otherwise.
    """
    boosting = GradientBoostingClassifier(
        n_estimators=100, max_leaf_nodes=4, max_features="sqrt", subsample=0.7, random_state=seed
    )
    grid: dict[str, list[Any]] = {"learning_rate": [0.1, 0.05], "max_leaf_nodes": [4, 8], "min_samples_leaf": [1, 4]}
    if samples.smallest > 1:
        boosting = GridSearchCV(boosting, grid, cv=_folds(samples, 3, seed))
    boosting.fit(samples.features, samples.targets)
    predict: Predict = boosting.predict_proba
    return predict


def fit_ensemble(samples: Samples, seed: int) -> Predict:
    """Extra trees and gradient boosting, whose probabilities are averaged: what ten lines of scikit-learn give.

    NOTE: this boosting and its smallest leaf were the best on average of six on two scenes (`wetland_bc_s2_dem` and
    `zion_landsat_dem`, seeds 100 to 102), histogram boosting among them.
    """
    trees = ExtraTreesClassifier(TREES, max_features="sqrt", random_state=seed, n_jobs=torch.get_num_threads())
    boosting = GradientBoostingClassifier(
        max_leaf_nodes=4, min_samples_leaf=3, max_features="sqrt", subsample=0.7, random_state=seed
    )
    models = [model.fit(samples.features, samples.targets) for model in (trees, boosting)]
    return lambda features: np.mean([model.predict_proba(features) for model in models], axis=0)


PEERS = {
    "RF": Peer("bands", fit_random_forest),
    "SVM": Peer("bands", fit_svm),
    "RF+ctx": Peer("context", fit_random_forest),
    "GB+ctx": Peer("context", fit_boosting),
    "CNN": Peer("patches", fit_cnn),
    ENSEMBLE: Peer("scales", fit_ensemble),
}
