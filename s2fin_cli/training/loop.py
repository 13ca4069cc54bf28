"""The training loop: cells with targets in, a trained network out."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from s2fin_cli.core.device import one_thread_an_operation
from s2fin_cli.core.errors import S2finError
from s2fin_cli.core.progress import Progress, silent
from s2fin_cli.stack.cells import CELL_SIZE
from s2fin_cli.training.augmentation import change_values, reorient

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from s2fin import S2Fin
    from s2fin_cli.stack.cells import Cells

#: Steps of an epoch at least, at least for each class, and at most. Between, one for so many labels: the more of them
#: there are, the more the teacher knows that is worth copying.
MIN_STEPS, STEPS_OF_CLASS, MAX_STEPS = 16, 1, 20
LABELS_OF_STEP = 8
#: Cells that are standardised at a time: bounds memory.
CELLS_AT_ONCE = 16
#: How much more a labelled pixel counts in the loss than one without a label.
LABEL_WEIGHT = 4.0
#: Where labels lie densely: a class is drawn by this power of its size, and elsewhere all are drawn alike; and the
#: learning rate and the most steps are so many times what they are elsewhere.
POWER_OF_DENSE, RATE_OF_DENSE, STEPS_OF_DENSE = 0.5, 2.0, 4
#: AFCM learns alone at first: steps, pixels of a step, and its learning rate.
CONTEXT_STEPS, CONTEXT_PIXELS, CONTEXT_RATE = 300, 1024, 8e-3
WEIGHT_DECAY = 0.02
LABEL_SMOOTHING = 0.01
WARMUP_SHARE = 0.1
#: Decay of the moving average of the weights, which is what is kept.
AVERAGE_DECAY = 0.95
GRADIENT_NORM = 5.0
#: Temperatures among which the one is chosen that fits a trained network to its teacher, and windows that it is fitted
#: on.
TEMPERATURES = np.geomspace(0.5, 4.0, 61)
WINDOWS_TO_TEMPER = 256


@dataclass(frozen=True)
class StandardizedCells:
    """Cells as the network takes them: nothing that it does not look at, so that many fit into memory.

    Attributes:
        near: float32 (cells, C, side, side), the image's bands and components as far as the stem looks.
        near_aux: likewise of the second image.
        context: float32 (cells, side', side', C'), of the pixels that windows hold, see `S2Fin.context`.
        index: int64 (n,), the cell that each pixel lies in.
        rows, cols: int64 (n,), where in that cell, 0 to `CELL_SIZE` - 1.
    """

    near: Tensor
    near_aux: Tensor
    context: Tensor
    index: NDArray[np.int64]
    rows: NDArray[np.int64]
    cols: NDArray[np.int64]

    @classmethod
    @torch.no_grad()
    def of(cls, network: S2Fin, cells: Cells) -> StandardizedCells:
        """Standardise cells.

        Raises:
            ValueError: their margin is less than the network's windows need.
        """
        margin, wanted = (cells.image.shape[-1] - CELL_SIZE) // 2, network.input_size // 2
        if margin < wanted:
            raise ValueError(f"the network needs cells with a margin of {wanted} pixels, got {margin}")
        parts: list[list[Tensor]] = [[], [], []]
        for start in range(0, len(cells.image), CELLS_AT_ONCE):
            chosen = slice(start, start + CELLS_AT_ONCE)
            x, a = (_inner(part, margin - wanted) for part in network.standardize(*_raw(cells, chosen, network)))
            for part, values in zip(parts, (network.near(x), network.near(a), network.context(x, a)), strict=True):
                part.append(values.clone())
        near, near_aux, context = (torch.cat(part) for part in parts)
        return cls(near, near_aux, context, cells.index, cells.rows, cells.cols)

    @classmethod
    def joined(cls, parts: Sequence[tuple[NDArray[np.int64], StandardizedCells]]) -> StandardizedCells:
        """All cells, of parts of them and the positions (n,) of their pixels among all pixels."""
        back = np.argsort(np.concatenate([positions for positions, _ in parts]))
        starts = np.cumsum([0, *(len(cells.near) for _, cells in parts)]).tolist()
        index = [cells.index + start for (_, cells), start in zip(parts, starts, strict=False)]
        cells = [part for _, part in parts]
        return cls(
            torch.cat([part.near for part in cells]),
            torch.cat([part.near_aux for part in cells]),
            torch.cat([part.context for part in cells]),
            np.concatenate(index)[back],
            np.concatenate([part.rows for part in cells])[back],
            np.concatenate([part.cols for part in cells])[back],
        )


@dataclass(frozen=True)
class TrainingSet:
    """Pixels to learn from: whole cells, but for pixels without data.

    Attributes:
        cells: where they are.
        targets: float32 (n, classes), what the network is to answer: the label, or what the teacher thinks.
        labels: int64 (n,), the position of a labelled pixel's class, -1 for pixels without a label.
        dense: whether labels lie so densely that the targets are nearly right: they are learnt without any noise and
            faster, and frequent classes more often.
    """

    cells: StandardizedCells
    targets: NDArray[np.float32]
    labels: NDArray[np.int64]
    dense: bool = False


@dataclass(frozen=True)
class Hyperparameters:
    """How to train; the names are those of `TrainOptions`.

    Attributes:
        epochs, batch_size, learning_rate, seed: as there.
        goes_on: whether the network has learnt before, from a part of the labels.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    seed: int
    goes_on: bool = False


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
        S2finError: training diverged.
        KeyboardInterrupt: it came before the first epoch was done; later ones end training in good order.
    """
    # on the CPU operations are too small to share; on a device few of them run on the CPU
    with one_thread_an_operation():
        return _fit(network, train, hyperparameters, progress, stage)


def _fit(
    network: S2Fin, train: TrainingSet, hyperparameters: Hyperparameters, progress: Progress, stage: str
) -> Outcome:
    progress(stage, 0, hyperparameters.epochs)
    if network.cfg.afcm and not hyperparameters.goes_on:
        _learn_context(network, train, torch.Generator().manual_seed(hyperparameters.seed))
    run = _Run(network, train, hyperparameters)
    outcome, weights = Outcome(0, math.nan, interrupted=False), network.state_dict()
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
    network.eval()
    if not outcome.interrupted:
        try:
            _temper(network, train, torch.Generator().manual_seed(hyperparameters.seed))
        except KeyboardInterrupt:  # it tells the same classes without
            outcome = replace(outcome, interrupted=True)
    return outcome


def _learn_context(network: S2Fin, train: TrainingSet, generator: torch.Generator) -> None:
    """Teach AFCM alone, by single pixels: it sees no window, so many steps take less time than one epoch of windows."""
    device, cells = network.image_mean.device, train.cells
    values = network.values(_at_pixels(cells.near, cells), _at_pixels(cells.near_aux, cells))
    context = _at_pixels(cells.context.permute(0, 3, 1, 2), cells)
    network.set_context_statistics(values, context)
    targets = torch.from_numpy(train.targets)
    pool = _Pool(np.arange(len(targets)), train.targets.argmax(axis=1), POWER_OF_DENSE if train.dense else 0.0)
    parameters = list(network.context_parameters())
    optimiser = torch.optim.AdamW(parameters, lr=CONTEXT_RATE, weight_decay=WEIGHT_DECAY, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=CONTEXT_RATE, total_steps=CONTEXT_STEPS)
    for _ in range(CONTEXT_STEPS):
        drawn = torch.from_numpy(pool.draw(CONTEXT_PIXELS, generator))
        logits = network.classify_context(values[drawn].to(device), context[drawn].to(device))
        loss = F.cross_entropy(logits, targets[drawn].to(device))
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(parameters, GRADIENT_NORM)
        optimiser.step()
        schedule.step()
    if not math.isfinite(loss.item()):
        raise S2finError("training diverged: its loss is no longer a number; the images may hold absurd values")


def _temper(network: S2Fin, train: TrainingSet, generator: torch.Generator) -> None:
    """Divide a network's logits by what makes it as sure as its teacher of pixels without a label; no class changes.

    NOTE: half of what it learns from are labels, which it becomes sure of, and of all else with them.
    """
    draws = _Draws(train, network.cfg.block_size, generator)
    windows = draws.anywhere(WINDOWS_TO_TEMPER)
    with torch.inference_mode():
        x, a, context = draws.values(windows)
        logits = network.classify_parts(x, a, context, network.block(draws.block_size))
    pixels = draws.pixels(windows).flatten()
    known = (pixels >= 0).numpy()
    chosen = np.flatnonzero(known)[train.labels[pixels.numpy()[known]] < 0]
    if not len(chosen):
        return
    logits = logits.flatten(0, 1).cpu().double()[torch.from_numpy(chosen)]
    targets = torch.from_numpy(train.targets[pixels.numpy()[chosen]]).double()
    temperature = min(TEMPERATURES.tolist(), key=lambda value: F.cross_entropy(logits / value, targets).item())
    network.scale_logits(1 / temperature)


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
        self.steps = min(max(wanted, MIN_STEPS), MAX_STEPS * (STEPS_OF_DENSE if train.dense else 1))
        total_steps = self.steps * hyperparameters.epochs
        self.generator = torch.Generator().manual_seed(hyperparameters.seed)
        self.draws = _Draws(train, network.cfg.block_size, self.generator)
        self.targets = torch.from_numpy(train.targets).to(self.device)
        self.weights = torch.from_numpy(np.where(train.labels >= 0, LABEL_WEIGHT, 1.0).astype(np.float32))
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
            loss = self._loss(self.draws.next(self.batch_size))
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

    def _loss(self, windows: _Windows) -> Tensor:
        """Cross-entropy of the pixels of the windows' blocks, labelled ones counting more."""
        with torch.no_grad():
            x, a, context = self.draws.values(windows)
            x, a, context, pixels = reorient([x, a, context.permute(0, 3, 1, 2), self.draws.pixels(windows)])
            if not self.train.dense:
                x, a = (change_values(image, generator=self.generator) for image in (x, a))
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
        decay = min(AVERAGE_DECAY, self.done_steps / (self.done_steps + 10))
        for mean, current in zip(self.averaged.parameters(), self.network.parameters(), strict=True):
            mean.lerp_(current, 1 - decay)


class _Windows(NamedTuple):
    """Windows: the cells (n,) that they lie in, and where their blocks' upper left pixels lie there."""

    cells: NDArray[np.int64]
    rows: NDArray[np.int64]
    cols: NDArray[np.int64]


class _Draws:
    """Draws a step's windows.

    Half of them are drawn for a labelled pixel in their block, the other half for one without a label; either way each
    class with the same probability, by the label or by what the teacher thinks, then each of its pixels. The block lies
    anywhere in the pixel's cell where it holds the pixel.

    Where labels lie densely, pixels with and without one are drawn alike, and a class by the square root of its size.
    """

    def __init__(self, train: TrainingSet, block_size: int, generator: torch.Generator) -> None:
        if block_size > CELL_SIZE:
            raise ValueError(f"windows that tell {block_size} pixels a side do not fit into cells of {CELL_SIZE}")
        self.train, self.block_size, self.generator = train, block_size, generator
        labelled = train.labels >= 0
        classes = np.where(labelled, train.labels, train.targets.argmax(axis=1))
        everything = np.full_like(labelled, fill_value=True)
        power, parts = (POWER_OF_DENSE, [everything]) if train.dense else (0.0, [labelled, ~labelled])
        self.pools = [_Pool(np.flatnonzero(part), classes, power) for part in parts if part.any()]
        #: The pixel at each place of each cell, -1 where there is none.
        self.grid = np.full((len(train.cells.near), CELL_SIZE, CELL_SIZE), -1)
        self.grid[train.cells.index, train.cells.rows, train.cells.cols] = np.arange(len(labelled))

    def next(self, count: int) -> _Windows:
        """About so many windows, in random order."""
        each = max(count // len(self.pools), 1)
        pixels = np.concatenate([pool.draw(each, self.generator) for pool in self.pools])
        return self._around(pixels[torch.randperm(len(pixels), generator=self.generator).numpy()])

    def anywhere(self, count: int) -> _Windows:
        """At most so many windows around any pixels."""
        return self._around(torch.randperm(len(self.train.labels), generator=self.generator)[:count].numpy())

    def _around(self, pixels: NDArray[np.int64]) -> _Windows:
        cells, room = self.train.cells, CELL_SIZE - self.block_size
        places = [cells.rows[pixels], cells.cols[pixels]]
        shares = torch.rand(2, len(pixels), generator=self.generator, dtype=torch.float64).numpy()
        firsts = [np.maximum(place - self.block_size + 1, 0) for place in places]
        choices = [np.minimum(place, room) - first + 1 for place, first in zip(places, firsts, strict=True)]
        rows, cols = (
            first + (share * c).astype(np.int64) for first, share, c in zip(firsts, shares, choices, strict=True)
        )
        return _Windows(cells.index[pixels], rows, cols)

    def values(self, windows: _Windows) -> list[Tensor]:
        """Near parts (n, C, side, side) of both images around windows, and the windows' context (n, P, P, C')."""
        cells = self.train.cells

        def cut(values: Tensor, *, planes: bool = True) -> Tensor:
            # the centre of a block lies half a block from its first pixel, and as far from the cell's edge at most
            side = values.shape[2] - CELL_SIZE + 1
            first = self.block_size // 2
            places = [
                (cell, slice(row + first, row + first + side), slice(col + first, col + first + side))
                for cell, row, col in zip(*(part.tolist() for part in windows), strict=True)
            ]
            return torch.stack([values[cell, :, r, c] if planes else values[cell, r, c] for cell, r, c in places])

        return [cut(cells.near), cut(cells.near_aux), cut(cells.context, planes=False)]

    def pixels(self, windows: _Windows) -> Tensor:
        """Positions (n, block, block) of the pixels that windows tell, -1 for those that are not there."""
        steps = np.arange(self.block_size)
        rows, cols = windows.rows[:, None, None] + steps[:, None], windows.cols[:, None, None] + steps
        return torch.from_numpy(self.grid[windows.cells[:, None, None], rows, cols])


class _Pool:
    """Pixels to draw from, each class with a probability by a power of its size; with 0 all classes alike."""

    def __init__(self, pixels: NDArray[np.int64], classes: NDArray[np.int64], power: float) -> None:
        self.pixels = pixels
        own = classes[pixels]
        self.weights = torch.from_numpy(np.bincount(own)[own] ** (power - 1.0))

    def draw(self, count: int, generator: torch.Generator) -> NDArray[np.int64]:
        drawn = torch.multinomial(self.weights, count, replacement=True, generator=generator)
        return np.asarray(self.pixels[drawn.numpy()])


def _raw(cells: Cells, chosen: slice, network: S2Fin) -> tuple[Tensor, Tensor | None]:
    """Raw values of some cells, on the network's device."""
    image, aux = (
        None if values is None else torch.from_numpy(values[chosen]).to(network.image_mean.device)
        for values in (cells.image, cells.aux)
    )
    assert image is not None  # noqa: S101  (cells have an image)
    return image, aux


def _at_pixels(maps: Tensor, cells: StandardizedCells) -> Tensor:
    """Values (n, C) of maps (cells, C, side, side) at the cells' pixels."""
    border = (maps.shape[2] - CELL_SIZE) // 2
    return maps[cells.index, :, cells.rows + border, cells.cols + border]


def _inner(values: Tensor, border: int) -> Tensor:
    """Squares (..., S, S) without so many pixels at each edge."""
    return values[..., border : values.shape[-1] - border, border : values.shape[-1] - border]
