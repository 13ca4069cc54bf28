"""Square blocks of pixels that are held out as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

#: The side of a block in radii of what the network sees.
BLOCK_RADII = 3


def block_side(radius: int) -> int:
    """Pixels a side of a block, for a radius within which pixels share their surroundings."""
    return max(BLOCK_RADII * radius, 1)


def reach_into(
    is_held: Callable[[NDArray[np.int64], NDArray[np.int64]], NDArray[np.bool_]],
    rows: NDArray[np.int64],
    *,
    cols: NDArray[np.int64],
    radius: int,
) -> NDArray[np.bool_]:
    """Mask over pixels (n,) of those whose square of the radius reaches into a block that is held out.

    Args:
        is_held: which places (n,), given by rows and columns, are in a block that is held out; they may be up to the
            radius outside the raster.
        rows: rows of the pixels.
        cols: columns of the pixels.
        radius: half of the side of the square, in pixels.
    """
    near = np.zeros(len(rows), dtype=bool)
    # NOTE: a block is wider than such a square, so the square's corners are in all blocks that it touches.
    for d_row in (-radius, radius):
        for d_col in (-radius, radius):
            near |= is_held(rows + d_row, cols + d_col)
    return near
