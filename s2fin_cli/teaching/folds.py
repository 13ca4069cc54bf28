"""Folds: which labelled pixels are held out together, and which others are learnt from."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from s2fin_cli.labels.distances import nearest_label

if TYPE_CHECKING:
    from numpy.typing import NDArray


def assign_folds(
    targets: NDArray[np.int64], units: NDArray[np.int64], generator: np.random.Generator, *, count: int
) -> NDArray[np.int64]:
    """The fold, 0 to `count` - 1, of each of (n,) pixels: whole units, each class spread as evenly as they allow.

    A class that has only one unit is spread pixel by pixel, because it could not be validated otherwise.
    """
    classes = int(targets.max()) + 1
    pairs = np.unique(np.stack([targets, units]), axis=1)[0]
    alone = np.bincount(pairs, minlength=classes)[targets] == 1
    _, unit_index = np.unique(np.where(alone, -1 - np.arange(len(units)), units), return_inverse=True)
    counts = np.zeros((unit_index.max() + 1, classes))
    np.add.at(counts, (unit_index, targets), 1)
    shares = counts / np.maximum(counts.sum(axis=0), 1)  # so that a rare class weighs as much as any other
    load = np.zeros((count, classes))
    fold_of = np.empty(len(counts), dtype=np.int64)
    shuffled = generator.permutation(len(counts))
    for unit in shuffled[np.argsort(-counts[shuffled].sum(axis=1), kind="stable")]:
        # the fold that has least of the unit's classes; among equals, the one that has least in total
        held = load @ (shares[unit] / shares[unit].sum())
        fold_of[unit] = np.argmin(held + 1e-4 * load.sum(axis=1))
        load[fold_of[unit]] += shares[unit]
    return fold_of[unit_index]


def learnt_outside(
    positions: NDArray[np.float32],
    targets: NDArray[np.int64],
    inside: NDArray[np.bool_],
    *,
    buffer: int,
    least: float,
) -> NDArray[np.bool_]:
    """Mask over pixels (n,) of those to learn from while those inside a fold are held out.

    Args:
        positions: (n, 2), rows and columns.
        targets: (n,), their classes.
        inside: (n,), those held out.
        buffer: pixels outside the fold are learnt from if no pixel of the fold is within this many rows and columns of
            them.
        least: at least this share of each class's pixels outside are learnt from, the farthest ones.
    """
    outside = ~inside
    if not buffer or inside.all() or not inside.any():
        return outside
    distances = nearest_label(positions[inside], positions, metric="chebyshev")
    result = np.zeros_like(outside)
    for number in np.unique(targets[outside]):
        own = np.flatnonzero(outside & (targets == number))
        own = own[np.argsort(-distances[own], kind="stable")]
        far = np.count_nonzero(distances[own] > buffer)
        result[own[: max(far, math.ceil(least * len(own)))]] = True
    return result
