"""Which rectangles of a map are its shards."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from rasterio.windows import Window

from s2fin_cli.core.formats import BLOCK_SIZE

if TYPE_CHECKING:
    from s2fin_cli.geo.area import Area

#: Pixels a side of the shards of a large map, about; those of a small one have this many at least.
LARGE, LEAST = 1280, 256
#: A map has about this many shards at least, if they do not become too small, so that several workers can share it.
SHARDS = 16


def shard_size_for(pixels: int, *, batch_side: int) -> int:
    """Pixels a side of the shards of a map: whole batches of windows, and whole storage blocks where the map is large.

    Args:
        pixels: of the map.
        batch_side: pixels a side of a batch of windows.
    """
    unit = math.lcm(batch_side, BLOCK_SIZE)
    large = unit * max(LARGE // unit, 1)
    return min(large, whole_batches(max(LEAST, math.ceil(math.sqrt(pixels / SHARDS))), batch_side=batch_side))


def whole_batches(size: int, *, batch_side: int) -> int:
    """A number of pixels, rounded up to whole batches of windows."""
    return -(-size // batch_side) * batch_side


def shard_windows(extent: Window, size: int, *, area: Area | None = None) -> list[Window]:
    """The shards of a map, row by row: squares that are aligned to the grid, cut to what the map covers.

    Args:
        extent: the part of the grid that the map covers.
        size: pixels a side.
        area: the area of interest; squares without any of its pixels are left out.
    """
    row_end, col_end = extent.row_off + extent.height, extent.col_off + extent.width
    windows = []
    for top in range(extent.row_off // size * size, row_end, size):
        for left in range(extent.col_off // size * size, col_end, size):
            row_off, col_off = max(top, extent.row_off), max(left, extent.col_off)
            window = Window(col_off, row_off, min(left + size, col_end) - col_off, min(top + size, row_end) - row_off)
            if area is None or area.mask(window).any():
                windows.append(window)
    return windows
