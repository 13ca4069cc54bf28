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


def iter_tiles(
    shape: tuple[int, int], tile_shape: tuple[int, int], *, offset: tuple[int, int] = (0, 0)
) -> Iterator[Window]:
    """Windows that cover a raster, or a part of it, once, row by row.

    Args:
        shape: (height, width) of the raster or the part.
        tile_shape: likewise of a window; those at the right and lower edge are cut to the raster.
        offset: row and column where the part begins.
    """
    (height, width), (rows, cols), (top, left) = shape, tile_shape, offset
    for row in range(0, height, rows):
        for col in range(0, width, cols):
            yield Window(left + col, top + row, min(cols, width - col), min(rows, height - row))


def aligned(extent: Window, shape: tuple[int, int], *, unit: int) -> Window:
    """The smallest window that holds another one and is made of whole units, but for a raster's edges.

    Args:
        extent: the window.
        shape: (height, width) of the raster.
        unit: pixels; units are aligned to the raster.
    """
    row_off, col_off = extent.row_off // unit * unit, extent.col_off // unit * unit
    row_end = min(-(-(extent.row_off + extent.height) // unit) * unit, shape[0])
    col_end = min(-(-(extent.col_off + extent.width) // unit) * unit, shape[1])
    return Window(col_off, row_off, col_end - col_off, row_end - row_off)


def grown(window: Window, shape: tuple[int, int], *, by: int) -> Window:
    """A window with pixels added on each side, as far as the raster of a shape (height, width) goes."""
    row_off, col_off = max(window.row_off - by, 0), max(window.col_off - by, 0)
    row_end, col_end = window.row_off + window.height + by, window.col_off + window.width + by
    return Window(col_off, row_off, min(col_end, shape[1]) - col_off, min(row_end, shape[0]) - row_off)


def clip(window: Window, extent: Window) -> tuple[Window, tuple[slice, slice]]:
    """What a window shares with another one.

    Returns:
        the common window, counted from the other's corner, and its rows and columns in the first.
    """
    common = window.intersection(extent)
    row, col = common.row_off - window.row_off, common.col_off - window.col_off
    placed = Window(common.col_off - extent.col_off, common.row_off - extent.row_off, common.width, common.height)
    return placed, (slice(row, row + common.height), slice(col, col + common.width))


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
