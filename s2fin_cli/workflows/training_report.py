"""The report on a model, right after training."""

from __future__ import annotations

from typing import TYPE_CHECKING

from s2fin_cli.reporting.classes import make_classes
from s2fin_cli.reporting.map_report import MapReport, ReportedRun
from s2fin_cli.reporting.pictures import Pictures, draw_labels
from s2fin_cli.reporting.training_report import TrainingReport
from s2fin_cli.stack.preview import view_grid
from s2fin_cli.workflows.report_parts import draw_images

if TYPE_CHECKING:
    from pathlib import Path

    from s2fin_cli.model.info import ModelInfo
    from s2fin_cli.training.job import Job


def describe_training(job: Job, info: ModelInfo, model_path: Path) -> MapReport:
    """The report on a model: what training found, its images and labels.

    Args:
        job: the training job.
        info: the description of the model.
        model_path: the model file.
    """
    training = TrainingReport.of(info)
    classes = make_classes({c.id: c.name for c in info.classes}, colors={c.id: c.color for c in info.classes})
    stack, run = job.scene.stack, training.run
    view = view_grid(stack.grid)
    layers, notes = draw_images([stack.image, *stack.aux], view)
    layers.append(draw_labels(job.labels, stack.grid.shape, view, classes))
    runs = () if run is None else (ReportedRun.of(run, str(model_path)),)
    return MapReport(classes, training=training, runs=runs, pictures=Pictures.on(view, layers, notes))
