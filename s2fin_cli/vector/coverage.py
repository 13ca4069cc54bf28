"""Polygons that tile a class map exactly, from strips of rows and in bounded memory.

The map is swept from top to bottom. Wherever the borders between classes do more than run straight on, a lattice point
is a *node*, and each region that meets it there leaves one *pass*: the ring of the region comes in along one arm of the
node and goes out along another, the region on its left. Passes are all that is remembered of a region. Between two
passes a ring runs straight, so once the region is complete, sorting its passes by rows and by columns tells which
follows which, and the rings are read off. Nothing is ever cut at the border of two strips, so nothing has to be merged
there but the passes of regions that turn out to be one.

Every region that meets at a node has it as a vertex. That is what makes the polygons a valid coverage: neighbours share
their vertices, not merely their edges.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from s2fin_cli.raster.classmap import Strip

#: Pixels that are worked on at once. More is hardly faster, and takes more memory: about 50 MB with all intermediate
#: arrays on an ordinary map, 300 MB where hardly two neighbouring pixels are of one class.
BLOCK_PX = 2**18

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


@dataclass(frozen=True)
class Regions:
    """Complete regions, one an element of each array, in the order of their first pixels (row by row).

    Attributes:
        class_id: class of the region.
        pixel_count: int64, number of pixels.
        confidence_mean: float64, mean over the pixels; None where the map came without confidence.
        confidence_min: float64, minimum over the pixels; None likewise.
        polygons: shapely polygons in pixel coordinates (column, row), whole numbers; the upper left pixel's outer
            corner is (0, 0). Shells run counterclockwise as seen with row 0 on top.
    """

    class_id: NDArray[np.integer[Any]]
    pixel_count: NDArray[np.int64]
    confidence_mean: NDArray[np.float64] | None
    confidence_min: NDArray[np.float64] | None
    polygons: NDArray[np.object_]

    def __len__(self) -> int:
        return len(self.class_id)


def polygonize(strips: Iterable[Strip], *, nodata: int, block_px: int = BLOCK_PX) -> Iterator[Regions]:
    """Turn a class map into the polygons of its regions: 4-connected areas of one class.

    Args:
        strips: the map from top to bottom, each strip of full width and of any height. An array may be reused once the
            next strip is asked for.
        nodata: the class id that is no class; it makes no region.
        block_px: pixels that are worked on at once (whole rows, at least one). The result as a set does not depend on
            it; the order of the regions does, and only on it: never on the heights of the strips.

    Yields:
        Regions that no later row can touch, as soon as a block is full; only the last batch may be empty. The polygons
        of all batches form a valid coverage of the valid pixels: no gaps, no overlaps, and every polygon is valid, has
        a vertex wherever three regions or nodata meet on its edge, and no other vertex on a straight edge.

    Raises:
        ValueError: strips differ in width, or in whether they have a confidence.
    """
    sweep: _Sweep | None = None
    for classes, confidence in _blocks(strips, nodata, block_px):
        if sweep is None:
            sweep = _Sweep(classes.shape[1], classes.dtype, nodata=nodata, with_confidence=confidence is not None)
        regions = sweep.push(classes, confidence)
        if len(regions):
            yield regions
    if sweep is not None:
        yield sweep.finish()


def _blocks(strips: Iterable[Strip], nodata: int, block_px: int) -> Iterator[Strip]:
    """The same rows in blocks of equal height (but the last), in buffers that are reused from block to block."""
    buffers: Strip | None = None
    filled = 0
    for classes, confidence in strips:
        if buffers is None:
            # The class buffer is wide enough for the nodata value, even if no pixel of the map's type can be nodata.
            shape = (max(1, block_px // classes.shape[1]), classes.shape[1])
            dtype = np.result_type(classes.dtype, np.min_scalar_type(nodata))
            buffers = np.empty(shape, dtype), None if confidence is None else np.empty(shape, confidence.dtype)
        _check_strip(classes, confidence, buffers)
        start = 0
        while start < len(classes):
            stop = min(len(classes), start + len(buffers[0]) - filled)
            rows = slice(filled, filled + stop - start)
            buffers[0][rows] = classes[start:stop]
            if buffers[1] is not None and confidence is not None:
                buffers[1][rows] = confidence[start:stop]
            start, filled = stop, rows.stop
            if filled == len(buffers[0]):
                yield buffers
                filled = 0
    if buffers is not None and filled:
        yield buffers[0][:filled], None if buffers[1] is None else buffers[1][:filled]


def _check_strip(
    classes: NDArray[np.unsignedinteger[Any]], confidence: NDArray[np.floating[Any]] | None, like: Strip
) -> None:
    """Refuse a strip that does not go with the first one."""
    if classes.shape[1] != like[0].shape[1]:
        raise ValueError(f"a strip is {classes.shape[1]} pixels wide, the first one was {like[0].shape[1]}")
    if (confidence is None) != (like[1] is None):
        raise ValueError("either all strips have a confidence or none has")
    if confidence is not None and confidence.shape != classes.shape:
        raise ValueError(f"confidence of shape {confidence.shape} for classes of shape {classes.shape}")


@dataclass
class _Tally:
    """What is known about each of n regions apart from its outline."""

    class_id: NDArray[np.integer[Any]]
    count: NDArray[np.int64]
    total: NDArray[np.float64]  # sum of the confidence; 0 without one
    least: NDArray[np.float64]  # minimum of the confidence; inf without one

    def __getitem__(self, which: NDArray[Any]) -> _Tally:
        return _Tally(self.class_id[which], self.count[which], self.total[which], self.least[which])

    def __add__(self, other: _Tally) -> _Tally:
        """The regions of both, one after the other."""
        return _Tally(
            np.concatenate([self.class_id, other.class_id]),
            np.concatenate([self.count, other.count]),
            np.concatenate([self.total, other.total]),
            np.concatenate([self.least, other.least]),
        )

    def __len__(self) -> int:
        return len(self.class_id)

    def united(self, group: NDArray[np.intp]) -> _Tally:
        """Regions united by group number; members of a group have one class, numbers run from 0 without a gap."""
        size = _size(group)
        class_id = np.empty(size, dtype=self.class_id.dtype)
        class_id[group] = self.class_id
        # Sums of whole numbers below 2**53 are exact in float64.
        count = np.bincount(group, weights=self.count, minlength=size).astype(np.int64)
        least = np.full(size, np.inf)
        with np.errstate(invalid="ignore"):  # NaN, as nodata may have, is no matter for a warning
            np.minimum.at(least, group, self.least)
        total = np.bincount(group, weights=self.total, minlength=size).astype(np.float64, copy=False)
        return _Tally(class_id, count, total, least)


class _Sweep:
    """The state between two blocks of rows: the row above the next block and the regions that are open there.

    A pass is one int64: the number of its lattice point (line * (width + 1) + column), the arm that comes in and the
    arm that goes out, two bits each. So passes sort by line and column.
    """

    def __init__(self, width: int, dtype: np.dtype[Any], *, nodata: int, with_confidence: bool) -> None:
        self._width = width
        self._nodata = nodata
        self._with_confidence = with_confidence
        self._line = 0  # the lattice line above the next block
        self._seam = np.full(width, nodata, dtype=dtype)  # classes of the row above the next block
        self._seam_region = np.full(width, -1, dtype=np.intp)  # its pixels' open regions; -1 for none
        self._open = _Tally(np.zeros(0, dtype), np.zeros(0, np.int64), np.zeros(0), np.zeros(0))
        self._open_passes: list[list[NDArray[np.int64]]] = []  # per open region, one array a block

    def push(self, classes: NDArray[np.integer[Any]], confidence: NDArray[np.floating[Any]] | None) -> Regions:
        """Take the next rows; give the regions that are complete now."""
        padded = np.full((len(classes) + 1, self._width + 2), self._nodata, dtype=classes.dtype)
        padded[0, 1:-1] = self._seam
        padded[1:, 1:-1] = classes
        # Borders of pixels: `beside` is vertical, left of each padded column but the first; `above` is horizontal.
        beside = padded[:, 1:] != padded[:, :-1]
        above = padded[1:] != padded[:-1]

        starts, piece = self._pieces(beside)
        pieces = self._open + _tally_runs(classes, confidence, starts)
        # Pieces of one class in consecutive rows are linked once, in the first column of their overlap.
        linked = ~above[:, 1:-1] & (classes != self._nodata)
        linked[:, 1:] &= beside[1:, 1:-1] | beside[:-1, 1:-1]
        region = _components(len(pieces), piece[:-1, 1:-1][linked], piece[1:, 1:-1][linked])
        tally = pieces.united(region)
        united = region[: len(self._open)]
        region = np.append(np.where(pieces.class_id == self._nodata, -1, region), -1)  # piece -1 is in no region

        passes, owner = _find_passes(beside, above, lambda row, column: region[piece[row, column]])
        passes += self._line * (self._width + 1) << 4
        self._line += len(classes)
        self._seam = classes[-1].copy()
        return self._close(tally, united, passes, owner, last=region[piece[-1, 1:-1]])

    def finish(self) -> Regions:
        """Give the regions that the map's lower edge completes."""
        edge = np.full((1, self._width), self._nodata, dtype=self._seam.dtype)
        return self.push(edge, np.zeros(edge.shape) if self._with_confidence else None)

    def _pieces(self, beside: NDArray[np.bool_]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Number the pieces of regions: the open regions first, then the runs of equal class in the block's rows.

        Returns:
            The runs' first pixels as indexes into the flat block, and the piece of each padded pixel, shape
            (rows + 1, width + 2); -1 in the padding and in nodata of the row above.
        """
        first = beside[1:, :-1].copy()
        first[:, 0] = True  # also where the row begins with nodata
        piece = np.full((len(first) + 1, self._width + 2), -1, dtype=np.intp)
        piece[0, 1:-1] = self._seam_region
        piece[1:, 1:-1] = np.cumsum(first).reshape(first.shape) + (len(self._open) - 1)
        return np.flatnonzero(first), piece

    def _close(
        self,
        tally: _Tally,
        united: NDArray[np.intp],
        passes: NDArray[np.int64],
        owner: NDArray[np.intp],
        *,
        last: NDArray[np.intp],
    ) -> Regions:
        """Split regions into those that reach the last row, which stay open, and complete ones, which are returned.

        Args:
            tally: all regions of the block; those that were open before come first.
            united: the region that each region that was open before belongs to now.
            passes: the block's passes, sorted by owner.
            owner: the region of each pass.
            last: the region of each pixel of the last row, -1 for none.
        """
        stays = np.zeros(len(tally), dtype=np.bool_)
        stays[last[last >= 0]] = True
        complete = ~stays & (tally.class_id != self._nodata)

        polygons = _trace(*self._gather(stays, complete, united, passes, owner), self._width)
        self._seam_region = np.where(last >= 0, (np.cumsum(stays) - 1)[last], -1)
        self._open = tally[stays]
        done = tally[complete]
        mean, least = (done.total / done.count, done.least) if self._with_confidence else (None, None)
        return Regions(done.class_id, done.count, mean, least, polygons)

    def _gather(
        self,
        stays: NDArray[np.bool_],
        complete: NDArray[np.bool_],
        united: NDArray[np.intp],
        passes: NDArray[np.int64],
        owner: NDArray[np.intp],
    ) -> tuple[NDArray[np.int64], NDArray[np.intp]]:
        """Store the passes of regions that stay open; give those of complete regions, region by region.

        Returns:
            The passes, in order within each region, and how many each complete region has.
        """
        ends = np.searchsorted(owner, np.arange(len(stays) + 1))
        known: dict[int, list[NDArray[np.int64]]] = {}
        for region, arrays in zip(united.tolist(), self._open_passes, strict=True):
            known.setdefault(region, []).extend(arrays)
        for region in {*known, *np.flatnonzero(stays).tolist()}:
            # A copy: a view would keep the whole block's passes alive.
            known.setdefault(region, []).append(passes[ends[region] : ends[region + 1]].copy())
        self._open_passes = [known[region] for region in np.flatnonzero(stays).tolist()]

        # Regions that were open before have the smallest numbers, so appending the others keeps the order.
        older = [np.sort(np.concatenate(known[region])) for region in range(_size(united)) if complete[region]]
        fresh = complete.copy()
        fresh[: _size(united)] = False
        lengths = np.concatenate([np.array([len(array) for array in older], dtype=np.intp), np.diff(ends)[fresh]])
        return np.concatenate([*older, passes[fresh[owner]]]), lengths


def _size(numbers: NDArray[np.intp]) -> int:
    """How many values numbers from 0 without a gap take."""
    return int(numbers.max(initial=-1)) + 1


def _tally_runs(
    classes: NDArray[np.integer[Any]], confidence: NDArray[np.floating[Any]] | None, starts: NDArray[np.intp]
) -> _Tally:
    """Tally runs of pixels that begin at the flat indexes `starts`."""
    count = np.diff(starts, append=classes.size)
    class_id = classes.ravel()[starts]
    if confidence is None:
        return _Tally(class_id, count, np.zeros(len(starts)), np.full(len(starts), np.inf))
    values = confidence.ravel().astype(np.float64)
    with np.errstate(invalid="ignore"):
        return _Tally(class_id, count, np.add.reduceat(values, starts), np.minimum.reduceat(values, starts))


def _components(size: int, one: NDArray[np.intp], other: NDArray[np.intp]) -> NDArray[np.intp]:
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


def _find_passes(
    beside: NDArray[np.bool_],
    above: NDArray[np.bool_],
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
    # The region clockwise of each arm, up to the next arm. It lies on the left of who comes in along the former.
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


def _trace(passes: NDArray[np.int64], lengths: NDArray[np.intp], width: int) -> NDArray[np.object_]:
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
    takes the complete region to see this: only the rows below may tell that two corners belong to one region.
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
