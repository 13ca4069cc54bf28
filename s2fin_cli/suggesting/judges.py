"""Judges: what the network and the teacher's members say of the candidates, and how alike forests find them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from s2fin_cli.labels.splits import cap_per_class
from s2fin_cli.suggesting.unlike import are_unlike
from s2fin_cli.teaching.members import FORESTS, choose_members
from s2fin_cli.teaching.recipe import EnsembleRecipe
from s2fin_cli.teaching.threads import in_threads

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from s2fin_cli.core.progress import Stop
    from s2fin_cli.teaching.features import Features
    from s2fin_cli.teaching.members import Member

#: How large the members are: smaller than those of the teacher, as they rank places and make no map.
RECIPE = EnsembleRecipe(trees=50, rounds=40)
#: Trees of each forest that find how alike pixels are.
TREES = 25
#: Candidates of each class that forests learn from where there are no labels: as many as there may be labels, so that
#: their leaves are as large.
PUPILS = 30


@dataclass(frozen=True, eq=False)
class Known:
    """Labelled pixels.

    Attributes:
        features: their features.
        targets: int64 (l,), their classes by position.
        units: int64 (l,), the polygon or point that each is of.
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
        is_unlike: mask (n,) of those that look like no labelled pixel, see `s2fin_cli.suggesting.unlike`.
    """

    probs: NDArray[np.float32]
    members: NDArray[np.float32]
    leaves: NDArray[np.int32]
    known_leaves: NDArray[np.int32]
    is_unlike: NDArray[np.bool_]


def judge(
    features: Features,
    network: NDArray[np.float32] | None,
    known: Known | None,
    *,
    num_classes: int,
    seed: int,
    stop: Stop | None = None,
) -> Judgement:
    """Judge candidates.

    With labels of two classes at least, the teacher's members learn from them, and count as much each as the network.
    Otherwise the network alone judges, and forests learn from its classes of the candidates how alike these are.

    Args:
        features: features of the candidates.
        network: (n, classes), the network's probabilities of them; None if members are to judge alone.
        known: the labelled pixels, or None where there are none.
        num_classes: how many classes there are.
        seed: seed of the forests.
        stop: ends the work between two members.

    Raises:
        Stopped: it was asked to end.
    """
    if known is not None and len(np.unique(known.targets)) > 1:
        members = choose_members(known.features, dense=False)
        answers = _ask(members, known, features, num_classes=num_classes, seed=seed, stop=stop)
        said = np.stack([*([] if network is None else [network]), *(probs for probs, _, _ in answers)])
    else:
        assert network is not None  # noqa: S101  the caller has either
        pupils = _pupils(features, network.argmax(axis=1), seed=seed)
        answers = _ask(FORESTS, pupils, features, num_classes=num_classes, seed=seed, stop=stop)
        said = network[None]
    leaves, known_leaves = (
        np.concatenate([part for part in parts if part is not None], axis=1)
        for parts in zip(*((own, others) for _, own, others in answers), strict=True)
    )
    has_members = len(said) > 1 or network is None
    unlike = np.zeros(len(leaves), dtype=bool) if known is None else are_unlike(features, known.features, known.units)
    return Judgement(said.mean(axis=0), said, leaves, known_leaves if has_members else known_leaves[:0], unlike)


def _pupils(features: Features, classes: NDArray[np.int64], *, seed: int) -> Known:
    """Some candidates with the classes (n,) that the network gives them."""
    everything, generator = np.arange(len(classes)), np.random.default_rng(seed)
    some = cap_per_class(classes, everything, most=PUPILS, generator=generator)
    return Known({name: values[some] for name, values in features.items()}, classes[some], some)


def _ask(
    members: tuple[Member, ...], known: Known, asked: Features, *, num_classes: int, seed: int, stop: Stop | None
) -> list[tuple[NDArray[np.float32], NDArray[np.int32] | None, NDArray[np.int32] | None]]:
    """Probabilities (n, classes) of each member, and the leaves of those asked about and of those known, if any."""
    at_once, columns = RECIPE.pixels_at_once, np.unique(known.targets)

    def ask(member: Member) -> tuple[NDArray[np.float32], NDArray[np.int32] | None, NDArray[np.int32] | None]:
        classifier = member.fit(known.features, known.targets, seed=seed, recipe=RECIPE)
        probs = np.zeros((len(asked["position"]), num_classes), np.float32)
        probs[:, columns] = member.ask(classifier, asked, at_once=at_once)
        found = [member.leaves(classifier, part, at_once=at_once) for part in (asked, known.features)]
        own, others = (None if part is None else part[:, :TREES] for part in found)
        return probs, own, others

    return in_threads(ask, [(member,) for member in members], stop=stop)
