"""The polygons of a class map in a GeoPackage: attributes, areas, style, and simplified borders."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import geopandas
import numpy as np
import pyogrio
import pytest
import rasterio.features
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Geod
from rasterio.crs import CRS

from s2fin_cli.core.errors import InputError
from s2fin_cli.geo.grid import Grid
from s2fin_cli.vector.polygons import map_regions, write_polygons
from tests.vector.class_maps import (
    CLASSES,
    EQUAL_AREA,
    NAMES,
    NODATA,
    NORTH_UP,
    ROTATED,
    SOUTH_UP,
    UTM,
    ClassMap,
    class_map,
    cut,
    maps,
    noise,
    oracle,
    write,
)

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("transform", [NORTH_UP, SOUTH_UP, ROTATED])
def test_written_polygons_give_the_map_back(tmp_path: Path, transform: Affine) -> None:
    classes, confidence = noise()
    dst_path = tmp_path / "map.gpkg"
    count = write(dst_path, classes, confidence, crs=EQUAL_AREA, transform=transform, block_px=100)  # several batches

    frame = geopandas.read_file(dst_path, layer="landcover")
    assert len(frame) == count == len(oracle(classes))
    assert frame.crs.to_epsg() == 3035
    assert set(frame.geom_type) == {"Polygon"}
    assert frame.geometry.is_valid.all()
    assert shapely.coverage_is_valid(frame.geometry.to_numpy())
    assert frame.class_name.tolist() == [NAMES[i] for i in frame.class_id]
    np.testing.assert_allclose(frame.area_m2, frame.area, rtol=1e-12)
    np.testing.assert_allclose(frame.perim_m, frame.length, rtol=1e-12)
    pixel_m2 = abs(transform.determinant)
    assert frame.area_m2.sum() == pytest.approx(np.count_nonzero(classes) * pixel_m2)
    assert (frame.confidence * frame.area_m2).sum() == pytest.approx(confidence[classes > 0].sum() * pixel_m2)
    pairs = zip(frame.geometry, frame.class_id, strict=True)
    back = rasterio.features.rasterize(pairs, classes.shape, transform=transform, dtype=np.uint8)
    np.testing.assert_array_equal(back, classes)


def test_the_file_is_one_layer_of_polygons_and_nothing_beside_it(tmp_path: Path) -> None:
    dst_path = tmp_path / "map.gpkg"
    dst_path.write_bytes(b"")  # a temporary name may be taken by an empty file
    write(dst_path, *noise())
    assert [p.name for p in tmp_path.iterdir()] == ["map.gpkg"]
    assert pyogrio.list_layers(dst_path).tolist() == [["landcover", "Polygon"], ["layer_styles", None]]
    info = pyogrio.read_info(dst_path, layer="landcover")
    fields = dict(zip(info["fields"].tolist(), info["dtypes"], strict=True))
    assert fields == {
        "class_id": "int32",
        "class_name": "object",
        "area_m2": "float64",
        "perim_m": "float64",
        "confidence": "float64",
        "conf_min": "float64",
    }


def test_features_do_not_depend_on_the_strips(tmp_path: Path) -> None:
    classes, confidence = noise()
    frames = []
    for heights in ([1], [30], [4, 9]):
        write(tmp_path / "map.gpkg", classes, confidence, heights=heights)
        frames.append(geopandas.read_file(tmp_path / "map.gpkg", layer="landcover"))
    assert frames[0].equals(frames[1])
    assert frames[0].equals(frames[2])


@pytest.mark.parametrize("with_confidence", [False, True])
@pytest.mark.parametrize("crs", [UTM, CRS.from_epsg(4326), None])
def test_a_map_without_valid_pixels_gives_an_empty_layer(
    tmp_path: Path, crs: CRS | None, with_confidence: bool
) -> None:
    classes = np.full((5, 4), NODATA, dtype=np.uint8)
    confidence = np.full((5, 4), np.nan, dtype=np.float32) if with_confidence else None
    assert write(tmp_path / "map.gpkg", classes, confidence, crs=crs) == 0
    info = pyogrio.read_info(tmp_path / "map.gpkg", layer="landcover")
    assert info["features"] == 0
    assert info["geometry_type"] == "Polygon"
    types = {"class_id": "int32", "class_name": "object", "area_m2": "float64", "perim_m": "float64"}
    if with_confidence:
        types |= {"confidence": "float64", "conf_min": "float64"}
    assert dict(zip(info["fields"].tolist(), info["dtypes"].tolist(), strict=True)) == types


@pytest.mark.parametrize("shape", [(1, 6), (6, 1), (1, 1)])
def test_a_single_row_or_column(tmp_path: Path, shape: tuple[int, int]) -> None:
    classes = np.resize(np.array([1, 1, 0, 2, 3, 3], dtype=np.uint8), shape)
    write(tmp_path / "map.gpkg", classes, crs=EQUAL_AREA)
    frame = geopandas.read_file(tmp_path / "map.gpkg", layer="landcover")
    assert frame.area_m2.sum() == 4 * np.count_nonzero(classes)
    assert "confidence" not in frame


def test_without_a_crs(tmp_path: Path) -> None:
    classes, _ = noise()
    write(tmp_path / "map.gpkg", classes, crs=None)
    frame = geopandas.read_file(tmp_path / "map.gpkg", layer="landcover")
    assert frame.crs.name == "Undefined Cartesian SRS"
    assert frame.area.sum() == 4 * np.count_nonzero(classes)
    assert frame.area_m2.isna().all()


@pytest.mark.parametrize("res", [1e-4, -1e-4])
def test_geodesic_areas_add_up(tmp_path: Path, res: float) -> None:
    classes = noise(60, 80)[0] % 4 + 1
    transform = Affine(1e-4, 0, 11.5, 0, -res, 48.1)
    write(tmp_path / "map.gpkg", classes, crs=CRS.from_epsg(4326), transform=transform)
    frame = geopandas.read_file(tmp_path / "map.gpkg", layer="landcover")
    left, bottom, right, top = frame.total_bounds
    whole, _ = Geod(ellps="WGS84").geometry_area_perimeter(shapely.box(left, bottom, right, top))
    assert frame.area_m2.sum() == pytest.approx(abs(whole), rel=1e-6)
    assert frame.area_m2.min() > 50


def fields_with_straight_borders() -> ClassMap:
    """Four fields whose borders run obliquely, and nodata in a corner."""
    row, col = np.indices((60, 80))
    classes = 1 + (row > 0.4 * col + 12).astype(np.uint8) + 2 * (row + 2 * col > 90).astype(np.uint8)
    classes[:9, :9] = NODATA
    return classes


def test_simplified_neighbours_stay_joined(tmp_path: Path) -> None:
    classes = fields_with_straight_borders()
    pixels, simple = tmp_path / "pixels.gpkg", tmp_path / "simple.gpkg"
    count = write(pixels, classes, crs=EQUAL_AREA)
    assert write(simple, classes, crs=EQUAL_AREA, simplify=4.0) == count == 4
    before, after = (geopandas.read_file(path, layer="landcover") for path in (pixels, simple))
    polygons = after.geometry.to_numpy()
    assert shapely.coverage_is_valid(polygons)
    assert after.area.sum() == pytest.approx(before.area.sum()), "the map's outer border stays"
    assert shapely.get_num_coordinates(polygons).sum() < 0.3 * shapely.get_num_coordinates(before.geometry).sum()
    assert shapely.hausdorff_distance(polygons, before.geometry.to_numpy()).max() < 8.0
    np.testing.assert_allclose(after.area_m2, after.area, rtol=1e-12)
    np.testing.assert_allclose(after.perim_m, after.length, rtol=1e-12)


@settings(max_examples=50)
@given(classes=maps(), simplify=st.floats(0.1, 30))
def test_any_simplified_map_is_a_coverage(
    tmp_path_factory: pytest.TempPathFactory, classes: ClassMap, simplify: float
) -> None:
    path = tmp_path_factory.mktemp("simple") / "map.fgb"
    write(path, classes, simplify=simplify)
    polygons = geopandas.read_file(path).geometry.to_numpy()
    assert shapely.coverage_is_valid(polygons)
    assert shapely.area(polygons).sum() == pytest.approx(4 * np.count_nonzero(classes))


def test_the_style_stands_where_qgis_looks_for_it(tmp_path: Path) -> None:
    write(tmp_path / "map.gpkg", *noise())
    with contextlib.closing(sqlite3.connect(tmp_path / "map.gpkg")) as database:
        rows = database.execute(
            "SELECT f_table_name, f_geometry_column, useAsDefault, styleQML FROM layer_styles"
        ).fetchall()
        columns = database.execute("SELECT column_name FROM gpkg_geometry_columns").fetchall()
    ((table, column, is_default, qml),) = rows
    assert (table, [(column,)], is_default) == ("landcover", columns, 1)
    categories = ET.fromstring(qml).findall(".//category")  # noqa: S314  our own
    assert {int(c.get("value", "")): c.get("label") for c in categories} == NAMES


def test_progress_counts_rows(tmp_path: Path) -> None:
    seen: list[int] = []
    classes, _ = noise()
    grid = Grid(UTM, NORTH_UP, (30, 20))
    regions = map_regions(cut(classes, None, [8]), grid, nodata=NODATA, on_progress=seen.append)
    write_polygons(tmp_path / "map.gpkg", regions, grid=grid, classes=CLASSES)
    assert seen == [8, 8, 8, 6]


def test_a_class_without_a_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds class 9, but there are names only for 1, 2, 3, 4"):
        write(tmp_path / "map.gpkg", class_map("19"))


@pytest.mark.parametrize("shape", [(29, 20), (31, 20), (30, 21)])
def test_strips_of_another_shape_than_the_grid(shape: tuple[int, int]) -> None:
    classes, _ = noise()
    with pytest.raises(ValueError, match=r"rows|grid of shape"):
        list(map_regions(cut(classes, None, [7]), Grid(UTM, NORTH_UP, shape), nodata=NODATA))
