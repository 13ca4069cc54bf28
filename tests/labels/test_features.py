"""Labels from polygons, lines and points: which pixels a feature holds, and what is refused."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import pytest
from pyproj import Transformer
from rasterio.crs import CRS
from shapely import LineString, MultiPoint, MultiPolygon, Polygon, box

from s2fin_cli.core.errors import GeoreferencingError, LabelError
from s2fin_cli.geo.grid import Grid
from s2fin_cli.labels.read import read_labels
from s2fin_cli.labels.rules import LabelRules
from tests.files import write_vector
from tests.labels.places import SOUTH_UP, pixels, point
from tests.rectangles import GRID, LEFT, TOP, at, counts, frame

if TYPE_CHECKING:
    from pathlib import Path


def test_polygons(tmp_path: Path) -> None:
    shapes = [at(30, 30), at(0, 0), MultiPolygon([at(10, 10, 1, 1), at(20, 10, 1, 1)])]
    path = write_vector(tmp_path / "gt.gpkg", shapes, label=["water", "forest", "water"])
    labels = read_labels(path, GRID)
    assert labels.kind == "polygons"
    assert not labels.ids_are_given
    assert [(c.id, c.name) for c in labels.classes] == [(1, "forest"), (2, "water")]
    assert counts(labels) == {"forest": 6, "water": 8}
    assert labels.rows.tolist() == [0, 0, 0, 1, 1, 1, 10, 10, 30, 30, 30, 31, 31, 31]
    assert labels.cols.tolist() == [0, 1, 2, 0, 1, 2, 10, 20, 30, 31, 32, 30, 31, 32]
    assert labels.groups.tolist() == [1] * 6 + [2] * 2 + [0] * 6
    assert len(labels) == 14
    assert len(labels.select(labels.class_ids == 2)) == 8
    assert labels.select(labels.class_ids == 2).counts() == {1: 0, 2: 8}


def test_points(tmp_path: Path) -> None:
    shapes = [
        point(0.1, 0.9),
        MultiPoint([point(5.5, 5.5), point(6.5, 5.5), point(99, 5)]),
        point(-0.1, 3),
        point(3, 40.1),
    ]
    path = write_vector(tmp_path / "gt.geojson", shapes, kind=[4, 7, 4, 4])
    labels = read_labels(path, GRID)
    assert labels.kind == "points"
    assert labels.ids_are_given
    assert pixels(labels) == {(0, 0, 4), (5, 5, 7), (5, 6, 7)}
    assert labels.groups.tolist() == [0, 1, 1]


def test_mixtures_are_refused(tmp_path: Path) -> None:
    path = write_vector(tmp_path / "gt.geojson", [at(0, 0), point(3, 3)], land=["a", "b"])
    with pytest.raises(
        LabelError, match="holds Point, Polygon; give a layer of only polygons, only lines or only points"
    ):
        read_labels(path, GRID)


def test_lines_hold_the_pixels_whose_centres_are_near(tmp_path: Path) -> None:
    """A road along the middle of a row and one along the edge between two."""
    lines = [
        LineString([(LEFT + 5, TOP - 35), (LEFT + 45, TOP - 35)]),
        LineString([(LEFT + 205, TOP - 100.1), (LEFT + 245, TOP - 100.1)]),
    ]
    path = write_vector(tmp_path / "gt.gpkg", lines, land=["a", "b"])
    labels = read_labels(path, GRID)
    assert labels.kind == "lines"
    assert {(row, col) for row, col, class_id in pixels(labels) if class_id == 1} == {(3, col) for col in range(5)}
    assert {(row, col) for row, col, class_id in pixels(labels) if class_id == 2} == {
        (10, col) for col in range(20, 25)
    }
    wide = read_labels(path, GRID, rules=LabelRules(buffer=15.0))
    assert {row for row, _, class_id in pixels(wide) if class_id == 1} == {2, 3, 4}
    assert {row for row, _, class_id in pixels(wide) if class_id == 2} == {9, 10, 11}


def test_points_with_a_buffer_are_circles(tmp_path: Path) -> None:
    path = write_vector(tmp_path / "gt.gpkg", [point(5.5, 5.5), point(20.5, 20.5)], land=["a", "b"])
    labels = read_labels(path, GRID, rules=LabelRules(buffer=11.0))
    cross = {(5, 5), (4, 5), (6, 5), (5, 4), (5, 6)}
    assert {(row, col) for row, col, class_id in pixels(labels) if class_id == 1} == cross
    polygons = write_vector(tmp_path / "polygons.gpkg", [at(0, 0), at(9, 9)], land=["a", "b"])
    with pytest.raises(LabelError, match="`label_buffer` applies to points and lines"):
        read_labels(polygons, GRID, rules=LabelRules(buffer=11.0))


@pytest.mark.parametrize(("rule", "columns"), [("first", {4, 5}), ("last", {2, 3, 4, 5})])
def test_a_rule_for_pixels_that_different_classes_claim(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, rule: str, columns: set[int]
) -> None:
    path = write_vector(tmp_path / "gt.gpkg", [at(0, 0, 4, 1), at(2, 0, 4, 1)], land=["a", "b"])
    labels = read_labels(path, GRID, rules=LabelRules(on_conflict=rule))
    assert {entry for entry in pixels(labels) if entry[2] == 2} == {(0, col, 2) for col in columns}
    assert len(labels) == 6
    assert f"2 pixels that different classes claim are given to the {rule} feature (a, b)" in caplog.text
    with pytest.raises(
        LabelError, match=r"different classes claim 2 pixels \(a, b\); correct the features that overlap"
    ):
        read_labels(path, GRID, rules=LabelRules(on_conflict="error"))
    apart = write_vector(tmp_path / "apart.gpkg", [at(0, 0), at(9, 0)], land=["a", "b"])
    assert len(read_labels(apart, GRID, rules=LabelRules(on_conflict="error"))) == 12


def test_pixels_that_different_classes_claim_are_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    shapes = [at(0, 0, 4, 1), at(2, 0, 4, 1), at(1, 0, 1, 1)]
    path = write_vector(tmp_path / "gt.gpkg", shapes, land=["a", "b", "a"])
    labels = read_labels(path, GRID)
    assert pixels(labels) == {(0, 0, 1), (0, 1, 1), (0, 4, 2), (0, 5, 2)}
    assert "2 pixels that different classes claim are skipped" in caplog.text
    path = write_vector(tmp_path / "all.gpkg", [at(0, 0), at(0, 0)], land=["a", "b"])
    with pytest.raises(LabelError, match="different classes claim every labelled pixel"):
        read_labels(path, GRID)


def test_a_polygon_without_a_pixel_centre(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write_vector(tmp_path / "gt.gpkg", [at(0, 0), at(5.6, 5.6, 0.3, 0.3)], land=["a", "a"])
    assert counts(read_labels(path, GRID)) == {"a": 6}
    assert "1 of 2 features hold no pixel" in caplog.text
    tiny = write_vector(tmp_path / "tiny.gpkg", [at(5.6, 5.6, 0.3, 0.3), at(-9, -9)], land=["a", "b"])
    with pytest.raises(LabelError, match="hold no centre of a pixel of the image, whose pixels are 10 x 10; draw"):
        read_labels(tiny, GRID)


def test_features_without_a_class_or_a_geometry_are_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    shapes = [at(0, 0), at(9, 0), at(19, 0), None, Polygon(), at(29, 0)]
    path = write_vector(tmp_path / "gt.gpkg", shapes, land=["a", None, " ", "a", "b", "b"])
    with caplog.at_level(logging.WARNING):
        labels = read_labels(path, GRID)
    assert counts(labels) == {"a": 6, "b": 6}
    assert "skipped 2 features without a geometry" in caplog.text
    assert "skipped 2 features whose 'land' is empty" in caplog.text


def test_labels_outside_name_both_extents(tmp_path: Path) -> None:
    path = write_vector(tmp_path / "gt.gpkg", [at(60, 0), at(70, 0)], land=["a", "b"])
    with pytest.raises(
        LabelError, match=r"the labels cover x 500600 to 500730, y 4999980 to 5000000, .*500000 to 500500"
    ):
        read_labels(path, GRID)


def test_labels_partly_outside(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    shapes = [at(-2, -1, 4, 4), at(48, 38, 100, 100), at(60, 0), at(80, 0)]
    path = write_vector(tmp_path / "gt.gpkg", shapes, land=["a", "b", "b", "c"])
    with caplog.at_level(logging.WARNING):
        labels = read_labels(path, GRID)
    assert counts(labels) == {"a": 6, "b": 4}
    assert "2 of 4 features hold no pixel of the image" in caplog.text
    assert "classes without a pixel in the image: c" in caplog.text


def test_labels_in_another_crs(tmp_path: Path) -> None:
    to_degrees = Transformer.from_crs(32632, 4326, always_xy=True)
    corners = np.array(at(3.2, 4.3, 5, 6).exterior.coords)
    shapes = [Polygon(np.column_stack(to_degrees.transform(*corners.T)))]
    path = write_vector(tmp_path / "gt.geojson", shapes, crs="EPSG:4326", land=["a"])
    labels = read_labels(path, GRID)
    assert pixels(labels) == {(r, c, 1) for r in range(4, 10) for c in range(3, 8)}


def test_labels_that_no_transformation_reaches(tmp_path: Path) -> None:
    local = Grid(CRS.from_wkt('LOCAL_CS["site grid",UNIT["metre",1]]'), GRID.transform, GRID.shape)
    path = write_vector(tmp_path / "gt.geojson", [box(9, 45, 10, 46)], crs="EPSG:4326", land=["a"])
    with pytest.raises(GeoreferencingError, match=r"gt\.geojson has EPSG:4326 and the image has .*'site grid'"):
        read_labels(path, local)


def test_labels_without_crs(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "gt.shp"
    with pytest.warns(UserWarning, match="'crs' was not provided"):
        write_vector(path, [at(0, 0)], crs=None, land=["a"])
    with pytest.raises(GeoreferencingError, match=r"gt\.shp has no CRS but the image has EPSG:32632; .*ogr2ogr -a_srs"):
        read_labels(path, GRID)
    bare = Grid(None, GRID.transform, GRID.shape)
    assert counts(read_labels(path, bare)) == {"a": 6}
    assert "its coordinates are assumed to be the image's" in caplog.text
    with_crs = write_vector(tmp_path / "gt.gpkg", [at(0, 0)], land=["a"])
    with pytest.raises(GeoreferencingError, match=r"the image has no CRS but .*gt\.gpkg has EPSG:32632"):
        read_labels(with_crs, bare)


def test_a_south_up_grid_gives_the_flipped_result(tmp_path: Path) -> None:
    shapes = [at(0.2, 0.3, 5, 7), at(20, 31.4, 9.1, 30)]
    path = write_vector(tmp_path / "gt.gpkg", shapes, land=["a", "b"])
    flipped = {(39 - row, col, class_id) for row, col, class_id in pixels(read_labels(path, GRID))}
    assert pixels(read_labels(path, SOUTH_UP)) == flipped
    dots = write_vector(tmp_path / "dots.gpkg", [point(3.3, 4.4), point(49.9, 39.9)], land=["a", "b"])
    assert pixels(read_labels(dots, GRID)) == {(4, 3, 1), (39, 49, 2)}
    assert pixels(read_labels(dots, SOUTH_UP)) == {(35, 3, 1), (0, 49, 2)}


def test_an_empty_file(tmp_path: Path) -> None:
    gpd.GeoDataFrame({"land": []}, geometry=[], crs=32632).to_file(tmp_path / "gt.geojson")
    with pytest.raises(LabelError, match=r"gt\.geojson holds no features; draw some"):
        read_labels(tmp_path / "gt.geojson", GRID)


def test_files_that_are_no_labels(tmp_path: Path) -> None:
    with pytest.raises(LabelError, match=r"gone\.shp does not exist"):
        read_labels(tmp_path / "gone.shp", GRID)
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(LabelError, match=r"notes\.txt is not a vector file or a raster that GDAL"):
        read_labels(tmp_path / "notes.txt", GRID)
    (tmp_path / "table.csv").write_text("land,code\na,1\n")
    with pytest.raises(LabelError, match=r"table\.csv holds a table without geometries"):
        read_labels(tmp_path / "table.csv", GRID)


def test_a_table_beside_the_labels_is_no_layer(tmp_path: Path) -> None:
    path = tmp_path / "gt.gpkg"
    pyogrio.write_dataframe(pd.DataFrame({"style": ["x"]}), path, layer="layer_styles")
    frame(land=["a", "b"]).to_file(path, layer="labels")
    assert counts(read_labels(path, GRID)) == {"a": 6, "b": 6}


def test_a_layer_by_gdals_own_name(tmp_path: Path) -> None:
    path = tmp_path / "gt.gpkg"
    for layer, land in (("spring", "a"), ("autumn", "b")):
        frame(land=[land, "c"]).to_file(path, layer=layer)
    assert counts(read_labels(f"GPKG:{path}:autumn", GRID)) == {"b": 6, "c": 6}


def test_a_file_of_several_layers_is_not_guessed_at(tmp_path: Path) -> None:
    path = tmp_path / "gt.gpkg"
    for layer, land in (("spring", "a"), ("autumn", "b")):
        frame(land=[land, "c"]).to_file(path, layer=layer)
    with pytest.raises(LabelError, match=r"holds several layers \(spring, autumn\); choose one and give it as GPKG:"):
        read_labels(path, GRID)
