"""The polygons of a class map: made while the map is read, and written with their attributes and style."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import shapely

from s2fin_cli.core.errors import InputError
from s2fin_cli.geo.pixels import transformed
from s2fin_cli.raster.styles import polygon_style
from s2fin_cli.vector.coverage import BLOCK_PX, Regions, polygonize
from s2fin_cli.vector.write import LayerFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from s2fin_cli.core.classes import LandCoverClass
    from s2fin_cli.geo.grid import Grid
    from s2fin_cli.raster.strips import Strip

    #: Polygons in the grid's CRS, and fields by name.
    Features = tuple[NDArray[np.object_], dict[str, NDArray[Any]]]

#: Name of the layer that holds the polygons.
LAYER = "landcover"


def map_regions(
    strips: Iterable[Strip],
    grid: Grid,
    *,
    nodata: int,
    on_progress: Callable[[int], None] | None = None,
    block_px: int = BLOCK_PX,
) -> Iterator[Regions]:
    """The regions of a class map: its 4-connected areas of one class, in the order in which they end on the map.

    Args:
        strips: the map from top to bottom, as `polygonize` takes it; together of the grid's shape.
        grid: grid of the map.
        nodata: the class id that is no class.
        on_progress: called with the number of rows of each strip that has been processed.
        block_px: see `polygonize`.

    Raises:
        ValueError: the strips are not of the grid's shape.
    """
    return polygonize(_watched(strips, grid, on_progress=on_progress), nodata=nodata, block_px=block_px)


def _watched(strips: Iterable[Strip], grid: Grid, *, on_progress: Callable[[int], None] | None) -> Iterator[Strip]:
    """The same strips, checked against the shape of the grid; each is reported once it has been processed."""
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


def write_polygons(
    dst_path: Path,
    regions: Iterable[Regions],
    *,
    grid: Grid,
    classes: Sequence[LandCoverClass],
    simplify: float | None = None,
    layer: str = LAYER,
    texts: Mapping[str, Mapping[int, str]] | None = None,
) -> int:
    """Write the polygons of a class map's regions to a new vector file, while the map is being read.

    The layer has one polygon for each region, in their order; and the fields class_id (integer), class_name (text),
    area_m2 and perim_m (real, as `Grid.measure` has them) and, where the map has a confidence, confidence and conf_min
    (real, mean and minimum of the pixels). A map without any valid pixel gives an empty layer with the same fields. A
    GeoPackage also holds QGIS's style of the layer. GeoJSON is in longitude and latitude, as its standard demands.

    For formats that cannot be appended to, and if they are simplified, polygons are held in memory first.

    Args:
        dst_path: the file, see `check_vector_path`; an existing one is replaced. Nothing is removed on failure: write
            to a temporary name.
        regions: regions of the map, see `map_regions`; at least one batch.
        grid: grid of the map. Without a CRS a GeoPackage's reference system is "undefined Cartesian".
        classes: at least those that occur.
        simplify: how far, approximately, borders may move, in CRS units; None keeps the pixels' borders.
        layer: name of the layer, in formats that have names.
        texts: further fields of texts: by name, and by class id.

    Returns:
        The number of polygons.

    Raises:
        InputError: a class of the map has no name.
        OutputError: the file cannot be written.
    """
    fields_of = {"class_name": {c.id: c.name for c in classes}, **(texts or {})}
    batches: Iterator[Features] = (_features(batch, grid, texts=fields_of) for batch in regions)
    file = LayerFile(dst_path, layer, crs=grid.crs, bounds=grid.bounds)
    if simplify is not None or not file.can_append:
        batches = iter([_all_together(batches, grid, simplify=simplify)])
    count = _write_batches(file, batches)
    if file.holds_styles:
        file.add_style(polygon_style(classes, "class_id"))
    return count


def _write_batches(file: LayerFile, batches: Iterable[Features]) -> int:
    """Write batches to a file, and count the polygons; an empty first batch makes an empty layer."""
    count = 0
    for polygons, fields in batches:
        if len(polygons) or file.is_new:
            file.write(polygons, fields)
        count += len(polygons)
    return count


def _all_together(batches: Iterable[Features], grid: Grid, *, simplify: float | None) -> Features:
    """Batches joined, and simplified as one coverage."""
    parts = list(batches)
    polygons = np.concatenate([part for part, _ in parts])
    fields = {name: np.concatenate([values[name] for _, values in parts]) for name in parts[0][1]}
    if simplify is not None and len(polygons):
        polygons = shapely.coverage_simplify(polygons, simplify, simplify_boundary=False)
        fields["area_m2"], fields["perim_m"] = grid.measure(polygons)
    return polygons, fields


def _features(regions: Regions, grid: Grid, *, texts: Mapping[str, Mapping[int, str]]) -> Features:
    """Features of n regions, with fields of texts by name and class id; the first of these has the classes' names."""
    ids, class_names = np.unique(regions.class_id).tolist(), next(iter(texts.values()))
    unnamed = [class_id for class_id in ids if class_id not in class_names]
    if unnamed:
        raise InputError(
            f"the class map holds class {', '.join(map(str, unnamed))}, but there are names only for "
            f"{', '.join(map(str, sorted(class_names))) or 'no class'}; give every class of the map a name"
        )
    polygons = _to_crs(regions.polygons, grid)
    areas, perimeters = grid.measure(polygons)
    fields: dict[str, NDArray[Any]] = {
        "class_id": regions.class_id.astype(np.int32),
        **{
            name: np.array([by_class[class_id] for class_id in regions.class_id.tolist()], dtype=object)
            for name, by_class in texts.items()
        },
        "area_m2": areas,
        "perim_m": perimeters,
    }
    if regions.confidence_mean is not None and regions.confidence_min is not None:
        fields |= {"confidence": regions.confidence_mean, "conf_min": regions.confidence_min}
    return polygons, fields


def _to_crs(polygons: NDArray[np.object_], grid: Grid) -> NDArray[np.object_]:
    """Polygons in pixel coordinates, moved to the grid's CRS.

    A lattice point's coordinates come from the same operations wherever it occurs, so neighbours still share their
    vertices to the last bit.
    """

    def place(coords: NDArray[np.float64]) -> NDArray[np.float64]:
        x, y = coords.T
        return np.column_stack(transformed(grid.transform, x, y))

    return np.asarray(shapely.transform(polygons, place), dtype=object)
