"""The choice of places: those whose labels tell most about what is uncertain.

The label of a place tells about the pixels that are similar to it. The places chosen together are those for which the
sum over all pixels of their uncertainty, times their likeness to the most similar place or label, is largest. This is
the facility location function, which is submodular, so that choosing the best place one after the other comes near the
best choice (Nemhauser et al. 1978, "An analysis of approximations for maximizing submodular set functions",
Mathematical Programming 14, 265-294). Wei, Iyer and Bilmes (2015, "Submodularity in data subset selection and active
learning", ICML) choose labels with it. Ours: the likeness is the proximity of forests that learnt from the labels so
far, what is similar to a label counts as covered, and pixels count by how close their two likeliest classes are.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Spacing:
    """How far places must be apart.

    Attributes:
        rows, cols: int64 (n,), where the candidates are.
        distance: pixels; two places differ by as many rows or columns at least.
    """

    rows: NDArray[np.int64]
    cols: NDArray[np.int64]
    distance: float

    def near(self, candidate: int) -> NDArray[np.bool_]:
        """Mask over the candidates of those that are too near one of them, itself included."""
        rows, cols = abs(self.rows - self.rows[candidate]), abs(self.cols - self.cols[candidate])
        return np.asarray(np.maximum(rows, cols) < self.distance)


def choose_places(
    likeness: NDArray[np.float32],
    weights: NDArray[np.float32],
    covered: NDArray[np.float32],
    *,
    number: int,
    spacing: Spacing,
) -> list[int]:
    """Choose candidates one after the other, each the one that tells most beyond those before.

    What a candidate adds never rises while others are chosen, so only candidates that may be the best are looked at
    again (Minoux 1978, "Accelerated greedy algorithms for maximizing submodular set functions").

    Args:
        likeness: (n, m), how similar each candidate is to each pixel that counts, 0 to 1.
        weights: (m,), how much these pixels count.
        covered: (m,), how similar they are to what is labelled, 0 to 1.
        number: how many to choose; fewer where the spacing leaves no more.
        spacing: how far they must be apart.

    Returns:
        positions of the candidates, the best first.
    """
    best, free = covered.copy(), np.ones(len(likeness), dtype=bool)
    chosen: list[int] = []

    def gain(candidate: int) -> float:
        return float(weights @ np.maximum(likeness[candidate] - best, 0))

    waiting = [(-gain(candidate), candidate) for candidate in range(len(likeness))]
    heapq.heapify(waiting)
    while waiting and len(chosen) < number:
        candidate = heapq.heappop(waiting)[1]
        if not free[candidate]:
            continue
        entry = (-gain(candidate), candidate)
        if waiting and entry > waiting[0]:
            heapq.heappush(waiting, entry)
            continue
        chosen.append(candidate)
        best = np.maximum(best, likeness[candidate])
        free &= ~spacing.near(candidate)
    return chosen
