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
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import rasterio.features
import rasterio.windows
import shapely
from rasterio.enums import Resampling
from rasterio.env import getenv, hasenv
from rasterio.windows import Window

from s2fin_cli.errors import GeoreferencingError, LabelError, quoted, shortened
from s2fin_cli.geo.classes import (
    MAX_CLASS_ID,
    LandCoverClass,
    check_class_ids,
    make_classes,
    read_class_table,
)
from s2fin_cli.geo.classfield import class_field, is_text, number_classes
from s2fin_cli.geo.classmap import no_class_number, read_class_names
from s2fin_cli.geo.features import MENDED, POLYGON_TYPES, on_grid_crs, rare_types, read_features, tell_of_lost
from s2fin_cli.geo.finelabels import NO_CLASS, with_unlabelled
from s2fin_cli.geo.geometries import mended_polygons
from s2fin_cli.geo.rasters import (
    LEAST_CACHE,
    MOST_CACHE,
    RasterInfo,
    WindowReader,
    check_placed,
    default_resampling,
    environment,
    open_on_grid,
    read_info,
)
from s2fin_cli.geo.sources import is_vector
from s2fin_cli.geo.transformation import Placed, check_transformable, check_without_crs, tell_of_accuracy
from s2fin_cli.geo.windows import iter_tiles

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence
    from contextlib import AbstractContextManager

    import geopandas as gpd
    from numpy.typing import NDArray

    from s2fin_cli.config import LabelOptions
    from s2fin_cli.geo.grid import Grid

logger = logging.getLogger(__name__)

POINT_TYPES = {"Point", "MultiPoint"}
LINE_TYPES = {"LineString", "MultiLineString", "LinearRing"}
#: Pixels of a label raster, or of the windows of polygons, that are read at a time.
STRIP_PIXELS = 1 << 18
#: Pixels of a row of a label raster's blocks that are kept at most.
MOST_BLOCK_PIXELS = 1 << 23
#: A polygon whose window has more pixels is burnt in bands of so many rows.
WINDOW_PIXELS, BAND_ROWS = 1 << 20, 64
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
            totals.update(_counted(found[2]))
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
    return _open_raster_labels(read_info(src_path), grid, rules)


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


Burnt = tuple["NDArray[np.int64]", "NDArray[np.int64]", "NDArray[np.int64]"]
#: Rows, columns, class numbers and groups of labelled pixels, one entry a pixel, in row-major order; int64 (n,) each.
Found = tuple["NDArray[np.int64]", "NDArray[np.int64]", "NDArray[np.int64]", "NDArray[np.int64]"]


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
        self._windows = _windows_of(self.geometries, self.grid) if is_burnt else np.empty((0, 4), np.int64)
        self._points = None if is_burnt else _burn_points(self.geometries, self.grid)
        self._is_hit = np.zeros(self.group_count, dtype=bool)
        self._clashes, self._claimed = 0, set[int]()
        self._kept: dict[tuple[int, int], NDArray[np.uint8]] = {}
        self._rings: dict[int, _Rings] = {}

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
            burnt = _burn_polygons(
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


def _burn_points(geometries: NDArray[np.object_], grid: Grid) -> Burnt:
    """Rows, columns and feature numbers of the pixels that points lie in."""
    coordinates, groups = shapely.get_coordinates(geometries, return_index=True)
    a, b, c, d, e, f = (~grid.transform)[:6]
    x, y = coordinates.T
    cols, rows = np.floor(a * x + b * y + c), np.floor(d * x + e * y + f)
    inside = (rows >= 0) & (rows < grid.height) & (cols >= 0) & (cols < grid.width)
    return rows[inside].astype(np.int64), cols[inside].astype(np.int64), groups[inside].astype(np.int64)


def _windows_of(geometries: NDArray[np.object_], grid: Grid) -> NDArray[np.int64]:
    """Row, column, height and width (n, 4) of the windows that geometries lie in; 0 for those outside."""
    windows = np.zeros((len(geometries), 4), dtype=np.int64)
    for number, geometry in enumerate(geometries):
        window = grid.window_of(geometry.bounds)
        if window is not None:
            windows[number] = window.row_off, window.col_off, window.height, window.width
    return windows


def _burn_polygons(
    geometries: NDArray[np.object_],
    grid: Grid,
    *,
    windows: NDArray[np.int64] | None = None,
    within: tuple[int, int] | None = None,
    kept: dict[tuple[int, int], NDArray[np.uint8]] | None = None,
    rings: dict[int, _Rings] | None = None,
) -> Burnt:
    """Rows, columns and feature numbers of the pixels whose centres lie in polygons, polygon by polygon.

    Each polygon is burnt in its own window, so that memory does not grow with the raster, and a large one in bands of
    rows that are always the same ones, so that rounding does not depend on the rows that are asked for.

    Args:
        geometries: polygons in the grid's CRS.
        grid: the grid.
        windows: theirs, as `_windows_of` gives them, where they are known already.
        within: the first and the last row (exclusive) that are asked for; None for all.
        kept: what was burnt and reaches beyond the rows that were asked for last, for those asked for next.
        rings: those of polygons that are burnt in bands, for rows asked for next.
    """
    rings = {} if rings is None else rings
    windows = _windows_of(geometries, grid) if windows is None else windows
    start, stop = within or (0, grid.height)
    row_off, _, height, _ = windows.T
    before, kept = dict(kept or {}), {} if kept is None else kept
    kept.clear()
    found: list[Burnt] = []
    for number in np.flatnonzero((row_off < stop) & (row_off + height > start)).tolist():
        for window in _bands(*windows[number].tolist(), start=start, stop=stop):
            key, shape = (number, window.row_off), (window.height, window.width)
            if key in before:
                burnt = np.unpackbits(before[key], count=shape[0] * shape[1]).reshape(shape)
            else:
                geometry = geometries[number]
                if shape[0] < height[number]:
                    geometry = _rings_of(geometry, grid, number=number, known=rings).near(window)
                burnt = _burn(geometry, window, grid)
            if window.row_off + window.height > stop:
                kept[key] = np.packbits(burnt)
            first = max(start - window.row_off, 0)
            rows, cols = np.nonzero(burnt[first : max(stop - window.row_off, 0)])
            found.append((rows + (window.row_off + first), cols + window.col_off, np.full(len(rows), number)))
    if not found:
        return (np.empty(0, np.int64),) * 3
    rows, cols, groups = (np.concatenate(part, dtype=np.int64) for part in zip(*found, strict=True))
    return rows, cols, groups


@dataclass(frozen=True)
class _Rings:
    """The rings of a large polygon, so that a band of it is burnt from those that reach into it.

    Attributes:
        rings: shells and holes of all its parts.
        tops, bottoms: float64 (n,), the rows of the grid between which each lies.
    """

    rings: NDArray[np.object_]
    tops: NDArray[np.float64]
    bottoms: NDArray[np.float64]

    @classmethod
    def of(cls, geometry: Any, grid: Grid) -> _Rings:
        """Those of a polygon in the grid's CRS."""
        rings = shapely.get_rings(shapely.get_parts(geometry))
        left, bottom, right, top = shapely.bounds(rings).T
        _, _, _, d, e, f = (~grid.transform)[:6]
        rows = np.array([d * x + e * y + f for x in (left, right) for y in (bottom, top)])
        return cls(rings, rows.min(axis=0), rows.max(axis=0))

    def near(self, window: Window) -> Any:
        """A polygon that has the same pixels in a window; None if that has none."""
        # NOTE: GDAL takes all rings of a polygon alike, by the even-odd rule, whichever of them is the shell
        near = self.rings[(self.bottoms >= window.row_off - 1) & (self.tops <= window.row_off + window.height + 1)]
        return shapely.polygons(near[0], holes=near[1:]) if len(near) else None


def _rings_of(geometry: Any, grid: Grid, *, number: int, known: dict[int, _Rings]) -> _Rings:
    if number not in known:
        known[number] = _Rings.of(geometry, grid)
    return known[number]


def _burn(geometry: Any, window: Window, grid: Grid) -> NDArray[np.uint8]:
    """Mask (height, width) of those pixels of a window whose centres lie in a polygon."""
    if geometry is None:
        return np.zeros((window.height, window.width), dtype=np.uint8)
    burnt = rasterio.features.rasterize(
        [(geometry, 1)],
        out_shape=(window.height, window.width),
        transform=rasterio.windows.transform(window, grid.transform),
        dtype="uint8",
    )
    return np.asarray(burnt, dtype=np.uint8)


def _bands(row_off: int, col_off: int, height: int, width: int, *, start: int, stop: int) -> Iterator[Window]:
    """A window, or where it is large those of its bands that some rows lie in, cut at multiples of `BAND_ROWS`."""
    if height * width <= WINDOW_PIXELS:
        yield Window(col_off, row_off, width, height)
        return
    first, end = max(row_off, start) // BAND_ROWS * BAND_ROWS, min(row_off + height, stop)
    for row in range(first, end, BAND_ROWS):
        top, bottom = max(row, row_off), min(row + BAND_ROWS, row_off + height)
        yield Window(col_off, top, width, bottom - top)


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


class _RasterLabels:
    """Labels of a raster on the grid, by nearest neighbour; its nodata value, or 0 where it has none, is no label."""

    kind, ids_are_given, group_count = "raster", True, 1

    def __init__(self, info: RasterInfo, grid: Grid, classes: tuple[LandCoverClass, ...] | None) -> None:
        self._info, self._grid, self._table = info, grid, classes
        self._unlabelled, self._resampling = _unlabelled(info), _label_resampling(info, grid)
        if self._resampling == Resampling.mode and self._unlabelled != 0:
            self._unlabelled = NO_CLASS
        self._strange: Counter[int] = Counter()

    @property
    def strips(self) -> list[tuple[int, int]]:
        """Rows of few enough pixels."""
        height, rows = self._grid.height, max(STRIP_PIXELS // self._grid.width, 1)
        return [(start, min(start + rows, height)) for start in range(0, height, rows)]

    @contextlib.contextmanager
    def open(self) -> Iterator[Callable[[int, int], Found]]:
        info, grid = self._info, self._grid
        # NOTE: strips share rows of blocks; those of small values GDAL keeps decoded, others would take much memory
        is_kept = np.dtype(info.dtype).itemsize > 2 and grid.matches(info.grid)
        is_kept &= info.block_shape[0] * grid.width <= MOST_BLOCK_PIXELS
        with (
            environment(None if is_kept else _cache_for(info)),
            self._reader() as reader,
        ):
            rows = _BlockRows(reader, grid, info.block_shape[0]) if is_kept else _PlainRows(reader, grid)
            yield lambda start, stop: self._found(rows.read(start, stop), start)

    @contextlib.contextmanager
    def _reader(self) -> Iterator[WindowReader]:
        """What reads the labels on the grid."""
        info, grid = self._info, self._grid
        with contextlib.ExitStack() as opened:
            name, indexes, alphas = info.src_path, info.indexes, info.alpha_indexes
            if self._resampling == Resampling.mode:
                name = opened.enter_context(with_unlabelled(info, grid, number=self._unlabelled))
                indexes, alphas = (1,), ()
            yield opened.enter_context(
                open_on_grid(name, grid, indexes=indexes, resampling=self._resampling, alpha_indexes=alphas)
            )

    def _found(self, values: NDArray[np.float32], start: int) -> Found:
        """The labelled pixels among values (rows, width)."""
        width, values = self._grid.width, values.ravel()
        at = np.flatnonzero(np.isfinite(values) & (values != self._unlabelled))
        values = values[at]
        rows, cols = at // width + start, at % width
        self._check_numbers(values, rows, cols)
        class_ids = values.astype(np.int64)
        if self._table is not None:
            known = np.isin(class_ids, [c.id for c in self._table], kind="table")
            self._strange.update(_counted(class_ids[~known]))
            rows, cols, class_ids = rows[known], cols[known], class_ids[known]
        return rows, cols, class_ids, np.zeros_like(rows)

    def _check_numbers(self, values: NDArray[np.float32], rows: NDArray[np.int64], cols: NDArray[np.int64]) -> None:
        """Refuse values that are no class numbers."""
        if not len(values):
            return
        broken = np.flatnonzero(values != np.rint(values))
        if len(broken):
            first, src_path = broken[0], self._info.src_path
            raise LabelError(
                no_class_number(src_path, values[first], f"row {rows[first]}, column {cols[first]} of the image")
            )
        if values.min() < 0 or values.max() > MAX_CLASS_ID:
            check_class_ids(np.unique(values))

    def _warn_of_filling(self, totals: Counter[int]) -> None:
        """Warn of the highest number of the data type where it has most labels and no nodata value is declared."""
        info = self._info
        highest = int(np.iinfo(info.dtype).max) if np.issubdtype(np.dtype(info.dtype), np.integer) else -1
        share = totals[highest] / max(totals.total(), 1)
        if info.nodata is None and not info.has_mask and self._table is None and share > 0.5:
            logger.warning(
                "%s: %.1f %% of the labelled pixels have class %d, the highest number that there is; if it means "
                "unlabelled, declare it with: gdal_edit.py -a_nodata %d %s",
                info.src_path, 100 * share, highest, highest, quoted(info.src_path),
            )  # fmt: skip

    def conclude(self, totals: Counter[int]) -> tuple[LandCoverClass, ...]:
        src_path, present = self._info.src_path, sorted(totals)
        self._warn_of_filling(totals)
        if not present and not self._strange:
            raise LabelError(f"{src_path}: no labelled pixel lies in the image ({self._grid.describe()})")
        if self._strange:
            logger.warning(
                "%s: %d pixels of classes that the class table does not have are left out: %s",
                src_path, self._strange.total(), shortened(sorted(self._strange)),
            )  # fmt: skip
        if not present:
            raise LabelError(f"{src_path}: none of its classes is in the class table; mend the table")
        if self._table is not None:
            return tuple(c for c in self._table if c.id in present)
        names = read_class_names(src_path)
        return make_classes({class_id: names.get(class_id, str(class_id)) for class_id in present})


def _unlabelled(info: RasterInfo) -> float:
    """The value that means unlabelled: the nodata value, or 0 where neither that nor a mask says it."""
    return info.nodata if info.nodata is not None else np.nan if info.has_mask else 0


def _label_resampling(info: RasterInfo, grid: Grid) -> Resampling:
    """Nearest neighbour; of labels at least twice as fine as the image, what most of a pixel has."""
    is_placed = info.grid.crs is not None and grid.crs is not None
    is_finer = is_placed and default_resampling(info.grid, grid) == Resampling.average
    return Resampling.mode if is_finer else Resampling.nearest


def _counted(class_ids: NDArray[np.int64]) -> dict[int, int]:
    """Number of pixels by class id, of those that occur."""
    numbers = np.bincount(class_ids)
    return {int(class_id): int(numbers[class_id]) for class_id in np.flatnonzero(numbers)}


class _PlainRows:
    """Reads rows of a raster of one band."""

    def __init__(self, reader: WindowReader, grid: Grid) -> None:
        self._reader, self._grid = reader, grid

    def read(self, start: int, stop: int) -> NDArray[np.float32]:
        """Values (rows, width) from a first to a last row (exclusive)."""
        return np.asarray(self._reader.read(Window(0, start, self._grid.width, stop - start))[0])


class _BlockRows:
    """Reads rows of a raster of one band, and keeps a row of its blocks."""

    def __init__(self, reader: WindowReader, grid: Grid, block_height: int) -> None:
        self._reader, self._grid, self._height = reader, grid, min(block_height, grid.height)
        self._values = np.empty((self._height, grid.width), dtype=np.float32)
        self._number = -1

    def read(self, start: int, stop: int) -> NDArray[np.float32]:
        """Values (rows, width) from a first to a last row (exclusive)."""
        parts = []
        for number in range(start // self._height, (stop - 1) // self._height + 1):
            self._keep(number)
            top = number * self._height
            parts.append(self._values[max(start - top, 0) : stop - top].copy())
        return np.concatenate(parts) if len(parts) > 1 else parts[0]

    def _keep(self, number: int) -> None:
        if number == self._number:
            return
        top = number * self._height
        shape = min(self._height, self._grid.height - top), self._grid.width
        for window in iter_tiles(shape, (shape[0], max(STRIP_PIXELS // shape[0], 1)), offset=(top, 0)):
            cols = window.toslices()[1]
            self._values[: shape[0], cols] = self._reader.read(window)[0]
        self._number = number


def _cache_for(info: RasterInfo) -> int:
    """Bytes that GDAL is to keep of what it decodes, so that strips find there the blocks that they share.

    What is kept of other rasters, which are read by turns with the labels, is kept too.
    """
    height, width = info.block_shape
    needed = height * -(-info.grid.width // width) * width * np.dtype(info.dtype).itemsize
    around = int(getenv().get("GDAL_CACHEMAX") or 0) if hasenv() else 0
    return max(min(around + needed, MOST_CACHE), around, LEAST_CACHE)


def _open_raster_labels(info: RasterInfo, grid: Grid, rules: LabelRules) -> _RasterLabels:
    """Labels from a raster of whole numbers."""
    _check_label_raster(info, grid)
    _check_no_buffer(rules.buffer, "a raster")
    if rules.field is not None:
        logger.warning("%s is a raster and has no fields; the field %r is left aside", info.src_path, rules.field)
    labels = _RasterLabels(info, grid, rules.classes)
    is_float = np.issubdtype(np.dtype(info.dtype), np.floating)
    if info.nodata is None and info.has_mask:
        logger.info("labels: masked pixels are unlabelled in %s, and 0 is a class where it occurs", info.src_path)
    elif info.nodata is None and is_float:
        logger.info("labels: 0 and NaN mean unlabelled in %s", info.src_path)
    else:
        logger.info("labels: %g means unlabelled in %s", _unlabelled(info), info.src_path)
    if _label_resampling(info, grid) == Resampling.mode:
        logger.info(
            "labels: %s is finer than the image; each pixel gets the class that most of it has, and none where most of "
            "it is unlabelled",
            info.src_path,
        )
    return labels


def _check_label_raster(info: RasterInfo, grid: Grid) -> None:
    check_placed(info, info.src_path)
    if info.is_lossy:
        raise LabelError(
            f"{info.src_path} is compressed by JPEG, which changes class numbers; give the labels that it was made of, "
            "in a format that keeps them"
        )
    if info.count != 1:
        raise LabelError(f"{info.src_path} holds {info.count} bands; give a raster with one band of class numbers")
    if (info.grid.crs is None) != (grid.crs is None):
        raise GeoreferencingError(
            f"only one of the label raster ({info.grid.describe()}) and the image ({grid.describe()}) has a CRS; "
            "assign it to the other first"
        )
    if grid.crs is None:
        check_without_crs(grid, info.grid, names=("the image", info.src_path))
        return
    labels = Placed(info.src_path, info.src_path, info.grid.crs)
    check_transformable(labels, Placed("the image", "IMAGE", grid.crs))
    tell_of_accuracy(labels, grid)
