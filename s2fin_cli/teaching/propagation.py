"""Propagation: between dense labels, what a pixel is follows from its neighbours that look alike.

Label propagation (Zhu and Ghahramani 2002) over the image's pixels, begun with what the teacher thinks instead of with
nothing, and stopped early. It is ours, and no part of the network.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from sklearn.neighbors import radius_neighbors_graph
from sklearn.preprocessing import normalize

from s2fin_cli.stack.cells import CELL_SIZE
from s2fin_cli.teaching.ensemble import nearest_label

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy.sparse import csr_array

    from s2fin_cli.training.loop import StandardizedCells

#: How far pixels have a say in each other's targets: standard deviations in pixels, and in those of the scene's values.
NEAR, ALIKE = 2.0, 1.0
#: Cells averaged at a time: bounds memory.
CELLS_AT_ONCE = 256

#: Labels lie densely where half of the pixels have one within so many pixels.
DENSE = 6.0
#: Steps: a label reaches some four pixels, as chance walks.
STEPS = 20
#: Leading components of the image that pixels are compared by; those of `classify --smooth`, which keeps to tensors and
#: to results that do not depend on tiles (`inference/smoothing.py`).
COMPONENTS = 6
#: Neighbours this far apart in their guides, or farther, tell each other nothing: in deviations of the scene's values.
UNLIKE = 1.0
#: A pixel and the eight around it are less than this apart.
NEIGHBOURS = 1.5
SMALLEST = 1e-12
#: Means over neighbours are less sure than they are right; powers of them are not.
POWER = 2.0


def lie_densely(labels: NDArray[np.float32], pixels: NDArray[np.float32]) -> bool:
    """Tell whether half of pixels (n, 2) have a label, of positions (m, 2), within `DENSE` pixels."""
    return len(pixels) > 0 and bool(np.median(nearest_label(labels, pixels)) <= DENSE)


def guide_of(components: NDArray[np.float32], aux: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
    """What pixels are compared by.

    Args:
        components: (n, m), the image's.
        aux: (n, bands), the second image's bands, standardised, if there is one.

    Returns:
        (n, k); the squared distance of two pixels is the mean of the squared differences of their leading components,
        and that of their bands of the second image, added.
    """
    parts = [components[:, :COMPONENTS], *([] if aux is None else [aux])]
    return np.concatenate([part / np.sqrt(part.shape[1]) for part in parts], axis=1)


def average_alike(
    probs: NDArray[np.float32], guide: NDArray[np.float32], cells: StandardizedCells
) -> NDArray[np.float32]:
    """Average what the teacher thinks over pixels of a cell that are near and look alike.

    Equation (ours): the joint bilateral filter (Petschnigg et al. 2004; Eisemann and Durand 2004), each pixel's mean
    weighted by exp(-r^2 / (2 `NEAR`^2) - d^2 / (2 `ALIKE`^2)), r the distance in pixels and d that of the guides.

    Args:
        probs: (n, classes), of the pixels of cells.
        guide: (n, k), what pixels are compared by, see `guide_of`.
        cells: where they lie; pixels that are not there tell nothing.
    """
    places = cells.rows * CELL_SIZE + cells.cols
    rows, cols = np.divmod(np.arange(CELL_SIZE**2), CELL_SIZE)
    nearness = ((rows[:, None] - rows) ** 2 + (cols[:, None] - cols) ** 2) / (2 * NEAR**2)
    result = np.empty_like(probs)
    order = np.argsort(cells.index, kind="stable")
    starts = np.arange(0, int(cells.index.max()) + 1, CELLS_AT_ONCE)
    for start, part in zip(starts, np.split(order, np.searchsorted(cells.index[order], starts[1:])), strict=True):
        at = cells.index[part] - start, places[part]
        count = int(at[0].max(initial=-1)) + 1
        says = np.zeros((count, CELL_SIZE**2, probs.shape[1]), np.float32)
        looks = np.full((count, CELL_SIZE**2, guide.shape[1]), np.nan, np.float32)
        says[at], looks[at] = probs[part], guide[part]
        squares = np.zeros((count, CELL_SIZE**2, CELL_SIZE**2), np.float32)
        for values in np.moveaxis(looks, 2, 0):
            squares += (values[:, :, None] - values[:, None, :]) ** 2
        weights = np.nan_to_num(np.exp(-nearness.astype(np.float32) - squares / (2 * ALIKE**2)))
        means = weights @ says / np.maximum(weights.sum(axis=2, keepdims=True), SMALLEST)
        result[part] = means[at]
    return result


def propagate(
    probs: NDArray[np.float32], labels: NDArray[np.int64], guide: NDArray[np.float32], positions: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Let pixels pass on to their neighbours what they are.

    Equation (ours): P <- W P, `STEPS` times, and labelled pixels are set back to their label after each. W has rows of
    sum 1, of weights (1 - d^2 / `UNLIKE`^2)^2 for a pixel and the eight around it, d the distance of their guides, and
    0 where d is larger. The result is P^`POWER`, scaled to rows of sum 1.

    Args:
        probs: (n, classes), what the teacher thinks.
        labels: (n,), the position of a labelled pixel's class, -1 for pixels without a label.
        guide: (n, k), what pixels are compared by, see `guide_of`.
        positions: (n, 2), rows and columns; pixels that are not there tell nothing.

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


def _weights(guide: NDArray[np.float32], positions: NDArray[np.float32]) -> csr_array:
    """Weights (n, n), of rows of sum 1, by which pixels (n,) listen to their neighbours and themselves."""
    pairs = radius_neighbors_graph(positions, NEIGHBOURS, include_self=True).tocoo()
    squares = ((guide[pairs.row] - guide[pairs.col]) ** 2).sum(axis=1)
    pairs.data = (np.maximum(1 - squares / UNLIKE**2, 0) ** 2).astype(np.float32)
    return normalize(pairs.tocsr(), norm="l1")
