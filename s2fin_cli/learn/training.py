"""The training loop: cells with targets in, a trained network out."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from s2fin_cli.errors import S2finError
from s2fin_cli.learn.augmentation import change_values, reorient
from s2fin_cli.learn.samples import CELL_SIZE
from s2fin_cli.progress import Progress, silent

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from s2fin import S2Fin
    from s2fin_cli.learn.samples import Cells

#: Steps of an epoch at least, at least for each class, and at most. Between, one for so many labels: the more of them
#: there are, the more the teacher knows that is worth copying.
MIN_STEPS, STEPS_OF_CLASS, MAX_STEPS = 16, 2, 60
LABELS_OF_STEP = 12
#: Windows that a step takes of one cell.
WINDOWS_OF_CELL = 6
#: Where labels lie densely: a class is drawn by this power of its size, and elsewhere all are drawn alike; and the
#: learning rate is so many times what it is elsewhere.
POWER_OF_DENSE, RATE_OF_DENSE = 0.5, 2.0
WEIGHT_DECAY = 0.02
LABEL_SMOOTHING = 0.01
WARMUP_SHARE = 0.1
#: Decay of the moving average of the weights, which is what is kept.
AVERAGE_DECAY = 0.98
GRADIENT_NORM = 5.0
#: Temperatures among which the one is chosen that fits a trained network to its teacher, and pixels that it is fitted
#: on.
TEMPERATURES = np.geomspace(0.5, 4.0, 61)
PIXELS_TO_TEMPER = 3000


@dataclass(frozen=True)
class TrainingSet:
    """Pixels to learn from.

    Attributes:
        cells: where they are.
        targets: float32 (n, classes), what the network is to answer: the label, or what the teacher thinks.
        labels: int64 (n,), the position of a labelled pixel's class, -1 for pixels without a label.
        dense: whether labels lie so densely that the targets are nearly right: they are learnt without any noise and
            faster, and frequent classes more often.
    """

    cells: Cells
    targets: NDArray[np.float32]
    labels: NDArray[np.int64]
    dense: bool = False


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
        epochs: epochs that were run.
        loss: mean loss of the last one.
        interrupted: whether the user stopped it.
    """

    epochs: int
    loss: float
    interrupted: bool


def fit(
    network: S2Fin,
    train: TrainingSet,
    *,
    hyperparameters: Hyperparameters,
    progress: Progress = silent,
    stage: str = "training",
) -> Outcome:
    """Train a network in place; it ends with the averaged weights of the last whole epoch.

    NOTE: no epoch is chosen by validation. The weights are averages and the steps get ever smaller, so that the last
    epoch is the best; and figures of pixels that chose nothing are honest ones.

    Args:
        network: on the device that is to compute.
        train: pixels to learn from, labelled ones of every class among them.
        hyperparameters: how to train.
        progress: told after each epoch.
        stage: what to tell it that is being done.

    Raises:
        ValueError: the cells' margin is not that of the network's windows.
        S2finError: training diverged.
        KeyboardInterrupt: it came before the first epoch was done; later ones end training in good order.
    """
    margin = (train.cells.image.shape[-1] - CELL_SIZE) // 2
    if margin != network.input_size // 2:
        raise ValueError(f"the network needs cells with a margin of {network.input_size // 2} pixels, got {margin}")
    run = _Run(network, train, hyperparameters)
    outcome, weights = Outcome(0, math.nan, interrupted=False), network.state_dict()
    progress(stage, 0, hyperparameters.epochs)
    try:
        for epoch in range(1, hyperparameters.epochs + 1):
            loss = run.train_epoch()
            # in one statement, as the user may interrupt it
            outcome, weights = Outcome(epoch, loss, interrupted=False), copy.deepcopy(run.averaged.state_dict())
            progress(stage, epoch, hyperparameters.epochs, loss=loss)
    except KeyboardInterrupt:
        if outcome.epochs == 0:
            raise
        outcome = replace(outcome, interrupted=True)
    network.load_state_dict(weights)
    if not outcome.interrupted:
        try:
            _temper(network, train, np.random.default_rng(hyperparameters.seed))
        except KeyboardInterrupt:  # it tells the same classes without
            outcome = replace(outcome, interrupted=True)
    return outcome


def _temper(network: S2Fin, train: TrainingSet, generator: np.random.Generator) -> None:
    """Divide a network's logits by what makes it as sure as its teacher of pixels without a label; no class changes.

    NOTE: half of what it learns from are labels, which it becomes sure of, and of all else with them.
    """
    unlabelled = np.flatnonzero(train.labels < 0)
    if not len(unlabelled):
        return
    chosen = generator.choice(unlabelled, min(len(unlabelled), PIXELS_TO_TEMPER), replace=False)
    logits = predict_cells(network.eval(), train.cells.select(chosen)).double()
    targets = torch.from_numpy(train.targets[chosen]).double()
    temperature = min(TEMPERATURES.tolist(), key=lambda value: F.cross_entropy(logits / value, targets).item())
    with torch.no_grad():
        for part in network.head.classify.parameters():
            part.div_(temperature)


class _Run:
    """One training run: network, its moving average, optimiser, schedule and source of chance."""

    def __init__(self, network: S2Fin, train: TrainingSet, hyperparameters: Hyperparameters) -> None:
        self.network, self.train = network, train
        self.averaged = copy.deepcopy(network).eval().requires_grad_(requires_grad=False)
        self.device = next(network.parameters()).device
        self.batch_size = hyperparameters.batch_size
        wanted = max(
            math.ceil(np.count_nonzero(train.labels >= 0) / LABELS_OF_STEP), STEPS_OF_CLASS * network.cfg.num_classes
        )
        self.steps = min(max(wanted, MIN_STEPS), MAX_STEPS)
        total_steps = self.steps * hyperparameters.epochs
        self.draws = _Draws(train, torch.Generator().manual_seed(hyperparameters.seed))
        rate = hyperparameters.learning_rate * (RATE_OF_DENSE if train.dense else 1)
        self.optimiser = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=WEIGHT_DECAY, fused=True)
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimiser,
            max_lr=rate,
            total_steps=total_steps,
            pct_start=max(WARMUP_SHARE, 2 / total_steps),  # two steps at least, which torch divides by
        )
        self.done_steps = 0

    def train_epoch(self) -> float:
        """One epoch of steps; the mean loss.

        Raises:
            S2finError: the loss is no longer a number.
        """
        self.network.train()
        total = 0.0
        for _ in range(self.steps):
            cells, pixels = self.draws.next(self.batch_size)
            loss = F.cross_entropy(self._logits(cells, pixels), self._targets(pixels))
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

    def _logits(self, cells: NDArray[np.int64], pixels: NDArray[np.int64]) -> Tensor:
        """Logits (B k, classes) of augmented cells (B,) at pixels (B, k)."""
        where = self.train.cells
        with torch.no_grad():
            images = self.network.standardize(*_raw(where, cells, self.device))
            places = torch.from_numpy(where.rows[pixels]), torch.from_numpy(where.cols[pixels])
            images, places = reorient(images, places, inner=CELL_SIZE, generator=self.draws.generator)
            x, a = images
            if not self.train.dense:
                x, a = (change_values(image, generator=self.draws.generator) for image in images)
            centres = self._centres(places)
        return cell_logits(self.network, x, a, places, centres)

    def _centres(self, places: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Centres of windows that have pixels anywhere in their blocks, so that the head learns to tell all of them."""
        reach = self.network.cfg.block_size // 2
        rows, cols = (
            (place + torch.randint(-reach, reach + 1, place.shape, generator=self.draws.generator)).clamp(
                0, CELL_SIZE - 1
            )
            for place in places
        )
        return rows, cols

    def _targets(self, pixels: NDArray[np.int64]) -> Tensor:
        return torch.from_numpy(self.train.targets[pixels.ravel()]).to(self.device)

    @torch.no_grad()
    def _average(self) -> None:
        """Move the averaged weights towards the current ones; faster at first, when they change most."""
        self.done_steps += 1
        decay = min(AVERAGE_DECAY, self.done_steps / (self.done_steps + 10))
        for mean, current in zip(self.averaged.parameters(), self.network.parameters(), strict=True):
            mean.lerp_(current, 1 - decay)


class _Draws:
    """Draws a step's cells, and the windows in them.

    Half of the cells are drawn for a labelled pixel in them, the other half for one without a label; either way each
    class with the same probability, by the label or by what the teacher thinks, then each of its pixels. Half of the
    windows of a labelled pixel's cell are labelled pixels.

    Where labels lie densely, pixels with and without one are drawn alike, and a class by the square root of its size.
    """

    def __init__(self, train: TrainingSet, generator: torch.Generator) -> None:
        self.generator = generator
        labelled = train.labels >= 0
        classes = np.where(labelled, train.labels, train.targets.argmax(axis=1))
        everything = np.full_like(labelled, fill_value=True)
        power, parts = (POWER_OF_DENSE, [everything]) if train.dense else (0.0, [labelled, ~labelled])
        self.pools = [_Pool(np.flatnonzero(part), classes, power) for part in parts if part.any()]
        self.labelled_windows = 0 if train.dense else WINDOWS_OF_CELL // 2
        self.index = train.cells.index
        # by cell, and in each cell the labelled pixels first
        self.order = np.lexsort((~labelled, self.index))
        count = int(self.index.max()) + 1
        self.starts = np.searchsorted(self.index[self.order], np.arange(count))
        self.sizes = np.bincount(self.index, minlength=count)
        self.labelled_sizes = np.bincount(self.index[labelled], minlength=count)

    def next(self, windows: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Cells (B,) and pixels (B, k) in them, about so many windows in all."""
        each = max(windows // WINDOWS_OF_CELL // len(self.pools), 1)
        first = np.concatenate([pool.draw(each, self.generator) for pool in self.pools])
        cells = self.index[first]
        choices = np.repeat(self.sizes[cells][:, None], WINDOWS_OF_CELL, axis=1)
        choices[:each, : self.labelled_windows] = self.labelled_sizes[cells[:each], None]
        # NOTE: with replacement, as some cells hold few pixels
        share = torch.rand(choices.shape, generator=self.generator, dtype=torch.float64).numpy()
        pixels = self.order[self.starts[cells][:, None] + (share * choices).astype(np.int64)]
        pixels[:, 0] = first
        return cells, pixels


class _Pool:
    """Pixels to draw from, each class with a probability by a power of its size; with 0 all classes alike."""

    def __init__(self, pixels: NDArray[np.int64], classes: NDArray[np.int64], power: float) -> None:
        self.pixels = pixels
        own = classes[pixels]
        self.weights = torch.from_numpy(np.bincount(own)[own] ** (power - 1.0))

    def draw(self, count: int, generator: torch.Generator) -> NDArray[np.int64]:
        drawn = torch.multinomial(self.weights, count, replacement=True, generator=generator)
        return np.asarray(self.pixels[drawn.numpy()])


def predict_cells(network: S2Fin, cells: Cells) -> Tensor:
    """Logits (n, classes) of the pixels of cells, on the CPU, by a network in evaluation mode; a window each."""
    device = next(network.parameters()).device
    logits = torch.empty(len(cells), network.cfg.num_classes)
    order = np.argsort(cells.index, kind="stable")
    with torch.inference_mode():
        for part in np.split(order, np.flatnonzero(np.diff(cells.index[order])) + 1):
            if not len(part):
                continue
            x, a = network.standardize(*_raw(cells, cells.index[part[:1]], device))
            places = torch.from_numpy(cells.rows[part])[None], torch.from_numpy(cells.cols[part])[None]
            logits[torch.from_numpy(part)] = cell_logits(network, x, a, places, places).cpu()
    return logits


def cell_logits(
    network: S2Fin, x: Tensor, a: Tensor, places: tuple[Tensor, Tensor], centres: tuple[Tensor, Tensor]
) -> Tensor:
    """Logits (B k, classes) of pixels of standardised cells.

    Args:
        network: the network.
        x: cells (B, C, S, S) of the image, with the margin of the network's windows.
        a: likewise of the second image.
        places: rows and columns (B, k) of the pixels within the margin.
        centres: likewise of the centres of the windows that the pixels are told from.
    """
    side, (rows, cols) = network.cfg.patch_size, centres
    maps = network.maps(x, a)
    around = network.halo + side // 2 - 1  # tokens see 3 x 3 pixels, this far from a cell's edge
    tokens = network.tokens(_windows(x, rows + around, cols + around, 3))[:, 0, 0]
    image, aux = (_windows(part, rows, cols, side) for part in maps)
    positions = (places[0] - rows + side // 2) * side + places[1] - cols + side // 2
    return network.classify_windows(tokens, image, aux, positions.flatten()[:, None].to(x.device))[:, 0]


def _windows(maps: Tensor, rows: Tensor, cols: Tensor, size: int) -> Tensor:
    """Windows (B k, C, size, size) of maps (B, C, H, W) with upper left pixels (B, k), in channels-last memory."""
    steps = torch.arange(size)
    picked = maps.permute(0, 2, 3, 1)[
        torch.arange(len(maps))[:, None, None, None],
        rows[:, :, None, None] + steps[:, None],
        cols[:, :, None, None] + steps,
    ]
    return picked.flatten(0, 1).permute(0, 3, 1, 2)


def _raw(cells: Cells, which: NDArray[np.int64], device: torch.device) -> tuple[Tensor, Tensor | None]:
    image = torch.from_numpy(cells.image[which]).to(device)
    return image, None if cells.aux is None else torch.from_numpy(cells.aux[which]).to(device)
