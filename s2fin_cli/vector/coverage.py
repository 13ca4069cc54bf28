"""Polygons that tile a class map exactly, from strips of rows and in bounded memory.

The map is swept from top to bottom. Wherever the borders between classes do more than run straight on, a lattice point
is a *node*, and each region that meets it there leaves one *pass*: the ring of the region comes in along one arm of the
node and goes out along another, the region on its left. Passes are all that is remembered of a region. Between two
passes a ring runs straight, so once the region is complete, sorting its passes by rows and by columns orders them,
and the rings are read off (see `rings`). Nothing is ever cut at the border of two strips, so nothing has to be merged
there but the passes of regions that turn out to be one.

Every region that meets at a node has it as a vertex. That is what makes the polygons a valid coverage: neighbours share
their vertices, not merely their edges.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from s2fin_cli.vector.regions import Tally, components, group_count, tally_runs
from s2fin_cli.vector.rings import find_passes, trace

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from s2fin_cli.raster.strips import Strip


#: Pixels that are worked on at once. More is hardly faster, and takes more memory: about 50 MB with all intermediate
#: arrays on an ordinary map, 300 MB where hardly two neighbouring pixels are of one class.
BLOCK_PX = 2**18


@dataclass(frozen=True)
class Regions:
    """Complete regions, one an element of each array, in the order of their first pixels (row by row).

    Attributes:
        class_id: class of the region.
        confidence_mean: float64, mean over the pixels; None where the map came without confidence.
        confidence_min: float64, minimum over the pixels; None where there is no confidence.
        polygons: shapely polygons in pixel coordinates (column, row), whole numbers; the upper left pixel's outer
            corner is (0, 0). Shells run counterclockwise as seen with row 0 on top.
    """

    class_id: NDArray[np.integer[Any]]
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
    for classes, confidence in _blocks(strips, nodata, block_px=block_px):
        if sweep is None:
            sweep = _Sweep(classes.shape[1], classes.dtype, nodata=nodata, with_confidence=confidence is not None)
        regions = sweep.push(classes, confidence)
        if len(regions):
            yield regions
    if sweep is not None:
        yield sweep.finish()


def _blocks(strips: Iterable[Strip], nodata: int, *, block_px: int) -> Iterator[Strip]:
    """The same rows in blocks of equal height (but the last), in buffers that are reused from block to block."""
    buffers: Strip | None = None
    filled = 0
    for classes, confidence in strips:
        if buffers is None:
            # The class buffer is wide enough for the nodata value, even if no pixel of the map's type can be nodata.
            shape = (max(1, block_px // classes.shape[1]), classes.shape[1])
            dtype = np.result_type(classes.dtype, np.min_scalar_type(nodata))
            buffers = np.empty(shape, dtype), None if confidence is None else np.empty(shape, confidence.dtype)
        _check_strip(classes, confidence, like=buffers)
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
    classes: NDArray[np.unsignedinteger[Any]], confidence: NDArray[np.floating[Any]] | None, *, like: Strip
) -> None:
    """Refuse a strip that does not go with the first one."""
    if classes.shape[1] != like[0].shape[1]:
        raise ValueError(f"a strip is {classes.shape[1]} pixels wide, the first one was {like[0].shape[1]}")
    if (confidence is None) != (like[1] is None):
        raise ValueError("either all strips have a confidence or none has")
    if confidence is not None and confidence.shape != classes.shape:
        raise ValueError(f"confidence of shape {confidence.shape} for classes of shape {classes.shape}")


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
        self._open = Tally(np.zeros(0, dtype), np.zeros(0, np.int64), np.zeros(0), np.zeros(0))
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
        pieces = self._open + tally_runs(classes, confidence, starts=starts)
        # Pieces of one class in consecutive rows are linked once, in the first column of their overlap.
        linked = ~above[:, 1:-1] & (classes != self._nodata)
        linked[:, 1:] &= beside[1:, 1:-1] | beside[:-1, 1:-1]
        region = components(len(pieces), piece[:-1, 1:-1][linked], piece[1:, 1:-1][linked])
        tally = pieces.united(region)
        united = region[: len(self._open)]
        region = np.append(np.where(pieces.class_id == self._nodata, -1, region), -1)  # piece -1 is in no region

        passes, owner = find_passes(beside, above, region_at=lambda row, column: region[piece[row, column]])
        passes += self._line * (self._width + 1) << 4
        self._line += len(classes)
        self._seam = classes[-1].copy()
        return self._close(tally, united, passes=passes, owner=owner, last=region[piece[-1, 1:-1]])

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
        tally: Tally,
        united: NDArray[np.intp],
        *,
        passes: NDArray[np.int64],
        owner: NDArray[np.intp],
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

        polygons = trace(*self._gather(stays, complete, united=united, passes=passes, owner=owner), self._width)
        self._seam_region = np.where(last >= 0, (np.cumsum(stays) - 1)[last], -1)
        self._open = tally[stays]
        done = tally[complete]
        mean, least = (done.total / done.count, done.least) if self._with_confidence else (None, None)
        return Regions(done.class_id, mean, least, polygons)

    def _gather(
        self,
        stays: NDArray[np.bool_],
        complete: NDArray[np.bool_],
        *,
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
        older = [np.sort(np.concatenate(known[region])) for region in range(group_count(united)) if complete[region]]
        fresh = complete.copy()
        fresh[: group_count(united)] = False
        lengths = np.concatenate([np.array([len(array) for array in older], dtype=np.intp), np.diff(ends)[fresh]])
        return np.concatenate([*older, passes[fresh[owner]]]), lengths
