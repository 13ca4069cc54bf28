"""Proximity: how similar two pixels are to forests, which know what tells the classes apart.

The proximity of two pixels is the share of the trees in which they end in the same leaf (Breiman 2001, "Random
forests", Machine Learning 45, 5-32, and his manual of 2003). Unlike a distance between values it needs no scales, and
it ignores what does not matter for the classes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Pixels that are compared with all others at a time: bounds memory.
AT_ONCE = 256


def proximities(leaves: NDArray[np.int32], others: NDArray[np.int32]) -> NDArray[np.float32]:
    """Proximities of pixels to others.

    Args:
        leaves: (n, trees), the number of the leaf that each pixel ends in.
        others: (m, trees), those of the others.

    Returns:
        float32 (n, m), 0 to 1.
    """
    found = np.empty((len(leaves), len(others)), np.float32)
    columns = np.ascontiguousarray(others.T)
    for start in range(0, len(leaves), AT_ONCE):
        part = np.zeros((len(leaves[start : start + AT_ONCE]), len(others)), np.int16)
        for own, column in zip(leaves[start : start + AT_ONCE].T, columns, strict=True):
            part += own[:, None] == column
        found[start : start + AT_ONCE] = part / np.float32(len(columns))
    return found


def nearest_proximity(leaves: NDArray[np.int32], others: NDArray[np.int32]) -> NDArray[np.float32]:
    """The largest proximity (n,) of pixels to any of others, 0 where there are none; see `proximities`."""
    if not len(others):
        return np.zeros(len(leaves), np.float32)
    parts = np.array_split(np.arange(len(leaves)), max(len(leaves) // AT_ONCE, 1))
    return np.concatenate([proximities(leaves[part], others).max(axis=1) for part in parts])
