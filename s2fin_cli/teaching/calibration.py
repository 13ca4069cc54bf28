"""Probabilities of several classifiers: their mean, and how much to sharpen it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import entr

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Candidate temperatures; the one under which cross-validated labels are most likely is chosen. None is above 1: the
#: mean of several classifiers is underconfident already, and cross-validation with few labels makes it look
#: overconfident.
TEACHER_TEMPERATURES = np.geomspace(0.1, 1.0, 15)
#: Lower probabilities count as this one.
SMALLEST_PROB = 1e-4


@dataclass(frozen=True)
class Calibration:
    """How much to sharpen probabilities, by the distance to the nearest label: near labels a classifier errs less.

    Attributes:
        distances: two, in pixels, ascending, for which temperatures were found.
        temperatures: there; exponents of the probabilities are divided by them.
    """

    distances: tuple[float, float]
    temperatures: tuple[float, float]

    def apply(self, probs: NDArray[np.float64], distances: NDArray[np.float64]) -> NDArray[np.float64]:
        """Calibrate probabilities (n, classes) of pixels with nearest labels at distances (n,)."""
        logs = np.interp(np.log(np.maximum(distances, 1)), np.log(self.distances), np.log(self.temperatures))
        return _tempered(probs, np.exp(logs)[:, None])


def consensus(probs: NDArray[np.floating], weights: NDArray[np.float64], *, vote: float) -> NDArray[np.float64]:
    """Combine the probabilities of members (members, n, classes), each by its vote and by its probabilities.

    Args:
        probs: probabilities of the members.
        weights: (members,), of sum 1.
        vote: the share of a member's answer that is its vote for its most likely class.

    Returns:
        (n, classes).
    """
    return np.asarray(np.einsum("m,mnc->nc", weights, _with_votes(probs, vote)))


def disagreement(probs: NDArray[np.float32], weights: NDArray[np.float64], *, vote: float) -> NDArray[np.float32]:
    """How much members disagree: the mutual information between the class and the member that is asked, 0 to 1.

    It is the entropy of the members' consensus minus their mean own entropy, over that of equally likely classes, so 0
    where all give the same answer, however unsure it is. Formula: Houlsby et al. (2011), "Bayesian active learning for
    classification and preference learning", arXiv 1112.5745 (BALD); of an ensemble: Depeweg et al. (2018), ICML.

    Args:
        probs: probabilities of the members (members, n, classes).
        weights: (members,), of sum 1.
        vote: as in `consensus`.

    Returns:
        (n,).
    """
    mean = entr(consensus(probs, weights, vote=vote)).sum(axis=1)
    own = sum(w * entr(_with_votes(each, vote)).sum(axis=1) for w, each in zip(weights, probs, strict=True))
    return np.asarray(((mean - own) / np.log(probs.shape[2])).clip(0, 1), np.float32)


def _with_votes(probs: NDArray[np.floating], vote: float) -> NDArray[np.float64]:
    """Answers (..., classes) of members, of which a share is the vote for the most likely class."""
    votes = np.eye(probs.shape[-1])[probs.argmax(axis=-1)]
    return np.asarray(vote * votes + (1 - vote) * probs)


def fit_temperature(probs: NDArray[np.float64], targets: NDArray[np.int64]) -> float:
    """The temperature of probabilities (n, classes) that makes the targets (n,) most likely; 1 where there are none."""
    if not len(targets):
        return 1.0

    def loss(temperature: float) -> float:
        of_target = _tempered(probs, temperature)[np.arange(len(probs)), targets]
        return -float(np.log(np.maximum(of_target, SMALLEST_PROB)).mean())

    return float(min(TEACHER_TEMPERATURES, key=loss))


def balanced_accuracy(probs: NDArray[np.floating], targets: NDArray[np.int64]) -> float:
    """Mean over the classes of the share of pixels (n,) whose likeliest class by (n, classes) is right."""
    right = probs.argmax(axis=1) == targets
    return float(np.mean([right[targets == number].mean() for number in np.unique(targets)]))


def softmax(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probabilities (n, classes) of scores."""
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def _tempered(probs: NDArray[np.float64], temperature: float | NDArray[np.float64]) -> NDArray[np.float64]:
    return softmax(np.log(np.maximum(probs, SMALLEST_PROB)) / temperature)
