"""Answers of similar neighbours: averaged, or between dense labels propagated from pixel to pixel.

Label propagation (Zhu and Ghahramani 2002) over the image's pixels, started from the teacher's answers and stopped
early. Both are ours, not part of the network.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from sklearn.neighbors import radius_neighbors_graph
from sklearn.preprocessing import normalize

from s2fin_cli.core.images import Images
from s2fin_cli.stack.cells import CELL_SIZE, by_cells
from s2fin_cli.stack.guide import guide_parts

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy.sparse import csr_array

    from s2fin_cli.stack.cells import Places

#: Widths of the filter: standard deviations in pixels, and in deviations of the scene's values.
NEAR, SIMILAR = 2.0, 1.0
#: Cells averaged at a time: bounds memory.
AVERAGED_AT_ONCE = 256

#: Steps of the propagation: a label reaches about four pixels, by a random walk.
STEPS = 20
#: Neighbours whose guides are this far apart, or farther, do not count: in deviations of the scene's values.
WALK_RANGE = 1.0
#: A pixel and the eight around it are less than this apart.
NEIGHBOURS = 1.5
#: Smaller sums of weights count as this one, so that none is divided by 0.
SMALLEST_WEIGHT = 1e-12
#: Means over neighbours are underconfident; this power of them is not.
POWER = 2.0


def guide_of(components: NDArray[np.float32], aux: NDArray[np.float32] | None = None) -> NDArray[np.float64]:
    """The features by which pixels are compared, see `stack/guide.py`.

    NOTE: `classify --smooth` compares by the same features, but with tensors and sums whose rounding does not depend on
    tiles (`inference/smoothing.py`).

    Args:
        components: (n, m), the image's.
        aux: (n, bands), the second image's bands, standardised, if there is one.

    Returns:
        (n, k).
    """
    parts = guide_parts(Images(components, aux).map(lambda values: values.T.astype(np.float64)))
    return np.ascontiguousarray(np.concatenate(parts).T)


def average_similar(
    probs: NDArray[np.float32], guide: NDArray[np.floating], places: Places, *, at_once: int = AVERAGED_AT_ONCE
) -> NDArray[np.float32]:
    """Average probabilities over near and similar pixels of a cell.

    Equation (ours): the joint bilateral filter (Petschnigg et al. 2004; Eisemann and Durand 2004), each pixel's mean
    weighted by exp(-r^2 / (2 `NEAR`^2) - d^2 / (2 `SIMILAR`^2)), r the distance in pixels and d that of the guides.

    Args:
        probs: (n, classes), of the pixels of cells.
        guide: (n, k), features by which pixels are compared, see `guide_of`.
        places: positions of the pixels; others in their cells do not count.
        at_once: cells that are averaged at a time.

    Returns:
        (n, classes).
    """
    numbers = places.rows * CELL_SIZE + places.cols
    rows, cols = np.divmod(np.arange(CELL_SIZE**2), CELL_SIZE)
    nearness = ((rows[:, None] - rows) ** 2 + (cols[:, None] - cols) ** 2) / (2 * NEAR**2)
    result = np.empty_like(probs)
    for start, part in by_cells(places.index, count=int(places.index.max()) + 1, at_once=at_once):
        at = places.index[part] - start, numbers[part]
        count = int(at[0].max(initial=-1)) + 1
        own = np.zeros((count, CELL_SIZE**2, probs.shape[1]), np.float32)
        looks = np.full((count, CELL_SIZE**2, guide.shape[1]), np.nan, np.float32)
        own[at], looks[at] = probs[part], guide[part]
        squares = np.zeros((count, CELL_SIZE**2, CELL_SIZE**2), np.float32)
        for values in np.moveaxis(looks, 2, 0):
            squares += (values[:, :, None] - values[:, None, :]) ** 2
        weights = np.nan_to_num(np.exp(-nearness.astype(np.float32) - squares / (2 * SIMILAR**2)))
        means = weights @ own / np.maximum(weights.sum(axis=2, keepdims=True), SMALLEST_WEIGHT)
        result[part] = means[at]
    return result


def propagate(
    probs: NDArray[np.float32], labels: NDArray[np.int64], guide: NDArray[np.floating], positions: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Propagate probabilities and labels to similar neighbours.

    Equation (ours): P <- W P, `STEPS` times, and labelled pixels are set back to their label after each. W has rows of
    sum 1, of weights (1 - d^2 / `WALK_RANGE`^2)^2 for a pixel and the eight around it, d the distance of their guides,
    and 0 where d is larger. The result is P^`POWER`, scaled to rows of sum 1.

    Args:
        probs: (n, classes), the teacher's.
        labels: (n,), the position of a labelled pixel's class, -1 for pixels without a label.
        guide: (n, k), features by which pixels are compared, see `guide_of`.
        positions: (n, 2), rows and columns; pixels that are not there do not count.

    Returns:
        probabilities, (n, classes).
    """
    weights = _weights(guide, positions)
    labelled = labels >= 0
    known = np.eye(probs.shape[1], dtype=np.float32)[labels[labelled]]
    result = probs.copy()
    result[labelled] = known
    for _ in range(STEPS):
        result = weights @ result
        result[labelled] = known
    return np.asarray(normalize(result**POWER, norm="l1"))


def _weights(guide: NDArray[np.floating], positions: NDArray[np.float32]) -> csr_array:
    """Weights (n, n), of rows of sum 1, of the neighbours of pixels (n,) and of themselves."""
    pairs = radius_neighbors_graph(positions, NEIGHBOURS, include_self=True).tocoo()
    squares = ((guide[pairs.row] - guide[pairs.col]) ** 2).sum(axis=1)
    pairs.data = (np.maximum(1 - squares / WALK_RANGE**2, 0) ** 2).astype(np.float32)
    return normalize(pairs.tocsr(), norm="l1")
