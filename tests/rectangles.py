"""A grid, rectangles in its pixels, and how many pixels labels have of each class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import geopandas as gpd
import numpy as np
from affine import Affine
from rasterio.crs import CRS
from rasterio.windows import Window
from shapely import box

from s2fin_cli.geo.grid import Grid

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from shapely import Polygon

    from s2fin_cli.labels.pixels import LabelledPixels

LEFT, TOP = 500_000, 5_000_000
GRID = Grid(CRS.from_epsg(32632), Affine(10, 0, LEFT, 0, -10, TOP), (40, 50))
ALL = Window(0, 0, GRID.width, GRID.height)


def at(col: float, row: float, width: float = 3, height: float = 2) -> Polygon:
    """A rectangle in pixels of the grid."""
    return box(LEFT + 10 * col, TOP - 10 * (row + height), LEFT + 10 * (col + width), TOP - 10 * row)


def frame(**fields: list[Any]) -> gpd.GeoDataFrame:
    """Rectangles side by side, with fields."""
    size = len(next(iter(fields.values())))
    return gpd.GeoDataFrame(fields, geometry=[at(3 * i, 0) for i in range(size)], crs=GRID.crs)


def counts(labels: LabelledPixels) -> dict[str, int]:
    return {c.name: labels.counts()[c.id] for c in labels.classes}


def centres(grid: Grid) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Coordinates (height, width) of the centres of a grid's pixels."""
    cols, rows = np.meshgrid(np.arange(grid.width) + 0.5, np.arange(grid.height) + 0.5)
    a, b, c, d, e, f = grid.transform[:6]
    return a * cols + b * rows + c, d * cols + e * rows + f
