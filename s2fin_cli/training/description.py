"""The description of a model: its images and its training."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from s2fin_cli.labels.sketch import LabelSketch
from s2fin_cli.model.file import current_versions, training_grid
from s2fin_cli.model.findings import MOST_EPOCHS
from s2fin_cli.model.info import LABEL_SKETCH, STARTED_FROM, BandSet, ModelInfo
from s2fin_cli.training.class_values import class_values

if TYPE_CHECKING:
    from s2fin_cli.core.run_record import RunRecord
    from s2fin_cli.stack.layer import Layer
    from s2fin_cli.stack.statistics import BandStatistics
    from s2fin_cli.training.job import Job
    from s2fin_cli.training.learning import Learnt


def describe_model(job: Job, first: Learnt, second: Learnt | None, *, run: RunRecord | None = None) -> ModelInfo:
    """The description that the model file holds beside the weights.

    Args:
        job: the training job.
        first: the result of the run on the labels that were not held out.
        second: the result of the run on all labels, if there was one.
        run: the record of the command; None for none.
    """
    scene, kept = job.scene, second or first
    bands = [_band_set(layer, scene.statistics.select(chosen)) for layer, chosen in scene.stack.slices()]
    use = kept.taught.use_of_second
    labels = job.labels if second is not None else job.labels.select(job.split.train)
    training = {
        **_course(job, first, second),
        "labelled_pixels": {c.name: job.labelled.counts[c.id] for c in job.labels.classes},
        "train_pixels": first.pixels[0],
        "validation_pixels": first.pixels[1],
        "validation": None if first.accuracy is None else first.accuracy.to_dict(),
        "cross_validation": None if first.taught.accuracy is None else first.taught.accuracy.to_dict(),
        "use_of_second_image": _rounded(use),
        LABEL_SKETCH: LabelSketch.of(labels, scene.stack.grid).to_dict(),
        **({} if job.start is None else {STARTED_FROM: job.start.origin}),
    }
    placed = training_grid(scene.stack.grid)
    config = kept.network.cfg.to_dict()
    findings = _findings(job, first, second)
    findings["run"] = None if run is None else run.to_dict()
    return ModelInfo(config, tuple(bands), job.labels.classes, training, *placed, current_versions(), findings)


def _findings(job: Job, first: Learnt, second: Learnt | None) -> dict[str, Any]:
    """What a report shows of the training besides its figures."""
    kept = second or first
    return {
        "losses": [_losses(part) for part in (first, second) if part],
        "members": [
            {"name": m.name, "weight": round(m.weight, 4), "use_of_second_image": _rounded(m.use_of_second)}
            for m in kept.taught.members
        ],
        "reliability": None if first.reliability is None else first.reliability.to_dict(),
        "values": class_values(job.scene.stack, job.labels),
    }


def _losses(learnt: Learnt) -> list[float]:
    """Mean loss of each epoch of a run; none where one is not finite, or of more epochs than are kept."""
    losses = learnt.outcome.losses
    is_kept = len(losses) <= MOST_EPOCHS and all(map(math.isfinite, losses))
    return [float(f"{loss:.4g}") for loss in losses] if is_kept else []


def _rounded(share: float | None) -> float | None:
    return None if share is None else round(share, 3)


def _course(job: Job, first: Learnt, second: Learnt | None) -> dict[str, Any]:
    """The figures of the training."""
    options, outcome = job.options, first.outcome
    return {
        "epochs": outcome.epochs,
        "interrupted": outcome.interrupted,
        "refitted": second is not None,
        "refit_epochs": None if second is None else second.outcome.epochs,
        "seed": options.seed,
        "batch_size": options.batch_size,
        "learning_rate": options.learning_rate,
        "split": job.split.method,
    }


def _band_set(layer: Layer, statistics: BandStatistics) -> BandSet:
    return BandSet(
        modality=layer.modality,
        count=layer.count,
        indexes=layer.numbers,
        dtype=layer.dtype,
        band_names=layer.band_names,
        wavelengths=layer.wavelengths,
        scales=tuple(layer.scaling.scales.tolist()),
        offsets=tuple(layer.scaling.offsets.tolist()),
        colors=layer.colors,
        **{name: tuple(values.tolist()) for name, values in asdict(statistics).items()},
    )
