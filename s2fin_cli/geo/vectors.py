"""Write a class map's polygons to a GeoPackage, strip by strip."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pyogrio
import pyogrio.errors
import pyogrio.raw
import shapely

from s2fin_cli.errors import InputError, OutputError
from s2fin_cli.geo.coverage import Regions, Strip, polygonize

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from s2fin_cli.geo.grid import Grid

#: Name of the layer that holds the polygons.
LAYER = "landcover"

#: The GeoPackage standard's number for a Cartesian reference system that is not known.
_UNDEFINED_CARTESIAN = "-1"

_WRITE_ERRORS = (
    OSError,
    pyogrio.errors.DataSourceError,
    pyogrio.errors.DataLayerError,
    pyogrio.errors.FeatureError,
    pyogrio.errors.FieldError,
    pyogrio.errors.GeometryError,
)


def write_polygons(
    dst_path: Path,
    strips: Iterable[Strip],
    *,
    grid: Grid,
    class_names: Mapping[int, str],
    nodata: int,
    layer: str = LAYER,
    on_progress: Callable[[int], None] | None = None,
) -> int:
    """Write the polygons of a class map's regions to a new GeoPackage, while the map is being read.

    The layer has one polygon for each 4-connected area of one class, in the order in which they end on the map, which
    does not depend on the strips' heights; and the fields class_id (integer), class_name (text), area_m2 (real, as
    `Grid.area_m2` has it) and, where the strips have a confidence, confidence (real, mean over the pixels). A map
    without any valid pixel gives an empty layer with the same fields.

    Args:
        dst_path: the file; one that is there is replaced. Nothing is removed on failure: write to a temporary name.
        strips: the map from top to bottom, as `polygonize` takes it; together of the grid's shape.
        grid: where the map lies. Without a CRS the layer's reference system is "undefined Cartesian".
        class_names: the name of each class id that occurs.
        nodata: the class id that is no class.
        layer: name of the layer.
        on_progress: called with the number of rows of each strip that has been dealt with.

    Returns:
        The number of polygons.

    Raises:
        ValueError: the strips are not of the grid's shape.
        InputError: a class of the map has no name.
        OutputError: the file cannot be written.
    """
    layer_file = _LayerFile(dst_path, layer, grid)
    count = 0
    for regions in polygonize(_watched(strips, grid, on_progress), nodata=nodata):
        if len(regions) or layer_file.is_new:
            layer_file.write(*_features(regions, grid, class_names))
        count += len(regions)
    return count


def _watched(strips: Iterable[Strip], grid: Grid, on_progress: Callable[[int], None] | None) -> Iterator[Strip]:
    """The same strips; checks their shapes against the grid and reports each one that has been dealt with."""
    rows = 0
    for classes, confidence in strips:
        rows += len(classes)
        if classes.shape[1] != grid.width or rows > grid.height:
            raise ValueError(f"strip of shape {classes.shape} up to row {rows} in a grid of shape {grid.shape}")
        yield classes, confidence
        if on_progress is not None:
            on_progress(len(classes))
    if rows != grid.height:
        raise ValueError(f"the strips end after {rows} of {grid.height} rows")


def _features(
    regions: Regions, grid: Grid, class_names: Mapping[int, str]
) -> tuple[NDArray[np.object_], dict[str, NDArray[Any]]]:
    """Geometries in the grid's CRS, and fields by name, of n regions."""
    ids = np.unique(regions.class_id).tolist()
    unnamed = [class_id for class_id in ids if class_id not in class_names]
    if unnamed:
        raise InputError(
            f"the class map holds class {', '.join(map(str, unnamed))}, but there are names only for "
            f"{', '.join(map(str, sorted(class_names))) or 'no class'}; give every class of the map a name"
        )
    polygons = _to_crs(regions.polygons, grid)
    fields: dict[str, NDArray[Any]] = {
        "class_id": regions.class_id.astype(np.int32),
        "class_name": np.array([class_names[class_id] for class_id in regions.class_id.tolist()], dtype=object),
        "area_m2": grid.area_m2(polygons),
    }
    if regions.confidence_mean is not None:
        fields["confidence"] = regions.confidence_mean
    return polygons, fields


def _to_crs(polygons: NDArray[np.object_], grid: Grid) -> NDArray[np.object_]:
    """Polygons in pixel coordinates, moved to the grid's CRS.

    A lattice point's coordinates come from the same operations wherever it occurs, so neighbours still share their
    vertices to the last bit.
    """
    a, b, c, d, e, f = grid.transform[:6]

    def place(coords: NDArray[np.float64]) -> NDArray[np.float64]:
        x, y = coords.T
        return np.column_stack([a * x + b * y + c, d * x + e * y + f])

    return np.asarray(shapely.transform(polygons, place), dtype=object)


class _LayerFile:
    """A GeoPackage with one layer of polygons that is written in batches."""

    def __init__(self, dst_path: Path, layer: str, grid: Grid) -> None:
        self._dst_path = dst_path
        self._layer = layer
        self._crs = None if grid.crs is None else grid.crs.to_wkt()
        self.is_new = True

    def write(self, polygons: NDArray[np.object_], fields: dict[str, NDArray[Any]]) -> None:
        """Add features; the first call makes the file and the layer."""
        try:
            if self.is_new:
                self._dst_path.unlink(missing_ok=True)
            with warnings.catch_warnings():
                # A map without CRS is a case of its own here, not an oversight.
                warnings.filterwarnings("ignore", "'crs' was not provided", UserWarning)
                pyogrio.raw.write(
                    self._dst_path,
                    shapely.to_wkb(polygons),
                    list(fields.values()),
                    list(fields),
                    layer=self._layer,
                    driver="GPKG",
                    geometry_type="Polygon",
                    crs=self._crs,
                    append=not self.is_new,
                    layer_options={"SRID": _UNDEFINED_CARTESIAN} if self.is_new and self._crs is None else None,
                )
        except _WRITE_ERRORS as error:
            raise OutputError(f"cannot write polygons to {self._dst_path}: {error}") from error
        self.is_new = False
