"""Straight edges in one CRS that are curved in another: vertices added along them before they are reprojected."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
from pyproj import Transformer
from pyproj.exceptions import ProjError

if TYPE_CHECKING:
    import geopandas as gpd
    from numpy.typing import NDArray

    from s2fin_cli.geo.grid import Grid

logger = logging.getLogger(__name__)

#: How far an edge may be from where it belongs, in pixels.
TOLERANCE_PX = 0.02
#: Places along an edge at which it is measured; three, as an edge across the equator is right in its middle.
PLACES = np.array([0.0, 0.25, 0.5, 0.75, 1.0])
#: The longest edges that are measured; shorter ones bend less, with the square of their length.
MEASURED = 50_000
#: How often an edge is halved at most.
HALVINGS = 24
#: Vertices that may be added altogether.
MOST_VERTICES = 5_000_000


def densified(geometries: gpd.GeoSeries, grid: Grid) -> gpd.GeoSeries:
    """Geometries with vertices added where an edge bends by more than a fiftieth of a pixel in a grid's CRS.

    How far edges bend is measured. Each is halved until its pieces bend less, or do not reach the grid; so neighbours
    keep their common edges.

    Args:
        geometries: in their own CRS, which is not the grid's.
        grid: the grid, with a CRS.
    """
    own, target = geometries.crs, grid.crs
    if own is None or target is None:
        return geometries
    transformer = Transformer.from_crs(own, target.to_wkt(), always_xy=True)
    shapes = geometries.to_numpy()
    found = shapes.copy()
    for dimension in (1, 2):
        chosen = np.flatnonzero((shapely.get_dimensions(shapes) == dimension) & ~shapely.is_empty(shapes))
        if len(chosen):
            found[chosen] = _divided(shapes[chosen], transformer, grid)
    if not (shapely.get_num_coordinates(found) != shapely.get_num_coordinates(shapes)).any():
        return geometries
    logger.info("edges that are curved in the image's CRS have vertices added along them")
    return type(geometries)(found, index=geometries.index, crs=own)


def _divided(shapes: NDArray[np.object_], transformer: Transformer, grid: Grid) -> NDArray[np.object_]:
    """Lines or polygons (n,) with vertices added, each of its original type."""
    kind, vertices, offsets = shapely.to_ragged_array(shapes, include_z=False)
    lines = offsets[0]  # the first vertex of each line or ring, and an end
    is_first = np.ones(len(vertices), dtype=bool)
    is_first[lines[1:] - 1] = False
    firsts = np.flatnonzero(is_first)
    starts, ends = vertices[firsts], vertices[firsts + 1]
    edges, shares = _breaks(starts, ends, transformer, grid)
    if not len(edges):
        return shapes
    added = starts[edges] * (1 - shares[:, None]) + ends[edges] * shares[:, None]
    places = firsts[edges] + 1
    moved = lines + np.searchsorted(places, lines)
    divided = shapely.from_ragged_array(kind, np.insert(vertices, places, added, axis=0), (moved, *offsets[1:]))
    counts = shapely.get_num_coordinates(divided)
    is_multi = shapely.get_type_id(shapes) == shapely.get_type_id(divided)
    single = np.where(is_multi, divided, shapely.get_geometry(divided, 0))
    return np.asarray(np.where(counts == shapely.get_num_coordinates(shapes), shapes, single), dtype=object)


def _breaks(
    starts: NDArray[np.float64], ends: NDArray[np.float64], transformer: Transformer, grid: Grid
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Where edges from starts (n, 2) to ends (n, 2) are divided: numbers of edges and shares of lengths, sorted."""
    lengths = np.hypot(*(ends - starts).T)
    edge = np.argpartition(lengths, -MEASURED)[-MEASURED:] if len(lengths) > MEASURED else np.arange(len(lengths))
    low, high = np.zeros(len(edge)), np.ones(len(edge))
    edges, shares, count = [edge[:0]], [low[:0]], 0
    tolerance = TOLERANCE_PX * min(grid.res)
    for _ in range(HALVINGS):
        first, last = (starts[edge] * (1 - share) + ends[edge] * share for share in (low[:, None], high[:, None]))
        bends, reaches = _measured(first, last, transformer, grid)
        bent = reaches & (bends > tolerance)
        count += int(bent.sum())
        if not bent.any():
            break
        if count > MOST_VERTICES:
            logger.warning(
                "long edges are curved in the image's CRS, and would need more than %d vertices; they may be misplaced "
                "by more than a tenth of a pixel: cut them to the image first", MOST_VERTICES,
            )  # fmt: skip
            break
        edge, low, high = edge[bent], low[bent], high[bent]
        middle = (low + high) / 2
        edges.append(edge)
        shares.append(middle)
        edge, low, high = np.tile(edge, 2), np.concatenate([low, middle]), np.concatenate([middle, high])
    all_edges, all_shares = np.concatenate(edges), np.concatenate(shares)
    order = np.lexsort((all_shares, all_edges))
    return all_edges[order], all_shares[order]


def _measured(
    starts: NDArray[np.float64], ends: NDArray[np.float64], transformer: Transformer, grid: Grid
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """How far each edge (n,) bends in a grid's CRS units, and whether it reaches the grid.

    An edge that cannot be expressed there bends by NaN.
    """
    places = PLACES[:, None, None]
    points: Any = starts * (1 - places) + ends * places
    try:
        x, y = (np.asarray(v) for v in transformer.transform(points[..., 0], points[..., 1]))
    except ProjError:  # the reprojection says so
        return np.full(len(starts), np.nan), np.zeros(len(starts), dtype=bool)
    with np.errstate(invalid="ignore"):
        if (turn := grid.full_turn) is not None:
            x = np.unwrap(np.where(np.isfinite(x), x, np.nan), axis=0, period=turn)
        chords = [v[:1] * (1 - PLACES[:, None]) + v[-1:] * PLACES[:, None] for v in (x, y)]
        bends = np.hypot(x - chords[0], y - chords[1]).max(axis=0)
        left, bottom, right, top = grid.bounds
        reaches = (
            (x.min(axis=0) - bends <= right)
            & (x.max(axis=0) + bends >= left)
            & (y.min(axis=0) - bends <= top)
            & (y.max(axis=0) + bends >= bottom)
        )
    return bends, reaches
