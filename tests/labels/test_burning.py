"""Which pixels lie in a polygon, checked against its geometry."""

from __future__ import annotations

import numpy as np
import shapely
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from rasterio.windows import Window
from shapely import Polygon, box

from s2fin_cli.geo.grid import Grid
from s2fin_cli.labels.burning import PolygonBurner, Rings, burn
from s2fin_cli.labels.limits import DEFAULT_LIMITS

numbers = st.floats(-3, 12).map(lambda v: round(v, 3) + 0.0001234)
rings = st.lists(st.tuples(numbers, numbers), min_size=3, max_size=7, unique=True)


@given(ring=rings, hole=rings, south_up=st.booleans())
def test_a_pixel_belongs_to_the_polygon_that_holds_its_centre(
    ring: list[tuple[float, float]], hole: list[tuple[float, float]], south_up: bool
) -> None:
    polygon = shapely.difference(shapely.make_valid(Polygon(ring)), shapely.make_valid(Polygon(hole)))
    polygons = [part for part in shapely.get_parts(polygon) if part.geom_type in ("Polygon", "MultiPolygon")]
    geometries = np.array(polygons, dtype=object)
    transform = Affine(1, 0, 0, 0, 1, 0) if south_up else Affine(1, 0, 0, 0, -1, 9)
    grid = Grid(None, transform, (9, 8))
    rows, cols, groups = PolygonBurner(geometries, grid, limits=DEFAULT_LIMITS).burn(0, grid.height)
    burnt = set(zip(rows.tolist(), cols.tolist(), groups.tolist(), strict=True))
    all_rows, all_cols = np.indices(grid.shape)
    xs, ys = all_cols + 0.5, transform.f + transform.e * (all_rows + 0.5)
    for number, geometry in enumerate(geometries):
        clear = shapely.distance(geometry.boundary, shapely.points(xs, ys)) > 1e-6
        inside = shapely.contains_xy(geometry, xs, ys)
        own = np.zeros(grid.shape, dtype=bool)
        for row, col, group in burnt:
            own[row, col] |= group == number
        assert np.array_equal(own[clear], inside[clear])


@given(seed=st.integers(0, 99), south_up=st.booleans())
def test_a_large_polygon_burnt_by_its_rings_has_the_same_pixels(seed: int, south_up: bool) -> None:
    rng = np.random.default_rng(seed)
    places = rng.integers(0, 600, (40, 2)) / 2  # on corners and centres of pixels
    boxes = [box(x, y, x + w, y + h) for (x, y), (w, h) in zip(places, rng.integers(1, 80, (40, 2)) / 2, strict=True)]
    geometry = shapely.difference(shapely.union_all(boxes[:30]), shapely.union_all(boxes[30:]))
    grid = Grid(None, Affine(1, 0, 0, 0, 1 if south_up else -1, 0 if south_up else 340), (340, 340))
    for top in range(0, 340, 64):
        band = Window(0, top, 340, min(64, 340 - top))
        assert np.array_equal(burn(Rings.of(geometry, grid).near(band), band, grid), burn(geometry, band, grid))
