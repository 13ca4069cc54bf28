"""Pixels of a grid by its transform: where they are, and how large."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from affine import Affine
    from numpy.typing import NDArray


def transformed(transform: Affine, x: NDArray[Any], y: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Points (...) after an affine transform.

    Args:
        transform: from (column, row) to a CRS, or the inverse of one.
        x: columns, or coordinates in the CRS.
        y: rows, or coordinates in the CRS.
    """
    a, b, c, d, e, f = transform[:6]
    return a * x + b * y + c, d * x + e * y + f


def res_of(transform: Affine) -> tuple[float, float]:
    """Width and height of a transform's pixels in CRS units, both positive."""
    a, b, _, d, e, _ = transform[:6]
    return math.hypot(a, d), math.hypot(b, e)
