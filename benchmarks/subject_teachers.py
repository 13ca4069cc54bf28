"""Teachers for benchmarks: one that answers each question only once, and one that has no answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from s2fin_cli.teaching.teacher import Answers

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from records import Run
    from s2fin_cli.teaching.teacher import Lesson, Questions, Teacher


class Remembered:
    """Keeps the results of a draw's teacher, so that all variants of the network learn from the same answers.

    Args:
        teacher: the one that is asked.
    """

    def __init__(self, teacher: Teacher[Any]) -> None:
        self.teacher = teacher
        self.examinations: list[Any] = []
        self.answers: list[Answers] = []
        self._draw: Run | None = None

    def of(self, draw: Run) -> Repeating:
        """The teacher of a draw, which passes on only new questions; two for each draw if labels are held out."""
        if draw != self._draw:
            self._draw, self.examinations, self.answers = draw, [], []
        return Repeating(self)


class Repeating:
    """A teacher for one training, which gives remembered results in order.

    Args:
        remembered: the teacher of the draw.
    """

    def __init__(self, remembered: Remembered) -> None:
        self._remembered = remembered
        self._examined = self._taught = 0

    def examine(self, lesson: Lesson) -> Any:
        """Cross-validate, unless this was done for the draw."""
        kept = self._remembered.examinations
        self._examined += 1
        if len(kept) < self._examined:
            kept.append(self._remembered.teacher.examine(lesson))
        return kept[self._examined - 1]

    def teach(self, lesson: Lesson, questions: Questions, examination: Any) -> Answers:
        """Answer, unless this was done for the draw."""
        kept = self._remembered.answers
        self._taught += 1
        if len(kept) < self._taught:
            kept.append(self._remembered.teacher.teach(lesson, questions, examination))
        return kept[self._taught - 1]


@dataclass(frozen=True)
class Unknown:
    """The empty cross-validation of a teacher without answers.

    Attributes:
        cross_validated: NaN (n, classes).
    """

    cross_validated: NDArray[np.float64]


class NoTeacher:
    """A teacher that leaves out all pixels: the network learns from labels alone.

    NOTE: it learns as with sparse labels, because training between dense labels presumes a good teacher.
    """

    def examine(self, lesson: Lesson) -> Unknown:
        """Find nothing."""
        return Unknown(np.full((len(lesson.targets), lesson.num_classes), np.nan))

    def teach(self, lesson: Lesson, questions: Questions, examination: Unknown) -> Answers:
        """Answer nothing."""
        return Answers(np.full((len(questions.labels), lesson.num_classes), np.nan, np.float32))
