"""The training loop: pixels with targets in, a trained network out."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional as F

from s2fin_cli.core.device import one_thread_an_operation
from s2fin_cli.core.errors import S2finError
from s2fin_cli.core.progress import Progress, Stop, Stopped, silent
from s2fin_cli.training.augmentation import change_values, reorient
from s2fin_cli.training.context import learn_context
from s2fin_cli.training.draws import Draws
from s2fin_cli.training.temperature import temper

if TYPE_CHECKING:
    from torch import Tensor

    from s2fin import S2Fin
    from s2fin_cli.training.recipe import Recipe
    from s2fin_cli.training.samples import TrainingSet, Windows


@dataclass(frozen=True)
class Hyperparameters:
    """How to train; the names are those of `TrainOptions`.

    Attributes:
        epochs: rounds of steps; a round is not a pass over all pixels.
        batch_size: windows of a step.
        learning_rate: the peak.
        seed: seed of every random choice.
        resumes: whether the network has learnt before, from a part of the labels.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    seed: int
    resumes: bool = False


@dataclass(frozen=True)
class Outcome:
    """How training ended.

    Attributes:
        epochs: rounds that were run.
        loss: mean loss of the last one.
        interrupted: whether it was stopped early.
        losses: mean loss of each round.
    """

    epochs: int
    loss: float
    interrupted: bool
    losses: tuple[float, ...] = ()


def fit(
    network: S2Fin,
    train: TrainingSet,
    *,
    hyperparameters: Hyperparameters,
    recipe: Recipe,
    progress: Progress = silent,
    stop: Stop | None = None,
    stage: str = "training",
) -> Outcome:
    """Train a network in place; it ends with the averaged weights of the last whole round.

    NOTE: no round is chosen by validation. The weights are averages and the steps get ever smaller, so that the last
    round is the best; and the figures on pixels that were not used to choose it are unbiased.

    Args:
        network: on the device that is to compute.
        train: pixels to learn from, labelled ones of every class among them.
        hyperparameters: how to train.
        recipe: the numbers that are not options.
        progress: called after each round.
        stop: ends training early, with the last complete round; it has a result once a round is complete.
        stage: what to report to `progress` as being done.

    Raises:
        S2finError: training diverged.
        Stopped: before the first round was done.
    """
    stop, seed = stop or Stop(), hyperparameters.seed
    # on the CPU operations are too small to share; on a device few of them run on the CPU
    with one_thread_an_operation():
        progress(stage, 0, hyperparameters.epochs)
        if network.cfg.afcm and not hyperparameters.resumes:
            learn_context(network, train, recipe, generator=torch.Generator().manual_seed(seed), stop=stop)
        outcome = _run_rounds(Run(network, train, hyperparameters, recipe), progress, stop, stage)
        network.eval()
        if not outcome.interrupted:
            temper(network, train, recipe, generator=torch.Generator().manual_seed(seed))
    return outcome


def _run_rounds(run: Run, progress: Progress, stop: Stop, stage: str) -> Outcome:
    """Train for all rounds or until training is to end; the network gets the averaged weights of the last whole one."""
    outcome, weights = Outcome(0, math.nan, interrupted=False), run.network.state_dict()
    try:
        for number in range(1, run.rounds + 1):
            loss = run.train_round(stop)
            outcome = Outcome(number, loss, interrupted=False, losses=(*outcome.losses, loss))
            weights = copy.deepcopy(run.averaged.state_dict())
            stop.has_result = True
            progress(stage, number, run.rounds, loss=loss)
            stop.check()
    except Stopped:
        if not outcome.epochs:
            raise
        outcome = replace(outcome, interrupted=True)
    run.network.load_state_dict(weights)
    return outcome


class Run:
    """One training run: network, its moving average, optimiser, schedule and random generator."""

    def __init__(self, network: S2Fin, train: TrainingSet, hyperparameters: Hyperparameters, recipe: Recipe) -> None:
        self.network, self.train, self.recipe = network, train, recipe
        self.averaged = copy.deepcopy(network).eval().requires_grad_(requires_grad=False)
        self.device = next(network.parameters()).device
        self.rounds, self.batch_size = hyperparameters.epochs, hyperparameters.batch_size
        self.steps = self._steps_of_a_round()
        total_steps = self.steps * self.rounds
        self.generator = torch.Generator().manual_seed(hyperparameters.seed)
        self.draws = Draws(train, network.cfg.block_size, dense_power=recipe.dense.power, generator=self.generator)
        self.targets = torch.from_numpy(train.targets).to(self.device)
        weights = np.where(train.labels >= 0, recipe.steps.label_weight, 1.0).astype(np.float32)
        self.weights = torch.from_numpy(weights)
        rate = hyperparameters.learning_rate * (recipe.dense.rate if train.dense else 1)
        decay = recipe.steps.weight_decay
        self.optimiser = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=decay, fused=True)
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimiser,
            max_lr=rate,
            total_steps=total_steps,
            pct_start=max(recipe.steps.warmup, 2 / total_steps),  # at least two steps, as torch divides by them
        )
        self.done_steps = 0

    def _steps_of_a_round(self) -> int:
        how = self.recipe.steps
        labels = np.count_nonzero(self.train.labels >= 0)
        wanted = max(math.ceil(labels / how.labels_of_step), how.of_class * self.network.cfg.num_classes)
        return min(max(wanted, how.fewest), how.most * (self.recipe.dense.steps if self.train.dense else 1))

    def train_round(self, stop: Stop) -> float:
        """One round of steps; the mean loss.

        Raises:
            S2finError: the loss is no longer a number.
            Stopped: training is to end.
        """
        self.network.train()
        total = 0.0
        for _ in range(self.steps):
            stop.check()
            loss = self.loss(self.draws.next(self.batch_size))
            self.optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.recipe.steps.gradient_norm)
            self.optimiser.step()
            self.schedule.step()
            self._average()
            total += loss.item()
        if not math.isfinite(total):
            raise S2finError("training diverged: its loss is no longer a number; take a smaller `learning_rate`")
        return total / self.steps

    def loss(self, windows: Windows) -> Tensor:
        """Cross-entropy of the pixels of the windows' blocks, in which labelled ones count more."""
        with torch.no_grad():
            x, a, context = self.draws.values(windows)
            x, a, context, pixels = reorient([x, a, context.permute(0, 3, 1, 2), self.draws.pixels(windows)])
            if not self.train.dense:
                strengths = self.recipe.augmentation
                x, a = (change_values(image, strengths, generator=self.generator) for image in (x, a))
        block = self.network.block(self.draws.block_size)
        logits = self.network.classify_parts(x, a, context.permute(0, 2, 3, 1), block).flatten(0, 1)
        pixels = pixels.flatten()
        weights = (self.weights[pixels] * (pixels >= 0)).to(self.device)
        losses = F.cross_entropy(logits, self.targets[pixels.to(self.device)], reduction="none")
        return (losses * weights).sum() / weights.sum()

    @torch.no_grad()
    def _average(self) -> None:
        """Move the averaged weights towards the current ones; faster at first, when they change most."""
        self.done_steps += 1
        decay = min(self.recipe.steps.average_decay, self.done_steps / (self.done_steps + 10))
        for mean, current in zip(self.averaged.parameters(), self.network.parameters(), strict=True):
            mean.lerp_(current, 1 - decay)
