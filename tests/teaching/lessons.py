"""Lessons that tests of the teacher share: made features, and members whose answers are known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from s2fin_cli.stack.guide import FEW_BANDS
from s2fin_cli.teaching.classifiers import Task
from s2fin_cli.teaching.ensemble import ask_members
from s2fin_cli.teaching.features import MARGIN, SCALES, SHAPE_SCALES, Features
from s2fin_cli.teaching.members import BOOSTING, FORESTS, POSITION, Member
from s2fin_cli.teaching.recipe import EnsembleRecipe
from s2fin_cli.teaching.teacher import Answers, Lesson
from s2fin_cli.teaching.validation import Trust, cross_validate
from tests.recipes import SMALL_ENSEMBLE

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]

#: All members where labels are sparse, and between dense ones.
MEMBERS = (*FORESTS, BOOSTING)
MEMBERS_AMONG_LABELS = (*MEMBERS, *POSITION)
SHAPES = ["shape", *(f"shape mean {scale}" for scale in SHAPE_SCALES)]
TWO_CLASSES = np.tile(np.arange(2), 20)


def names_of(*kinds: str) -> list[str]:
    """Names of features of these kinds and of their surroundings."""
    around = [f"{what} {scale}" for scale in SCALES for what in ("mean", "deviation")]
    return [name for kind in kinds for name in (kind, *(f"{kind} {part}" for part in around))]


def make_features(targets: Ints, *, seed: int = 0, apart: float = 8.0) -> Features:
    """Two values by feature, around another place of the plane for each class, a standard deviation of 1 about it."""
    generator = np.random.default_rng(seed)
    centres = apart * np.stack([targets // 4, targets % 4], axis=1)
    names = [*names_of("bands", "components"), *SHAPES]
    features = {name: generator.normal(centres, size=(len(targets), 2)).astype(np.float32) for name in names}
    return features | {"position": in_a_row(len(targets))}


def in_a_row(count: int) -> Floats:
    """Positions of `count` pixels, one beside the other."""
    return np.stack([np.zeros(count), np.arange(count)], axis=1).astype(np.float32)


def far_apart(count: int) -> Floats:
    """Positions of `count` pixels whose surroundings do not overlap."""
    return in_a_row(count) * np.float32(2 * MARGIN)


def indexed(count: int) -> Features:
    """The index of `count` pixels, side by side."""
    return {"index": np.arange(count, dtype=np.float32)[:, None], "position": in_a_row(count)}


def make_lesson(
    targets: Ints,
    features: Features,
    *,
    units: Ints | None = None,
    num_classes: int | None = None,
    seed: int = 0,
    dense: bool = False,
    buffer: int = MARGIN,
) -> Lesson:
    """A lesson; each pixel is a unit of its own, unless they are given."""
    own = np.arange(len(targets)) if units is None else units
    classes = int(targets.max()) + 1 if num_classes is None else num_classes
    return Lesson(features, targets, own, classes, seed, dense, buffer)


def learn(
    targets: Ints,
    features: Features | None = None,
    *,
    asked: Features | None = None,
    units: Ints | None = None,
    members: tuple[Member, ...] = MEMBERS,
    seed: int = 0,
    recipe: EnsembleRecipe = SMALL_ENSEMBLE,
) -> tuple[Trust, Answers]:
    """What cross-validation finds, and the answers for the pixels asked about, or for those that were learnt from."""
    known = make_features(targets) if features is None else features
    lesson = make_lesson(targets, known, units=units, seed=seed)
    trust = cross_validate(members, lesson, recipe)
    return trust, ask_members(members, lesson, known if asked is None else asked, trust=trust, recipe=recipe)


def member_of(make: Callable[[Task, int], Any], *names: str) -> Member:
    """A member that looks at the named features."""
    return Member("given", lambda features: [features[name] for name in names], make)


class Known:
    """Stands in for a classifier: answers with the given probabilities of the two classes by an index of pixels."""

    def __init__(self, probs: NDArray[np.float64]) -> None:
        self.probs = probs

    def fit(self, values: Floats, targets: Ints) -> None:
        pass

    def predict_proba(self, values: Floats) -> NDArray[np.float64]:
        return np.asarray(self.probs[values[:, 0].astype(int)])


def answers(targets: Ints, right: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probabilities of two classes, those of the right one (n,) given."""
    probs = np.stack([1 - right, 1 - right], axis=1)
    probs[np.arange(len(targets)), targets] = right
    return probs


class ByHeart:
    """Knows the classes of the units that it has seen, and takes any other for class 0."""

    def fit(self, values: Floats, targets: Ints) -> None:
        self.seen = dict(zip(values[:, 0].tolist(), targets.tolist(), strict=True))
        self.count = len(np.unique(targets))

    def predict_proba(self, values: Floats) -> NDArray[np.float64]:
        certain = np.eye(self.count)[[self.seen.get(unit, 0) for unit in values[:, 0].tolist()]]
        return 0.6 * certain + 0.4 / self.count


def in_units(units: Ints) -> Features:
    """The number of each pixel's unit; pixels are side by side."""
    return {"unit": units.astype(np.float32)[:, None], "position": in_a_row(len(units))}


def all_features(count: int, bands: int, *, seconds: int = 1, seed: int = 0) -> Features:
    """Features without any information."""
    generator = np.random.default_rng(seed)
    widths = dict.fromkeys([*names_of("bands"), *SHAPES], bands) | dict.fromkeys(names_of("components"), 4)
    widths |= dict.fromkeys(names_of("aux"), seconds) if seconds else {}
    if bands > FEW_BANDS:  # then the surroundings of bands are no features
        widths = {name: width for name, width in widths.items() if not name.startswith("bands ")}
    features = {name: generator.normal(size=(count, width)).astype(np.float32) for name, width in widths.items()}
    return features | {"position": in_a_row(count)}
