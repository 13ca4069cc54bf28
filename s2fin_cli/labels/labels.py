"""Labels: vector files or rasters of whole numbers turned into labelled pixels of a grid.

They are read some rows of the grid at a time, so that memory does not grow with the number of labelled pixels; where
they are few they are held as a whole.
"""

from __future__ import annotations

import contextlib
import logging
from collections import Counter
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Protocol

import numpy as np
import shapely

from s2fin_cli.core.classes import (
    LandCoverClass,
    make_classes,
    read_class_table,
)
from s2fin_cli.core.errors import LabelError, shortened
from s2fin_cli.labels.burning import Rings, burn_points, burn_polygons, windows_of
from s2fin_cli.labels.classfield import class_field, number_classes
from s2fin_cli.labels.rasters import STRIP_PIXELS, Found, counted, open_raster_labels
from s2fin_cli.raster.info import read_info
from s2fin_cli.vector.frames import MENDED
from s2fin_cli.vector.geometries import mended_polygons
from s2fin_cli.vector.kinds import is_vector
from s2fin_cli.vector.read import POLYGON_TYPES, rare_types, read_features, tell_of_lost
from s2fin_cli.vector.reproject import on_grid_crs
from s2fin_cli.vector.texts import is_text

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    import geopandas as gpd
    from numpy.typing import NDArray

    from s2fin_cli.core.options import LabelOptions
    from s2fin_cli.geo.grid import Grid

logger = logging.getLogger(__name__)

POINT_TYPES = {"Point", "MultiPoint"}
LINE_TYPES = {"LineString", "MultiLineString", "LinearRing"}
#: Labelled pixels that are held as a whole; where there are more, none of their number is held.
MOST_PIXELS = 1 << 20


@dataclass(frozen=True)
class LabelledPixels:
    """Pixels of a grid with known classes, one entry a pixel, in row-major order.

    Attributes:
        rows, cols: int64 (n,), where they are.
        class_ids: int64 (n,), their classes.
        groups: int64 (n,), the number of the polygon or point that each came from; 0 throughout for a raster.
        classes: every class that occurs, in the order of the ids.
        kind: "polygons", "lines", "points" or "raster".
        ids_are_given: whether the numbers are the labels' own, and not ours for names in alphabetical order.
    """

    rows: NDArray[np.int64]
    cols: NDArray[np.int64]
    class_ids: NDArray[np.int64]
    groups: NDArray[np.int64]
    classes: tuple[LandCoverClass, ...]
    kind: str
    ids_are_given: bool = True

    def __len__(self) -> int:
        return len(self.rows)

    def select(self, which: NDArray[np.bool_] | NDArray[np.int64] | slice) -> LabelledPixels:
        """The pixels chosen by a mask, by positions or by a slice, with the same classes."""
        return replace(
            self,
            rows=self.rows[which],
            cols=self.cols[which],
            class_ids=self.class_ids[which],
            groups=self.groups[which],
        )

    def counts(self) -> dict[int, int]:
        """Number of pixels by class id, zeros included."""
        return {c.id: int((self.class_ids == c.id).sum()) for c in self.classes}


def joined(parts: Sequence[LabelledPixels]) -> LabelledPixels:
    """Pixels of strips of one file one after the other."""
    return replace(
        parts[0],
        rows=np.concatenate([part.rows for part in parts]),
        cols=np.concatenate([part.cols for part in parts]),
        class_ids=np.concatenate([part.class_ids for part in parts]),
        groups=np.concatenate([part.groups for part in parts]),
    )


@dataclass(frozen=True)
class LabelRules:
    """How labels become pixels.

    Attributes:
        field: the class field of a vector file; None takes the only one that can be it.
        classes: those that there are, with names and colours; labels of others are left out. None takes all that occur.
        buffer: CRS units of the grid around points and lines that are theirs; None is half a pixel around a line, and
            of a point the pixel that it lies in.
        on_conflict: what to do with pixels that different classes claim: "drop" leaves them out, "error" refuses them,
            "first" and "last" give them to the feature that comes first or last in the file.
    """

    field: str | None = None
    classes: tuple[LandCoverClass, ...] | None = None
    buffer: float | None = None
    on_conflict: str = "drop"


def rules_of(options: LabelOptions) -> LabelRules:
    """The rules that options describe.

    Raises:
        LabelError: the class table cannot be read.
    """
    classes = None if options.classes is None else read_class_table(options.classes)
    return LabelRules(options.label_field, classes, options.label_buffer, options.on_conflict)


class _Source(Protocol):
    """Labels on a grid as a file holds them; what it has to say of them is said once all rows were read.

    Attributes:
        kind, ids_are_given: as of `LabelledPixels`.
        group_count: so many numbers there are for groups.
        strips: first and last row (exclusive) of rows that hold few enough pixels to be read at a time.
    """

    kind: str
    ids_are_given: bool
    group_count: int

    @property
    def strips(self) -> list[tuple[int, int]]: ...

    def open(self) -> AbstractContextManager[Callable[[int, int], Found]]:
        """Something that reads the labelled pixels of rows from a first to a last one (exclusive)."""

    def conclude(self, totals: Counter[int]) -> tuple[LandCoverClass, ...]:
        """The classes of all rows, with their pixels by number; warns of what was found in them, or refuses it."""


@dataclass(frozen=True)
class Labels:
    """Labels on a grid: held as a whole where they are few, and else read some rows at a time, as often as needed.

    Attributes:
        grid: the grid.
        classes, kind, ids_are_given: as of `LabelledPixels`.
        totals: number of pixels by class id, of each of the classes.
        group_count: so many numbers there are for groups.
        most: pixels that are held at most.
        whole: all of them, or None where they are too many to be held.
    """

    grid: Grid
    classes: tuple[LandCoverClass, ...]
    kind: str
    ids_are_given: bool
    totals: dict[int, int]
    group_count: int
    most: int
    whole: LabelledPixels | None
    _source: _Source

    def __len__(self) -> int:
        return sum(self.totals.values())

    @contextlib.contextmanager
    def open(self) -> Iterator[Callable[[int, int], LabelledPixels]]:
        """Give what reads the labelled pixels of rows from a first to a last one (exclusive)."""
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


def read_labels(src_path: str | Path, grid: Grid, rules: LabelRules | None = None) -> LabelledPixels:
    """Read labels as pixels of a grid, all at once.

    A pixel belongs to a polygon, or to what lies around a point or line, if its centre lies inside, and to a point
    alone if the point lies in it.

    Args:
        src_path: a vector file (polygons, lines or points), a table of points, or a raster of class numbers. What has
            features is a vector file, whatever raster driver takes it too.
        grid: the grid to put them on; labels in another CRS are reprojected.
        rules: how; None for the defaults.

    Raises:
        LabelError: no usable label, or the class field is not clear.
        RasterError: a raster of values that are no class numbers.
        GeoreferencingError: labels and grid do not go together.
    """
    labels = open_labels(src_path, grid, rules, most=grid.height * grid.width)
    assert labels.whole is not None  # noqa: S101  (a grid has no more pixels)
    return labels.whole


def open_labels(
    src_path: str | Path, grid: Grid, rules: LabelRules | None = None, *, most: int | None = None
) -> Labels:
    """Read labels once to check and count them, and hold them if they are no more than so many pixels.

    Memory grows with this limit, `MOST_PIXELS` by default, and not with the number of labelled pixels. Other arguments
    and errors are those of `read_labels`.
    """
    most = MOST_PIXELS if most is None else most
    source = _source_of(src_path, grid, rules or LabelRules())
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
    return Labels(grid, classes, source.kind, source.ids_are_given, counts, source.group_count, most, whole, source)


def _source_of(src_path: str | Path, grid: Grid, rules: LabelRules) -> _Source:
    if is_vector(src_path):
        return _read_vector_labels(src_path, grid, rules)
    _check_no_buffer(rules.buffer, "a raster")
    return open_raster_labels(read_info(src_path), grid, rules)


def _read_vector_labels(src_path: str | Path, grid: Grid, rules: LabelRules) -> _VectorLabels:
    frame = read_features(src_path, error=LabelError, grid=grid, wanted="a vector file or a raster")
    kind = _kind(frame, src_path)
    field = class_field(frame, src_path, label_field=rules.field)
    tell_of_lost(frame, field, src_path)
    frame, class_ids, names = number_classes(frame, field, src_path, rules.classes)
    geometries = on_grid_crs(frame, grid, src_path).to_numpy()
    if kind == "polygons":
        geometries = mended_polygons(
            geometries, frame.index.to_numpy(), grid, src_path, closed=frame.attrs.get(MENDED, ())
        )
    geometries = _buffered(geometries, grid, kind, rules.buffer)
    ids_are_given = rules.classes is not None or not is_text(frame[field])
    return _VectorLabels(src_path, grid, rules, kind, geometries, class_ids, names, ids_are_given)


def _in_colors(
    classes: tuple[LandCoverClass, ...], table: tuple[LandCoverClass, ...] | None
) -> tuple[LandCoverClass, ...]:
    """The classes as a table has them."""
    known = {c.id: c for c in table or ()}
    return tuple(known.get(c.id, c) for c in classes)


def _buffered(geometries: NDArray[np.object_], grid: Grid, kind: str, buffer: float | None) -> NDArray[np.object_]:
    """Points and lines with what lies around them."""
    if kind == "polygons":
        _check_no_buffer(buffer, "polygons")
        return geometries
    if kind == "points" and buffer is None:
        return geometries
    if buffer is not None:
        grid.check_distance(buffer, "the labels' buffer")
    return np.asarray(shapely.buffer(geometries, max(grid.res) / 2 if buffer is None else buffer), dtype=object)


def _check_no_buffer(buffer: float | None, kind: str) -> None:
    if buffer is not None:
        raise LabelError(f"a buffer is for points and lines, and the labels are {kind}; leave it out")


def _kind(frame: gpd.GeoDataFrame, src_path: str | Path) -> str:
    types = set(frame.geom_type)
    if types <= POINT_TYPES:
        return "points"
    if types <= POLYGON_TYPES:
        return "polygons"
    if types <= LINE_TYPES:
        return "lines"
    raise LabelError(
        f"{src_path} holds {', '.join(sorted(types))}; give a layer of polygons, of lines or of points alone "
        f"({rare_types(frame)})"
    )


@dataclass
class _VectorLabels:
    """Labels of a vector file, burnt some rows of the grid at a time.

    Attributes:
        geometries: of all features, on the grid's CRS, buffers included.
        class_numbers: int64 (n,) of all features.
        names: by class number.
    """

    src_path: str | Path
    grid: Grid
    rules: LabelRules
    kind: str
    geometries: NDArray[np.object_]
    class_numbers: NDArray[np.int64]
    names: dict[int, str]
    ids_are_given: bool

    def __post_init__(self) -> None:
        self.group_count = len(self.geometries)
        is_burnt = self.kind != "points" or self.rules.buffer is not None
        self._windows = windows_of(self.geometries, self.grid) if is_burnt else np.empty((0, 4), np.int64)
        self._points = None if is_burnt else burn_points(self.geometries, self.grid)
        self._is_hit = np.zeros(self.group_count, dtype=bool)
        self._clashes, self._claimed = 0, set[int]()
        self._kept: dict[tuple[int, int], NDArray[np.uint8]] = {}
        self._rings: dict[int, Rings] = {}

    @property
    def strips(self) -> list[tuple[int, int]]:
        """Rows in which the windows of all features have few enough pixels."""
        height = self.grid.height
        if self._points is not None:
            return [(0, height)]
        row_off, _, rows, cols = self._windows.T
        change = np.zeros(height + 1, dtype=np.int64)
        np.add.at(change, row_off, cols)
        np.add.at(change, row_off + rows, -cols)
        load = np.cumsum(np.cumsum(change[:-1]))  # pixels of windows down to the end of each row
        starts = np.flatnonzero(np.diff(np.maximum(load - 1, 0) // STRIP_PIXELS)) + 1
        return list(pairwise([0, *starts.tolist(), height]))

    @contextlib.contextmanager
    def open(self) -> Iterator[Callable[[int, int], Found]]:
        yield self._read

    def _read(self, start: int, stop: int) -> Found:
        if self._points is None:
            burnt = burn_polygons(
                self.geometries,
                self.grid,
                windows=self._windows,
                within=(start, stop),
                kept=self._kept,
                rings=self._rings,
            )
        else:
            rows = self._points[0]
            inside = (rows >= start) & (rows < stop)
            burnt = (rows[inside], self._points[1][inside], self._points[2][inside])
        self._is_hit[burnt[2]] = True
        return self._resolved(*burnt)

    def _resolved(self, rows: NDArray[np.int64], cols: NDArray[np.int64], groups: NDArray[np.int64]) -> Found:
        """One entry a pixel; of pixels that different classes claim, what the rule makes of them."""
        if self.rules.on_conflict == "last":
            rows, cols, groups = rows[::-1], cols[::-1], groups[::-1]
        keys = rows * self.grid.width + cols
        if (np.diff(keys) <= 0).any():
            order = np.argsort(keys, kind="stable")  # which leaves the features of a pixel in their order
            rows, cols, groups, keys = rows[order], cols[order], groups[order], keys[order]
        class_ids = self.class_numbers[groups]
        same_pixel = np.diff(keys) == 0
        if not same_pixel.any():
            return rows, cols, class_ids, groups
        first = np.concatenate([[True], ~same_pixel])
        pixel = np.cumsum(first) - 1
        clash = np.zeros(pixel[-1] + 1, dtype=bool)
        clash[pixel[1:][same_pixel & (np.diff(class_ids) != 0)]] = True
        self._clashes += int(clash.sum())
        self._claimed.update(np.unique(class_ids[clash[pixel]]).tolist())
        keep = first & ~clash[pixel] if self.rules.on_conflict in ("drop", "error") else first
        return rows[keep], cols[keep], class_ids[keep], groups[keep]

    def conclude(self, totals: Counter[int]) -> tuple[LandCoverClass, ...]:
        src_path, names, present = self.src_path, self.names, sorted(totals)
        if not self._is_hit.any():
            _raise_outside(self.geometries, self.grid, src_path)
        if lost := int((~self._is_hit).sum()):
            logger.warning("%s: %d of %d features hold no pixel of the image", src_path, lost, self.group_count)
        if self._clashes:
            claimed = [names[class_id] for class_id in sorted(self._claimed)]
            _tell_of_conflict(src_path, self._clashes, claimed, self.rules.on_conflict)
        if not present:
            raise LabelError(f"{src_path}: different classes claim every labelled pixel; check for doubled features")
        gone = sorted(set(names) - set(present))
        if gone:
            logger.warning("%s: classes without a pixel in the image: %s", src_path, ", ".join(names[c] for c in gone))
        classes = make_classes({class_id: names[class_id] for class_id in present})
        return _in_colors(classes, self.rules.classes)


def _raise_outside(geometries: NDArray[np.object_], grid: Grid, src_path: str | Path) -> None:
    left, bottom, right, top = (f"{v:.10g}" for v in shapely.total_bounds(geometries))
    if any(grid.window_of(geometry.bounds) is not None for geometry in geometries):
        raise LabelError(
            f"{src_path}: the labels hold no centre of a pixel of the image, whose pixels are "
            f"{' x '.join(f'{size:g}' for size in grid.res)}; draw larger ones, or give points"
        )
    raise LabelError(
        f"{src_path}: no labelled pixel lies in the image; in the image's CRS the labels cover x {left} to {right}, "
        f"y {bottom} to {top}, and the image is {grid.describe()}"
    )


def _tell_of_conflict(src_path: str | Path, count: int, claimed: list[str], on_conflict: str) -> None:
    """Say what happens to pixels that different classes claim, or refuse them."""
    if on_conflict == "error":
        raise LabelError(
            f"{src_path}: different classes claim {count} pixels ({shortened(claimed)}); mend the features that "
            "overlap, or say what to do with them by --on-conflict"
        )
    done = "are left out" if on_conflict == "drop" else f"are given to the {on_conflict} feature"
    logger.warning("%s: %d pixels that different classes claim %s (%s)", src_path, count, done, shortened(claimed))
