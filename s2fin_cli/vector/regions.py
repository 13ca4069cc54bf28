"""The 4-connected regions of a block of rows: connected, counted, and united with those above them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass
class Tally:
    """Figures of each of n regions, without their outlines."""

    class_id: NDArray[np.integer[Any]]
    count: NDArray[np.int64]
    total: NDArray[np.float64]  # sum of the confidence; 0 without one
    least: NDArray[np.float64]  # minimum of the confidence; inf without one

    def __getitem__(self, which: NDArray[Any]) -> Tally:
        return Tally(self.class_id[which], self.count[which], self.total[which], self.least[which])

    def __add__(self, other: Tally) -> Tally:
        """The regions of both, one after the other."""
        return Tally(
            np.concatenate([self.class_id, other.class_id]),
            np.concatenate([self.count, other.count]),
            np.concatenate([self.total, other.total]),
            np.concatenate([self.least, other.least]),
        )

    def __len__(self) -> int:
        return len(self.class_id)

    def united(self, group: NDArray[np.intp]) -> Tally:
        """Regions united by group number; members of a group have one class, numbers run from 0 without a gap."""
        size = group_count(group)
        class_id = np.empty(size, dtype=self.class_id.dtype)
        class_id[group] = self.class_id
        # Sums of whole numbers below 2**53 are exact in float64.
        count = np.bincount(group, weights=self.count, minlength=size).astype(np.int64)
        least = np.full(size, np.inf)
        with np.errstate(invalid="ignore"):  # nodata may have NaN, which deserves no warning
            np.minimum.at(least, group, self.least)
        total = np.bincount(group, weights=self.total, minlength=size).astype(np.float64, copy=False)
        return Tally(class_id, count, total, least)


def group_count(numbers: NDArray[np.intp]) -> int:
    """How many values numbers from 0 without a gap take."""
    return int(numbers.max(initial=-1)) + 1


def tally_runs(
    classes: NDArray[np.integer[Any]], confidence: NDArray[np.floating[Any]] | None, *, starts: NDArray[np.intp]
) -> Tally:
    """Tally runs of pixels that begin at the flat indexes `starts`."""
    count = np.diff(starts, append=classes.size)
    class_id = classes.ravel()[starts]
    if confidence is None:
        return Tally(class_id, count, np.zeros(len(starts)), np.full(len(starts), np.inf))
    values = confidence.ravel().astype(np.float64)
    with np.errstate(invalid="ignore"):
        return Tally(class_id, count, np.add.reduceat(values, starts), np.minimum.reduceat(values, starts))


def components(size: int, one: NDArray[np.intp], other: NDArray[np.intp]) -> NDArray[np.intp]:
    """Number the connected components of a graph of `size` nodes with edges from `one[i]` to `other[i]`.

    Returns:
        The component of each node, (size,), without gaps and in the order of the components' first nodes.
    """
    root = np.arange(size)
    while len(one):
        low, high = np.minimum(root[one], root[other]), np.maximum(root[one], root[other])
        apart = low != high
        one, other = one[apart], other[apart]
        # All of low and high are roots, so this hangs trees under roots with smaller numbers and makes no cycle.
        np.minimum.at(root, high[apart], low[apart])
        while not np.array_equal(root, shorter := root[root]):
            root = shorter
    return (np.cumsum(root == np.arange(size)) - 1)[root]
