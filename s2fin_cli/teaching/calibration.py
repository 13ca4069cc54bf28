"""Probabilities of several classifiers: their mean, and how much to sharpen it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

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


def consensus(probs: NDArray[np.float64], weights: NDArray[np.float64], *, vote: float) -> NDArray[np.float64]:
    """Combine the probabilities of members (members, n, classes), each by its vote and by its probabilities.

    Args:
        probs: probabilities of the members.
        weights: (members,), of sum 1.
        vote: the share of a member's answer that is its vote for its most likely class.

    Returns:
        (n, classes).
    """
    votes = np.eye(probs.shape[2])[probs.argmax(axis=2)]
    return np.asarray(np.einsum("m,mnc->nc", weights, vote * votes + (1 - vote) * probs))


def fit_temperature(probs: NDArray[np.float64], targets: NDArray[np.int64]) -> float:
    """The temperature of probabilities (n, classes) that makes the targets (n,) most likely; 1 where there are none."""
    if not len(targets):
        return 1.0

    def loss(temperature: float) -> float:
        of_target = _tempered(probs, temperature)[np.arange(len(probs)), targets]
        return -float(np.log(np.maximum(of_target, SMALLEST_PROB)).mean())

    return float(min(TEACHER_TEMPERATURES, key=loss))


def softmax(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probabilities (n, classes) of scores."""
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def _tempered(probs: NDArray[np.float64], temperature: float | NDArray[np.float64]) -> NDArray[np.float64]:
    return softmax(np.log(np.maximum(probs, SMALLEST_PROB)) / temperature)
