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

from s2fin_cli.errors import GeoreferencingError, LabelError, RasterError
from s2fin_cli.geo.classes import LandCoverClass, check_class_ids, make_classes
from s2fin_cli.geo.classfield import class_field, is_text, number_classes
from s2fin_cli.geo.features import POLYGON_TYPES, on_grid_crs, read_features
from s2fin_cli.geo.rasters import (
    RasterInfo,
    check_without_crs,
    open_on_grid,
    open_raster,
    read_info,
)

if TYPE_CHECKING:
    import geopandas as gpd
    from numpy.typing import NDArray

    from s2fin_cli.geo.grid import Grid

logger = logging.getLogger(__name__)

POINT_TYPES = {"Point", "MultiPoint"}
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
        kind: "polygons", "points" or "raster".
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


def read_labels(src_path: str | Path, grid: Grid, *, label_field: str | None = None) -> LabelledPixels:
    """Read labels as pixels of a grid.

    A pixel belongs to a polygon if its centre lies inside, and to a point if the point lies in it. Pixels that
    different classes claim are left out.

    Args:
        src_path: a vector file (polygons or points), or an integer raster of class numbers.
        grid: the grid to put them on; labels in another CRS are reprojected.
        label_field: the vector's class field; None takes the only one that can be it.

    Raises:
        LabelError: no usable label, or the class field is not clear.
        RasterError: a raster of values that are no class numbers.
        GeoreferencingError: labels and grid do not go together.
    """
    try:
        with open_raster(src_path):
            pass
    except RasterError:
        return _read_vector_labels(src_path, grid, label_field=label_field)
    return _read_raster_labels(read_info(src_path), grid)


def _read_vector_labels(src_path: str | Path, grid: Grid, *, label_field: str | None) -> LabelledPixels:
    frame = read_features(src_path, error=LabelError)
    kind = _kind(frame, src_path)
    field = class_field(frame, src_path, label_field=label_field)
    frame, class_ids, names = number_classes(frame, field, src_path)
    geometries = on_grid_crs(frame, grid, src_path).to_numpy()
    burnt = _burn_points(geometries, grid) if kind == "points" else _burn_polygons(geometries, grid)
    rows, cols, groups = burnt
    if not len(rows):
        _raise_outside(geometries, grid, src_path)
    if lost := len(geometries) - len(np.unique(groups)):
        logger.warning("%s: %d of %d features hold no pixel of the image", src_path, lost, len(geometries))
    pixels = _without_conflicts(rows, cols, class_ids[groups], groups, names=names, kind=kind, src_path=src_path)
    return replace(pixels, ids_are_given=not is_text(frame[field]))


def _kind(frame: gpd.GeoDataFrame, src_path: str | Path) -> str:
    types = set(frame.geom_type)
    if types <= POINT_TYPES:
        return "points"
    if types <= POLYGON_TYPES:
        return "polygons"
    raise LabelError(
        f"{src_path} holds {', '.join(sorted(types))}; give a layer of polygons or a layer of points "
        "(lines can be buffered to polygons in a GIS)"
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
) -> LabelledPixels:
    """One entry a pixel, in row-major order; pixels that different classes claim are left out."""
    order = np.lexsort((class_ids, cols, rows))
    rows, cols, class_ids, groups = rows[order], cols[order], class_ids[order], groups[order]
    same_pixel = (np.diff(rows) == 0) & (np.diff(cols) == 0)
    first = np.concatenate([[True], ~same_pixel])
    pixel = np.cumsum(first) - 1
    clash = np.zeros(first.sum(), dtype=bool)
    clash[pixel[1:][same_pixel & (np.diff(class_ids) != 0)]] = True
    if clash.any():
        logger.warning("%s: %d pixels that different classes claim are left out", src_path, clash.sum())
    keep = first & ~clash[pixel]
    if not keep.any():
        raise LabelError(f"{src_path}: different classes claim every labelled pixel; check for doubled features")
    present = np.unique(class_ids[keep])
    gone = sorted(set(names) - set(present.tolist()))
    if gone:
        logger.warning("%s: classes without a pixel in the image: %s", src_path, ", ".join(names[c] for c in gone))
    classes = make_classes({int(class_id): names[int(class_id)] for class_id in present})
    return LabelledPixels(rows[keep], cols[keep], class_ids[keep], groups[keep], classes, kind)


def _read_raster_labels(info: RasterInfo, grid: Grid) -> LabelledPixels:
    """Labels from an integer raster; its nodata value, or 0 where it has none, means unlabelled."""
    _check_label_raster(info, grid)
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
    classes = make_classes({int(class_id): str(class_id) for class_id in np.unique(class_ids)})
    return LabelledPixels(rows, cols, class_ids, np.zeros_like(rows), classes, "raster")


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
