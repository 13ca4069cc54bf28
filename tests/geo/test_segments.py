"""Long edges that are straight in one CRS and curved in another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import geopandas as gpd
import numpy as np
import pytest
import shapely
from affine import Affine
from pyproj import Transformer
from rasterio.crs import CRS
from rasterio.windows import Window
from shapely import Point, box

from s2fin_cli.geo.grid import Grid
from s2fin_cli.geo.segments import densified
from s2fin_cli.labels.read import read_labels
from s2fin_cli.vector.read_area import read_area

if TYPE_CHECKING:
    from pathlib import Path

#: Europe in pixels of 4 km.
GRID = Grid(CRS.from_epsg(3035), Affine(4000, 0, 4_000_000, 0, -4000, 4_400_000), (120, 200))
ALL = Window(0, 0, GRID.width, GRID.height)


def in_degrees(grid: Grid, crs: str = "EPSG:4326") -> tuple[np.ndarray, np.ndarray]:
    """Coordinates of the pixels' centres in another CRS."""
    rows, cols = np.mgrid[: grid.height, : grid.width]
    x, y = grid.transform * (cols + 0.5, rows + 0.5)
    lon, lat = Transformer.from_crs(grid.crs.to_wkt(), crs, always_xy=True).transform(x, y)  # type: ignore[union-attr]
    return np.asarray(lon), np.asarray(lat)


def test_an_area_in_degrees_is_bounded_by_its_meridians_and_parallels(tmp_path: Path) -> None:
    path = tmp_path / "aoi.gpkg"
    gpd.GeoDataFrame(geometry=[box(10, 56, 22, 60)], crs=4326).to_file(path)
    lon, lat = in_degrees(GRID)
    area = read_area(GRID, src_path=path)
    assert area is not None
    wanted = (lon > 10) & (lon < 22) & (lat > 56) & (lat < 60)
    assert (area.mask(ALL) != wanted).sum() <= 2
    assert wanted.sum() > 5000


def test_neighbours_share_their_edge(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "gt.gpkg"
    shapes = [box(10, 56, 22, 60), box(10, 60, 22, 62), box(22, 56, 23, 60)]
    gpd.GeoDataFrame({"land": ["sea", "land", "bay"]}, geometry=shapes, crs=4326).to_file(path)
    labels = read_labels(path, GRID)
    lon, lat = in_degrees(GRID)
    found = np.zeros(GRID.shape, dtype=int)
    found[labels.rows, labels.cols] = labels.class_ids
    wanted = np.zeros(GRID.shape, dtype=int)
    for number, shape in zip((3, 2, 1), shapes, strict=True):
        left, bottom, right, top = shape.bounds
        wanted[(lon > left) & (lon < right) & (lat > bottom) & (lat < top)] = number
    assert (found != wanted).sum() <= 4
    assert "different classes claim" not in caplog.text


def test_an_edge_across_the_equator_bends_although_its_middle_does_not() -> None:
    grid = Grid(CRS.from_epsg(32631), Affine(500, 0, 160_000, 0, -500, 800_000), (3200, 1200))
    own = gpd.GeoSeries([box(0.5, -7, 5.5, 7)], crs=4326)
    meridian = shapely.points(np.full(29, 0.5), np.linspace(-7, 7, 29))
    places = gpd.GeoSeries(meridian, crs=4326).to_crs(grid.crs).to_numpy()
    edge = densified(own, grid).to_crs(grid.crs).boundary.iloc[0]
    assert shapely.distance(places, edge).max() < 0.1 * 500
    assert shapely.distance(places, own.to_crs(grid.crs).boundary.iloc[0]).max() > 500


def test_what_need_not_change_stays_as_it_is() -> None:
    tight = gpd.GeoSeries([box(15, 57, 15.01, 57.01)], crs=4326)
    far = gpd.GeoSeries([box(-100, 20, -60, 60)], crs=4326)
    points = gpd.GeoSeries([Point(15, 57)], crs=4326)
    for series in (tight, far, points):
        assert densified(series, GRID) is series


def test_few_vertices_are_added_for_the_whole_world() -> None:
    grid = Grid(CRS.from_epsg(32633), Affine(1, 0, 500_000, 0, -1, 6_000_000), (1000, 1000))
    world = gpd.GeoSeries([box(10, 40, 20, 60), box(-170, -80, 170, 80)], crs=4326)
    assert shapely.get_num_coordinates(densified(world, grid).to_numpy()).sum() < 20_000


def test_an_edge_across_the_180th_meridian_is_measured_without_a_jump() -> None:
    grid = Grid(CRS.from_epsg(4326), Affine(0.01, 0, 179, 0, -0.01, -16), (200, 100))
    own = gpd.GeoSeries([box(1_900_000, 8_000_000, 2_300_000, 8_200_000)], crs=3460)  # Fiji
    assert shapely.get_num_coordinates(densified(own, grid).to_numpy()).sum() < 1000
