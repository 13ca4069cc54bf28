"""A training job: the common inputs of both runs, on a part of the labels and on all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from s2fin import S2FinConfig
    from s2fin_cli.core.progress import Progress, Stop
    from s2fin_cli.labels.pixels import LabelledPixels
    from s2fin_cli.labels.splits import Split
    from s2fin_cli.teaching.teacher import Teacher
    from s2fin_cli.training.labelled import Labelled
    from s2fin_cli.training.options import TrainingOptions
    from s2fin_cli.training.recipe import Recipe
    from s2fin_cli.training.scene import Scene
    from s2fin_cli.training.start import Start


@dataclass(frozen=True)
class Job:
    """A training job.

    Attributes:
        scene: the images.
        labelled: the labels.
        split: which of them are held out in the first run.
        config: configuration of the network for labels that are not dense.
        options: what the user chose.
        recipe: the numbers that are not options.
        teacher: labels the scene for the network.
        progress: called as work advances; raises `Stopped` once the job is to end.
        stop: set to end the job early; the job marks it once it has a result worth keeping.
        start: a model of another scene that the network starts from; None for none.
    """

    scene: Scene
    labelled: Labelled
    split: Split
    config: S2FinConfig
    options: TrainingOptions
    recipe: Recipe
    teacher: Teacher[Any]
    progress: Progress
    stop: Stop
    start: Start | None = None

    @property
    def labels(self) -> LabelledPixels:
        """All labelled pixels that may be learnt from or held out."""
        return self.labelled.pixels
