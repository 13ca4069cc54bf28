"""The use case of training: files in, a model file out."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from s2fin_cli.core.device import keep_freed_memory, pick_device
from s2fin_cli.core.files import check_outputs, staged
from s2fin_cli.core.progress import Progress, Stop, silent, stoppable
from s2fin_cli.core.run_record import recorded_warnings
from s2fin_cli.labels.read import open_labels
from s2fin_cli.labels.rules import rules_of
from s2fin_cli.model.file import write_model
from s2fin_cli.reporting.files import check_suffix, write_report
from s2fin_cli.stack.assembly import stack_of
from s2fin_cli.teaching.ensemble import EnsembleTeacher
from s2fin_cli.training.architecture import network_config
from s2fin_cli.training.description import describe_model
from s2fin_cli.training.job import Job
from s2fin_cli.training.labelled import check_classes, hold_out, with_data
from s2fin_cli.training.learning import learn_scene
from s2fin_cli.training.recipe import Recipe
from s2fin_cli.training.scene import explore, usable_bands
from s2fin_cli.training.start import GivenModel
from s2fin_cli.workflows.input_files import input_files
from s2fin_cli.workflows.run_record import public, record_run
from s2fin_cli.workflows.training_report import describe_training

if TYPE_CHECKING:
    from collections.abc import Mapping

    from s2fin_cli.assess.metrics import Accuracy
    from s2fin_cli.core.run_record import RunRecord
    from s2fin_cli.model.info import ModelInfo
    from s2fin_cli.stack.stack import Stack
    from s2fin_cli.stack.statistics import BandStatistics
    from s2fin_cli.teaching.teacher import Teacher
    from s2fin_cli.training.labelled import Labelled
    from s2fin_cli.training.loop import Outcome
    from s2fin_cli.workflows.options.train import TrainOptions

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainResult:
    """The result of training.

    Attributes:
        model: path of the model file.
        info: its description.
        outcome: how the training went.
        accuracy: accuracy of the network on the pixels held out, or None where there were none.
        teacher: accuracy of the teacher by cross-validation, or None where no class could be held out.
        report: path of the report, if one was requested.
        warnings: what was warned of, such as labels without a class.
    """

    model: Path
    info: ModelInfo
    outcome: Outcome
    accuracy: Accuracy | None
    teacher: Accuracy | None
    report: Path | None = None
    warnings: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values for scripts."""
        classes = [{"id": c.id, "name": c.name} for c in self.info.classes]
        report = {} if self.report is None else {"report": str(self.report)}
        found = {"classes": classes, "training": self.info.training, "warnings": list(self.warnings)}
        return {"model": str(self.model), **report, **found}


def run(
    options: TrainOptions,
    *,
    teacher: Teacher[Any] | None = None,
    network: Mapping[str, Any] | None = None,
    recipe: Recipe | None = None,
    progress: Progress = silent,
    stop: Stop | None = None,
) -> TrainResult:
    """Train a model from files and write it.

    Args:
        options: the options of the user.
        teacher: labels the scene for the network; None is the ensemble, as the recipe describes it.
        network: fields of `S2FinConfig` that differ from their defaults.
        recipe: numbers of training that are not options; None takes the defaults.
        progress: called as training advances.
        stop: ends training early; the best state so far is written, if a round is complete.

    Returns:
        where the model is, and its accuracy on the pixels held out.

    Raises:
        S2finError: something is wrong with the inputs, options or outputs; nothing is written.
        Stopped: it was stopped before there was a result worth keeping.
    """
    dst_path, report_path = Path(options.output), None if options.report is None else Path(options.report)
    _check_outputs(options, dst_path, report_path)
    with recorded_warnings() as warnings:
        job = prepare(options, teacher=teacher, network=network, recipe=recipe, progress=progress, stop=stop)
        record = _record_of(options, job.scene.standardizer.device)
        with torch.random.fork_rng():  # the caller's random state stays unchanged
            first, second = learn_scene(job)
    record = replace(record, warnings=public(warnings, options.files_read))
    info, kept = describe_model(job, first, second, run=record), second or first
    _log_use(kept.taught.use_of_second)
    with staged([dst_path], overwrite=options.overwrite) as (tmp_path,):
        write_model(tmp_path, kept.network, info=info, reference=kept.taught.reference)
    if report_path is not None:
        write_report(describe_training(job, info, dst_path), report_path)
    accuracies = first.accuracy, first.taught.accuracy
    return TrainResult(dst_path, info, first.outcome, *accuracies, report_path, record.warnings)


def _check_outputs(options: TrainOptions, dst_path: Path, report_path: Path | None) -> None:
    if report_path is not None:
        check_suffix(report_path)
    inputs = input_files(options.files_read)
    outputs = [path for path in (dst_path, report_path) if path is not None]
    check_outputs(outputs, overwrite=options.overwrite, inputs=inputs)


def _record_of(options: TrainOptions, device: torch.device) -> RunRecord:
    """The record of a run: of its files before it learns, which may take so long that they are edited meanwhile."""
    named = {"labels": options.labels, "classes": options.classes, "init": options.init}
    return record_run("train", options, named=named, device=device)


def _log_use(use: float | None) -> None:
    """Log how much the ensemble used each image, if that is known."""
    if use is not None:
        logger.info(
            "how much the ensemble used each image: passive image %.0f %%, second image %.0f %%",
            100 - 100 * use,
            100 * use,
        )


def prepare(
    options: TrainOptions,
    *,
    teacher: Teacher[Any] | None = None,
    network: Mapping[str, Any] | None = None,
    recipe: Recipe | None = None,
    progress: Progress = silent,
    stop: Stop | None = None,
) -> Job:
    """Read images and labels, explore the scene, and hold out labels; see `run`.

    Raises:
        Stopped: it was asked to end; it looks before each step that reads pixels.
    """
    recipe, stop = recipe or Recipe(), stop or Stop()
    device = pick_device(options.device)
    keep_freed_memory()
    given = None if options.init is None else GivenModel.read(options.init)
    if given is not None:
        given.check_patch_size(options.patch_size)
    stack, statistics, labelled = _read(options, given, stop)
    labels = labelled.pixels
    if given is None:
        config = network_config(stack, num_classes=len(labels.classes), patch_size=options.patch_size, changes=network)
    else:
        config = given.config(labels)
    stop.check()
    scene = explore(stack, statistics, config, sampling=recipe.sampling, seed=options.seed, device=device)
    split, start = hold_out(labels, options, recipe.holding_out), None
    if given is not None:
        stop.check()
        start = given.start(scene, labels, split, most=recipe.sampling.teacher_labels, seed=options.seed)
        scene = replace(scene, standardizer=start.network.standardizer)
    return Job(
        scene=scene,
        labelled=labelled,
        split=split,
        config=config,
        options=options,
        recipe=recipe,
        teacher=teacher or EnsembleTeacher(recipe.ensemble, stop),
        progress=stoppable(progress, stop),
        stop=stop,
        start=start,
    )


def _read(options: TrainOptions, given: GivenModel | None, stop: Stop) -> tuple[Stack, BandStatistics, Labelled]:
    """Read images and labels: the images without bands that are of no use, statistics of their bands, and the labels.

    Raises:
        Stopped: it was asked to end; it looks before each step that reads pixels.
    """
    stop.check()
    stack = stack_of(options)
    if given is not None:
        stack = given.bands_of(stack)
    stop.check()
    labels = open_labels(options.label_paths, stack.grid, rules=rules_of(options))
    stop.check()
    stack, statistics = usable_bands(stack)
    if given is not None:
        given.check_images(stack, statistics)
    stop.check()
    labelled = with_data(labels, stack, labels_per_class=options.labels_per_class, seed=options.seed)
    check_classes(labelled.pixels)
    if given is not None:
        given.check_labels(labelled.pixels, stack.grid)
    return stack, statistics, labelled
