"""How far pixels are from labels, and labels from each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.ndimage import maximum_filter
from sklearn.neighbors import KDTree

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from s2fin_cli.labels.pixels import LabelledPixels


def nearest_label(positions: NDArray[Any], asked: NDArray[Any], *, metric: str = "euclidean") -> NDArray[np.float64]:
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


def are_apart(pixels: LabelledPixels, others: LabelledPixels, *, distance: int) -> NDArray[np.bool_]:
    """Mask over pixels (n,) of those whose rows or columns differ by at least a distance from those of all others."""
    if not len(others) or not len(pixels):
        return np.ones(len(pixels), dtype=bool)
    places = (np.column_stack([part.rows, part.cols]) for part in (others, pixels))
    return nearest_label(*places, metric="chebyshev") >= distance


def are_apart_in_strip(
    pixels: LabelledPixels, others: LabelledPixels, *, distance: int, rows: tuple[int, int], width: int
) -> NDArray[np.bool_]:
    """As `are_apart`, for many pixels of a strip: fast, with memory for each pixel of the raster's rows.

    Args:
        pixels: the pixels.
        others: the others.
        distance: at least 1.
        rows: first and last row (exclusive) of all of them.
        width: width of the raster.
    """
    if distance <= 1 or not len(others) or not len(pixels):
        return np.ones(len(pixels), dtype=bool)
    top, bottom = rows
    near = np.zeros((bottom - top, width), dtype=np.uint8)
    near[others.rows - top, others.cols] = 1
    near = maximum_filter(near, size=2 * distance - 1, mode="constant")
    return np.asarray(near[pixels.rows - top, pixels.cols] == 0)
