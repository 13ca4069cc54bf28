"""Places to label: chosen among candidates, each with its likeliest classes and a reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from s2fin_cli.geo.windows import evenly_spread
from s2fin_cli.suggesting.choice import Spacing, choose_places
from s2fin_cli.suggesting.proximity import nearest_proximity, proximities

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from s2fin_cli.suggesting.judges import Judgement

#: Candidates that count as pixels to tell about, at most: bounds memory.
MOST_COUNTED = 2_500
#: Proximities count by this power of them: with a square root, a label tells something of less similar pixels, too.
POWER = 0.5
#: Differences of the two likeliest classes' probabilities up to which a place is between them.
CLOSE = 0.3
#: The share of the judges that give another class, from which on they disagree.
DISPUTED = 0.5
#: The share of the candidates below which a class is rare.
RARE = 0.03


@dataclass(frozen=True)
class Place:
    """A place to label.

    Attributes:
        row, col: where it is.
        classes: positions of its two likeliest classes, the likeliest first.
        probs: their probabilities.
        why: why it was chosen, in a few words.
    """

    row: int
    col: int
    classes: tuple[int, int]
    probs: tuple[float, float]
    why: str


def margins(probs: NDArray[np.float32]) -> NDArray[np.float32]:
    """How close the two likeliest classes are, (n,), by probabilities (n, classes): 1 where they are equal."""
    largest = np.partition(probs, -2, axis=1)[:, -2:]
    return np.asarray(1 - (largest[:, 1] - largest[:, 0]), dtype=np.float32)


def choose_positions(judgement: Judgement, spacing: Spacing, *, number: int) -> list[int]:
    """Choose candidates, see `s2fin_cli.suggesting.choice`; the best first.

    Args:
        judgement: what is thought of them.
        spacing: how far they must be apart.
        number: how many; fewer where there are no more.
    """
    counted = evenly_spread(len(judgement.leaves) - 1, most=MOST_COUNTED)
    covered = nearest_proximity(judgement.leaves[counted], judgement.known_leaves) ** POWER
    likeness = proximities(judgement.leaves, judgement.leaves[counted])
    likeness **= np.float32(POWER)  # in place, as it is large
    weights, unlike = margins(judgement.probs[counted]), judgement.is_unlike[counted]
    covered[unlike], weights[unlike] = 0, 1  # no label tells of them, however sure the judges are
    return choose_places(likeness, weights, covered, number=number, spacing=spacing)


def describe_places(judgement: Judgement, chosen: Sequence[int], spacing: Spacing, names: Sequence[str]) -> list[Place]:
    """Describe candidates that were chosen.

    Args:
        judgement: what is thought of all candidates.
        chosen: positions of those chosen.
        spacing: where the candidates are.
        names: names of the classes.
    """
    order = np.argsort(-judgement.probs, axis=1, kind="stable")[:, :2]
    reasons = _Reasons(judgement, order[:, 0], names)
    return [
        Place(
            int(spacing.rows[i]),
            int(spacing.cols[i]),
            (int(order[i, 0]), int(order[i, 1])),
            (float(judgement.probs[i, order[i, 0]]), float(judgement.probs[i, order[i, 1]])),
            reasons.of(i, order[i].tolist()),
        )
        for i in chosen
    ]


class _Reasons:
    """Why candidates may be worth a label.

    Args:
        judgement: what is thought of them.
        likeliest: (n,), their likeliest classes.
        names: names of the classes.
    """

    def __init__(self, judgement: Judgement, likeliest: NDArray[np.int64], names: Sequence[str]) -> None:
        self._names, self._margins = names, margins(judgement.probs)
        others = judgement.members.argmax(axis=2) != likeliest
        self._disputed = others.mean(axis=0) >= DISPUTED
        shares = np.bincount(likeliest, minlength=len(names)) / len(likeliest)
        self._is_rare = shares[likeliest] < RARE
        self._is_unlike = judgement.is_unlike

    def of(self, candidate: int, classes: Sequence[int]) -> str:
        """The reason for one, whose two likeliest classes are given."""
        first, second = sorted(self._names[position] for position in classes)
        if self._is_unlike[candidate]:
            return "unlike anything labelled"
        if 1 - self._margins[candidate] <= CLOSE:
            return f"between {first} and {second}"
        if self._disputed[candidate]:
            return "members disagree"
        if self._is_rare[candidate]:
            return "rare"
        return "stands for many similar pixels"
