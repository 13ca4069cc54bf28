"""Rectangles of pixels: fewer of them that cover the same pixels, and how many pixels they cover."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np
from rasterio.windows import Window

from s2fin_cli.geo.windows import iter_tiles

if TYPE_CHECKING:
    from collections.abc import Iterable

    from s2fin_cli.geo.area import Area

#: Column and row offset, width and height.
Rectangle = tuple[int, int, int, int]

#: Pixels a side of the squares in which pixels are counted.
SQUARE = 1024


def joined(rectangles: Iterable[Rectangle]) -> list[Rectangle]:
    """Rectangles that do not overlap, joined side by side and then one above the other where they fit exactly."""
    rows = sorted(set(rectangles), key=lambda r: (r[1], r[3], r[0]))
    wide: list[Rectangle] = []
    for (row, height), group in groupby(rows, key=lambda r: (r[1], r[3])):
        wide += ((col, row, width, height) for col, width in _runs((r[0], r[2]) for r in group))
    columns = sorted(wide, key=lambda r: (r[0], r[2], r[1]))
    tall: list[Rectangle] = []
    for (col, width), group in groupby(columns, key=lambda r: (r[0], r[2])):
        tall += ((col, row, width, height) for row, height in _runs((r[1], r[3]) for r in group))
    return sorted(tall, key=lambda r: (r[1], r[0], r[3], r[2]))


def _runs(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Spans (start, length) in ascending order, joined where one begins at the end of the other."""
    runs: list[tuple[int, int]] = []
    for start, length in spans:
        if runs and sum(runs[-1]) == start:
            runs[-1] = (runs[-1][0], runs[-1][1] + length)
        else:
            runs.append((start, length))
    return runs


def within(rectangle: Rectangle, window: Window) -> Window | None:
    """The part of a rectangle that is in a window, None where there is none."""
    col, row = max(rectangle[0], window.col_off), max(rectangle[1], window.row_off)
    col_end = min(rectangle[0] + rectangle[2], window.col_off + window.width)
    row_end = min(rectangle[1] + rectangle[3], window.row_off + window.height)
    return Window(col, row, col_end - col, row_end - row) if col < col_end and row < row_end else None


def count_covered(rectangles: Iterable[Rectangle], window: Window, area: Area | None) -> int:
    """How many pixels of a window, and of an area of interest, rectangles cover, each counted once.

    Args:
        rectangles: in the grid.
        window: the part of the grid that counts.
        area: of the grid; None where all of it counts.
    """
    parts = [part for rectangle in rectangles if (part := within(rectangle, window)) is not None]
    if not parts:
        return 0
    top, left = min(part.row_off for part in parts), min(part.col_off for part in parts)
    shape = (
        max(part.row_off + part.height for part in parts) - top,
        max(part.col_off + part.width for part in parts) - left,
    )
    total = 0
    for square in iter_tiles(shape, (SQUARE, SQUARE), offset=(top, left)):
        covered = np.zeros((square.height, square.width), bool)
        for part in parts:
            common = within((part.col_off, part.row_off, part.width, part.height), square)
            if common is not None:
                row, col = common.row_off - square.row_off, common.col_off - square.col_off
                covered[row : row + common.height, col : col + common.width] = True
        if area is not None and covered.any():
            covered &= area.mask(square)
        total += int(np.count_nonzero(covered))
    return total
