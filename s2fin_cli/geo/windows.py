"""Windows that cover a raster."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rasterio.windows import Window

if TYPE_CHECKING:
    from collections.abc import Iterator


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
