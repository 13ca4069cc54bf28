"""An even sample of the pixels of a stack."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from rasterio.windows import Window

from s2fin_cli.geo.windows import evenly_spread

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from s2fin_cli.stack.stack import Stack, Tile


#: Pixels a side of the tiles from which pixels are sampled.
TILE_SIZE = 256


@dataclass(frozen=True)
class Sampling:
    """How many pixels of a scene are sampled, and from how many tiles.

    Attributes:
        values: pixels times bands at most.
        pixels: at most.
        tiles: from which they are taken, at most; a tile is decoded as a whole, however few of its pixels are taken.
        is_scattered: whether the tiles are in as many rows and columns as possible, and not in a grid.
    """

    values: int = 30_000_000
    pixels: int = 200_000
    tiles: int = 64
    is_scattered: bool = False


#: For statistics that a model is trained on.
THOROUGH = Sampling()
#: For the share of pixels that hold a value; few, because they are held in memory along with everything else.
SMALL = Sampling(values=2_000_000)
#: For the unit of values.
QUICK = Sampling(values=2_000_000, tiles=5, is_scattered=True)


def sample_pixels(stack: Stack, sampling: Sampling = THOROUGH) -> NDArray[np.float32]:
    """An even sample of a stack's pixels in the area of interest, whether they have data or not.

    Args:
        stack: the stack.
        sampling: how many pixels to take.

    Returns:
        float32 (n, bands of all layers), NaN where a band has no data.
    """
    choose = scattered_tiles if sampling.is_scattered else spread_tiles
    chosen = choose(stack.extent, most=sampling.tiles)
    bands = sum(len(layer.numbers) for layer in stack.layers)
    pixels = sum(window.height * window.width for window in chosen)
    wanted = max(min(sampling.pixels, sampling.values // bands), 1)
    # NOTE: an odd step does not fall into line with the rows of an even-sized tile.
    step = -(-pixels // wanted) | 1 if pixels > wanted else 1

    def some_of(tile: Tile) -> NDArray[np.float32]:
        some = np.concatenate([part.reshape(len(part), -1)[:, ::step] for part in tile.images.parts()]).T
        # NOTE: pixel by pixel in memory, as sums over the pixels, and with them a model, depend on the order
        return np.ascontiguousarray(some if tile.inside is None else some[tile.inside.ravel()[::step]])

    return np.concatenate(stack.read_scattered(chosen, some_of))


def spread_tiles(extent: Window, *, most: int) -> list[Window]:
    """At most `most` tiles of a window, spread evenly over its height and over its width: a grid of them."""
    rows, cols = (-(-length // TILE_SIZE) for length in (extent.height, extent.width))
    chosen_rows = evenly_spread(rows - 1, most=max(math.isqrt(most), most // cols)).tolist()
    chosen_cols = evenly_spread(cols - 1, most=most // len(chosen_rows)).tolist()
    return [_tile(extent, row, col) for row in chosen_rows for col in chosen_cols]


def scattered_tiles(extent: Window, *, most: int) -> list[Window]:
    """At most `most` tiles of a window, spread evenly, each in a row and in a column of its own as far as possible."""
    rows, cols = (-(-length // TILE_SIZE) for length in (extent.height, extent.width))
    count = min(most, max(rows, cols))
    places = np.arange(count)
    crossed = np.concatenate([places[::2], places[1::2]])  # not on a diagonal, which a swath may follow
    chosen = {
        (row * (rows - 1) // max(count - 1, 1), col * (cols - 1) // max(count - 1, 1))
        for row, col in zip(places.tolist(), crossed.tolist(), strict=True)
    }
    return [_tile(extent, row, col) for row, col in sorted(chosen)]


def _tile(extent: Window, row: int, col: int) -> Window:
    """One of the tiles that cover a window."""
    top, left = row * TILE_SIZE, col * TILE_SIZE
    height, width = min(TILE_SIZE, extent.height - top), min(TILE_SIZE, extent.width - left)
    return Window(extent.col_off + left, extent.row_off + top, width, height)
