"""What the teacher learns from on a draw of a scene, made by the code that trains: for measurements of the teacher."""

from __future__ import annotations

import logging
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from protocols import draw
from s2fin_cli.training.learning import labels_of
from s2fin_cli.training.targets import make_lesson
from s2fin_cli.workflows.options.train import TrainOptions
from s2fin_cli.workflows.train import prepare
from scenes import SCENES, load, read_scene
from subject import write_labels

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from s2fin_cli.labels.pixels import LabelledPixels
    from s2fin_cli.teaching.teacher import Lesson
    from s2fin_cli.training.job import Job


@dataclass(frozen=True)
class DrawnLesson:
    """A lesson and what it is tested on.

    Attributes:
        job: the training job.
        lesson: what the teacher learns from.
        test: the pixels to test on.
        class_ids: int64 (classes,), the scene's class id of each target of the lesson.
    """

    job: Job
    lesson: Lesson
    test: LabelledPixels
    class_ids: NDArray[np.int64]


def draw_lesson(name: str, count: int, seed: int, *, validation: float | None = None, **drawing: Any) -> DrawnLesson:
    """Draw blocks of pixels of a scene, and make the lesson of training on them.

    Args:
        name: of the scene, or its folder.
        count: training pixels of each class.
        seed: of all random choices.
        validation: the option of training; None takes its default.
        drawing: keywords of `draw`.
    """
    logging.getLogger("s2fin_cli").setLevel(logging.ERROR)
    loaded = load(read_scene(Path(name)) if Path(name).is_dir() else {scene.name: scene for scene in SCENES}[name])
    case = draw(loaded, "blocks", count, seed, **drawing)
    given: dict[str, Any] = {**loaded.paths, "seed": seed} | ({} if validation is None else {"validation": validation})
    with tempfile.TemporaryDirectory() as folder:
        labels = Path(folder, "labels.tif")
        class_ids = write_labels(labels, loaded, case.train)
        job = prepare(TrainOptions.from_kwargs({**given, "labels": str(labels)}))
    learnt, _ = labels_of(job, job.split)
    lesson = make_lesson(job, learnt, np.arange(len(learnt)), dense=False)
    return DrawnLesson(job, lesson, case.test, class_ids[[c.id - 1 for c in learnt.classes]])
