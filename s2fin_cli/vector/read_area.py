"""Areas of interest from a rectangle, or from the polygons of a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import shapely

from s2fin_cli.core.errors import AreaError, describe_bounds
from s2fin_cli.geo.area import Area
from s2fin_cli.vector.on_grid import features_on_grid
from s2fin_cli.vector.read import POLYGON_TYPES, rare_types, read_features

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from s2fin_cli.geo.grid import Grid


def read_area(grid: Grid, *, bounds: Sequence[float] | None = None, src_path: str | Path | None = None) -> Area | None:
    """The area of interest on a grid, or None where there is none.

    Args:
        grid: the grid.
        bounds: left, bottom, right and top in the grid's CRS.
        src_path: a vector file of polygons, in any CRS; with bounds too, the part of them inside these.

    Raises:
        AreaError: it holds no pixel's centre, or the file does not hold polygons only.
        GeoreferencingError: the file cannot be transformed to the grid's CRS.
    """
    if bounds is None and src_path is None:
        return None
    geometries = [shapely.box(*bounds)] if bounds is not None else []
    if src_path is not None:
        polygons = _read_polygons(src_path, grid)
        geometries = _parts(shapely.intersection(polygons, geometries[0])) if geometries else polygons
    touched = grid.window_of(shapely.total_bounds(geometries)) if geometries else None
    area = None if touched is None else Area.within(touched, geometries, grid)
    if area is None:
        raise AreaError(_nothing_inside(geometries, grid, bounds=bounds, src_path=src_path))
    return area


def _nothing_inside(
    geometries: Sequence[Any] | NDArray[np.object_],
    grid: Grid,
    *,
    bounds: Sequence[float] | None,
    src_path: str | Path | None,
) -> str:
    """A message that an area holds no pixel's centre."""
    name = "`aoi` and `bounds`" if bounds and src_path else "`bounds`" if bounds else f"`aoi` {src_path}"
    extent = describe_bounds(shapely.total_bounds(geometries)) if len(geometries) else None
    where = "nothing in common" if extent is None else f"in the image's CRS {extent}"
    remedy = (
        "check that they are in the image's CRS, in the order left, bottom, right, top" if bounds else "check its CRS"
    )
    return f"{name}: no pixel has its centre inside ({where}); the image is {grid.describe()}; {remedy}"


def _read_polygons(src_path: str | Path, grid: Grid) -> list[Any]:
    frame = read_features(src_path, error=AreaError, grid=grid)
    types = set(frame.geom_type)
    if not types <= POLYGON_TYPES:
        raise AreaError(f"`aoi` {src_path} holds {', '.join(sorted(types))}; give polygons ({rare_types(frame)})")
    return _parts(features_on_grid(frame, grid, src_path=src_path, name="`aoi`"))


def _parts(geometries: NDArray[np.object_]) -> list[Any]:
    """The polygons among geometries; lines and points, which clipping may leave, contain no pixel's centre."""
    parts = shapely.get_parts(shapely.get_parts(geometries))
    return list(parts[(shapely.get_type_id(parts) == shapely.GeometryType.POLYGON) & ~shapely.is_empty(parts)])
