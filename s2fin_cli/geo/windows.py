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


def iter_tiles(shape: tuple[int, int], tile_size: int) -> Iterator[Window]:
    """Windows of at most `tile_size` pixels a side that cover a raster once, row by row.

    Args:
        shape: (height, width) of the raster.
        tile_size: pixels a side; windows at the right and lower edge are cut to the raster.
    """
    height, width = shape
    for row_off in range(0, height, tile_size):
        for col_off in range(0, width, tile_size):
            yield Window(col_off, row_off, min(tile_size, width - col_off), min(tile_size, height - row_off))


def iter_blocks(rows: NDArray[np.int64], cols: NDArray[np.int64]) -> Iterator[tuple[NDArray[np.int64], Window]]:
    """Positions of those of (n,) scattered pixels that lie in one block, with the smallest window that holds them."""
    numbers = (rows // BLOCK_SIZE) * (1 << 32) + cols // BLOCK_SIZE
    order = np.argsort(numbers, kind="stable")
    for positions in np.split(order, np.flatnonzero(np.diff(numbers[order])) + 1):
        if len(positions):
            top, left = int(rows[positions].min()), int(cols[positions].min())
            height, width = int(rows[positions].max()) - top + 1, int(cols[positions].max()) - left + 1
            yield positions, Window(left, top, width, height)
