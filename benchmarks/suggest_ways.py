"""Ways to choose the places of a round: that of s2fin, and simpler ones to compare it with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import entr

from s2fin_cli.suggesting.choice import Spacing
from s2fin_cli.suggesting.places import choose_positions
from s2fin_cli.workflows.options.suggest import SuggestOptions

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from s2fin_cli.suggesting.judges import Judgement


@dataclass(frozen=True, eq=False)
class Round:
    """What is known before places are chosen.

    Attributes:
        judgement: what is thought of the candidates, none of which is labelled.
        rows, cols: int64 (n,), where they are.
        number: how many to choose.
        generator: source of chance.
    """

    judgement: Judgement
    rows: NDArray[np.int64]
    cols: NDArray[np.int64]
    number: int
    generator: np.random.Generator

    def spacing(self, distance: float = SuggestOptions.distance) -> Spacing:
        """How far places must be apart."""
        return Spacing(self.rows, self.cols, distance)

    def filled(self, chosen: list[int]) -> NDArray[np.int64]:
        """Places as many as wanted: those chosen and, where spacing left fewer, random ones."""
        others = self.generator.permutation(np.setdiff1d(np.arange(len(self.rows)), chosen))
        return np.append(np.array(chosen, dtype=np.int64), others)[: self.number]


def at_random(now: Round) -> NDArray[np.int64]:
    """Random places."""
    return now.filled([])


def by_class(now: Round) -> NDArray[np.int64]:
    """Random places of each class of the map, the same number of each, as of a stratified sample."""
    order = now.generator.permutation(len(now.rows))
    classes = now.judgement.probs.argmax(axis=1)[order]
    turn = np.empty(len(order), dtype=np.int64)
    for number in np.unique(classes):
        own = classes == number
        turn[own] = np.arange(own.sum())
    return order[np.argsort(turn, kind="stable")][: now.number]


def by_entropy(now: Round) -> NDArray[np.int64]:
    """The places with the largest entropy, apart from each other."""
    return _largest(now, entr(now.judgement.probs.astype(np.float64)).sum(axis=1))


def by_margin(now: Round) -> NDArray[np.int64]:
    """The places whose two likeliest classes are closest, apart from each other."""
    # NOTE: not `suggesting.places.margins`, whose float32 makes ties of places that the kept figures tell apart
    largest = np.sort(now.judgement.probs.astype(np.float64), axis=1)
    return _largest(now, largest[:, -2] - largest[:, -1])


def by_disagreement(now: Round) -> NDArray[np.int64]:
    """The places on which the members disagree most, apart from each other.

    The mutual information of answer and member (Houlsby et al. 2011, "Bayesian active learning for classification and
    preference learning", arXiv 1112.5745), as in query by committee (Seung, Opper and Sompolinsky 1992, COLT).
    """
    probs, members = now.judgement.probs.astype(np.float64), now.judgement.members.astype(np.float64)
    return _largest(now, entr(probs).sum(axis=1) - entr(members).sum(axis=2).mean(axis=0))


def as_suggested(now: Round) -> NDArray[np.int64]:
    """The way of s2fin."""
    return now.filled(choose_positions(now.judgement, now.spacing(), number=now.number))


def _largest(now: Round, scores: NDArray[np.float64]) -> NDArray[np.int64]:
    """The candidates with the largest scores, apart from each other."""
    chosen: list[int] = []
    free, spacing = np.ones(len(scores), dtype=bool), now.spacing()
    for candidate in np.argsort(-scores, kind="stable").tolist():
        if free[candidate] and len(chosen) < now.number:
            chosen.append(candidate)
            free &= ~spacing.near(candidate)
    return now.filled(chosen)


WAYS: dict[str, Callable[[Round], NDArray[np.int64]]] = {
    "random": at_random,
    "by class": by_class,
    "entropy": by_entropy,
    "margin": by_margin,
    "disagreement": by_disagreement,
    "s2fin": as_suggested,
}
