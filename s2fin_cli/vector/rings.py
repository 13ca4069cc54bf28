"""Passes of regions through nodes, and the rings and polygons that they make; see `coverage`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import shapely

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray


# The arms of a node in clockwise order, as seen with row 0 on top.
_NORTH, _EAST, _SOUTH, _WEST = range(4)


def _next_arms() -> NDArray[np.int64]:
    """For each set of arms (bit i: arm i) and each arm, the first arm of the set clockwise after it; shape (16, 4)."""
    table = np.zeros((16, 4), dtype=np.int64)
    for arms in range(1, 16):
        for arm in range(4):
            table[arms, arm] = next((arm + i) % 4 for i in range(1, 5) if arms >> (arm + i) % 4 & 1)
    return table


_NEXT_ARM = _next_arms()


def find_passes(
    beside: NDArray[np.bool_],
    above: NDArray[np.bool_],
    *,
    region_at: Callable[[NDArray[np.intp], NDArray[np.intp]], NDArray[np.intp]],
) -> tuple[NDArray[np.int64], NDArray[np.intp]]:
    """Find the passes of all regions at the nodes on the upper lines of a block's rows.

    Args:
        beside: (rows + 1, width + 1), whether there is a border on the right of a padded pixel.
        above: (rows, width + 2), whether there is a border between a padded pixel and the one below it.
        region_at: gives the regions, -1 for none, at rows and columns of padded pixels.

    Returns:
        The passes, with lattice points counted from the block's first line, and their regions; sorted by region,
        then by line and column.
    """
    north, south, west, east = beside[:-1], beside[1:], above[:, :-1], above[:, 1:]
    # Not a node: no arm, or two arms in a straight line. One arm alone cannot be.
    nodes = (north ^ south) | (east ^ west) | (north & east)
    row, column = np.nonzero(nodes)
    arms = np.stack([arm[row, column] for arm in (north, east, south, west)], axis=1)
    # The region clockwise of each arm, up to the next arm. It is to the left of a ring that comes in along the former.
    # NOTE: a region at two opposite corners of a node has two passes here, one for each corner; see `_untwist`.
    region = np.stack(
        [
            region_at(row, column + 1),
            region_at(row + 1, column + 1),
            region_at(row + 1, column),
            region_at(row, column),
        ],
        axis=1,
    )
    node, into = np.nonzero(arms & (region >= 0))
    out = _NEXT_ARM[arms @ (1 << np.arange(4)), :][node, into]
    point = row * nodes.shape[1] + column
    passes = point[node] << 4 | into << 2 | out
    # One sort of whole numbers that hold owner and pass is several times as fast as an indirect sort.
    bits = int(nodes.size).bit_length() + 4
    packed = np.sort(region[node, into] << bits | passes)
    return packed & ((1 << bits) - 1), packed >> bits


def trace(passes: NDArray[np.int64], lengths: NDArray[np.intp], width: int) -> NDArray[np.object_]:
    """Connect the passes of complete regions to rings and polygons.

    Args:
        passes: the passes of all regions, one region after the other, each region's in order.
        lengths: how many passes each region has.
        width: width of the map in pixels.

    Returns:
        Polygons in pixel coordinates, one a region.
    """
    line, column = np.divmod(passes >> 4, width + 1)
    region = np.repeat(np.arange(len(lengths)), lengths)
    follower = _followers(passes >> 2 & 3, _untwist(passes, region), region * (width + 1) + column)
    first, left = _cycles(follower)
    is_first = first == np.arange(len(passes))
    ring = (np.cumsum(is_first) - 1)[first]
    stop = np.cumsum(np.bincount(ring) + 1)  # one more vertex than passes: rings are closed
    coords = np.empty((len(passes) + len(stop), 2))
    coords[stop[ring] - 2 - left] = np.column_stack([column, line])
    coords[stop - 1] = np.column_stack([column[is_first], line[is_first]])
    # A region's first pass, the leftmost on its highest line, is on its shell. So the shell is its first ring.
    rings = np.searchsorted(region[is_first], np.arange(len(lengths) + 1))
    return np.asarray(
        shapely.from_ragged_array(shapely.GeometryType.POLYGON, coords, (np.append(0, stop), rings)), dtype=object
    )


def _followers(into: NDArray[np.int64], out: NDArray[np.int64], region_column: NDArray[np.int64]) -> NDArray[np.intp]:
    """The pass that follows each pass on its ring.

    Args:
        into: arms that come in, of passes in order of region, line and column.
        out: arms that go out.
        region_column: numbers that sort the passes by region and column.
    """
    follower = np.empty(len(into), dtype=np.intp)
    by_line, by_column = np.arange(len(into)), np.argsort(region_column, kind="stable")
    for order, arm, opposite in ((by_line, _EAST, _WEST), (by_column, _SOUTH, _NORTH)):
        # The straight parts of a region's rings along one line or column do not overlap. In sorted order, the k-th one
        # that begins therefore ends at the k-th end.
        begins = order[((into == arm) | (out == arm))[order]]
        ends = order[((into == opposite) | (out == opposite))[order]]
        forward = out[begins] == arm
        follower[begins[forward]] = ends[forward]
        follower[ends[~forward]] = begins[~forward]
    return follower


def _untwist(passes: NDArray[np.int64], region: NDArray[np.intp]) -> NDArray[np.int64]:
    """The arms that go out, changed where a region meets itself across a corner.

    There, a ring that follows one pixel round the corner would come back through the same point. Turning round the
    neighbours' pixels instead gives two rings that touch in the point, which is how a valid polygon is written. It
    takes the complete region to see this: only the rows below may show that two corners belong to one region.
    """
    out = passes & 3
    twin = np.flatnonzero((passes[1:] >> 4 == passes[:-1] >> 4) & (region[1:] == region[:-1]))
    out[twin], out[twin + 1] = out[twin + 1], out[twin]
    return out


def _cycles(follower: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """For each element of a permutation, its cycle's smallest element and the steps left until just before that.

    Both by pointer doubling: the number of passes over the arrays is the logarithm of the longest cycle.
    """
    first, jump = np.arange(len(follower)), follower
    while not np.array_equal(first, smaller := np.minimum(first, first[jump])):
        first, jump = smaller, jump[jump]
    is_last = first == follower
    left = (~is_last).astype(np.intp)
    jump = np.where(is_last, np.arange(len(follower)), follower)
    while (more := left[jump]).any():
        left, jump = left + more, jump[jump]
    return first, left
