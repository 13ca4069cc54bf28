"""Samples: patches of a stack around labelled pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from s2fin_cli.geo.windows import iter_blocks

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from s2fin_cli.geo.stack import Stack


@dataclass(frozen=True)
class Patches:
    """Patches of both images, NaN where there is no data.

    Attributes:
        image: float32 (n, bands, size, size) of the passive image.
        aux: likewise of the second image, or None.
    """

    image: NDArray[np.float32]
    aux: NDArray[np.float32] | None


def have_data(stack: Stack, rows: NDArray[np.int64], cols: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Tell, for each of (n,) pixels, whether every band of every modality has data there."""
    result = np.empty(len(rows), dtype=bool)
    with stack.open() as opened:
        for positions, window in iter_blocks(rows, cols):
            valid = opened.read(window).valid
            result[positions] = valid[rows[positions] - window.row_off, cols[positions] - window.col_off]
    return result


def read_patches(stack: Stack, rows: NDArray[np.int64], cols: NDArray[np.int64], *, size: int) -> Patches:
    """Read the patches centred on pixels.

    Args:
        stack: the stack.
        rows: (n,) of the centre pixels.
        cols: (n,) likewise.
        size: pixels a side, odd.

    Returns:
        patches in the order of the pixels.
    """
    radius = size // 2
    bands = [len(stack.image.indexes), sum(len(layer.indexes) for layer in stack.aux)]
    image = np.empty((len(rows), bands[0], size, size), np.float32)
    aux = np.empty((len(rows), bands[1], size, size), np.float32) if stack.aux else None
    with stack.open() as opened:
        for positions, window in iter_blocks(rows, cols):
            tile = opened.read(window, halo=radius)
            for position in positions:
                row, col = rows[position] - window.row_off, cols[position] - window.col_off
                image[position] = tile.image[:, row : row + size, col : col + size]
                if aux is not None and tile.aux is not None:
                    aux[position] = tile.aux[:, row : row + size, col : col + size]
    return Patches(image, aux)
