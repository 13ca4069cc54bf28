"""Areas of interest: their pixels are those that GDAL finds, whatever the window."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from affine import Affine
from rasterio.crs import CRS
from rasterio.windows import Window

from s2fin_cli.geo.area import Area, pixels_inside
from s2fin_cli.geo.grid import Grid
from s2fin_cli.geo.windows import iter_tiles

UTM = CRS.from_epsg(32633)
NORTH_UP = Grid(UTM, Affine(10, 0, 500_000, 0, -10, 4_200_000), (90, 120))
SOUTH_UP = Grid(UTM, Affine(10, 0, 500_000, 0, 10, 4_199_100), (90, 120))


def polygons(kind: str) -> list[shapely.Polygon]:
    """Polygons of some kind, over the edges of the grid too; the corners of some are pixels' centres."""
    rng = np.random.default_rng(2)
    left, top = 500_000, 4_200_000
    if kind == "many":
        return [shapely.Point(left + x, top - y).buffer(25) for x, y in rng.uniform(-50, 1250, (150, 2))]
    if kind == "large with holes":
        holes = [shapely.Point(left + x, top - y).buffer(60) for x, y in rng.uniform(100, 1000, (6, 2))]
        return [shapely.Point(left + 500, top - 400).buffer(500) - shapely.union_all(holes)]
    return [
        shapely.box(left + 5 * x, top - 5 * y - 200, left + 5 * x + 395, top - 5 * y) for x, y in ((1, 3), (60, 60))
    ]


@pytest.mark.parametrize("grid", [NORTH_UP, SOUTH_UP], ids=["north up", "south up"])
@pytest.mark.parametrize("kind", ["many", "large with holes", "corners at centres"])
@pytest.mark.parametrize("size", [7, 16, 120])
def test_pixels_are_those_of_all_polygons_burnt_at_once(grid: Grid, kind: str, size: int) -> None:
    geometries = polygons(kind)
    whole = pixels_inside(geometries, grid, grid.window)
    area = Area.within(grid.window, geometries, grid)
    assert area is not None
    found = np.zeros(grid.shape, dtype=bool)
    for window in iter_tiles(grid.shape, (size, size)):
        found[window.toslices()] = area.mask(window)
    assert np.array_equal(found, whole)
    assert area.count == whole.sum()
    rows, cols = np.nonzero(whole)
    tight = Window(cols.min(), rows.min(), np.ptp(cols) + 1, np.ptp(rows) + 1)
    assert area.window == tight


def test_polygons_without_a_pixels_centre_are_no_area() -> None:
    slivers = [shapely.box(500_000 + x, 4_199_500, 500_001 + x, 4_199_900) for x in range(0, 900, 10)]
    assert Area.within(NORTH_UP.window, slivers, NORTH_UP) is None
