"""Lessons that tests of training share: a small network, and cells of two classes that it can separate."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from s2fin import S2Fin, S2FinConfig
from s2fin_cli.core.images import Images
from s2fin_cli.core.progress import Progress, Stop, silent
from s2fin_cli.stack.cells import CELL_SIZE, Cells, Places
from s2fin_cli.training.context import learn_context
from s2fin_cli.training.loop import Hyperparameters, Outcome, Run, fit
from s2fin_cli.training.recipe import Recipe
from s2fin_cli.training.samples import StandardizedCells, TrainingSet
from tests.recipes import TINY_NETWORK

SIZES = {**TINY_NETWORK, "components": 2}
#: Pixels beyond a cell: two of the window, and three of the context.
MARGIN = 5
WHOLE = CELL_SIZE**2
BATCH = 16


def make_config(*, classes: int = 2, block_size: int = 5, **changes: Any) -> S2FinConfig:
    images = {"in_channels": 3, "aux_channels": 1, "num_classes": classes, "patch_size": 5, "context_size": 7}
    return S2FinConfig.from_dict({**images, **SIZES, "block_size": block_size, **changes})


def make_network(seed: int = 0, *, kind: type[S2Fin] = S2Fin, **changes: Any) -> S2Fin:
    torch.manual_seed(seed)
    return kind(make_config(**changes))


def make_cells(classes: NDArray[np.int64], *, seed: int, apart: float, each: int = WHOLE) -> Cells:
    """Cells for `make_network`, of one class each, that differ in all bands; `each` pixels in each."""
    generator = np.random.default_rng(seed)
    side, count = CELL_SIZE + 2 * MARGIN, len(classes)
    image = generator.normal(size=(count, 3, side, side)) + apart * (classes - 0.5)[:, None, None, None]
    aux = generator.normal(size=(count, 1, side, side))
    places = generator.permuted(np.tile(np.arange(WHOLE), (count, 1)), axis=1)[:, :each].ravel()
    index = np.repeat(np.arange(count), each)
    images = Images(image.astype(np.float32), aux.astype(np.float32))
    return Cells(images, Places(index, places // CELL_SIZE, places % CELL_SIZE))


def standardized(cells: Cells) -> StandardizedCells:
    return StandardizedCells.of(make_network(), cells)


def soft(classes: NDArray[np.int64], probability: float) -> NDArray[np.float32]:
    """Targets of two classes that give one of them a probability."""
    targets = np.full((len(classes), 2), 1 - probability, np.float32)
    targets[np.arange(len(classes)), classes] = probability
    return targets


def make_set(cells: Cells, classes: NDArray[np.int64]) -> TrainingSet:
    """Of cells of these classes: the first pixel of each is labelled, and the teacher was asked for the others."""
    of_pixel = classes[cells.places.index]
    labelled = np.zeros(len(cells.places), dtype=bool)
    labelled[np.unique(cells.places.index, return_index=True)[1]] = True
    targets = np.where(labelled[:, None], soft(of_pixel, 0.95), soft(of_pixel, 0.8))
    return TrainingSet(standardized(cells), targets, np.where(labelled, of_pixel, -1))


def make_training(count: int, *, seed: int = 0, each: int = WHOLE) -> TrainingSet:
    """`count` cells, the two classes in turns."""
    classes = np.arange(count) % 2
    return make_set(make_cells(classes, seed=seed, apart=3.0, each=each), classes)


def right_of(network: S2Fin, *, seed: int) -> float:
    """Share of other cells that a network takes for what they are, patch by patch."""
    classes = np.arange(40) % 2
    cells = make_cells(classes, seed=seed, apart=3.0, each=1)
    return float((patch_by_patch(network, cells).argmax(dim=1).numpy() == classes).mean())


def patches_of(cells: Cells, size: int) -> Images[Tensor]:
    """What `S2Fin.forward` takes: a patch around each pixel."""

    def cut(part: NDArray[np.float32]) -> Tensor:
        places = zip(cells.places.index, cells.places.rows, cells.places.cols, strict=True)
        return torch.from_numpy(np.stack([part[i, :, row : row + size, col : col + size] for i, row, col in places]))

    return cells.images.map(cut)


def patch_by_patch(network: S2Fin, cells: Cells) -> Tensor:
    """Logits of the pixels of cells, by the network's own way to take patches."""
    with torch.inference_mode():
        logits: Tensor = network.eval()(*patches_of(cells, network.input_size))
    return logits


def empty_cells(index: NDArray[np.int64]) -> StandardizedCells:
    """Cells without values, with pixels in these cells, each at a place of its own there."""
    order = np.argsort(index, kind="stable")
    place = np.empty_like(index)
    place[order] = np.arange(len(index)) - np.searchsorted(index[order], index[order])
    assert place.max() < WHOLE
    values = torch.empty(int(index.max()) + 1, 0, 0, 0)
    return StandardizedCells(values, values, values, Places(index, place // CELL_SIZE, place % CELL_SIZE))


def scattered(count: int, *, cells: int) -> NDArray[np.int64]:
    """Puts pixels into cells at random, each cell at least one."""
    generator = np.random.default_rng(0)
    return generator.permutation(np.append(np.arange(cells), generator.integers(cells, size=count - cells)))


def labelled_only(train: TrainingSet) -> TrainingSet:
    """The same with a label for each pixel: then there is no temperature to find."""
    return replace(train, labels=train.targets.argmax(axis=1))


def hyperparameters(
    epochs: int = 1, *, batch_size: int = BATCH, learning_rate: float = 5e-3, seed: int = 0, resumes: bool = False
) -> Hyperparameters:
    return Hyperparameters(epochs, batch_size, learning_rate, seed, resumes=resumes)


def run_fit(
    network: S2Fin,
    train: TrainingSet,
    recipe: Recipe,
    *,
    progress: Progress = silent,
    stop: Stop | None = None,
    **how: Any,
) -> Outcome:
    given = hyperparameters(**{"epochs": 2, **how})
    return fit(network, train, hyperparameters=given, recipe=recipe, progress=progress, stop=stop)


def replayed(train: TrainingSet, recipe: Recipe, *, epochs: int) -> tuple[list[dict[str, Tensor]], list[float]]:
    """The averaged weights and the loss after each round of a network of seed 0."""
    network, stop = make_network(), Stop()
    learn_context(network, train, recipe, generator=torch.Generator().manual_seed(0))
    run = Run(network, train, hyperparameters(epochs), recipe)
    weights, losses = [], []
    for _ in range(epochs):
        losses.append(run.train_round(stop))
        weights.append({name: value.clone() for name, value in run.averaged.state_dict().items()})
    return weights, losses


def has_weights(network: S2Fin, weights: dict[str, Tensor]) -> bool:
    return all(torch.equal(value, weights[name]) for name, value in network.state_dict().items())


class StopAtCheck(Stop):
    """A request to end that comes when the job asks for the time of this number.

    Args:
        number: which time, from 1.
    """

    def __init__(self, number: int) -> None:
        super().__init__()
        self.left = number

    def check(self) -> None:
        self.left -= 1
        if self.left == 0:
            self.set()
        super().check()
