"""Labels of a vector file: features whose pixels are found some rows of the grid at a time."""

from __future__ import annotations

import contextlib
import logging
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import shapely

from s2fin_cli.core.classes import LandCoverClass, make_classes
from s2fin_cli.core.errors import LabelError, describe_bounds, shortened
from s2fin_cli.labels.burning import Burnt, PolygonBurner, burn_points
from s2fin_cli.labels.class_field import class_field
from s2fin_cli.labels.limits import Limits
from s2fin_cli.labels.numbering import number_classes
from s2fin_cli.labels.overlaps import Claims
from s2fin_cli.labels.rules import LabelRules, OutsideError, check_no_buffer
from s2fin_cli.vector.on_grid import features_on_grid
from s2fin_cli.vector.read import POLYGON_TYPES, rare_types, read_features, warn_of_lost
from s2fin_cli.vector.texts import is_text

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import geopandas as gpd
    from numpy.typing import NDArray

    from s2fin_cli.geo.grid import Grid
    from s2fin_cli.labels.pixels import Found

logger = logging.getLogger(__name__)

POINT_TYPES = {"Point", "MultiPoint"}
LINE_TYPES = {"LineString", "MultiLineString", "LinearRing"}
_NO_PIXELS: Burnt = (np.empty(0, np.int64),) * 3


def read_feature_labels(src_path: str | Path, grid: Grid, *, rules: LabelRules, limits: Limits) -> FeatureLabels:
    """Read the features of a vector file or table as labels on a grid.

    Raises:
        LabelError: there is nothing that can be used, or the class field is not clear.
        GeoreferencingError: labels and grid do not go together.
    """
    frame = read_features(src_path, error=LabelError, grid=grid, wanted="a vector file or a raster")
    kind = _kind(frame, src_path)
    field = class_field(frame, src_path, label_field=rules.field, is_alone=rules.is_alone)
    warn_of_lost(frame, field, src_path=src_path)
    frame, class_ids, names = number_classes(
        frame, field, src_path=src_path, table=rules.classes, takes_table=rules.takes_table
    )
    geometries = features_on_grid(frame, grid, src_path=src_path)
    geometries = _buffered(geometries, grid, kind=kind, rules=rules)
    ids_are_given = rules.classes is not None or not is_text(frame[field])
    return FeatureLabels(src_path, grid, rules, kind, geometries, class_ids, names, ids_are_given, limits, field)


def _kind(frame: gpd.GeoDataFrame, src_path: str | Path) -> str:
    types = set(frame.geom_type)
    if types <= POINT_TYPES:
        return "points"
    if types <= POLYGON_TYPES:
        return "polygons"
    if types <= LINE_TYPES:
        return "lines"
    raise LabelError(
        f"{src_path} holds {', '.join(sorted(types))}; give a layer of only polygons, only lines or only points "
        f"({rare_types(frame)})"
    )


def _buffered(geometries: NDArray[np.object_], grid: Grid, *, kind: str, rules: LabelRules) -> NDArray[np.object_]:
    """Points and lines with their buffers."""
    buffer = rules.buffer
    if kind == "polygons":
        check_no_buffer(rules, "polygons")
        return geometries
    if kind == "points" and buffer is None:
        return geometries
    if buffer is not None:
        grid.check_distance(buffer, "the labels' buffer")
    return np.asarray(shapely.buffer(geometries, max(grid.res) / 2 if buffer is None else buffer), dtype=object)


@dataclass
class FeatureLabels:
    """Labels of a vector file, burnt some rows of the grid at a time.

    Attributes:
        geometries: geometries of all features, on the grid's CRS, buffers included.
        class_numbers: int64 (n,) of all features.
        names: by class number.
        field: the class field.
    """

    src_path: str | Path
    grid: Grid
    rules: LabelRules
    kind: str
    geometries: NDArray[np.object_]
    class_numbers: NDArray[np.int64]
    names: dict[int, str]
    ids_are_given: bool
    limits: Limits
    field: str

    def __post_init__(self) -> None:
        self.group_count = len(self.geometries)
        is_burnt = self.kind != "points" or self.rules.buffer is not None
        self._polygons = PolygonBurner(self.geometries, self.grid, limits=self.limits) if is_burnt else None
        self._points = _NO_PIXELS if is_burnt else burn_points(self.geometries, self.grid)
        self._is_hit = np.zeros(self.group_count, dtype=bool)
        self._clashes, self._claimed = 0, set[int]()

    @property
    def strips(self) -> list[tuple[int, int]]:
        """Rows in which the windows of all features have few enough pixels."""
        height = self.grid.height
        if self._polygons is None:
            return [(0, height)]
        row_off, _, rows, cols = self._polygons.windows.T
        change = np.zeros(height + 1, dtype=np.int64)
        np.add.at(change, row_off, cols)
        np.add.at(change, row_off + rows, -cols)
        load = np.cumsum(np.cumsum(change[:-1]))  # pixels of windows down to the end of each row
        starts = np.flatnonzero(np.diff(np.maximum(load - 1, 0) // self.limits.strip_pixels)) + 1
        return list(pairwise([0, *starts.tolist(), height]))

    @contextlib.contextmanager
    def open(self) -> Iterator[Callable[[int, int], Found]]:
        """The reader of the labelled pixels of rows from a first to a last one (exclusive)."""
        yield self._read

    def _read(self, start: int, stop: int) -> Found:
        if self._polygons is not None:
            burnt = self._polygons.burn(start, stop)
        else:
            rows, cols, groups = self._points
            inside = (rows >= start) & (rows < stop)
            burnt = rows[inside], cols[inside], groups[inside]
        self._is_hit[burnt[2]] = True
        return self._resolved(*burnt)

    def _resolved(self, rows: NDArray[np.int64], cols: NDArray[np.int64], groups: NDArray[np.int64]) -> Found:
        """One entry per pixel; the rule decides about pixels that different classes claim.

        Pixels that it drops stay as `NO_CLASS` in one file of several, as no other file may decide about them.
        """
        if self.rules.on_conflict == "last":
            rows, cols, groups = rows[::-1], cols[::-1], groups[::-1]
        claims = Claims.of((rows, cols, self.class_numbers[groups], groups), self.grid.width)
        self._clashes += claims.disputed_pixels
        self._claimed.update(claims.disputing_classes)
        keeps_disputed = self.rules.on_conflict in ("first", "last")
        return (
            claims.resolved(keeps_disputed=keeps_disputed) if keeps_disputed or self.rules.is_alone else claims.marked()
        )

    def conclude(self, totals: Counter[int]) -> tuple[LandCoverClass, ...]:
        """The classes of all rows, from pixels by class number; warns of problems in the labels, or refuses them."""
        src_path, names, present = self.src_path, self.names, sorted(totals)
        if not self._is_hit.any():
            _raise_outside(self.geometries, self.grid, src_path=src_path)
        if lost := int((~self._is_hit).sum()):
            logger.warning("%s: %d of %d features hold no pixel of the image", src_path, lost, self.group_count)
        if self._clashes:
            claimed = [names[class_id] for class_id in sorted(self._claimed)]
            _handle_conflict(src_path, self._clashes, claimed=claimed, on_conflict=self.rules.on_conflict)
        if not present:
            raise LabelError(f"{src_path}: different classes claim every labelled pixel; check for duplicate features")
        gone = sorted(set(names) - set(present))
        if gone:
            logger.warning("%s: classes without a pixel in the image: %s", src_path, ", ".join(names[c] for c in gone))
        classes = make_classes({class_id: names[class_id] for class_id in present})
        return _in_colors(classes, self.rules.classes)


def _raise_outside(geometries: NDArray[np.object_], grid: Grid, *, src_path: str | Path) -> None:
    if any(grid.window_of(geometry.bounds) is not None for geometry in geometries):
        raise LabelError(
            f"{src_path}: the labels hold no centre of a pixel of the image, whose pixels are "
            f"{' x '.join(f'{size:g}' for size in grid.res)}; draw larger features, or give points"
        )
    raise OutsideError(
        f"{src_path}: no labelled pixel is in the image; in the image's CRS the labels cover "
        f"{describe_bounds(shapely.total_bounds(geometries))}, and the image is {grid.describe()}; give labels of the "
        "same place, and check both CRS"
    )


def _handle_conflict(src_path: str | Path, count: int, *, claimed: list[str], on_conflict: str) -> None:
    """Say what happens to pixels that different classes claim, or refuse them."""
    if on_conflict == "error":
        raise LabelError(
            f"{src_path}: different classes claim {count} pixels ({shortened(claimed)}); correct the features that "
            "overlap, or choose what happens to them with `on_conflict`"
        )
    done = "are skipped" if on_conflict == "drop" else f"are given to the {on_conflict} feature"
    logger.warning("%s: %d pixels that different classes claim %s (%s)", src_path, count, done, shortened(claimed))


def _in_colors(
    classes: tuple[LandCoverClass, ...], table: tuple[LandCoverClass, ...] | None
) -> tuple[LandCoverClass, ...]:
    """The classes with the names and colours of a table."""
    known = {c.id: c for c in table or ()}
    return tuple(known.get(c.id, c) for c in classes)
