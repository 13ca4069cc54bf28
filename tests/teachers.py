"""Teachers for tests: one that is watched, and one that knows nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from s2fin_cli.teaching.teacher import Answers, Lesson, Questions

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from s2fin_cli.teaching.teacher import Teacher


@dataclass
class Watched:
    """A teacher whose lessons and answers are kept.

    Attributes:
        teacher: the one that answers.
        lessons: what it learnt from, once for each time that it taught.
        examined: the lessons that it was examined with.
        questions: what it was asked.
        answers: what it answered.
    """

    teacher: Teacher[Any]
    lessons: list[Lesson] = field(default_factory=list)
    examined: list[Lesson] = field(default_factory=list)
    questions: list[Questions] = field(default_factory=list)
    answers: list[Answers] = field(default_factory=list)

    def examine(self, lesson: Lesson) -> Any:
        self.examined.append(lesson)
        return self.teacher.examine(lesson)

    def teach(self, lesson: Lesson, questions: Questions, examination: Any) -> Answers:
        self.lessons.append(lesson)
        self.questions.append(questions)
        self.answers.append(self.teacher.teach(lesson, questions, examination))
        return self.answers[-1]


@dataclass(frozen=True)
class Examined:
    """What the teachers here found out about themselves.

    Attributes:
        cross_validated: (n, classes).
    """

    cross_validated: NDArray[np.float64]


class Undecided:
    """A teacher that finds all classes equally likely, everywhere."""

    def examine(self, lesson: Lesson) -> Examined:
        return Examined(np.full((len(lesson.targets), lesson.num_classes), 1 / lesson.num_classes))

    def teach(self, lesson: Lesson, questions: Questions, examination: Examined) -> Answers:
        count = len(questions.labels)
        return Answers(np.full((count, lesson.num_classes), 1 / lesson.num_classes, np.float32))
