"""Samples: cells of a stack around pixels of interest.

Labelled pixels are side by side in polygons, and unlabelled pixels to learn from may be anywhere. Both are kept as
cells, squares aligned to the raster with a margin for the windows around their pixels: what neighbours share is read,
kept and computed only once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from rasterio.windows import Window

from s2fin_cli.core.images import Images
from s2fin_cli.geo.windows import SQUARE_SIZE, iter_squares, square_corners, square_numbers

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from s2fin_cli.geo.area import Area
    from s2fin_cli.stack.stack import OpenStack, Stack, Tile

#: Pixels a side of a cell, without its margin.
CELL_SIZE = 8
#: Cells that are read at a time: bounds memory.
CELLS_TO_READ = 64


@dataclass(frozen=True)
class Places:
    """Where pixels are in cells.

    Attributes:
        index: int64 (n,), the cell of each pixel.
        rows, cols: int64 (n,), its place in that cell, 0 to `CELL_SIZE` - 1.
    """

    index: NDArray[np.int64]
    rows: NDArray[np.int64]
    cols: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.index)

    def select(self, which: NDArray[np.int64]) -> Places:
        """The places of some of the pixels."""
        return Places(self.index[which], self.rows[which], self.cols[which])


@dataclass(frozen=True)
class Cells:
    """Cells of both images, and the pixels of interest in them.

    Attributes:
        images: float32 (cells, bands, side, side) each, side = `CELL_SIZE` + 2 margin; NaN where there is no data,
            mirrored within the margin beyond the raster's edge.
        places: where the pixels of interest are.
    """

    images: Images[NDArray[np.float32]]
    places: Places

    def __len__(self) -> int:
        """How many cells there are."""
        return len(self.images.image)

    @property
    def margin(self) -> int:
        """Pixels that were added to a cell on each side."""
        side: int = self.images.image.shape[-1]
        return (side - CELL_SIZE) // 2

    def select(self, which: slice) -> Images[NDArray[np.float32]]:
        """The images of some of the cells."""
        return self.images.map(lambda values: values[which])


def have_data(stack: Stack, rows: NDArray[np.int64], cols: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Mask over (n,) pixels: True where a pixel is of interest and every band of every modality has data."""
    result = np.empty(len(rows), dtype=bool)
    with stack.open() as opened:
        for positions, window in iter_squares(rows, cols):
            valid = opened.read(window).valid
            result[positions] = valid[rows[positions] - window.row_off, cols[positions] - window.col_off]
    return result


class ValidPixels:
    """Finds whether pixels of ascending rows have data, as `have_data` does; each square is read once.

    Args:
        opened: the open stack.
    """

    def __init__(self, opened: OpenStack) -> None:
        self._opened, self._number = opened, -1
        height, width = opened.grid.shape
        self._valid = np.zeros((min(SQUARE_SIZE, height), width), dtype=bool)
        self._is_read = np.zeros(-(-width // SQUARE_SIZE), dtype=bool)

    def of(self, rows: NDArray[np.int64], cols: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Mask over (n,) pixels in row-major order."""
        result = np.empty(len(rows), dtype=bool)
        numbers = np.unique(rows // SQUARE_SIZE)
        bounds = np.searchsorted(rows, [numbers * SQUARE_SIZE, (numbers + 1) * SQUARE_SIZE])
        for number, (start, end) in zip(numbers.tolist(), bounds.T.tolist(), strict=True):
            at = cols[start:end]
            self._read(number, at)
            result[start:end] = self._valid[rows[start:end] - number * SQUARE_SIZE, at]
        return result

    def _read(self, number: int, cols: NDArray[np.int64]) -> None:
        """Read the squares of a row of squares that hold columns, if they are not read yet."""
        if number != self._number:
            self._number, self._is_read[:] = number, False
        height, width = self._opened.grid.shape
        top = number * SQUARE_SIZE
        wanted = np.bincount(cols // SQUARE_SIZE, minlength=len(self._is_read)) > 0
        for square in np.flatnonzero(wanted & ~self._is_read).tolist():
            left = square * SQUARE_SIZE
            window = Window(left, top, min(SQUARE_SIZE, width - left), min(SQUARE_SIZE, height - top))
            self._valid[: window.height, left : left + window.width] = self._opened.read(window).valid
            self._is_read[square] = True


def read_cells(stack: Stack, rows: NDArray[np.int64], cols: NDArray[np.int64], *, margin: int) -> Cells:
    """Read the cells that pixels are in.

    Args:
        stack: the stack.
        rows: (n,) of the pixels in the raster.
        cols: (n,) of the same pixels.
        margin: pixels to add to a cell on each side.
    """
    unique, index = np.unique(_cell_numbers(rows, cols), return_inverse=True)
    tops, lefts = square_corners(unique, CELL_SIZE)
    side = CELL_SIZE + 2 * margin
    counts = Images(len(stack.image.numbers), sum(len(layer.numbers) for layer in stack.aux) if stack.aux else None)
    images = counts.map(lambda bands: np.empty((len(unique), bands, side, side), np.float32))
    with stack.open() as opened:
        for positions, window in iter_squares(tops, lefts):
            tile, offsets = _read_whole_cells(opened, window, margin), (window.row_off, window.col_off)
            for position in positions:
                row, col = tops[position] - offsets[0], lefts[position] - offsets[1]
                for cells, values in zip(images.parts(), tile.images.parts(), strict=True):
                    cells[position] = values[:, row : row + side, col : col + side]
    return Cells(images, Places(index.astype(np.int64), rows - tops[index], cols - lefts[index]))


def iter_cells(
    stack: Stack, rows: NDArray[np.int64], cols: NDArray[np.int64], *, margin: int, at_once: int = CELLS_TO_READ
) -> Iterator[tuple[NDArray[np.int64], Cells]]:
    """Read the cells that (n,) pixels are in, some at a time, each time with the positions of the pixels in them.

    Args:
        stack: the stack.
        rows: (n,) of the pixels in the raster.
        cols: (n,) of the same pixels.
        margin: pixels to add to a cell on each side.
        at_once: cells that are read at a time, which bounds memory.
    """
    _, cell = np.unique(_cell_numbers(rows, cols), return_inverse=True)
    for _, part in by_cells(cell, count=cell.max(initial=0) + 1, at_once=at_once):
        yield part, read_cells(stack, rows[part], cols[part], margin=margin)


def by_cells(index: NDArray[np.int64], *, count: int, at_once: int) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """The first of some cells, and the positions of the pixels in these cells, for all cells.

    Args:
        index: (n,), the cell of each pixel.
        count: how many cells there are.
        at_once: how many to give at a time.
    """
    order = np.argsort(index, kind="stable")
    starts = np.arange(0, count, at_once)
    yield from zip(starts.tolist(), np.split(order, np.searchsorted(index[order], starts[1:])), strict=True)


def own_order(positions: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    """What puts pixels that stand part by part into their own order, from their positions (n,) in each part."""
    return np.argsort(np.concatenate(positions))


def count_cells(rows: NDArray[np.int64], cols: NDArray[np.int64]) -> int:
    """How many cells (n,) pixels are in."""
    return len(np.unique(_cell_numbers(rows, cols)))


def _cell_numbers(rows: NDArray[np.int64], cols: NDArray[np.int64]) -> NDArray[np.int64]:
    return square_numbers(rows, cols, CELL_SIZE)


def _read_whole_cells(opened: OpenStack, origins: Window, margin: int) -> Tile:
    """Read the cells whose upper left pixels span a window; no data where a cell is beyond the raster's edge."""
    height, width = (
        min(start + size - 1 + CELL_SIZE, limit) - start
        for start, size, limit in (
            (origins.row_off, origins.height, opened.grid.height),
            (origins.col_off, origins.width, opened.grid.width),
        )
    )
    tile = opened.read(Window(origins.col_off, origins.row_off, width, height), halo=margin)
    missing = (origins.height - 1 + CELL_SIZE - height, origins.width - 1 + CELL_SIZE - width)
    padding = ((0, 0), (0, missing[0]), (0, missing[1]))
    return replace(tile, images=tile.images.map(lambda part: np.pad(part, padding, constant_values=np.nan)))


def scatter_pixels(
    shape: tuple[int, int], *, cells: int, pixels: int, generator: np.random.Generator, area: Area | None = None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows and columns of random pixels in random cells of a raster.

    Args:
        shape: (height, width) of the raster.
        area: only cells that it touches are taken.
        cells: how many cells at most.
        pixels: how many pixels in all, as nearly as whole cells allow; each at most once.
        generator: source of chance.
    """
    grid = [-(-side // CELL_SIZE) for side in shape]
    candidates = np.arange(grid[0] * grid[1]) if area is None else np.flatnonzero(area.touched(CELL_SIZE))
    chosen = candidates[generator.choice(len(candidates), min(cells, len(candidates)), replace=False)]
    each = min(-(-pixels // len(chosen)), CELL_SIZE**2)
    places = generator.permuted(np.tile(np.arange(CELL_SIZE**2), (len(chosen), 1)), axis=1)[:, :each]
    rows = (chosen // grid[1])[:, None] * CELL_SIZE + places // CELL_SIZE
    cols = (chosen % grid[1])[:, None] * CELL_SIZE + places % CELL_SIZE
    inside = (rows < shape[0]) & (cols < shape[1])
    return rows[inside].astype(np.int64), cols[inside].astype(np.int64)


def whole_cells(
    rows: NDArray[np.int64], cols: NDArray[np.int64], shape: tuple[int, int]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows and columns of all pixels of a raster (height, width) in the cells that (n,) pixels are in."""
    unique = np.unique(_cell_numbers(rows, cols))
    inner = np.arange(CELL_SIZE**2)
    tops, lefts = square_corners(unique, CELL_SIZE)
    all_rows = (tops[:, None] + inner // CELL_SIZE).ravel()
    all_cols = (lefts[:, None] + inner % CELL_SIZE).ravel()
    inside = (all_rows < shape[0]) & (all_cols < shape[1])
    return all_rows[inside], all_cols[inside]


def thin_out(rows: NDArray[np.int64], cols: NDArray[np.int64], *, cells: int) -> NDArray[np.bool_]:
    """Mask over (n,) pixels of those in at most `cells` of their cells, evenly spread over the raster."""
    unique, index = np.unique(_cell_numbers(rows, cols), return_inverse=True)
    return np.asarray(index % -(-len(unique) // cells) == 0)
