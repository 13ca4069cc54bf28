"""The protocol of teachers: they learn from labelled pixels, and give the network targets for pixels without a label.

A teacher sees features of pixels and nothing else: no network, no stack and no file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from s2fin_cli.stack.cells import Places
    from s2fin_cli.teaching.features import Features


@dataclass(frozen=True)
class Lesson:
    """What a teacher learns from.

    Attributes:
        features: features of the labelled pixels.
        targets: int64 (n,), their classes, 0 to `num_classes` - 1, every class among them.
        units: int64 (n,), pixels of one unit (polygon, block) are held out together when it is cross-validated.
        num_classes: how many classes there are.
        seed: seed of every random choice.
        dense: whether labels are dense: most pixels of the scene have one near them.
        buffer: width in pixels of the zone around those held out in which labels are not learnt from, as long as each
            class has enough others; 0 if the map's pixels are as near to labels as labels are to each other.
    """

    features: Features
    targets: NDArray[np.int64]
    units: NDArray[np.int64]
    num_classes: int
    seed: int
    dense: bool
    buffer: int


@dataclass(frozen=True)
class Questions:
    """What a teacher is asked about: whole cells, except pixels without data.

    Attributes:
        features: features of the pixels.
        labels: int64 (n,), the classes of those that have a label, -1 for others.
        places: where they are in their cells.
    """

    features: Features
    labels: NDArray[np.int64]
    places: Places


@dataclass(frozen=True)
class MemberShare:
    """How much one member of a teacher counted.

    Attributes:
        name: what it is called.
        weight: its share of the answer, 0 to 1.
        use_of_second: the second image's share of what it used, 0 to 1; None if that is not known.
    """

    name: str
    weight: float
    use_of_second: float | None = None


@dataclass(frozen=True)
class Answers:
    """What a teacher answers.

    Attributes:
        probs: float32 (n, classes), of the pixels that it was asked about; a row of NaN excludes its pixel, if that has
            no label.
        use_of_second: how much the second image counted, 0 to 1; None if that is not known.
        nearly_right: whether the network may copy the answers closely, as between dense labels.
        members: how much each member of the teacher counted, if it has any.
        disagreement: float32 (n,), how much the members disagree about each pixel, 0 to 1; None without members.
    """

    probs: NDArray[np.float32]
    use_of_second: float | None = None
    nearly_right: bool = False
    members: tuple[MemberShare, ...] = ()
    disagreement: NDArray[np.float32] | None = None


class Examination(Protocol):
    """What a teacher found out about itself by cross-validation."""

    @property
    def cross_validated(self) -> NDArray[np.float64]:
        """Probabilities (n, classes) of the lesson's pixels, each from a teacher that had not seen it.

        Pixels of a class that no such teacher knew have rows of NaN.
        """


E = TypeVar("E", bound=Examination)


class Teacher(Protocol[E]):
    """Learns from labels, and answers for the pixels that the network learns from."""

    def examine(self, lesson: Lesson) -> E:
        """Find out how good it is, by cross-validation."""

    def teach(self, lesson: Lesson, questions: Questions, examination: E) -> Answers:
        """Learn from all labels and answer.

        Args:
            lesson: what it learns from.
            questions: the pixels that it is asked about.
            examination: what it found out about itself, from this lesson or from one with a part of its labels.
        """
