"""The training loop: patches in, a trained network out."""

from __future__ import annotations

import copy
import logging
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from s2fin_cli.assess.metrics import Accuracy
from s2fin_cli.errors import S2finError
from s2fin_cli.learn.augmentation import augment
from s2fin_cli.progress import Progress, silent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from s2fin import S2Fin
    from s2fin_cli.geo.classes import LandCoverClass
    from s2fin_cli.learn.samples import Patches

logger = logging.getLogger(__name__)

#: Steps of an epoch at least and at most, so that it means the same work with few labels and with many.
MIN_STEPS, MAX_STEPS = 20, 60
WEIGHT_DECAY = 0.02
LABEL_SMOOTHING = 0.05
WARMUP_SHARE = 0.1
#: Decay of the moving average of the weights, which is what is validated and kept.
AVERAGE_DECAY = 0.98
#: Epochs without a better validation after which training stops, as a share of all epochs.
PATIENCE_SHARE = 0.4
GRADIENT_NORM = 5.0
EVALUATION_BATCH = 256


@dataclass(frozen=True)
class LabelledPatches:
    """Patches with the positions (not the ids) of their classes, int64 (n,)."""

    patches: Patches
    targets: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.targets)


@dataclass(frozen=True)
class Hyperparameters:
    """How to train; the names are those of `TrainOptions`."""

    epochs: int
    batch_size: int
    learning_rate: float
    seed: int


@dataclass(frozen=True)
class Outcome:
    """What training came to.

    Attributes:
        best_epoch: the epoch, counted from 1, whose weights were best.
        epochs: epochs that were run.
        accuracy: validation accuracy of the best weights, or None where nothing was held out.
        loss: validation loss of the best weights, else the last training loss.
        interrupted: whether the user stopped it.
    """

    best_epoch: int
    epochs: int
    accuracy: Accuracy | None
    loss: float
    interrupted: bool


def fit(
    network: S2Fin,
    train: LabelledPatches,
    validation: LabelledPatches | None,
    *,
    classes: tuple[LandCoverClass, ...],
    hyperparameters: Hyperparameters,
    progress: Progress = silent,
    stage: str = "training",
) -> Outcome:
    """Train a network in place; it ends with the best weights.

    The best epoch is the one with the highest average accuracy on the validation patches, the lower loss deciding
    between equals; without validation patches it is the last.

    Args:
        network: on the device that is to compute.
        train: patches to learn from, every class among them.
        validation: patches to choose the epoch by, if any.
        classes: the classes that targets number, for the accuracy.
        hyperparameters: how to train.
        progress: told after each epoch.
        stage: what to tell it that is being done.

    Raises:
        S2finError: training diverged.
        KeyboardInterrupt: it came before the first epoch was done; later ones end training in good order.
    """
    run = _Run(network, train, classes, hyperparameters)
    best = _Best()
    interrupted = False
    done = 0
    progress(stage, 0, hyperparameters.epochs)
    try:
        for epoch in range(1, hyperparameters.epochs + 1):
            loss = run.train_epoch()
            accuracy, validation_loss = run.assess(validation) if validation else (None, loss)
            best.offer(run.averaged, epoch, accuracy, validation_loss)
            done = epoch
            figures = {} if accuracy is None else {"accuracy": accuracy.overall_accuracy}
            progress(stage, epoch, hyperparameters.epochs, loss=loss, **figures)
            if accuracy is not None and epoch - best.epoch >= max(PATIENCE_SHARE * hyperparameters.epochs, 5):
                progress(stage, hyperparameters.epochs, hyperparameters.epochs, loss=loss, **figures)
                break
    except KeyboardInterrupt:
        if best.epoch == 0:
            raise
        interrupted = True
    network.load_state_dict(best.weights)
    return Outcome(best.epoch, max(done, best.epoch), best.accuracy, best.loss, interrupted)


class _Best:
    """The best weights so far."""

    def __init__(self) -> None:
        self.epoch = 0
        self.accuracy: Accuracy | None = None
        self.loss = math.inf
        self.weights: dict[str, Tensor] = {}

    def offer(self, network: S2Fin, epoch: int, accuracy: Accuracy | None, loss: float) -> None:
        if self.accuracy is not None and accuracy is not None:
            old, new = (self.accuracy.average_accuracy, -self.loss), (accuracy.average_accuracy, -loss)
            if new <= old:
                return
        weights = copy.deepcopy(network.state_dict())  # first, as the user may interrupt it
        self.weights, self.epoch, self.accuracy, self.loss = weights, epoch, accuracy, loss


class _Run:
    """One training run: network, its moving average, optimiser, schedule and source of chance."""

    def __init__(
        self,
        network: S2Fin,
        train: LabelledPatches,
        classes: tuple[LandCoverClass, ...],
        hyperparameters: Hyperparameters,
    ) -> None:
        self.network, self.train, self.classes = network, train, classes
        self.averaged = copy.deepcopy(network).eval().requires_grad_(requires_grad=False)
        self.device = next(network.parameters()).device
        self.batch_size = hyperparameters.batch_size
        self.steps = min(max(math.ceil(len(train) / self.batch_size), MIN_STEPS), MAX_STEPS)
        counts = np.bincount(train.targets, minlength=len(classes))
        self.weights = torch.from_numpy(1.0 / counts[train.targets])
        self.generator = torch.Generator().manual_seed(hyperparameters.seed)
        self.optimiser = torch.optim.AdamW(
            network.parameters(), lr=hyperparameters.learning_rate, weight_decay=WEIGHT_DECAY
        )
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimiser,
            max_lr=hyperparameters.learning_rate,
            total_steps=self.steps * hyperparameters.epochs,
            pct_start=WARMUP_SHARE,
        )
        self.done_steps = 0

    def train_epoch(self) -> float:
        """One epoch of class-balanced steps; the mean loss.

        Raises:
            S2finError: the loss is no longer a number.
        """
        self.network.train()
        total = 0.0
        for _ in range(self.steps):
            positions = self._draw()
            raw, targets = self._batch(self.train, positions)
            with torch.no_grad():
                image, aux = augment(self.network.standardize(*raw), generator=self.generator)
            loss = F.cross_entropy(self.network.classify_patches(image, aux), targets, label_smoothing=LABEL_SMOOTHING)
            self.optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), GRADIENT_NORM)
            self.optimiser.step()
            self.schedule.step()
            self._average()
            total += loss.item()
        if not math.isfinite(total):
            raise S2finError("training diverged: its loss is no longer a number; take a smaller --learning-rate")
        return total / self.steps

    def assess(self, samples: LabelledPatches) -> tuple[Accuracy, float]:
        """Accuracy and mean loss of the averaged weights on samples."""
        logits, targets = [], []
        with torch.inference_mode():
            for positions in self._in_order(len(samples)):
                images, target = self._batch(samples, positions)
                logits.append(self.averaged(*images).cpu())
                targets.append(target.cpu())
        scores, truth = torch.cat(logits), torch.cat(targets)
        ids = np.array([c.id for c in self.classes])
        accuracy = Accuracy.from_labels(
            ids[truth.numpy()],
            ids[scores.argmax(dim=1).numpy()],
            class_ids=ids.tolist(),
            class_names=[c.name for c in self.classes],
        )
        return accuracy, F.cross_entropy(scores, truth).item()

    def _draw(self) -> NDArray[np.int64]:
        """Positions of a batch: each class with the same probability, then each of its samples."""
        drawn = torch.multinomial(self.weights, self.batch_size, replacement=True, generator=self.generator)
        return np.asarray(drawn.numpy())

    @staticmethod
    def _in_order(count: int) -> Iterator[NDArray[np.int64]]:
        for start in range(0, count, EVALUATION_BATCH):
            yield np.arange(start, min(start + EVALUATION_BATCH, count))

    def _batch(
        self, samples: LabelledPatches, positions: NDArray[np.int64]
    ) -> tuple[tuple[Tensor, Tensor | None], Tensor]:
        patches = samples.patches
        image = torch.from_numpy(patches.image[positions]).to(self.device)
        aux = None if patches.aux is None else torch.from_numpy(patches.aux[positions]).to(self.device)
        return (image, aux), torch.from_numpy(samples.targets[positions]).to(self.device)

    @torch.no_grad()
    def _average(self) -> None:
        """Move the averaged weights towards the current ones; faster at first, when they change most."""
        self.done_steps += 1
        decay = min(AVERAGE_DECAY, self.done_steps / (self.done_steps + 10))
        for mean, current in zip(self.averaged.parameters(), self.network.parameters(), strict=True):
            mean.lerp_(current, 1 - decay)
