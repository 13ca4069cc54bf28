"""Candidates: pixels spread over a scene, of which the places to label are chosen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from s2fin_cli.geo.windows import check_size
from s2fin_cli.stack.cells import CELL_SIZE, have_data

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from s2fin_cli.stack.stack import Stack


@dataclass(frozen=True)
class Drawing:
    """How candidates are drawn.

    Attributes:
        pixels: how many, about.
        squares: squares that they are drawn from at most: the network computes whole ones, so this bounds its work.
        of_cell: pixels of a cell at least, where a square has more cells than are needed: cells are read as a whole.
    """

    pixels: int = 10_000
    squares: int = 160
    of_cell: int = 8


def draw_candidates(
    stack: Stack, *, side: int, drawing: Drawing, generator: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Draw pixels that have data, in the area of interest of a stack.

    Where the scene has more squares than are drawn from, the cost does not grow with it.

    Args:
        stack: the images.
        side: pixels a side of the squares, a multiple of `CELL_SIZE`.
        drawing: how many of what.
        generator: source of chance.

    Returns:
        rows and columns, int64 (n,) each, in row-major order.
    """
    check_size(stack.extent, stack.image.describe(), remedy="give an area of interest with `bounds` or `aoi`")
    squares = _squares(stack, side)
    chosen = generator.choice(squares, min(drawing.squares, len(squares)), replace=False)
    across, per_side = -(-stack.grid.width // side), side // CELL_SIZE
    cells, pixels = _numbers(drawing, squares=len(chosen), cells=per_side**2)
    cell = _some(len(chosen), per_side**2, cells, generator)
    place = _some(len(chosen) * cells, CELL_SIZE**2, pixels, generator).reshape(len(chosen), cells, pixels)
    top, left = (part[:, None, None] * side for part in (chosen // across, chosen % across))
    rows = (top + cell[:, :, None] // per_side * CELL_SIZE + place // CELL_SIZE).ravel()
    cols = (left + cell[:, :, None] % per_side * CELL_SIZE + place % CELL_SIZE).ravel()
    kept = np.flatnonzero(_inside(stack, rows, cols))
    kept = kept[np.lexsort([cols[kept], rows[kept]])]
    valid = have_data(stack, rows[kept], cols[kept])
    return rows[kept][valid], cols[kept][valid]


def _squares(stack: Stack, side: int) -> NDArray[np.int64]:
    """Numbers of the squares that hold a part of the area of interest, row by row."""
    if stack.area is not None:
        return np.flatnonzero(stack.area.touched(side))
    rows, cols = (-(-length // side) for length in stack.grid.shape)
    return np.arange(rows * cols)


def _numbers(drawing: Drawing, *, squares: int, cells: int) -> tuple[int, int]:
    """How many cells of a square to take, which has some, and how many pixels of a cell."""
    each = -(-drawing.pixels // squares)
    taken = min(-(-each // drawing.of_cell), cells)
    return taken, min(-(-each // taken), CELL_SIZE**2)


def _some(rows: int, total: int, count: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """Different numbers (rows, count) below a total, in each row others."""
    return generator.permuted(np.tile(np.arange(total), (rows, 1)), axis=1)[:, :count]


def _inside(stack: Stack, rows: NDArray[np.int64], cols: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Mask over (n,) pixels of those on the grid."""
    height, width = stack.grid.shape
    return np.asarray((rows < height) & (cols < width))
