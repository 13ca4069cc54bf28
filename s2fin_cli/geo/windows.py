"""Windows that cover a raster."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from rasterio.windows import Window

from s2fin_cli.core.errors import AreaError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

#: Pixels a side of the squares in which scattered pixels are read together.
SQUARE_SIZE = 256
#: The most pixels that a command goes through one by one; a country at 10 m has 10^9 to 10^10.
MOST_PIXELS = 10**11
#: More squares than any raster has side by side.
_MOST_ACROSS = 1 << 32


def check_size(window: Window, name: str, *, remedy: str) -> None:
    """Refuse a window that nobody can wait for, such as that of a raster whose header claims a huge size.

    Args:
        window: the window.
        name: what it is a window of, for the message.
        remedy: what to do, for the message.

    Raises:
        AreaError: it has more than `MOST_PIXELS`.
    """
    if window.width * window.height > MOST_PIXELS:
        raise AreaError(
            f"{name}: {window.width} x {window.height} px are to be processed, more than {MOST_PIXELS:.0e} in all; "
            f"{remedy}"
        )


def iter_tiles(
    shape: tuple[int, int], tile_shape: tuple[int, int], *, offset: tuple[int, int] = (0, 0)
) -> Iterator[Window]:
    """Windows that cover a raster, or a part of it, once, row by row.

    Args:
        shape: (height, width) of the raster or the part.
        tile_shape: (height, width) of a window; those at the right and lower edge are cut to the raster.
        offset: row and column where the part begins.
    """
    (height, width), (rows, cols), (top, left) = shape, tile_shape, offset
    for row in range(0, height, rows):
        for col in range(0, width, cols):
            yield Window(left + col, top + row, min(cols, width - col), min(rows, height - row))


def spread_windows(shape: tuple[int, int], side: int, *, most: int) -> list[Window]:
    """Square windows, spread evenly over a raster in a grid of rows and columns.

    Args:
        shape: (height, width) of the raster.
        side: pixels a side of a window; those of a smaller raster are cut to it.
        most: windows at most; a square number.
    """
    rows, cols = (
        evenly_spread(max(length - side, 0), most=min(math.isqrt(most), -(-length // side))).tolist()
        for length in shape
    )
    height, width = (min(side, length) for length in shape)
    return [Window(col, row, width, height) for row in rows for col in cols]


def row_ranges(height: int, rows: int) -> list[tuple[int, int]]:
    """First and last row (exclusive) of strips of a number of rows that cover a raster, the last one cut to it."""
    return [(start, min(start + rows, height)) for start in range(0, height, rows)]


def evenly_spread(last: int, *, most: int) -> NDArray[np.int64]:
    """At most `most` of the whole numbers from 0 to `last`, evenly spread, both ends among them (0 if `most` is 1)."""
    return np.unique(np.linspace(0, last, min(last + 1, most)).round().astype(np.int64))


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
    """A window extended by pixels on each side, within a raster of a shape (height, width)."""
    row_off, col_off = max(window.row_off - by, 0), max(window.col_off - by, 0)
    row_end, col_end = window.row_off + window.height + by, window.col_off + window.width + by
    return Window(col_off, row_off, min(col_end, shape[1]) - col_off, min(row_end, shape[0]) - row_off)


def clip(window: Window, extent: Window) -> tuple[Window, tuple[slice, slice]]:
    """The intersection of a window with another one.

    Returns:
        the common window, counted from the other's corner, and its rows and columns in the first.
    """
    common = window.intersection(extent)
    row, col = common.row_off - window.row_off, common.col_off - window.col_off
    placed = Window(common.col_off - extent.col_off, common.row_off - extent.row_off, common.width, common.height)
    return placed, (slice(row, row + common.height), slice(col, col + common.width))


def tile_shape_for(
    block_shape: tuple[int, int], shape: tuple[int, int], *, size: int, unit: int, halo: int, kept: float
) -> tuple[int, int]:
    """The shape (height, width) of tiles that needs the least decoding and copying.

    A block is decoded as a whole, and again for each tile that needs it after it was dropped.
    So a raster in strips is read in wide tiles, and a wide one, no row of whose blocks can be kept, in tall tiles.

    Args:
        block_shape: (height, width) of the raster's blocks.
        shape: (height, width) of the raster.
        size: a tile has at most as many pixels as a square of this side, rounded up to units.
        unit: height and width are multiples of it.
        halo: pixels that are read around a tile on each side.
        kept: decoded blocks that are kept.
    """
    most, (rows, cols) = (-(-size // unit)) ** 2, (-(-length // unit) for length in shape)
    heights = [height for height in range(1, most + 1) if height <= max(rows, math.isqrt(most))]
    shapes = [(height * unit, min(most // height, max(cols, math.isqrt(most))) * unit) for height in heights]

    def cost(tile_shape: tuple[int, int]) -> tuple[float, int]:
        work = _work(tile_shape, block_shape, shape, halo=halo, kept=kept)
        return round(work, 1), abs(tile_shape[0] - tile_shape[1])  # of nearly equal ones, the most square

    return min(shapes, key=cost)


def _work(
    tile_shape: tuple[int, int], block_shape: tuple[int, int], shape: tuple[int, int], *, halo: int, kept: float
) -> float:
    """Pixels that are decoded and copied for each pixel of a raster, see `tile_shape_for`."""
    (first_row, end_row), (first_col, end_col) = (
        _spans(length, total, halo=halo) for length, total in zip(tile_shape, shape, strict=True)
    )
    copied = (end_row - first_row).sum() * (end_col - first_col).sum()
    block_rows, block_cols = (_blocks(block_shape[0], first_row, end_row), _blocks(block_shape[1], first_col, end_col))
    all_rows, all_cols = (-(-total // block) for total, block in zip(shape, block_shape, strict=True))
    with_next = _blocks(block_shape[1], first_col, np.append(end_col[1:], shape[1]))
    if block_rows.max() * all_cols <= kept:  # until the next row of tiles
        decoded = all_rows * all_cols
    elif block_rows.max() * with_next.max() <= kept:  # until the next tile
        decoded = block_rows.sum() * all_cols
    else:
        decoded = block_rows.sum() * block_cols.sum()
    return float(decoded * math.prod(block_shape) + copied) / math.prod(shape)


def _spans(tile_length: int, length: int, *, halo: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where tiles begin and end along one axis, halo included."""
    starts = np.arange(0, length, tile_length)
    return np.maximum(starts - halo, 0), np.minimum(starts + tile_length + halo, length)


def _blocks(block_length: int, first: NDArray[np.int64], end: NDArray[np.int64]) -> NDArray[np.int64]:
    """The number of blocks that each span touches."""
    return (end - 1) // block_length - first // block_length + 1


def iter_squares(rows: NDArray[np.int64], cols: NDArray[np.int64]) -> Iterator[tuple[NDArray[np.int64], Window]]:
    """Positions of the (n,) scattered pixels in each square, with the smallest window that holds them."""
    for positions in by_number(square_numbers(rows, cols, SQUARE_SIZE)):
        top, left = int(rows[positions].min()), int(cols[positions].min())
        height, width = int(rows[positions].max()) - top + 1, int(cols[positions].max()) - left + 1
        yield positions, Window(left, top, width, height)


def square_numbers(rows: NDArray[np.int64], cols: NDArray[np.int64], side: int) -> NDArray[np.int64]:
    """The number of the square that each pixel (n,) is in; numbers ascend row by row.

    Args:
        rows: rows of the pixels; above a raster they give negative numbers.
        cols: columns of the pixels.
        side: pixels a side of a square; squares are aligned to the raster.
    """
    return np.asarray(rows // side * _MOST_ACROSS + cols // side)


def square_corners(numbers: NDArray[np.int64], side: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First rows and columns of squares with these numbers (n,), see `square_numbers`."""
    return numbers // _MOST_ACROSS * side, numbers % _MOST_ACROSS * side


def by_number(numbers: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Positions of what has the same number, in their order, for each of the numbers (n,), the smallest first."""
    order = np.argsort(numbers, kind="stable")
    if len(order):
        yield from np.split(order, np.flatnonzero(np.diff(numbers[order])) + 1)
