"""Extents of grids in each other's coordinate reference system, also across the 180th meridian.

Longitudes repeat after a full turn, and files differ in where they begin: at -180, at 0, or so that they cross the
180th meridian without a break. All functions here treat places that differ by full turns as the same.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np
from rasterio.coords import BoundingBox
from rasterio.warp import transform, transform_bounds

from s2fin_cli.core.errors import GeoreferencingError, edit_info
from s2fin_cli.geo.crs import TRANSFORM_ERRORS
from s2fin_cli.geo.grid import Grid
from s2fin_cli.geo.pixels import transformed
from s2fin_cli.geo.windows import evenly_spread

if TYPE_CHECKING:
    from numpy.typing import NDArray
logger = logging.getLogger(__name__)


def resolution_on(grid: Grid, other: Grid) -> tuple[float, float]:
    """Mean pixel width and height of a grid in the CRS units of another."""
    left, bottom, right, top = bounds_on(grid, other)
    return (right - left) / grid.width, (top - bottom) / grid.height


def bounds_on(grid: Grid, other: Grid) -> BoundingBox:
    """Bounds (left, bottom, right, top) of a grid in the CRS of another.

    Longitudes are those nearest to the other grid, and the right bound is the larger one across the 180th meridian too.

    Raises:
        GeoreferencingError: the bounds cannot be expressed there.
    """
    if grid.crs is None or other.crs is None:
        return grid.bounds
    if grid.crs == other.crs:
        return _nearest(grid.bounds, other)
    try:
        bounds = BoundingBox(*transform_bounds(grid.crs, other.crs, *grid.bounds, densify_pts=21))
        if np.isfinite(bounds).all():
            return _nearest(bounds, other)
        cause: Exception | None = None
    except TRANSFORM_ERRORS as error:
        cause = error
    raise GeoreferencingError(
        f"the extent of {grid.describe()} cannot be expressed in the CRS of {other.describe()}; "
        f"check that both CRS are the right ones, and assign another with: {edit_info('FILE', 'crs', 'EPSG:CODE')}"
    ) from cause


def _nearest(bounds: BoundingBox, other: Grid) -> BoundingBox:
    """Bounds moved by full turns to where they are nearest to a grid, which may be none."""
    turn = other.full_turn
    if turn is None:
        return bounds
    left, bottom, right, top = bounds
    if right < left:
        right += turn
    middle = (other.bounds.left + other.bounds.right) / 2
    moved = turn * round((middle - (left + right) / 2) / turn)
    return BoundingBox(left + moved, bottom, right + moved, top)


def share_covered(grid: Grid, other: Grid) -> float:
    """The share of a grid's pixels whose centres are on another grid, from an even sample.

    Both have a CRS. Centres that the other CRS cannot express count as outside.
    """
    rows, cols = (evenly_spread(size - 1, most=512) for size in grid.shape)
    x, y = (places.ravel() for places in transformed(grid.transform, *np.meshgrid(cols + 0.5, rows + 0.5)))
    if grid.crs != other.crs:
        x, y = (np.asarray(values) for values in transform(grid.crs, other.crs, x, y))
    with np.errstate(invalid="ignore"):  # infinite where a place cannot be expressed
        col, row = transformed(~other.transform, _onto(x, other), y)
        inside = (col >= 0) & (col <= other.width) & (row >= 0) & (row <= other.height)
    return float(inside.mean())


def _onto(x: NDArray[np.float64], grid: Grid) -> NDArray[np.float64]:
    """Coordinates in a grid's CRS, moved by full turns to between its left and right bounds."""
    turn, (left, _, right, _) = grid.full_turn, grid.bounds
    if turn is None:
        return x
    return np.where((x < left) | (x > right), left + np.mod(x - left, turn), x)


def check_without_crs(image: Grid, other: Grid, *, names: tuple[str, str]) -> None:
    """Refuse two grids without a CRS that cannot be the same pixels; warn of those that are taken to be.

    Args:
        image: the passive image's grid.
        other: the grid of what goes with it.
        names: both, for messages.

    Raises:
        GeoreferencingError: their sizes or extents differ.
    """
    if image.shape != other.shape:
        raise GeoreferencingError(
            f"neither {names[0]} nor {names[1]} has a CRS, and their sizes differ ({image.width} x {image.height} "
            f"and {other.width} x {other.height} px); give both a CRS, or crop them to the same pixels"
        )
    if image.is_georeferenced and other.is_georeferenced and not image.same_pixels(other):
        raise GeoreferencingError(
            f"neither {names[0]} nor {names[1]} has a CRS, and their extents differ "
            f"({image.describe()}; {other.describe()}); give both their CRS"
        )
    logger.warning("%s has no CRS either; it is assumed to match the image pixel by pixel", names[1])
