"""Windows that cover a raster."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from rasterio.windows import Window

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

#: Scattered pixels are read together that lie in one block of so many pixels a side.
BLOCK_SIZE = 256


def iter_tiles(shape: tuple[int, int], tile_shape: tuple[int, int]) -> Iterator[Window]:
    """Windows that cover a raster once, row by row.

    Args:
        shape: (height, width) of the raster.
        tile_shape: likewise of a window; those at the right and lower edge are cut to the raster.
    """
    (height, width), (rows, cols) = shape, tile_shape
    for row_off in range(0, height, rows):
        for col_off in range(0, width, cols):
            yield Window(col_off, row_off, min(cols, width - col_off), min(rows, height - row_off))


def tile_shape_for(block_shape: tuple[int, int], shape: tuple[int, int], *, size: int, unit: int) -> tuple[int, int]:
    """The shape (height, width) of tiles that suits how a raster is stored.

    A raster in strips is read in wide tiles: a strip has to be decoded as a whole, for each tile that it lies in.

    Args:
        block_shape: (height, width) of the raster's blocks.
        shape: (height, width) of the raster.
        size: a tile has as many pixels as a square of so many a side, rounded up to units.
        unit: height and width are multiples of it.
    """
    side = -(-size // unit)
    if block_shape[1] < shape[1] or side * unit >= shape[1]:
        return side * unit, side * unit
    width = min(side**2, -(-shape[1] // unit))
    return side**2 // width * unit, width * unit


def iter_blocks(rows: NDArray[np.int64], cols: NDArray[np.int64]) -> Iterator[tuple[NDArray[np.int64], Window]]:
    """Positions of those of (n,) scattered pixels that lie in one block, with the smallest window that holds them."""
    numbers = (rows // BLOCK_SIZE) * (1 << 32) + cols // BLOCK_SIZE
    order = np.argsort(numbers, kind="stable")
    for positions in np.split(order, np.flatnonzero(np.diff(numbers[order])) + 1):
        if len(positions):
            top, left = int(rows[positions].min()), int(cols[positions].min())
            height, width = int(rows[positions].max()) - top + 1, int(cols[positions].max()) - left + 1
            yield positions, Window(left, top, width, height)
