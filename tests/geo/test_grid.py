"""Grids: bounds, resolution, comparison and areas."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Geod, Transformer
from rasterio.crs import CRS
from rasterio.transform import array_bounds
from rasterio.windows import Window

from s2fin_cli.core.errors import UsageError
from s2fin_cli.geo.crs import crs_code, crs_name
from s2fin_cli.geo.grid import Grid

if TYPE_CHECKING:
    from numpy.typing import NDArray

UTM = CRS.from_epsg(32632)
NORTH_UP = Affine(10, 0, 500_000, 0, -20, 5_000_000)


def test_properties_of_a_north_up_grid() -> None:
    grid = Grid(UTM, NORTH_UP, (30, 40))
    assert (grid.height, grid.width) == (30, 40)
    assert grid.res == (10, 20)
    assert grid.bounds == (500_000, 4_999_400, 500_400, 5_000_000)
    assert not grid.is_rotated
    assert grid.is_georeferenced
    assert grid.window.flatten() == (0, 0, 40, 30)
    assert grid.describe() == "40 x 30 px of 10 x 20, EPSG:32632, x 500000 to 500400, y 4999400 to 5000000"


def test_south_up_bounds_are_in_order() -> None:
    grid = Grid(UTM, Affine(10, 0, 500_000, 0, 10, 4_999_000), (30, 40))
    assert grid.bounds == (500_000, 4_999_000, 500_400, 4_999_300)
    assert grid.res == (10, 10)
    assert not grid.is_rotated


@pytest.mark.parametrize("shape", [(0, 5), (5, 0), (-1, 3)])
def test_an_empty_grid_is_refused(shape: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match=r"at least one pixel, got shape \("):
        Grid(UTM, NORTH_UP, shape)


@given(angle=st.floats(-180, 180), height=st.integers(1, 50), width=st.integers(1, 50))
def test_bounds_and_resolution_of_rotated_grids(angle: float, height: int, width: int) -> None:
    transform = Affine.translation(5e5, 5e6) * Affine.rotation(angle) * Affine.scale(3, -7)
    grid = Grid(UTM, transform, (height, width))
    assert grid.res == pytest.approx((3, 7))
    corners = [transform * corner for corner in ((0, 0), (width, 0), (0, height), (width, height))]
    assert grid.bounds == pytest.approx(shapely.MultiPoint(corners).bounds)
    assert grid.is_rotated == (min(abs(np.sin(np.radians(angle))), 1) > 1e-9)


@given(height=st.integers(1, 50), width=st.integers(1, 50))
def test_bounds_agree_with_rasterio(height: int, width: int) -> None:
    assert Grid(UTM, NORTH_UP, (height, width)).bounds == pytest.approx(array_bounds(height, width, NORTH_UP))


def test_grids_match_within_a_hundredth_of_a_pixel() -> None:
    grid = Grid(UTM, NORTH_UP, (30, 40))
    assert grid.matches(Grid(UTM, NORTH_UP * Affine.translation(0.009, 0), (30, 40)))
    assert not grid.matches(Grid(UTM, NORTH_UP * Affine.translation(0.011, 0), (30, 40)))
    assert not grid.matches(Grid(UTM, NORTH_UP, (30, 41)))
    assert not grid.matches(Grid(CRS.from_epsg(32633), NORTH_UP, (30, 40)))
    assert grid.same_pixels(Grid(None, NORTH_UP, (30, 40)))


def test_a_tiny_error_of_the_pixel_size_counts_at_the_far_corner() -> None:
    grid = Grid(UTM, NORTH_UP, (1000, 1000))
    assert grid.matches(Grid(UTM, NORTH_UP * Affine.scale(1 + 5e-6), (1000, 1000)))
    assert not grid.matches(Grid(UTM, NORTH_UP * Affine.scale(1 + 2e-5), (1000, 1000)))


def test_grids_without_crs_can_match() -> None:
    grid = Grid(None, Affine.identity(), (30, 40))
    assert grid.matches(Grid(None, Affine.identity(), (30, 40)))
    assert not grid.is_georeferenced
    assert "no CRS" in grid.describe()


def test_measures_in_a_geographic_crs_are_geodesic() -> None:
    polygon = shapely.box(11, 48, 11.1, 48.1, ccw=False)
    hole = shapely.Polygon(polygon.exterior, [shapely.box(11.02, 48.02, 11.05, 48.05).exterior])
    grid = Grid(CRS.from_epsg(4326), Affine(0.01, 0, 11, 0, -0.01, 48.1), (10, 10))
    areas, perimeters = grid.measure([polygon, hole])
    geod = Geod(ellps="WGS84")
    outer, around = geod.geometry_area_perimeter(polygon)
    inner, within = geod.geometry_area_perimeter(shapely.box(11.02, 48.02, 11.05, 48.05))
    assert areas == pytest.approx([abs(outer), abs(outer) - abs(inner)])
    assert perimeters == pytest.approx([around, around + within])


def test_measures_in_feet_are_converted_to_metres() -> None:
    # New York, US survey feet, near the southern standard parallel; the projection stretches by some 1e-4
    grid = Grid(CRS.from_epsg(2263), Affine(1, 0, 984_250, 0, -1, 180_000), (10, 100))
    areas, perimeters = grid.measure([shapely.box(984_250, 179_990, 984_350, 180_000)])
    assert areas == pytest.approx([1000 * (1200 / 3937) ** 2], rel=1e-4)
    assert perimeters == pytest.approx([220 * 1200 / 3937], rel=1e-4)


def test_measures_without_crs_are_not_known() -> None:
    grid = Grid(None, Affine.identity(), (10, 10))
    assert np.isnan(grid.measure([shapely.box(0, 0, 4, 2)])).tolist() == [[True], [True]]
    assert np.isnan(grid.pixel_areas(grid.window)).tolist() == [[True]]


@pytest.mark.parametrize("crs", [UTM, CRS.from_epsg(4326), CRS.from_epsg(2263), CRS.from_epsg(3035)])
def test_areas_of_pixels_are_those_of_their_squares(crs: CRS) -> None:
    grid = Grid(crs, Affine(0.5, 0, 11, 0, -0.25, 48), (40, 7))
    boxes = [
        shapely.box(11 + 0.5 * col, 48 - 0.25 * (row + 1), 11.5 + 0.5 * col, 48 - 0.25 * row)
        for row in range(3, 9)
        for col in range(1, 5)
    ]
    areas = np.broadcast_to(grid.pixel_areas(Window(1, 3, 4, 6)), (6, 4))
    assert areas.ravel() == pytest.approx(grid.measure(boxes)[0])


def test_no_geometries_have_no_measures() -> None:
    for crs in (UTM, CRS.from_epsg(4326), None):
        areas, perimeters = Grid(crs, Affine.identity(), (1, 1)).measure([])
        assert len(areas) == len(perimeters) == 0


def test_names_of_crs() -> None:
    assert crs_name(UTM) == "EPSG:32632"
    local = CRS.from_proj4("+proj=tmerc +lat_0=12 +lon_0=34 +k=0.9 +x_0=7 +ellps=GRS80 +units=m +type=crs")
    assert crs_name(local) == "an unnamed CRS (no EPSG code)"


def without_codes(wkt: str) -> str:
    return re.sub(r',AUTHORITY\["[A-Z]+","\d+"\]', "", wkt)


@pytest.mark.parametrize("code", [4326, 32633, 31985, 2154, 3005, 27700])
def test_the_code_of_a_crs_is_its_own_and_not_that_of_a_similar_one(code: int) -> None:
    wkt = without_codes(CRS.from_epsg(code).to_wkt())
    assert crs_name(CRS.from_wkt(wkt)) == f"EPSG:{code}"
    other = re.sub(r'(GEOGCS|PROJCS)\["[^"]*"', r'\1["My CRS"', wkt)
    other = re.sub(r'DATUM\["[^"]*"', 'DATUM["unknown"', other)
    assert crs_code(CRS.from_wkt(other)) is None
    assert crs_name(CRS.from_wkt(other)) == "My CRS (no EPSG code)"


def test_the_code_of_a_crs_that_only_its_definition_identifies() -> None:
    assert crs_name(CRS.from_string("+proj=utm +zone=33 +datum=WGS84 +units=m +type=crs")) == "EPSG:32633"
    assert crs_name(CRS.from_string("+proj=longlat +datum=WGS84 +type=crs")) == "EPSG:4326"


def test_metres_where_the_crs_counts_degrees_are_refused_and_converted() -> None:
    degrees = Grid(CRS.from_epsg(4326), Affine(0.0001, 0, 10, 0, -0.0001, 50), (10, 10))
    with pytest.raises(
        UsageError, match=r"simplify is 20 degrees, as EPSG:4326 is geographic; 20 metres are about 0.00018"
    ):
        degrees.check_distance(20, "simplify")
    degrees.check_distance(0.0002, "simplify")
    Grid(UTM, NORTH_UP, (10, 10)).check_distance(20, "simplify")
    Grid(None, NORTH_UP, (10, 10)).check_distance(20, "simplify")


def test_windows_of_bounds_and_crops() -> None:
    grid = Grid(UTM, NORTH_UP, (30, 40))
    window = grid.window_of((500_015, 4_999_810, 500_031, 4_999_990))
    assert window is not None
    assert window.flatten() == (1, 0, 3, 10)
    crop = grid.crop(window)
    assert (crop.shape, crop.bounds) == ((10, 3), (500_010, 4_999_800, 500_040, 5_000_000))
    assert grid.window_of((0, 0, 10, 10)) is None
    assert grid.window_of((np.nan, 0, 10, 10)) is None
    assert grid.window_of(grid.bounds) == grid.window
    assert grid.moved(1, 2).bounds == (500_010, 4_999_360, 500_410, 4_999_960)


def ring(footprint: dict[str, Any] | None) -> NDArray[np.float64]:
    assert footprint is not None
    assert footprint["type"] == "Polygon"
    return np.asarray(footprint["coordinates"][0])


def test_the_footprint_is_in_degrees() -> None:
    grid = Grid(CRS.from_epsg(32632), Affine(10, 0, 500_000, 0, -10, 5_000_000), (600, 700))
    outline = ring(grid.footprint())
    to_degrees = Transformer.from_crs("EPSG:32632", "EPSG:4326", always_xy=True).transform
    for corner in ((500_000, 5_000_000), (507_000, 5_000_000), (507_000, 4_994_000), (500_000, 4_994_000)):
        assert np.abs(outline - to_degrees(*corner)).max(axis=1).min() < 1e-6
    assert shapely.LinearRing(outline).is_ccw
    assert np.array_equal(outline[0], outline[-1])
    assert Grid(None, Affine.identity(), (6, 7)).footprint() is None
    degrees = Grid(CRS.from_epsg(4326), Affine(0.1, 0, 10, 0, -0.1, 50), (20, 30))
    found = shapely.Polygon(ring(degrees.footprint()))
    assert found.symmetric_difference(shapely.box(10, 48, 13, 50)).area < 1e-6


def test_a_footprint_across_the_180th_meridian_is_cut() -> None:
    grid = Grid(CRS.from_epsg(32760), Affine(1000, 0, 700_000, 0, -1000, 8_000_000), (100, 300))
    footprint = grid.footprint()
    assert footprint is not None
    assert footprint["type"] == "MultiPolygon"
    parts = shapely.get_parts(shapely.geometry.shape(footprint))
    assert sorted(round(part.bounds[0]) == -180 for part in parts) == [False, True]
    assert shapely.area(parts).sum() < 10


def test_areas_in_grads_are_those_in_degrees() -> None:
    """EPSG:4807 counts grads from Paris on the ellipsoid of EPSG:4275, which counts degrees from Greenwich."""
    grads = Grid(CRS.from_epsg(4807), Affine(0.01, 0, 1, 0, -0.01, 52), (3, 4))
    degrees = Grid(CRS.from_epsg(4275), Affine(0.009, 0, 3.2, 0, -0.009, 46.8), (3, 4))
    np.testing.assert_allclose(grads.pixel_areas(grads.window), degrees.pixel_areas(degrees.window), rtol=1e-9)
