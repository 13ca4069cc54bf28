"""Areas of interest: exactly the pixels whose centres lie inside."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import geopandas as gpd
import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from rasterio.windows import Window

from s2fin_cli.core.errors import AreaError, GeoreferencingError
from s2fin_cli.geo.area import Area
from s2fin_cli.geo.grid import Grid
from s2fin_cli.vector.read_area import read_area
from tests.files import CRS_CODE, write_vector
from tests.rectangles import GRID, centres

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def inside(grid: Grid, geometry: Any) -> NDArray[np.bool_]:
    return np.asarray(shapely.contains_xy(geometry, *centres(grid)))


def whole_mask(area: Area | None) -> NDArray[np.bool_]:
    assert area is not None
    result = np.zeros(area.grid.shape, bool)
    result[area.window.toslices()] = area.mask(area.window)
    assert np.array_equal(result, area.mask(area.grid.window))  # there is nothing outside of the window
    assert area.count == result.sum()
    return result


def write_polygons(path: Path, *geometries: Any, crs: str | None = CRS_CODE) -> Path:
    return write_vector(path, geometries, crs=crs)


def test_no_area_is_all() -> None:
    assert read_area(GRID) is None


@given(st.tuples(*[st.floats(-50, 600) for _ in range(4)]))
def test_bounds_hold_the_pixels_whose_centres_lie_inside(numbers: tuple[float, ...]) -> None:
    a, b, c, d = (round(number, 1) + 0.03 for number in numbers)
    left, right, low, high = min(a, b), max(a, b), min(c, d), max(c, d)
    bounds = (500_000 + left, 5_000_000 - high, 500_000 + right, 5_000_000 - low)
    expected = inside(GRID, shapely.box(*bounds))
    if not expected.any():
        with pytest.raises(
            AreaError, match=r"`bounds`: no pixel has its centre inside .*order left, bottom, right, top"
        ):
            read_area(GRID, bounds=bounds)
    else:
        assert np.array_equal(whole_mask(read_area(GRID, bounds=bounds)), expected)


def test_the_window_holds_no_empty_row_or_column() -> None:
    area = read_area(GRID, bounds=(500_006, 4_999_806, 500_094, 4_999_994))
    assert area is not None
    assert area.window.flatten() == (1, 1, 8, 18)
    assert area.mask(area.window).all()


def test_a_large_area_is_measured_in_little_memory() -> None:
    grid = replace(GRID, shape=(4_000, 6_000))
    left, top = GRID.bounds.left, GRID.bounds.top
    low, high = (
        shapely.box(left + 10, top - 30, left + 40, top - 10),
        shapely.box(left + 59_000, top - 39_900, left + 59_980, top),
    )
    tracemalloc.start()
    try:
        area = Area.within(grid.window, [low, high], grid)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert area is not None
    assert area.window.flatten() == (1, 0, 5_997, 3_990)
    assert area.count == 3 * 2 + 98 * 3_990
    assert peak < grid.height * grid.width / 4, "less than a quarter of a mask"


def test_polygons_of_another_crs(tmp_path: Path) -> None:
    circle = shapely.Point(500_221, 4_999_783).buffer(137)
    other = shapely.box(500_400, 4_999_900, 500_433, 4_999_922)
    path = tmp_path / "aoi.gpkg"
    gpd.GeoDataFrame(geometry=[circle, other], crs="EPSG:32632").to_crs("EPSG:4326").to_file(path)
    area = read_area(GRID, src_path=path)
    assert np.array_equal(whole_mask(area), inside(GRID, circle) | inside(GRID, other))
    assert area is not None
    # window by window it is the same
    part = Window(11, 13, 17, 9)
    assert np.array_equal(area.mask(part), whole_mask(area)[part.toslices()])


def test_polygons_inside_bounds(tmp_path: Path) -> None:
    circle = shapely.Point(500_221, 4_999_783).buffer(137)
    path = write_polygons(tmp_path / "aoi.shp", circle)
    bounds = (500_203, 4_999_604, 500_303, 4_999_904)
    expected = inside(GRID, shapely.intersection(circle, shapely.box(*bounds)))
    assert np.array_equal(whole_mask(read_area(GRID, bounds=bounds, src_path=path)), expected)
    with pytest.raises(AreaError, match=r"`aoi` and `bounds`: no pixel has its centre inside \(nothing in common\)"):
        read_area(GRID, bounds=(500_400, 4_999_604, 500_490, 4_999_904), src_path=path)


def test_a_polygon_that_crosses_itself_is_mended(tmp_path: Path) -> None:
    bow = shapely.Polygon([(500_000, 5_000_000), (500_103, 4_999_900), (500_103, 5_000_000), (500_000, 4_999_900)])
    assert not bow.is_valid
    area = read_area(GRID, src_path=write_polygons(tmp_path / "aoi.gpkg", bow))
    assert np.array_equal(whole_mask(area), inside(GRID, shapely.make_valid(bow)))


def test_squares_that_an_area_touches() -> None:
    area = read_area(GRID, bounds=(500_082, 4_999_812, 500_158, 4_999_918))
    assert area is not None
    touched = area.touched(8)
    assert touched.shape == (5, 7)
    rows, cols = np.nonzero(whole_mask(area))
    assert touched[rows // 8, cols // 8].all()
    assert np.argwhere(touched).tolist() == [[1, 1], [2, 1]]


def test_areas_that_cannot_be_used(tmp_path: Path) -> None:
    point = write_polygons(tmp_path / "points.gpkg", shapely.Point(500_100, 4_999_900))
    with pytest.raises(AreaError, match=r"`aoi` .*points.gpkg holds Point; give polygons"):
        read_area(GRID, src_path=point)
    away = write_polygons(tmp_path / "away.gpkg", shapely.box(0, 0, 10, 10))
    with pytest.raises(AreaError, match=r"away.gpkg: no pixel has its centre inside \(in the image's CRS x 0 to 10"):
        read_area(GRID, src_path=away)
    between = write_polygons(tmp_path / "between.gpkg", shapely.box(500_106, 4_999_906, 500_114, 4_999_914))
    with pytest.raises(AreaError, match="no pixel has its centre inside"):
        read_area(GRID, src_path=between)
    with pytest.raises(AreaError, match=r"no.gpkg does not exist"):
        read_area(GRID, src_path=tmp_path / "no.gpkg")
    bare = tmp_path / "bare.shp"
    with pytest.warns(UserWarning, match="'crs' was not provided"):
        write_polygons(bare, shapely.box(500_100, 4_999_800, 500_200, 4_999_900), crs=None)
    with pytest.raises(GeoreferencingError, match=r"bare\.shp has no CRS but the image has EPSG:32632"):
        read_area(GRID, src_path=bare)
