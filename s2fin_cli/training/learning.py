"""Training on a scene: the teacher and the network, on a part of the labels and then on all of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from s2fin_cli.core.errors import S2finError
from s2fin_cli.core.progress import Stopped
from s2fin_cli.labels.distances import are_dense
from s2fin_cli.labels.splits import cap_per_class
from s2fin_cli.teaching.features import positions
from s2fin_cli.training.architecture import make_network
from s2fin_cli.training.loop import Hyperparameters, Outcome, fit
from s2fin_cli.training.targets import Taught, ask_teacher
from s2fin_cli.training.validation import Validated, validate

if TYPE_CHECKING:
    from s2fin import S2Fin, S2FinConfig
    from s2fin_cli.assess.metrics import Accuracy
    from s2fin_cli.assess.reliability import Reliability
    from s2fin_cli.labels.pixels import LabelledPixels
    from s2fin_cli.labels.splits import Split
    from s2fin_cli.training.job import Job
    from s2fin_cli.training.samples import TrainingSet

#: Names of the stages of training that `progress` is called with.
FIRST_RUN, ON_ALL_LABELS = "training", "training on all labels"


@dataclass(frozen=True)
class Learnt:
    """The result of one training run.

    Attributes:
        network: the network.
        outcome: how it ended.
        accuracy: accuracy of the network on the pixels held out, or None where there are none.
        taught: the teacher's results.
        pixels: how many labelled pixels were trained on, and how many validated on.
        reliability: reliability of the network's confidence on the pixels held out, or None where there are none.
    """

    network: S2Fin
    outcome: Outcome
    accuracy: Accuracy | None
    taught: Taught
    pixels: tuple[int, int]
    reliability: Reliability | None


def learn_scene(job: Job) -> tuple[Learnt, Learnt | None]:
    """Learn from the labels that are not held out and, if the options want it, then from all of them.

    Returns:
        the result of the first run, and that of the second; None if there was none or it was interrupted.

    Raises:
        S2finError: training diverged, or the device has too little memory.
        Stopped: there was nothing worth keeping yet.
    """
    split = job.split
    first = learn(job, split, stage=FIRST_RUN)
    if not job.options.refit or not len(split.validation) or first.outcome.interrupted:
        return first, None
    everything = replace(split, train=np.arange(len(job.labels)), validation=split.validation[:0])
    try:
        second = learn(job, everything, before=first, stage=ON_ALL_LABELS)
    except Stopped:
        second = None
    if second is None or second.outcome.interrupted:
        return replace(first, outcome=replace(first.outcome, interrupted=True)), None
    return first, second


def learn(job: Job, split: Split, *, before: Learnt | None = None, stage: str) -> Learnt:
    """Train the teacher on the labels, and the network on these and on the teacher's answers for the scene.

    Args:
        job: the training job.
        split: which labels are learnt from and which are held out.
        before: the result on a part of the labels; a network with the same configuration resumes from it, in fewer
            rounds.
        stage: what to report as being done.
    """
    options, scene = job.options, job.scene
    train, validation = labels_of(job, split)
    within = job.recipe.dense.within
    dense = are_dense(positions(train.rows, train.cols), positions(scene.rows, scene.cols), within=within)
    network = make_network(_config(job, dense=dense), scene, seed=options.seed)
    earlier = _earlier(job, network, before)
    if earlier is not None:
        network.load_state_dict(earlier.state_dict())
    taught = ask_teacher(job, network, train, dense=dense, before=None if before is None else before.taught)
    outcome = _fit(job, network, taught.train_set, resumes=earlier is not None, stage=stage)
    found, outcome = _validated(job, network, validation, outcome)
    accuracy, reliability = (None, None) if found is None else (found.accuracy, found.reliability)
    return Learnt(network, outcome, accuracy, taught, (len(train), len(validation)), reliability)


def _earlier(job: Job, network: S2Fin, before: Learnt | None) -> S2Fin | None:
    """The network that a new one resumes from: of the run before, else of a model to start from."""
    if before is not None and before.network.cfg == network.cfg:
        return before.network
    return None if job.start is None else job.start.network


def labels_of(job: Job, split: Split) -> tuple[LabelledPixels, LabelledPixels]:
    """The labels to learn from and those held out, of each class as many as the options allow."""
    generator, labels, most = np.random.default_rng(job.options.seed), job.labels, job.options.labels_per_class
    train, validation = (
        labels.select(cap_per_class(labels.class_ids, part, most=most, generator=generator))
        for part in (split.train, split.validation)
    )
    return train, validation


def _config(job: Job, *, dense: bool) -> S2FinConfig:
    return replace(job.config, block_size=job.recipe.dense.block_size) if dense else job.config


def _fit(job: Job, network: S2Fin, train_set: TrainingSet, *, resumes: bool, stage: str) -> Outcome:
    options = job.options
    epochs = max(round(options.epochs * job.recipe.refit_share), 1) if resumes else options.epochs
    hyperparameters = Hyperparameters(epochs, options.batch_size, options.learning_rate, options.seed, resumes=resumes)
    try:
        return fit(
            network,
            train_set,
            hyperparameters=hyperparameters,
            recipe=job.recipe,
            progress=job.progress,
            stop=job.stop,
            stage=stage,
        )
    except torch.OutOfMemoryError as error:
        raise S2finError('the device has too little memory; take a smaller `batch_size` or `device="cpu"`') from error


def _validated(
    job: Job, network: S2Fin, validation: LabelledPixels, outcome: Outcome
) -> tuple[Validated | None, Outcome]:
    """The network's validation, and the outcome: interrupted if the user stopped before that was done."""
    if not len(validation):
        return None, outcome
    try:
        job.progress("validating", 0, 1)
        found = validate(network, job.scene.stack, validation, stop=job.stop)
        job.progress("validating", 1, 1)
    except Stopped:
        return None, replace(outcome, interrupted=True)
    return found, outcome
