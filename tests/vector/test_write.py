"""Polygons from class maps: an exact tiling, whatever the strips, and its way into a GeoPackage."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import geopandas
import numpy as np
import pyogrio
import pytest
import rasterio.features
import shapely
from affine import Affine
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pyproj import Geod
from rasterio.crs import CRS

from s2fin_cli.core.classes import make_classes
from s2fin_cli.core.errors import GeoreferencingError, InputError, OutputError, UsageError
from s2fin_cli.core.files import staged
from s2fin_cli.core.formats import VECTOR_OUTPUT_SUFFIXES
from s2fin_cli.geo.grid import Grid
from s2fin_cli.vector.coverage import BLOCK_PX, Regions, polygonize
from s2fin_cli.vector.polygons import map_regions, write_polygons
from s2fin_cli.vector.write import check_vector_crs, check_vector_path

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from s2fin_cli.raster.strips import Strip

ClassMap = NDArray[np.uint8]
Confidence = NDArray[np.float32]

NODATA = 0
NAMES = {1: "water", 2: "trees", 3: "grass", 4: "roofs"}
CLASSES = make_classes(NAMES)
UTM = CRS.from_epsg(32632)
EQUAL_AREA = CRS.from_epsg(3035)


def class_map(*rows: str) -> ClassMap:
    """A map from digits; a dot is nodata."""
    return np.array([[NODATA if c == "." else int(c) for c in row] for row in rows], dtype=np.uint8)


def cut(classes: ClassMap, confidence: Confidence | None, heights: list[int]) -> Iterator[Strip]:
    """Strips of the given heights, over and over until the map ends; in arrays that are overwritten afterwards."""
    start = turn = 0
    while start < len(classes):
        rows = slice(start, start + heights[turn % len(heights)])
        strip = classes[rows].copy(), None if confidence is None else confidence[rows].copy()
        yield strip
        strip[0][:] = 99
        start, turn = rows.stop, turn + 1


def collect(
    classes: ClassMap,
    confidence: Confidence | None = None,
    *,
    heights: list[int] | None = None,
    block_rows: int = 10**4,
) -> Regions:
    """All regions of a map in one batch."""
    strips = cut(classes, confidence, heights or [len(classes)])
    batches = list(polygonize(strips, nodata=NODATA, block_px=block_rows * classes.shape[1]))

    def joined(name: str) -> Any:
        parts = [getattr(batch, name) for batch in batches]
        return None if parts[0] is None else np.concatenate(parts)

    return Regions(*map(joined, ("class_id", "pixel_count", "confidence_mean", "confidence_min", "polygons")))


def oracle(classes: ClassMap) -> list[Any]:
    """The polygons according to GDAL, without the nodes at which neighbours meet."""
    shapes = rasterio.features.shapes(classes, mask=classes != NODATA, connectivity=4)
    return [shapely.geometry.shape(geometry) for geometry, _ in shapes]


def needed_nodes(classes: ClassMap) -> set[tuple[int, int]]:
    """Lattice points (column, row) whose 2 x 2 neighbourhood is neither uniform nor halved by one straight line."""
    padded = np.pad(classes, 1, constant_values=NODATA)
    found = set()
    for row, column in np.ndindex(classes.shape[0] + 1, classes.shape[1] + 1):
        (nw, ne), (sw, se) = padded[row : row + 2, column : column + 2].tolist()
        if not ((nw == ne and sw == se) or (nw == sw and ne == se)):
            found.add((column, row))
    return found


def vertices(polygon: Any) -> list[tuple[int, int]]:
    return [(int(x), int(y)) for ring in (polygon.exterior, *polygon.interiors) for x, y in ring.coords[:-1]]


def assert_tiles(classes: ClassMap, regions: Regions) -> None:
    """The regions' polygons are a valid coverage of the map's valid pixels with just the vertices they need."""
    polygons = regions.polygons
    assert all(p.geom_type == "Polygon" for p in polygons)
    assert shapely.is_valid(polygons).all()
    assert shapely.coverage_is_valid(polygons)
    assert shapely.area(polygons).tolist() == regions.pixel_count.tolist()
    assert regions.pixel_count.sum() == np.count_nonzero(classes != NODATA)
    if len(regions):
        pairs = zip(polygons, regions.class_id.tolist(), strict=True)
        np.testing.assert_array_equal(
            rasterio.features.rasterize(pairs, classes.shape, fill=NODATA, dtype=np.uint8), classes
        )
    nodes = needed_nodes(classes)
    for polygon in polygons:
        own = vertices(polygon)
        assert set(own) <= nodes
        # Every node on the outline is a vertex of it.
        on_it = [xy for xy in nodes if polygon.boundary.distance(shapely.Point(xy)) == 0]
        assert set(on_it) == set(own)


def same(one: Regions, other: Regions) -> bool:
    """Whether both hold the same polygons with the same attributes, in any order."""

    def rows(regions: Regions) -> list[tuple[bytes, int, int]]:
        shapes = shapely.to_wkb(shapely.normalize(regions.polygons)).tolist()
        return sorted(zip(shapes, regions.class_id.tolist(), regions.pixel_count.tolist(), strict=True))

    return rows(one) == rows(other)


@st.composite
def maps(draw: st.DrawFn) -> ClassMap:
    """Small maps of one to three classes and nodata."""
    height, width = draw(st.integers(1, 12)), draw(st.integers(1, 12))
    values = st.integers(draw(st.integers(0, 1)), draw(st.integers(1, 3)))
    cells = draw(st.lists(values, min_size=height * width, max_size=height * width))
    return np.array(cells, dtype=np.uint8).reshape(height, width)


HEIGHTS = st.lists(st.integers(1, 5), min_size=1, max_size=4)

SPIRAL = class_map("1111111", "1222222", "1211112", "1212212", "1222212", "1111112", "2222222")
CUP = class_map("1.1", "1.1", "1.1", "111")
PINCHED = class_map("1111", "1211", "1121", "1111")  # two holes that touch at a corner
PINCHED_AT_EDGE = class_map("111", "121", "112")  # a hole that touches the shell at a corner
NESTED = class_map("11111", "12221", "12321", "12221", "11111")
CHECKERBOARD = class_map("1212", "2121", "1212", "2121")
NODATA_FRAME = class_map("....", ".11.", ".21.", "....")


@settings(max_examples=100)
@given(classes=maps(), heights=HEIGHTS, block_rows=st.integers(1, 5))
@example(SPIRAL, [1], 1)
@example(CUP, [2], 1)
@example(PINCHED, [1], 2)
@example(PINCHED_AT_EDGE, [3], 1)
@example(NESTED, [2], 2)
@example(CHECKERBOARD, [1, 2], 1)
@example(NODATA_FRAME, [4], 3)
def test_polygons_tile_any_map_whatever_the_strips(classes: ClassMap, heights: list[int], block_rows: int) -> None:
    whole = collect(classes)
    assert_tiles(classes, whole)
    expected = oracle(classes)
    assert len(whole) == len(expected)
    for polygon in whole.polygons:
        assert any(shapely.equals(polygon, other) for other in expected)
    assert same(whole, collect(classes, heights=heights, block_rows=block_rows))


@settings(max_examples=100)
@given(classes=maps(), heights=HEIGHTS, block_rows=st.integers(1, 5), seed=st.integers(0, 99))
def test_confidence_is_that_of_the_pixels(classes: ClassMap, heights: list[int], block_rows: int, seed: int) -> None:
    confidence = np.random.default_rng(seed).random(classes.shape, dtype=np.float32)
    confidence[classes == NODATA] = np.nan  # never looked at
    regions = collect(classes, confidence, heights=heights, block_rows=block_rows)
    assert regions.confidence_mean is not None
    assert regions.confidence_min is not None
    for i, polygon in enumerate(regions.polygons):
        inside = confidence[rasterio.features.rasterize([polygon], classes.shape, dtype=np.uint8) == 1]
        assert regions.pixel_count[i] == inside.size
        assert regions.confidence_mean[i] == pytest.approx(inside.astype(np.float64).mean(), rel=1e-12)
        assert regions.confidence_min[i] == inside.min()


def test_order_depends_on_the_blocks_but_not_on_the_strips() -> None:
    classes = np.random.default_rng(1).integers(0, 4, (40, 9), dtype=np.uint8)
    one, other = (collect(classes, heights=heights, block_rows=7) for heights in ([1], [13, 2]))
    assert [p.wkb for p in one.polygons] == [p.wkb for p in other.polygons]
    in_one_block = [p.bounds[1] for p in collect(classes).polygons]
    assert in_one_block == sorted(in_one_block)


def test_regions_touching_themselves_have_rings_that_touch_in_a_point() -> None:
    (polygon,) = (p for p in collect(PINCHED_AT_EDGE).polygons if p.area == 7)
    (hole,) = polygon.interiors
    assert set(hole.coords) == {(1, 1), (2, 1), (2, 2), (1, 2)}
    assert (2, 2) in set(polygon.exterior.coords)
    assert polygon.exterior.is_ccw is False  # rows count downwards: counterclockwise on the map
    assert len(polygon.exterior.coords) - 1 == 6


def test_finished_regions_are_given_before_the_map_ends() -> None:
    """And nothing is asked of the map beyond the block that finishes them."""
    taken = 0

    def strips() -> Iterator[Strip]:
        nonlocal taken
        for row in (1, 1, 2, 2, 3):
            taken += 1
            yield np.full((1, 4), row, dtype=np.uint8), None

    batches = polygonize(strips(), nodata=NODATA, block_px=4)
    assert next(batches).class_id.tolist() == [1]
    assert taken == 3
    assert [b.class_id.tolist() for b in batches] == [[2], [3]]


def test_a_map_of_nothing() -> None:
    assert list(polygonize([], nodata=NODATA)) == []
    (batch,) = polygonize([(np.zeros((3, 2), dtype=np.uint8), np.ones((3, 2)))], nodata=NODATA)
    assert len(batch) == len(batch.polygons) == 0
    assert batch.confidence_mean is not None


def test_nodata_outside_the_class_type() -> None:
    (batch,) = polygonize([(np.array([[0, 255]], dtype=np.uint8), None)], nodata=-1)
    assert batch.class_id.tolist() == [0, 255]


def test_classes_of_two_bytes() -> None:
    (batch,) = polygonize([(np.array([[256, 0, 65535]], dtype=np.uint16), None)], nodata=0)
    assert batch.class_id.tolist() == [256, 65535]


def test_one_region_over_many_blocks_stays_one() -> None:
    classes = np.ones((2000, 3), dtype=np.uint8)
    classes[1::2, 1] = 2
    regions = collect(classes, block_rows=1)
    assert len(regions) == 1001
    comb = max(regions.polygons, key=shapely.area)
    assert comb.area == 5000
    assert len(comb.interiors) == 999
    assert shapely.coverage_is_valid(regions.polygons)


@pytest.mark.parametrize("block_rows", [10, 64, 1000])
def test_larger_noise(block_rows: int) -> None:
    rng = np.random.default_rng(5)
    coarse = np.kron(rng.integers(0, 5, (40, 40)), np.ones((7, 7), dtype=np.int64))
    classes = np.where(rng.random((280, 280)) < 0.1, rng.integers(0, 5, (280, 280)), coarse).astype(np.uint8)
    regions = collect(classes, heights=[33], block_rows=block_rows)
    assert shapely.is_valid(regions.polygons).all()
    assert shapely.coverage_is_valid(regions.polygons)
    assert len(regions) == len(oracle(classes))
    pairs = zip(regions.polygons, regions.class_id.tolist(), strict=True)
    np.testing.assert_array_equal(rasterio.features.rasterize(pairs, classes.shape, dtype=np.uint8), classes)


def test_strips_must_go_together() -> None:
    row, values = np.ones((1, 3), dtype=np.uint8), np.ones((1, 3))
    with pytest.raises(ValueError, match="2 pixels wide, the first one was 3"):
        list(polygonize([(row, None), (row[:, :2], None)], nodata=NODATA))
    with pytest.raises(ValueError, match="all strips have a confidence"):
        list(polygonize([(row, values), (row, None)], nodata=NODATA))
    with pytest.raises(ValueError, match=r"confidence of shape \(1, 2\)"):
        list(polygonize([(row, values[:, :2])], nodata=NODATA))


# The file.

NORTH_UP = Affine(2, 0, 500_000, 0, -2, 5_000_000)
SOUTH_UP = Affine(2, 0, 500_000, 0, 2, 5_000_000)
ROTATED = Affine(1.7, 0.3, 500_000.1, 0.3, -1.7, 5_000_000.7)


def noise(height: int = 30, width: int = 20) -> tuple[ClassMap, Confidence]:
    rng = np.random.default_rng(3)
    return rng.integers(0, 5, (height, width), dtype=np.uint8), rng.random((height, width), dtype=np.float32)


def write(
    dst_path: Path,
    classes: ClassMap,
    confidence: Confidence | None = None,
    *,
    crs: CRS | None = UTM,
    transform: Affine = NORTH_UP,
    heights: list[int] | None = None,
    simplify: float | None = None,
    block_px: int = BLOCK_PX,
) -> int:
    grid = Grid(crs, transform, (classes.shape[0], classes.shape[1]))
    strips = cut(classes, confidence, heights or [7])
    regions = map_regions(strips, grid, nodata=NODATA, block_px=block_px)
    return write_polygons(dst_path, regions, grid=grid, classes=CLASSES, simplify=simplify)


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


# Other formats, and the style.


@pytest.mark.parametrize("suffix", [*VECTOR_OUTPUT_SUFFIXES, ".GPKG"])
def test_every_format_holds_the_same_polygons(tmp_path: Path, suffix: str) -> None:
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    expected_path, dst_path = tmp_path / "map.gpkg", tmp_path / f"other{suffix}"
    for path in (expected_path, dst_path):
        write(path, *noise(), block_px=100)  # several batches
    expected = geopandas.read_file(expected_path, layer="landcover")
    layer = "landcover" if suffix in (".gpkg", ".GPKG") else None
    frame = geopandas.read_parquet(dst_path) if suffix == ".parquet" else geopandas.read_file(dst_path, layer=layer)
    assert list(frame.columns) == list(expected.columns)
    assert shapely.coverage_is_valid(frame.geometry.to_numpy())
    if suffix == ".geojson":
        assert frame.crs.to_epsg() == 4326, "as its standard wants it"
        frame = frame.to_crs(expected.crs)
    assert frame.crs == expected.crs
    order = ["area_m2", "confidence"]
    frame, expected = (part.sort_values(order, ignore_index=True) for part in (frame, expected))
    assert frame.class_name.tolist() == expected.class_name.tolist()
    for name in ("class_id", "area_m2", "perim_m", "confidence", "conf_min"):
        np.testing.assert_allclose(frame[name], expected[name], rtol=1e-6)
    np.testing.assert_allclose(frame.area, expected.area, rtol=1e-2 if suffix == ".geojson" else 1e-6)
    distances = shapely.hausdorff_distance(frame.geometry.to_numpy(), expected.geometry.to_numpy())
    assert distances.max() <= {".geojson": 0.02, ".tab": 1e-6}.get(suffix, 0)


@pytest.mark.parametrize("suffix", [suffix for suffix in VECTOR_OUTPUT_SUFFIXES if suffix != ".parquet"])
@pytest.mark.parametrize("crs", [UTM, None])
def test_an_empty_map_in_every_format(tmp_path: Path, suffix: str, crs: CRS | None) -> None:
    assert write(tmp_path / f"map{suffix}", np.full((5, 4), NODATA, dtype=np.uint8), crs=crs) == 0
    layer = "landcover" if suffix == ".gpkg" else None
    assert len(geopandas.read_file(tmp_path / f"map{suffix}", layer=layer)) == 0


def test_formats_that_are_not_known_or_not_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"map\.kml cannot be written: give features a name that ends in \.gpkg, "):
        check_vector_path(tmp_path / "map.kml")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UsageError, match="GeoParquet needs pyarrow; pip install pyarrow"):
        check_vector_path(tmp_path / "map.parquet")


@pytest.mark.parametrize("suffix", [".tab", ".TAB", ".shp", ".SHP", ".sqlite"])
def test_a_dataset_of_several_files_is_staged_and_replaced_whole(tmp_path: Path, suffix: str) -> None:
    path, values = tmp_path / f"map{suffix}", np.ones((2, 2), dtype=np.uint8)
    files: list[set[str]] = []
    for classes in (values, values * 2):
        with staged([path], overwrite=True) as (tmp_path_,):
            write(tmp_path_, classes)
        assert geopandas.read_file(path).class_id.tolist() == classes[0, :1].tolist()
        files.append({file.name for file in tmp_path.iterdir()})
        (tmp_path / "map.ind").write_text("stale")  # an index that MapInfo makes
    assert files[0] == files[1] - {"map.ind"}
    assert ("map.ind" in files[1]) == (suffix.lower() != ".tab"), "it belongs to the MapInfo dataset alone"
    with pytest.raises(OutputError, match=r"is already there; give `overwrite=True`"), staged([path], overwrite=False):
        pass


@pytest.mark.parametrize("code", [32632, 25832, 4326, 31370, 3857, 2154])
def test_mapinfo_takes_a_crs_that_it_can_store(tmp_path: Path, code: int) -> None:
    check_vector_crs(tmp_path / "map.tab", Grid(CRS.from_epsg(code), NORTH_UP, (4, 4)))
    grid = Grid(CRS.from_epsg(code), Affine(1e-4, 0, 11.5, 0, -1e-4, 48.1) if code == 4326 else NORTH_UP, (4, 4))
    check_vector_crs(tmp_path / "map.tab", grid)


@pytest.mark.parametrize("code", [3035, 3413])
def test_mapinfo_refuses_a_crs_that_it_would_change(tmp_path: Path, code: int) -> None:
    grid = Grid(CRS.from_epsg(code), NORTH_UP, (4, 4))
    with pytest.raises(GeoreferencingError, match=r"map\.tab cannot be written: MapInfo cannot store .*; give a name"):
        check_vector_crs(tmp_path / "map.tab", grid)
    check_vector_crs(tmp_path / "map.sqlite", grid)
    assert not list(tmp_path.iterdir())


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


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"cannot write features to .*map\.gpkg"):
        write(tmp_path / "missing" / "map.gpkg", class_map("12"))
