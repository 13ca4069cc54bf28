"""Judges: what the network and the teacher's members say of the candidates, and how similar forests find them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from s2fin_cli.labels.splits import cap_per_class
from s2fin_cli.suggesting.unlike import are_unlike, reference_of
from s2fin_cli.teaching.members import FORESTS, choose_members
from s2fin_cli.teaching.recipe import EnsembleRecipe
from s2fin_cli.teaching.threads import in_threads

#: Probabilities (n, classes) of a member, and the leaves of the pixels asked about and of others, if any.
_Answer = tuple["NDArray[np.float32]", "NDArray[np.int32] | None", "NDArray[np.int32] | None"]

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from s2fin_cli.core.progress import Stop
    from s2fin_cli.teaching.features import Features
    from s2fin_cli.teaching.members import Member


@dataclass(frozen=True)
class Panel:
    """Who judges beside the network.

    Attributes:
        recipe: how large the members are: smaller than those of the teacher, as they rank places and make no map.
        boosting: whether boosting is among them, if the image has few bands.
        trees: trees of each forest that find how similar pixels are.
        pupils: candidates of each class that forests learn from where there are no labels: as many as there may be
            labels, so that their leaves are as large.
    """

    recipe: EnsembleRecipe = field(default_factory=lambda: EnsembleRecipe(trees=50, rounds=40))
    boosting: bool = True
    trees: int = 25
    pupils: int = 30

    def members(self, features: Features) -> tuple[Member, ...]:
        """The members for features of pixels."""
        return choose_members(features, dense=False) if self.boosting else FORESTS


@dataclass(frozen=True, eq=False)
class Known:
    """Labelled pixels.

    Attributes:
        features: their features.
        targets: int64 (l,), their classes by position.
        units: int64 (l,), the polygon, point or block that each is of.
    """

    features: Features
    targets: NDArray[np.int64]
    units: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Judgement:
    """What is thought of the candidates.

    Attributes:
        probs: float32 (n, classes), the mean of all judges.
        members: float32 (judges, n, classes), what each of them says: the network, then the members, if any.
        leaves: int32 (n, trees), the leaves of forests that they end in.
        known_leaves: int32 (l, trees), those that labelled pixels end in; of none where there are no labels.
        is_unlike: mask (n,) of those that are unlike anything labelled; all False without labels.
    """

    probs: NDArray[np.float32]
    members: NDArray[np.float32]
    leaves: NDArray[np.int32]
    known_leaves: NDArray[np.int32]
    is_unlike: NDArray[np.bool_]

    def select(self, which: NDArray[np.int64]) -> Judgement:
        """What is thought of some of the candidates, by their positions."""
        probs, members = self.probs[which], self.members[:, which]
        return Judgement(probs, members, self.leaves[which], self.known_leaves, self.is_unlike[which])


def judge(
    features: Features,
    network: NDArray[np.float32] | None,
    known: Known | None,
    *,
    num_classes: int,
    seed: int,
    panel: Panel | None = None,
    stop: Stop | None = None,
) -> Judgement:
    """Judge candidates.

    With labels of two classes at least, the teacher's members learn from them, and count as much each as the network.
    Otherwise the network alone judges, and forests learn from its classes of the candidates how similar these are.

    Args:
        features: features of the candidates.
        network: (n, classes), the network's probabilities of them; None if members are to judge alone.
        known: the labelled pixels, or None where there are none.
        num_classes: how many classes there are.
        seed: seed of the forests.
        panel: who judges beside the network; None for the default.
        stop: ends the work between two members.

    Raises:
        Stopped: it was asked to end.
    """
    panel = panel or Panel()
    asking = _Asking(panel, features, num_classes, seed, stop)
    if known is not None and len(np.unique(known.targets)) > 1:
        answers = asking.answers(panel.members(known.features), known, known.features)
        leaves, known_leaves = _joined(own for _, own, _ in answers), _joined(others for _, _, others in answers)
        said = np.stack([*([] if network is None else [network]), *(probs for probs, _, _ in answers)])
    else:
        assert network is not None  # noqa: S101  the caller has either
        pupils = _pupils(features, network.argmax(axis=1), most=panel.pupils, seed=seed)
        leaves = _joined(own for _, own, _ in asking.answers(FORESTS, pupils))
        known_leaves = leaves[:0]
        said = network[None]
    unlike = np.zeros(len(leaves), dtype=bool)
    if known is not None:
        unlike = are_unlike(features, reference_of(known.features, known.targets, known.units, seed=seed))
    return Judgement(said.mean(axis=0), said, leaves, known_leaves, unlike)


def _joined(leaves: Iterable[NDArray[np.int32] | None]) -> NDArray[np.int32]:
    """The leaves (n, trees) of all forests."""
    return np.concatenate([part for part in leaves if part is not None], axis=1)


def _pupils(features: Features, classes: NDArray[np.int64], *, most: int, seed: int) -> Known:
    """Some candidates of each class with the classes (n,) that the network gives them."""
    everything, generator = np.arange(len(classes)), np.random.default_rng(seed)
    some = cap_per_class(classes, everything, most=most, generator=generator)
    return Known({name: values[some] for name, values in features.items()}, classes[some], some)


@dataclass(frozen=True)
class _Asking:
    """Asks members about pixels.

    Attributes:
        panel: how large they are.
        asked: features of the pixels.
        num_classes: how many classes there are.
        seed: seed of the members.
        stop: ends the work between two of them.
    """

    panel: Panel
    asked: Features
    num_classes: int
    seed: int
    stop: Stop | None

    def answers(self, members: tuple[Member, ...], known: Known, others: Features | None = None) -> list[_Answer]:
        """The answers of members that learn from some pixels, with the leaves of others if these are given."""
        return in_threads(self._answer, [(member, known, others) for member in members], stop=self.stop)

    def _answer(self, member: Member, known: Known, others: Features | None) -> _Answer:
        recipe = self.panel.recipe
        classifier = member.fit(known.features, known.targets, seed=self.seed, recipe=recipe)
        probs = np.zeros((len(self.asked["position"]), self.num_classes), np.float32)
        probs[:, np.unique(known.targets)] = member.ask(classifier, self.asked, at_once=recipe.pixels_at_once)

        def leaves(features: Features) -> NDArray[np.int32] | None:
            found = member.leaves(classifier, features, at_once=recipe.pixels_at_once)
            return None if found is None else found[:, : self.panel.trees]

        return probs, leaves(self.asked), None if others is None else leaves(others)
