"""The random windows of a training step."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from s2fin_cli.stack.cells import CELL_SIZE
from s2fin_cli.training.samples import Windows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from s2fin_cli.training.samples import TrainingSet


class Draws:
    """Draws a step's windows.

    Half of them are drawn for a labelled pixel in their block, the other half for one without a label; either way each
    class with the same probability, by the label or by the teacher's target, then each of its pixels. The block is
    anywhere in the pixel's cell where it holds the pixel.

    Where labels are dense, pixels with and without one are drawn equally often, and a class by a power of its size.

    Args:
        train: the pixels to learn from.
        block_size: pixels a side of a block, which a window predicts.
        dense_power: power of a class's size by which it is drawn if labels are dense.
        generator: source of chance.

    Raises:
        ValueError: blocks do not fit into cells.
    """

    def __init__(self, train: TrainingSet, block_size: int, *, dense_power: float, generator: torch.Generator) -> None:
        if block_size > CELL_SIZE:
            raise ValueError(f"windows that predict {block_size} pixels a side do not fit into cells of {CELL_SIZE}")
        self.train, self.block_size, self.generator = train, block_size, generator
        labelled, places = train.labels >= 0, train.cells.places
        classes = np.where(labelled, train.labels, train.targets.argmax(axis=1))
        everything = np.full_like(labelled, fill_value=True)
        power, parts = (dense_power, [everything]) if train.dense else (0.0, [labelled, ~labelled])
        self.pools = [Pool(np.flatnonzero(part), classes, power) for part in parts if part.any()]
        #: The pixel at each place of each cell, -1 where there is none.
        self.grid = np.full((len(train.cells), CELL_SIZE, CELL_SIZE), -1)
        self.grid[places.index, places.rows, places.cols] = np.arange(len(labelled))

    def next(self, count: int) -> Windows:
        """Approximately this many windows, in random order."""
        each = max(count // len(self.pools), 1)
        pixels = np.concatenate([pool.draw(each, self.generator) for pool in self.pools])
        return self._around(pixels[torch.randperm(len(pixels), generator=self.generator).numpy()])

    def anywhere(self, count: int) -> Windows:
        """At most this many windows around any pixels."""
        return self._around(torch.randperm(len(self.train), generator=self.generator)[:count].numpy())

    def _around(self, pixels: NDArray[np.int64]) -> Windows:
        own, room = self.train.cells.places.select(pixels), CELL_SIZE - self.block_size
        places = [own.rows, own.cols]
        shares = torch.rand(2, len(pixels), generator=self.generator, dtype=torch.float64).numpy()
        firsts = [np.maximum(place - self.block_size + 1, 0) for place in places]
        choices = [np.minimum(place, room) - first + 1 for place, first in zip(places, firsts, strict=True)]
        rows, cols = (
            first + (share * c).astype(np.int64) for first, share, c in zip(firsts, shares, choices, strict=True)
        )
        return Windows(own.index, rows, cols)

    def values(self, windows: Windows) -> list[Tensor]:
        """Near parts (n, C, side, side) of both images around windows, and the windows' context (n, P, P, C')."""
        return self.train.cells.around(windows, self.block_size)

    def pixels(self, windows: Windows) -> Tensor:
        """Positions (n, block, block) of the pixels that windows predict, -1 for those that are not there."""
        steps = np.arange(self.block_size)
        rows, cols = windows.rows[:, None, None] + steps[:, None], windows.cols[:, None, None] + steps
        return torch.from_numpy(self.grid[windows.cells[:, None, None], rows, cols])


class Pool:
    """Pixels to draw from, each class with a probability by a power of its size; with 0 all classes equally often."""

    def __init__(self, pixels: NDArray[np.int64], classes: NDArray[np.int64], power: float) -> None:
        self.pixels = pixels
        own = classes[pixels]
        self.weights = torch.from_numpy(np.bincount(own)[own] ** (power - 1.0))

    def draw(self, count: int, generator: torch.Generator) -> NDArray[np.int64]:
        """Draw pixels (count,), with replacement."""
        drawn = torch.multinomial(self.weights, count, replacement=True, generator=generator)
        return np.asarray(self.pixels[drawn.numpy()])
