"""How far pixels are from labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from sklearn.neighbors import KDTree

if TYPE_CHECKING:
    from numpy.typing import NDArray


def nearest_label(
    positions: NDArray[np.float32], asked: NDArray[np.float32], *, metric: str = "euclidean"
) -> NDArray[np.float64]:
    """Distances (m,), in pixels, of positions (m, 2) to the nearest of those of labels (n, 2)."""
    return np.asarray(KDTree(positions, metric=metric).query(asked)[0][:, 0])


def are_dense(labels: NDArray[np.float32], pixels: NDArray[np.float32], *, within: float) -> bool:
    """Whether half of the pixels are near a label.

    Args:
        labels: positions (m, 2) of labels.
        pixels: positions (n, 2) of pixels.
        within: what counts as near, in pixels.
    """
    return len(pixels) > 0 and bool(np.median(nearest_label(labels, pixels)) <= within)
