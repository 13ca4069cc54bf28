"""Features in a grid's CRS and range of longitudes; those across the 180th meridian stay in one piece."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import geopandas as gpd
import numpy as np
import shapely
from pyproj.exceptions import ProjError
from rasterio.crs import CRS

from s2fin_cli.core.errors import GeoreferencingError
from s2fin_cli.geo.accuracy import warn_of_inaccuracy
from s2fin_cli.geo.crs import crs_name
from s2fin_cli.geo.segments import densified
from s2fin_cli.geo.transformation import Placed, check_transformable
from s2fin_cli.vector.geometries import joined

if TYPE_CHECKING:
    from pathlib import Path

    from s2fin_cli.geo.grid import Grid

logger = logging.getLogger(__name__)

#: Points, at least, along each side of a geometry across the 180th meridian at which its longitudes are examined.
PLACES = 32
#: A geometry that reaches less far over a grid's left or right edge, in pixels, only touches it, with rounding.
EDGE_PX = 1e-6


def on_grid_crs(frame: gpd.GeoDataFrame, grid: Grid, *, src_path: str | Path, name: str = "labels") -> gpd.GeoSeries:
    """Geometries of features in a grid's CRS.

    Args:
        frame: the features.
        grid: the grid.
        src_path: where they come from, for messages.
        name: what they are, for messages.

    Raises:
        GeoreferencingError: only one of both has a CRS, or the features cannot be reprojected.
    """
    own = None if frame.crs is None else CRS.from_wkt(frame.crs.to_wkt())
    target = None if grid.crs is None else grid.crs.to_wkt()
    placed = Placed(str(src_path), str(src_path), own, is_vector=True)
    if frame.crs is not None and frame.crs == target:
        return _on_longitudes(frame.geometry, grid)
    check_transformable(placed, Placed("the image", "IMAGE", grid.crs))
    if own is None or grid.crs is None:
        logger.warning("%s has no CRS; its coordinates are assumed to be the image's", src_path)
        return frame.geometry
    if own == grid.crs:
        return _on_longitudes(frame.geometry, grid)
    warn_of_inaccuracy(placed, grid)
    own_name, grid_name = crs_name(own), crs_name(grid.crs)
    try:
        dense = densified(frame.geometry, grid)
        geometries = _joined(dense, dense.to_crs(target), grid=grid)
    except ProjError as error:
        raise GeoreferencingError(
            f"{src_path} cannot be reprojected from {own_name} to {grid_name}; check that both CRS are the right ones"
        ) from error
    logger.info("%s: reprojected from %s to %s", name, own_name, grid_name)
    return _on_longitudes(geometries, grid)


def _joined(own: gpd.GeoSeries, geometries: gpd.GeoSeries, *, grid: Grid) -> gpd.GeoSeries:
    """Geometries in a geographic CRS; those across the 180th meridian in one piece.

    Their vertices come out near 180 and near -180, as if they went round the globe. The course of an edge follows from
    points along it that are close to each other.

    Args:
        own: the same geometries before reprojection.
        geometries: in the grid's CRS.
        grid: the grid.
    """
    turn = grid.full_turn
    if turn is None:
        return geometries
    bounds = geometries.bounds
    torn = np.flatnonzero(bounds.maxx - bounds.minx > turn / 2)
    found = geometries.to_numpy().copy()
    for place in torn:
        left, bottom, right, top = shapely.bounds(own.iloc[place])
        dense = own.iloc[[place]].segmentize(max(right - left, top - bottom) / PLACES).to_crs(geometries.crs)
        parts = [_unwrapped(part, turn) for part in shapely.get_parts(dense.iloc[0])]
        found[place] = _joined_or_single(parts)
    return gpd.GeoSeries(found, index=geometries.index, crs=geometries.crs)


def _unwrapped(part: Any, turn: float) -> Any:
    """A geometry of one part with its longitudes unwrapped; the same geometry if it goes round a pole."""
    if part.geom_type not in ("Polygon", "LineString"):
        return part
    lines: list[Any] = []
    for line in (part.exterior, *part.interiors) if part.geom_type == "Polygon" else (part,):
        coords = shapely.get_coordinates(line)
        coords[:, 0] = np.unwrap(coords[:, 0], period=turn)
        if part.geom_type == "Polygon" and abs(coords[-1, 0] - coords[0, 0]) > turn / 2:
            return part
        if lines:  # a hole is where its shell is
            coords[:, 0] += turn * round((lines[0][:, 0].mean() - coords[:, 0].mean()) / turn)
        lines.append(coords)
    return shapely.Polygon(lines[0], lines[1:]) if part.geom_type == "Polygon" else shapely.LineString(lines[0])


def _on_longitudes(geometries: gpd.GeoSeries, grid: Grid) -> gpd.GeoSeries:
    """Geometries in a grid's CRS, copied by full turns to wherever they overlap the grid's longitudes.

    Geometries that never overlap them stay where they are. Lines and polygons that only touch them from outside do not
    count: one that goes round the globe would share an edge with its copy.
    """
    turn = grid.full_turn
    if turn is None:
        return geometries
    found = geometries.to_numpy().copy()
    bounds, (left, _, right, _) = shapely.bounds(found), grid.bounds
    moves = turn * np.arange(-2, 3)

    edge = EDGE_PX * grid.res[0]

    def touched(low: Any, high: Any) -> Any:
        return (low + moves < right) & (high + moves >= left)

    def lies_on(part: Any) -> Any:
        low, high = shapely.bounds(part)[[0, 2]]
        # NOTE: a geometry without width, such as a point, shares no edge with its copies, and may be on the left edge.
        return touched(low, high) if low == high else touched(low + edge, high - edge)

    is_moved = touched(bounds[:, :1], bounds[:, 2:3])[:, moves != 0].any(axis=1)
    for place in np.flatnonzero(is_moved):
        moved = [
            shapely.transform(part, lambda coords, move=move: coords + np.array([move, 0.0]))
            for part in shapely.get_parts(found[place])
            for move in moves[lies_on(part)]
        ]
        found[place] = _joined_or_single(moved) if moved else found[place]
    return gpd.GeoSeries(found, index=geometries.index, crs=geometries.crs)


def _joined_or_single(parts: list[Any]) -> Any:
    """One geometry of several, which are of one type."""
    return parts[0] if len(parts) == 1 else joined(parts)
