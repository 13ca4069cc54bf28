"""Samples: cells as the network takes them, and the targets of their pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from s2fin.layout import crop
from s2fin_cli.core.device import tensors_on
from s2fin_cli.stack.cells import CELL_SIZE, Places, own_order

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from s2fin import S2Fin
    from s2fin_cli.stack.cells import Cells

#: Cells that are standardised at a time: bounds memory.
STANDARDIZED_AT_ONCE = 16


class Windows(NamedTuple):
    """Windows: their cells (n,), and the upper left pixels of their blocks in these."""

    cells: NDArray[np.int64]
    rows: NDArray[np.int64]
    cols: NDArray[np.int64]


@dataclass(frozen=True)
class StandardizedCells:
    """Cells as the network takes them: only what it uses, so that many fit into memory.

    Attributes:
        near: float32 (cells, C, side, side), the image's bands and components as far as the stem looks.
        near_aux: float32 (cells, C, side, side), the second image's.
        context: float32 (cells, side', side', C'), of the pixels of windows, see `S2Fin.context`.
        places: where the pixels are.
    """

    near: Tensor
    near_aux: Tensor
    context: Tensor
    places: Places

    def __len__(self) -> int:
        """How many cells there are."""
        return len(self.near)

    @classmethod
    @torch.no_grad()
    def of(cls, network: S2Fin, cells: Cells) -> StandardizedCells:
        """Standardise cells.

        Raises:
            ValueError: their margin is less than the network's windows need.
        """
        wanted, device = network.input_size // 2, network.standardizer.device
        if cells.margin < wanted:
            raise ValueError(f"the network needs cells with a margin of {wanted} pixels, got {cells.margin}")
        parts: list[list[Tensor]] = [[], [], []]
        for start in range(0, len(cells), STANDARDIZED_AT_ONCE):
            chosen = slice(start, start + STANDARDIZED_AT_ONCE)
            raw = tensors_on(device, cells.select(chosen))
            x, a = (crop(part, cells.margin - wanted) for part in network.standardize(*raw))
            for part, values in zip(parts, (network.near(x), network.near(a), network.context(x, a)), strict=True):
                part.append(values.clone())
        near, near_aux, context = (torch.cat(part) for part in parts)
        return cls(near, near_aux, context, cells.places)

    @classmethod
    def joined(cls, parts: Sequence[tuple[NDArray[np.int64], StandardizedCells]]) -> StandardizedCells:
        """All cells, of parts of them and the positions (n,) of their pixels among all pixels."""
        back = own_order([positions for positions, _ in parts])
        starts = np.cumsum([0, *(len(cells) for _, cells in parts)]).tolist()
        index = [cells.places.index + start for (_, cells), start in zip(parts, starts, strict=False)]
        cells = [part for _, part in parts]
        places = Places(
            np.concatenate(index),
            np.concatenate([part.places.rows for part in cells]),
            np.concatenate([part.places.cols for part in cells]),
        )
        return cls(
            torch.cat([part.near for part in cells]),
            torch.cat([part.near_aux for part in cells]),
            torch.cat([part.context for part in cells]),
            places.select(back),
        )

    def around(self, windows: Windows, block_size: int) -> list[Tensor]:
        """Near parts (n, C, side, side) of both images around windows, and the windows' context (n, P, P, C').

        Args:
            windows: the windows.
            block_size: pixels a side of a block, which a window predicts.
        """

        def cut(values: Tensor, *, planes: bool = True) -> Tensor:
            # the centre of a block is half a block from its first pixel, and as far from the cell's edge at most
            side = values.shape[2] - CELL_SIZE + 1
            first = block_size // 2
            places = [
                (cell, slice(row + first, row + first + side), slice(col + first, col + first + side))
                for cell, row, col in zip(*(part.tolist() for part in windows), strict=True)
            ]
            return torch.stack([values[cell, :, r, c] if planes else values[cell, r, c] for cell, r, c in places])

        return [cut(self.near), cut(self.near_aux), cut(self.context, planes=False)]

    def at_pixels(self, maps: Tensor) -> Tensor:
        """Values (n, C) of maps (cells, C, side, side) at the pixels."""
        places, border = self.places, (maps.shape[2] - CELL_SIZE) // 2
        return maps[places.index, :, places.rows + border, places.cols + border]


@dataclass(frozen=True)
class TrainingSet:
    """Pixels to learn from: whole cells, except pixels without data.

    Attributes:
        cells: where they are.
        targets: float32 (n, classes), the probabilities to learn, from the label or from the teacher.
        labels: int64 (n,), the position of a labelled pixel's class, -1 for pixels without a label.
        dense: whether labels are so dense that the targets are nearly right: then they are learnt without noise and
            faster, and frequent classes more often.
    """

    cells: StandardizedCells
    targets: NDArray[np.float32]
    labels: NDArray[np.int64]
    dense: bool = False

    def __len__(self) -> int:
        """How many pixels there are."""
        return len(self.labels)
