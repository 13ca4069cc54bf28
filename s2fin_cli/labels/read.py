"""Read labels, vector files or rasters of whole numbers, as labelled pixels of a grid.

They are read some rows of the grid at a time, so that memory does not grow with the number of labelled pixels; where
they are few they are held as a whole.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from s2fin_cli.core.options import path_tuple
from s2fin_cli.labels.limits import DEFAULT_LIMITS, Limits
from s2fin_cli.labels.pixels import LabelledPixels, counted
from s2fin_cli.labels.rules import LabelRules
from s2fin_cli.labels.several import open_files
from s2fin_cli.labels.sources import LabelSource, open_file

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    from numpy.typing import NDArray

    from s2fin_cli.core.classes import LandCoverClass
    from s2fin_cli.core.options import StrPath
    from s2fin_cli.geo.grid import Grid


@dataclass(frozen=True)
class Labels:
    """Labels on a grid: held as a whole where they are few, and else read some rows at a time, as often as needed.

    Attributes:
        grid: the grid.
        classes, kind, ids_are_given: as of `LabelledPixels`.
        totals: number of pixels by class id, of each of the classes.
        group_count: how many numbers groups have.
        limits: how many pixels are held or processed at a time.
        whole: all of them, or None where they are too many to be held.
    """

    grid: Grid
    classes: tuple[LandCoverClass, ...]
    kind: str
    ids_are_given: bool
    totals: dict[int, int]
    group_count: int
    limits: Limits
    whole: LabelledPixels | None
    _source: LabelSource

    def __len__(self) -> int:
        return sum(self.totals.values())

    @contextlib.contextmanager
    def open(self) -> Iterator[Callable[[int, int], LabelledPixels]]:
        """Give the reader of the labelled pixels of rows from a first to a last one (exclusive)."""
        with self._source.open() as read:
            yield lambda start, stop: LabelledPixels(*read(start, stop), self.classes, self.kind, self.ids_are_given)

    def strips(self) -> Generator[LabelledPixels]:
        """All labelled pixels in row-major order, some whole rows at a time."""
        if self.whole is not None:
            yield self.whole
            return
        with self.open() as read:
            for start, stop in self._source.strips:
                pixels = read(start, stop)
                if len(pixels):
                    yield pixels


def read_labels(
    src_paths: StrPath | Sequence[StrPath], grid: Grid, *, rules: LabelRules | None = None
) -> LabelledPixels:
    """Read labels as pixels of a grid, all at once.

    A pixel belongs to a polygon, or to the buffer of a point or line, if its centre is inside, and to a point without
    buffer if the point is in it.

    Args:
        src_paths: a vector file (polygons, lines or points), a table of points, or a raster of class numbers; or
            several of them, of which the last one decides about a pixel that several label. A file with features is a
            vector file, even if a raster driver accepts it too.
        grid: the grid to put them on; labels in another CRS are reprojected.
        rules: how; None for the defaults.

    Raises:
        LabelError: no usable label, or the class field is not clear, or the classes of several files cannot be
            numbered together.
        RasterError: a raster of values that are no class numbers.
        GeoreferencingError: labels and grid do not go together.
    """
    labels = open_labels(src_paths, grid, rules=rules, limits=Limits(held_pixels=grid.height * grid.width))
    assert labels.whole is not None  # noqa: S101  (a grid has no more pixels)
    return labels.whole


def open_labels(
    src_paths: StrPath | Sequence[StrPath],
    grid: Grid,
    *,
    rules: LabelRules | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> Labels:
    """Read labels once to check and count them, and hold them if they are few enough.

    Memory grows with the limits, and not with the number of labelled pixels. Other arguments and errors are those of
    `read_labels`.
    """
    most = limits.held_pixels
    source = _source_of(path_tuple(src_paths), grid, rules=rules or LabelRules(), limits=limits)
    totals: Counter[int] = Counter()
    held: list[list[NDArray[np.int32]]] = []
    with source.open() as read:
        for start, stop in source.strips:
            found = read(start, stop)
            totals.update(counted(found[2]))
            if totals.total() <= most:
                held.append([part.astype(np.int32) for part in found])  # half of what they need once they are joined
            else:
                held.clear()
    classes = source.conclude(totals)
    whole = None
    if totals.total() <= most:
        rows, cols, class_ids, groups = (np.concatenate(part, dtype=np.int64) for part in zip(*held, strict=True))
        whole = LabelledPixels(rows, cols, class_ids, groups, classes, source.kind, source.ids_are_given)
    counts = {c.id: totals[c.id] for c in classes}
    return Labels(grid, classes, source.kind, source.ids_are_given, counts, source.group_count, limits, whole, source)


def _source_of(src_paths: tuple[str, ...], grid: Grid, *, rules: LabelRules, limits: Limits) -> LabelSource:
    if len(src_paths) == 1:
        return open_file(src_paths[0], grid, rules=rules, limits=limits)
    return open_files(src_paths, grid, rules=rules, limits=limits)
