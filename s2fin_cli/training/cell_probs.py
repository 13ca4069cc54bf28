"""Probabilities of a network for the pixels of cells, which training holds in memory anyway."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from s2fin_cli.core.device import in_threads_of_their_own
from s2fin_cli.stack.cells import CELL_SIZE, iter_cells, own_order
from s2fin_cli.training.memory import cell_margin
from s2fin_cli.training.samples import StandardizedCells, Windows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from s2fin import S2Fin
    from s2fin_cli.stack.stack import Stack

#: Windows that are computed at a time: bounds memory.
WINDOWS_AT_ONCE = 256


def probs_of_cells(network: S2Fin, cells: StandardizedCells) -> NDArray[np.float32]:
    """Class probabilities (n, classes) of the pixels of cells.

    Each pixel gets those of a window whose block holds it. A map's windows are placed by the raster, so probabilities
    differ a little from those of a map.

    Args:
        network: the network, in evaluation mode.
        cells: standardised with its statistics.
    """
    size, places, device = network.cfg.block_size, cells.places, network.image_mean.device
    maps = np.empty((len(cells), CELL_SIZE, CELL_SIZE, network.cfg.num_classes), np.float32)
    firsts = [*range(0, CELL_SIZE - size, size), CELL_SIZE - size]
    parts = np.array_split(np.arange(len(cells)), max(-(-len(cells) // WINDOWS_AT_ONCE), 1))

    @torch.inference_mode()
    def compute(task: tuple[NDArray[np.int64], int, int]) -> NDArray[np.float32]:
        part, row, col = task
        windows = Windows(part, np.full_like(part, row), np.full_like(part, col))
        near, near_aux, context = (values.to(device) for values in cells.around(windows, size))
        logits = network.classify_parts(near, near_aux, context, network.block(size))
        return torch.softmax(logits.float(), dim=2).view(len(part), size, size, -1).cpu().numpy()

    tasks = [(part, row, col) for part in parts for row in firsts for col in firsts]
    for (part, row, col), probs in zip(tasks, in_threads_of_their_own(compute, tasks), strict=True):
        maps[part, row : row + size, col : col + size] = probs
    return maps[places.index, places.rows, places.cols]


def probs_at(network: S2Fin, stack: Stack, rows: NDArray[np.int64], cols: NDArray[np.int64]) -> NDArray[np.float32]:
    """Class probabilities (n, classes) of pixels (n,) of a stack, see `probs_of_cells`."""
    found = [
        (part, probs_of_cells(network, StandardizedCells.of(network, cells)))
        for part, cells in iter_cells(stack, rows, cols, margin=cell_margin(network.cfg))
    ]
    return np.concatenate([probs for _, probs in found])[own_order([part for part, _ in found])]
