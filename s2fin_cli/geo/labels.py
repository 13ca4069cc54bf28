"""Labels: vector files or integer rasters turned into labelled pixels of a grid."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import rasterio.features
import rasterio.windows
import shapely
from rasterio.enums import Resampling
from rasterio.windows import Window

from s2fin_cli.errors import GeoreferencingError, LabelError, shortened
from s2fin_cli.geo.classes import LandCoverClass, check_class_ids, make_classes, read_class_table
from s2fin_cli.geo.classfield import class_field, is_text, number_classes
from s2fin_cli.geo.classmap import read_class_names
from s2fin_cli.geo.features import MENDED, POLYGON_TYPES, on_grid_crs, read_features
from s2fin_cli.geo.geometries import mended_polygons
from s2fin_cli.geo.rasters import RasterInfo, open_on_grid, read_info
from s2fin_cli.geo.sources import is_vector
from s2fin_cli.geo.transformation import Placed, check_transformable, check_without_crs, tell_of_accuracy

if TYPE_CHECKING:
    import geopandas as gpd
    from numpy.typing import NDArray

    from s2fin_cli.config import LabelOptions
    from s2fin_cli.geo.grid import Grid

logger = logging.getLogger(__name__)

POINT_TYPES = {"Point", "MultiPoint"}
LINE_TYPES = {"LineString", "MultiLineString", "LinearRing"}
#: Pixels of a label raster that are read at a time.
STRIP_PIXELS = 1 << 20


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

    def select(self, which: NDArray[np.bool_] | NDArray[np.int64]) -> LabelledPixels:
        """The pixels chosen by a mask or by positions, with the same classes."""
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


def read_labels(src_path: str | Path, grid: Grid, rules: LabelRules | None = None) -> LabelledPixels:
    """Read labels as pixels of a grid.

    A pixel belongs to a polygon, or to what lies around a point or line, if its centre lies inside, and to a point
    alone if the point lies in it.

    Args:
        src_path: a vector file (polygons, lines or points), a table of points, or an integer raster of class numbers.
            What has features is a vector file, whatever raster driver takes it too.
        grid: the grid to put them on; labels in another CRS are reprojected.
        rules: how; None for the defaults.

    Raises:
        LabelError: no usable label, or the class field is not clear.
        RasterError: a raster of values that are no class numbers.
        GeoreferencingError: labels and grid do not go together.
    """
    if is_vector(src_path):
        return _read_vector_labels(src_path, grid, rules or LabelRules())
    return _read_raster_labels(read_info(src_path), grid, rules or LabelRules())


def _read_vector_labels(src_path: str | Path, grid: Grid, rules: LabelRules) -> LabelledPixels:
    frame = read_features(src_path, error=LabelError, grid=grid, wanted="a vector file or a raster")
    kind = _kind(frame, src_path)
    field = class_field(frame, src_path, label_field=rules.field)
    frame, class_ids, names = number_classes(frame, field, src_path, rules.classes)
    geometries = on_grid_crs(frame, grid, src_path).to_numpy()
    if kind == "polygons":
        geometries = mended_polygons(
            geometries, frame.index.to_numpy(), grid, src_path, closed=frame.attrs.get(MENDED, ())
        )
    geometries = _buffered(geometries, grid, kind, rules.buffer)
    as_points = kind == "points" and rules.buffer is None
    rows, cols, groups = _burn_points(geometries, grid) if as_points else _burn_polygons(geometries, grid)
    if not len(rows):
        _raise_outside(geometries, grid, src_path)
    if lost := len(geometries) - len(np.unique(groups)):
        logger.warning("%s: %d of %d features hold no pixel of the image", src_path, lost, len(geometries))
    pixels = _without_conflicts(
        rows, cols, class_ids[groups], groups, names=names, kind=kind, src_path=src_path, on_conflict=rules.on_conflict
    )
    ids_are_given = rules.classes is not None or not is_text(frame[field])
    return replace(pixels, classes=_in_colors(pixels.classes, rules.classes), ids_are_given=ids_are_given)


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
        f"{src_path} holds {', '.join(sorted(types))}; give a layer of polygons, of lines or of points alone"
    )


Burnt = tuple["NDArray[np.int64]", "NDArray[np.int64]", "NDArray[np.int64]"]


def _burn_points(geometries: NDArray[np.object_], grid: Grid) -> Burnt:
    """Rows, columns and feature numbers of the pixels that points lie in."""
    coordinates, groups = shapely.get_coordinates(geometries, return_index=True)
    a, b, c, d, e, f = (~grid.transform)[:6]
    x, y = coordinates.T
    cols, rows = np.floor(a * x + b * y + c), np.floor(d * x + e * y + f)
    inside = (rows >= 0) & (rows < grid.height) & (cols >= 0) & (cols < grid.width)
    return rows[inside].astype(np.int64), cols[inside].astype(np.int64), groups[inside].astype(np.int64)


def _burn_polygons(geometries: NDArray[np.object_], grid: Grid) -> Burnt:
    """Rows, columns and feature numbers of the pixels whose centres lie in polygons.

    Each polygon is burnt in its own window, so that memory does not grow with the raster.
    """
    found: list[Burnt] = []
    for number, geometry in enumerate(geometries):
        window = grid.window_of(geometry.bounds)
        if window is None:
            continue
        rows, cols = np.nonzero(
            rasterio.features.rasterize(
                [(geometry, 1)],
                out_shape=(window.height, window.width),
                transform=rasterio.windows.transform(window, grid.transform),
                dtype="uint8",
            )
        )
        found.append((rows + window.row_off, cols + window.col_off, np.full(len(rows), number)))
    if not found:
        return (np.empty(0, np.int64),) * 3
    rows, cols, groups = (np.concatenate(part).astype(np.int64) for part in zip(*found, strict=True))
    return rows, cols, groups


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


def _without_conflicts(
    rows: NDArray[np.int64],
    cols: NDArray[np.int64],
    class_ids: NDArray[np.int64],
    groups: NDArray[np.int64],
    *,
    names: dict[int, str],
    kind: str,
    src_path: str | Path,
    on_conflict: str,
) -> LabelledPixels:
    """One entry a pixel, in row-major order; of pixels that different classes claim, what the rule makes of them."""
    order = np.lexsort((groups if on_conflict == "first" else -groups, cols, rows))
    if on_conflict in ("drop", "error"):
        order = np.lexsort((class_ids, cols, rows))
    rows, cols, class_ids, groups = rows[order], cols[order], class_ids[order], groups[order]
    same_pixel = (np.diff(rows) == 0) & (np.diff(cols) == 0)
    first = np.concatenate([[True], ~same_pixel])
    pixel = np.cumsum(first) - 1
    clash = np.zeros(first.sum(), dtype=bool)
    clash[pixel[1:][same_pixel & (np.diff(class_ids) != 0)]] = True
    if clash.any():
        claimed = [names[class_id] for class_id in np.unique(class_ids[clash[pixel]]).tolist()]
        _tell_of_conflict(src_path, int(clash.sum()), claimed, on_conflict)
    keep = first & ~clash[pixel] if on_conflict in ("drop", "error") else first
    if not keep.any():
        raise LabelError(f"{src_path}: different classes claim every labelled pixel; check for doubled features")
    present = np.unique(class_ids[keep])
    gone = sorted(set(names) - set(present.tolist()))
    if gone:
        logger.warning("%s: classes without a pixel in the image: %s", src_path, ", ".join(names[c] for c in gone))
    classes = make_classes({int(class_id): names[int(class_id)] for class_id in present})
    return LabelledPixels(rows[keep], cols[keep], class_ids[keep], groups[keep], classes, kind)


def _tell_of_conflict(src_path: str | Path, count: int, claimed: list[str], on_conflict: str) -> None:
    """Say what happens to pixels that different classes claim, or refuse them."""
    if on_conflict == "error":
        raise LabelError(
            f"{src_path}: different classes claim {count} pixels ({shortened(claimed)}); mend the features that "
            "overlap, or say what to do with them by --on-conflict"
        )
    done = "are left out" if on_conflict == "drop" else f"are given to the {on_conflict} feature"
    logger.warning("%s: %d pixels that different classes claim %s (%s)", src_path, count, done, shortened(claimed))


def _read_raster_labels(info: RasterInfo, grid: Grid, rules: LabelRules) -> LabelledPixels:
    """Labels from an integer raster; its nodata value, or 0 where it has none, means unlabelled."""
    _check_label_raster(info, grid)
    _check_no_buffer(rules.buffer, "a raster")
    if rules.field is not None:
        logger.warning("%s is a raster and has no fields; the field %r is left aside", info.src_path, rules.field)
    unlabelled = 0 if info.nodata is None else info.nodata
    logger.info("labels: %g means unlabelled in %s", unlabelled, info.src_path)
    found = []
    with open_on_grid(info.src_path, grid, indexes=info.indexes, resampling=Resampling.nearest) as reader:
        # NOTE: strips keep the pixels in row-major order, and int32 halves what they need until they are joined.
        height = max(STRIP_PIXELS // grid.width, 1)
        for row_off in range(0, grid.height, height):
            values = reader.read(Window(0, row_off, grid.width, min(height, grid.height - row_off)))[0]
            rows, cols = np.nonzero(np.isfinite(values) & (values != unlabelled))
            check_class_ids(np.unique(values[rows, cols]))
            found.append([part.astype(np.int32) for part in (rows + row_off, cols, values[rows, cols])])
    rows, cols, class_ids = (np.concatenate(part, dtype=np.int64) for part in zip(*found, strict=True))
    if not len(rows):
        raise LabelError(f"{info.src_path}: no labelled pixel lies in the image ({grid.describe()})")
    names = read_class_names(info.src_path)
    classes = make_classes(
        {int(class_id): names.get(int(class_id), str(class_id)) for class_id in np.unique(class_ids)}
    )
    labels = LabelledPixels(rows, cols, class_ids, np.zeros_like(rows), classes, "raster")
    return labels if rules.classes is None else _of_table(labels, rules.classes, info.src_path)


def _of_table(labels: LabelledPixels, table: tuple[LandCoverClass, ...], src_path: str) -> LabelledPixels:
    """The labels of those classes that a table has."""
    known = np.isin(labels.class_ids, [c.id for c in table])
    strange = np.unique(labels.class_ids[~known]).tolist()
    if strange:
        logger.warning(
            "%s: %d pixels of classes that the class table does not have are left out: %s",
            src_path, (~known).sum(), shortened(strange),
        )  # fmt: skip
    if not known.any():
        raise LabelError(f"{src_path}: none of its classes is in the class table; mend the table")
    present = set(labels.class_ids[known].tolist())
    return replace(labels.select(known), classes=tuple(c for c in table if c.id in present))


def _check_label_raster(info: RasterInfo, grid: Grid) -> None:
    if info.count != 1:
        raise LabelError(f"{info.src_path} holds {info.count} bands; give a raster with one band of class numbers")
    if not np.issubdtype(np.dtype(info.dtype), np.integer):
        raise LabelError(f"{info.src_path} holds {info.dtype} values; class numbers must be whole numbers")
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
