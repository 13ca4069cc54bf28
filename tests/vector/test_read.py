"""Features of all kinds of files: what a file is, which layer counts, texts, formats and impossible coordinates."""

from __future__ import annotations

import logging
import shutil
import struct
from typing import TYPE_CHECKING

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa  # type: ignore[import-untyped]
import pyogrio
import pytest
import rasterio
import shapely
from affine import Affine
from pyarrow import parquet
from rasterio.crs import CRS
from shapely import Polygon, box

from s2fin_cli.core.classes import make_classes
from s2fin_cli.core.errors import AreaError, InputError, LabelError
from s2fin_cli.core.formats import VECTOR_OUTPUT_SUFFIXES
from s2fin_cli.geo.grid import Grid
from s2fin_cli.labels.read import read_labels
from s2fin_cli.labels.rules import LabelRules
from s2fin_cli.raster.class_map import create_class_map
from s2fin_cli.vector.polygons import map_regions, write_polygons
from s2fin_cli.vector.read import read_features
from s2fin_cli.vector.read_area import read_area
from s2fin_cli.vector.write import write_features
from tests.assessment import assess
from tests.files import write_raster, write_vector
from tests.rectangles import ALL, GRID, LEFT, TOP, at, counts, frame

if TYPE_CHECKING:
    from pathlib import Path


#: Two points, by the names of their classes.
KML = """<kml xmlns="http://www.opengis.net/kml/2.2"><Document>
<Placemark><name>a</name><Point><coordinates>9.0004,45.1529</coordinates></Point></Placemark>
<Placemark><name>b</name><Point><coordinates>9.0010,45.1525</coordinates></Point></Placemark>
</Document></kml>"""


def write_envi(path: Path, count: int = 1) -> None:
    """An ENVI image of a few bytes, whose header lies beside every file of the same name."""
    write_raster(path, np.ones((count, 3, 4), np.uint8), driver="ENVI", crs=None, transform=None)


@pytest.mark.parametrize("bands", [1, 7])
@pytest.mark.parametrize("suffix", [".shp", ".geojson", ".gpkg", ".fgb", ".kml", ".parquet", ".csv", ".txt", ".dbf"])
def test_a_header_beside_the_labels_makes_them_no_raster(tmp_path: Path, suffix: str, bands: int) -> None:
    write_envi(tmp_path / "site.img", bands)
    path = tmp_path / f"site{suffix}"
    if suffix in (".csv", ".txt"):
        path.write_text("x,y,class\n500005,4999995,a\n500105,4999995,b\n")
    elif suffix == ".parquet":
        frame(**{"class": ["a", "b"]}).to_parquet(path)
    elif suffix == ".kml":
        path.write_text(KML)
    else:
        made = path.with_suffix(".shp") if suffix == ".dbf" else path
        frame(**{"class": ["a", "b"]}).to_file(made)
    assert counts(read_labels(path, GRID)).keys() == {"a", "b"}
    with pytest.raises(InputError, match="holds 7 bands" if bands == 7 else r"site\.img has no CRS but the image has"):
        read_labels(tmp_path / "site.img", GRID)


def test_an_incomplete_shapefile_beside_a_header_is_refused(tmp_path: Path) -> None:
    frame(land=["a", "b"]).to_file(tmp_path / "site.shp")
    (tmp_path / "site.shx").unlink()
    write_envi(tmp_path / "site.img")
    with pytest.raises(LabelError, match=r"site\.shp cannot be read without its file site\.shx"):
        read_labels(tmp_path / "site.shp", GRID)


def test_rasters_stay_rasters(tmp_path: Path) -> None:
    values = np.kron(np.array([[1, 2]], dtype="uint8"), np.ones((40, 25), dtype="uint8"))
    tif = write_raster(tmp_path / "gt.tif", values)
    for name, driver in (("gt.img", "ENVI"), ("gt.bil", "EHdr"), ("raster.gpkg", "GPKG"), ("gt.png", "PNG")):
        rasterio.shutil.copy(tif, tmp_path / name, driver=driver, **({"WORLDFILE": "YES"} if driver == "PNG" else {}))
    (tmp_path / "gt.vrt").write_text(
        '<VRTDataset rasterXSize="50" rasterYSize="40"><SRS>EPSG:32632</SRS>'
        "<GeoTransform>500000,10,0,5000000,0,-10</GeoTransform>"
        '<VRTRasterBand dataType="Byte" band="1"><SimpleSource><SourceFilename relativeToVRT="1">gt.tif'
        "</SourceFilename></SimpleSource></VRTRasterBand></VRTDataset>"
    )
    for name in ("gt.tif", "gt.img", "gt.bil", "raster.gpkg", "gt.vrt"):
        labels = read_labels(tmp_path / name, GRID)
        assert (labels.kind, counts(labels)) == ("raster", {"1": 1000, "2": 1000}), name


def test_a_virtual_vector_file_is_one(tmp_path: Path) -> None:
    frame(land=["a", "b"]).to_file(tmp_path / "gt.gpkg", layer="gt")
    (tmp_path / "gt.vrt").write_text(
        '<OGRVRTDataSource><OGRVRTLayer name="gt"><SrcDataSource relativeToVRT="1">gt.gpkg</SrcDataSource>'
        "</OGRVRTLayer></OGRVRTDataSource>"
    )
    assert counts(read_labels(tmp_path / "gt.vrt", GRID)) == {"a": 6, "b": 6}


def add_tiles(path: Path) -> None:
    values = np.full((1, *GRID.shape), 5, dtype=np.uint16)  # GDAL makes three bands of bytes
    write_raster(path, values, driver="GPKG", transform=GRID.transform, APPEND_SUBDATASET="YES", RASTER_TABLE="tiles")


def test_a_container_of_features_and_a_raster(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "site.gpkg"
    frame(land=["a", "b"]).to_file(path, layer="gt")
    frame(land=["a"])[:0].to_file(path, layer="scratch")
    add_tiles(path)
    assert counts(read_labels(path, GRID)) == {"a": 6, "b": 6}
    assert "holds a raster and features; the features of its layer 'gt' are read" in caplog.text
    assert counts(read_labels(f"GPKG:{path}:gt", GRID)) == {"a": 6, "b": 6}
    raster = read_labels(f"GPKG:{path}:tiles", GRID)
    assert (raster.kind, counts(raster)) == ("raster", {"5": 2000})
    frame(land=["c", "d"]).to_file(path, layer="more")
    with pytest.raises(LabelError, match=r"holds several layers \(gt, more\) and a raster; choose one .* GPKG:.*LAYER"):
        read_labels(path, GRID)


def test_a_layer_that_is_not_there_is_not_replaced_by_another(tmp_path: Path) -> None:
    path = tmp_path / "site.gpkg"
    frame(land=["a", "b"]).to_file(path, layer="gt")
    with pytest.raises(LabelError, match=r"site\.gpkg:gd names no layer of features; the file's layers are: gt"):
        read_labels(f"GPKG:{path}:gd", GRID)


def test_a_raster_beside_an_empty_layer_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "site.gpkg"
    frame(land=["a"])[:0].to_file(path, layer="scratch")
    add_tiles(path)
    assert read_labels(path, GRID).kind == "raster"


def test_layers_without_features_do_not_count(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "gt.gpkg"
    frame(land=["a"])[:0].to_file(path, layer="scratch")
    frame(land=["a", "b"]).to_file(path, layer="gt")
    with caplog.at_level(logging.INFO):
        assert counts(read_labels(path, GRID)) == {"a": 6, "b": 6}
    assert "layer 'gt' is read; without features: scratch" in caplog.text
    (tmp_path / "gt.gpx").write_text(
        '<gpx version="1.1" creator="t" xmlns="http://www.topografix.com/GPX/1/1">'
        '<wpt lat="45.1529" lon="9.0004"><name>a</name></wpt><wpt lat="45.1525" lon="9.001"><name>b</name></wpt></gpx>'
    )
    assert counts(read_labels(tmp_path / "gt.gpx", GRID)) == {"a": 1, "b": 1}


@pytest.mark.parametrize("suffix", [".shp", ".gpkg", ".geojson", ".fgb", ".parquet"])
@pytest.mark.parametrize(
    "name", ["geometry", "fid", "index", "crs", "count", "self", "columns", "shape", "geom", "values", "T", "class"]
)
def test_fields_whose_names_mean_something_to_the_reader(tmp_path: Path, suffix: str, name: str) -> None:
    if suffix == ".gpkg" and name in ("fid", "geom"):
        pytest.skip("a GeoPackage's own columns")
    path = tmp_path / f"gt{suffix}"
    shapes = [at(0, 0), at(9, 9)]
    if suffix == ".parquet":
        table = pd.DataFrame({name: ["a", "b"]})
        table["shapes"] = gpd.GeoSeries(shapes, crs=GRID.crs)
        gpd.GeoDataFrame(table, geometry="shapes").to_parquet(path)
    else:
        pyogrio.raw.write(
            path, shapely.to_wkb(np.array(shapes)), [np.array(["a", "b"], dtype=object)], [name],
            geometry_type="Polygon", crs="EPSG:32632",
        )  # fmt: skip
    assert counts(read_labels(path, GRID, rules=LabelRules(name))) == {"a": 6, "b": 6}


def test_fields_that_differ_in_case_alone(tmp_path: Path) -> None:
    path = tmp_path / "gt.geojson"
    frame(Class=["a", "b"], **{"class": ["c", "d"]}).to_crs("EPSG:4326").to_file(path)
    assert counts(read_labels(path, GRID, rules=LabelRules("Class"))).keys() == {"a", "b"}
    assert counts(read_labels(path, GRID, rules=LabelRules("class"))).keys() == {"c", "d"}


NAMES = ["Forêt", "Grünland"]


def write_shapefile(path: Path, encoding: str, cpg: str | None, driver_id: int, *, names: list[str]) -> None:
    frame(**{"class": names}).to_file(path, encoding=encoding)
    path.with_suffix(".cpg").unlink(missing_ok=True)
    if cpg is not None:
        path.with_suffix(".cpg").write_text(cpg)
    content = bytearray(path.with_suffix(".dbf").read_bytes())
    content[29] = driver_id
    path.with_suffix(".dbf").write_bytes(content)


@pytest.mark.parametrize(
    ("declared", "names", "message"),
    [
        (("UTF-8", "UTF-8", 0), NAMES, None),
        (("UTF-8", "UTF8\r\n", 0x57), NAMES, None),
        (("UTF-8", None, 0), NAMES, "no encoding of its texts is declared; they are read as utf-8 (such as 'Forêt')"),
        (("UTF-8", None, 0x57), NAMES, "they are read as utf-8"),
        (("UTF-8", None, 0x03), NAMES, "the header of gt.dbf says cp1252, but its texts are not in it"),
        (("UTF-8", "ISO-8859-1", 0), NAMES, "gt.cpg says cp1252, but its texts are not in it; they are read as utf-8"),
        (("cp1252", "UTF-8", 0), NAMES, "gt.cpg says utf-8, but its texts are not in it; they are read as cp1252"),
        (("cp1252", "ANSI 1252", 0), NAMES, None),
        (("cp1252", "88591", 0), NAMES, None),
        (("cp1252", None, 0x03), NAMES, None),
        (("cp1252", None, 0x57), NAMES, None),
        (("cp1252", None, 0), NAMES, "they are read as cp1252 (such as 'Forêt'); if that is wrong, write the name"),
        (("cp1251", None, 0xC9), ["Лес", "Луг"], None),
        (("cp866", None, 0x26), ["Лес", "Луг"], None),
        (("cp936", None, 0x4D), ["林地", "草地"], None),
        (("cp936", "GBK", 0), ["林地", "草地"], None),
        (("cp1251", "no such thing", 0xC9), ["Лес", "Луг"], "gt.cpg names no encoding that is known; it is ignored"),
        (("UTF-8", None, 0), ["forest", "meadow"], None),
    ],
)
def test_texts_of_a_shapefile(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    declared: tuple[str, str | None, int],
    names: list[str],
    message: str | None,
) -> None:
    """By the encoding that the texts are in, the text of the .cpg file and the language driver id."""
    write_shapefile(tmp_path / "gt.shp", *declared, names=names)
    assert counts(read_labels(tmp_path / "gt.shp", GRID)).keys() == set(names)
    assert message in caplog.text if message else not caplog.text


def test_texts_of_a_shapefile_in_an_archive(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for encoding, cpg, names in (
        ("cp1251", "CP1251", ["Лес", "Луг"]),
        ("UTF-8", "UTF-8", NAMES),
        ("UTF-8", None, NAMES),
    ):
        folder = tmp_path / f"{encoding}{cpg}"
        folder.mkdir()
        write_shapefile(folder / "gt.shp", encoding, cpg, 0, names=names)
        archive = shutil.make_archive(str(folder), "zip", folder)
        caplog.clear()
        assert counts(read_labels(archive, GRID)).keys() == set(names)
        assert ("they are read as utf-8" in caplog.text) == (cpg is None)


def test_a_folder_of_shapefiles_is_not_guessed_at(tmp_path: Path) -> None:
    folder = tmp_path / "site"
    folder.mkdir()
    frame(land=["a", "b"]).to_file(folder / "gt.shp")
    assert counts(read_labels(folder, GRID)) == {"a": 6, "b": 6}
    archive = shutil.make_archive(str(folder), "zip", folder)
    assert counts(read_labels(f"/vsizip/{archive}/gt.shp", GRID)) == {"a": 6, "b": 6}
    frame(land=["c", "d"]).to_file(folder / "more.shp")
    with pytest.raises(LabelError, match=r"choose one and give its file, such as .*site/(gt|more)\.shp"):
        read_labels(folder, GRID)
    archive = shutil.make_archive(str(folder), "zip", folder)
    with pytest.raises(LabelError, match=r"give its file, such as /vsizip/.*site\.zip/(gt|more)\.shp"):
        read_labels(archive, GRID)


def test_commands_in_messages_quote_names_with_blanks(tmp_path: Path) -> None:
    path = tmp_path / "my labels.gpkg"
    for layer in ("gt", "more"):
        frame(land=["a", "b"]).to_file(path, layer=layer)
    with pytest.raises(LabelError, match=r"give it as 'GPKG:.*my labels\.gpkg:LAYER'"):
        read_labels(path, GRID)
    wrong = tmp_path / "no degrees.gpkg"
    frame(land=["a", "b"]).set_crs("EPSG:4326", allow_override=True).to_file(wrong)
    with pytest.raises(LabelError, match=r"ogr2ogr -a_srs EPSG:32632 assigned\.gpkg '.*no degrees\.gpkg'"):
        read_labels(wrong, GRID)


def test_a_polygon_round_the_globe_is_no_copy_of_itself(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    globe = Grid(CRS.from_epsg(4326), Affine(10, 0, -180, 0, -10, 90), (18, 36))
    shapes = [box(-180, -60, 180, -20), box(170, 0, 180, 20), shapely.Point(180, 45)]
    gpd.GeoDataFrame({"land": ["a", "b", "c"]}, geometry=shapes, crs="EPSG:4326").iloc[:2].to_file(tmp_path / "gt.gpkg")
    labels = read_labels(tmp_path / "gt.gpkg", globe)
    assert counts(labels) == {"a": 4 * 36, "b": 2}
    assert set(labels.cols[labels.class_ids == 2]) == {35}
    assert not caplog.text
    moved = Grid(globe.crs, Affine(10, 0, 0, 0, -10, 90), globe.shape)
    assert counts(read_labels(tmp_path / "gt.gpkg", moved)) == {"a": 4 * 36, "b": 2}
    gpd.GeoDataFrame({"land": ["c"]}, geometry=shapes[2:], crs="EPSG:4326").to_file(tmp_path / "point.gpkg")
    labels = read_labels(tmp_path / "point.gpkg", globe)
    assert (labels.rows.tolist(), labels.cols.tolist()) == ([4], [0])


def test_a_text_cut_inside_a_character_keeps_the_rest(tmp_path: Path) -> None:
    write_shapefile(tmp_path / "gt.shp", "cp1252", "UTF-8", 0, names=["Wald", "GrÃ"])
    assert counts(read_labels(tmp_path / "gt.shp", GRID)).keys() == {"Wald", "Gr"}


def test_a_file_whose_texts_are_not_utf8_is_refused(tmp_path: Path) -> None:
    frame(land=["a", "b"]).to_crs("EPSG:4326").to_file(tmp_path / "gt.geojson")
    content = (tmp_path / "gt.geojson").read_bytes().replace(b'"a"', b'"For\xeat"')
    (tmp_path / "gt.geojson").write_bytes(content)
    with pytest.raises(LabelError, match=r"gt\.geojson holds text that is not .* save it as UTF-8"):
        read_labels(tmp_path / "gt.geojson", GRID)


@pytest.mark.parametrize("suffix", VECTOR_OUTPUT_SUFFIXES)
def test_what_is_written_can_be_read_in_every_use(tmp_path: Path, suffix: str) -> None:
    """A sample with its class filled in, and a map's polygons: as labels, as reference and as area of interest."""
    values = np.array([[1, 2], [2, 7]], dtype=np.uint8).repeat(20, axis=0).repeat(25, axis=1)
    confidence = np.ones(GRID.shape, dtype=np.float32)
    classes = make_classes({1: "forest", 2: "Grünland", 7: "water"})
    with create_class_map(tmp_path / "map.tif", GRID, classes) as writer:
        writer.write(values[None], ALL)
    polygons, sample = tmp_path / f"polygons{suffix}", tmp_path / f"sample{suffix}"
    regions = map_regions([(values, confidence)], GRID, nodata=0)
    write_polygons(polygons, regions, grid=GRID, classes=classes)
    labels = read_labels(polygons, GRID)
    assert counts(labels) == {"forest": 500, "Grünland": 1000, "water": 500}
    assert (labels.class_ids == values[labels.rows, labels.cols]).all()
    assert assess(tmp_path / "map.tif", polygons).overall_accuracy == 1
    area = read_area(GRID, src_path=polygons)
    assert area is not None
    assert area.mask(ALL).all()
    rows, cols = np.array([3, 25, 30]), np.array([40, 3, 49])
    points = shapely.points(LEFT + 10 * cols + 5, TOP - 10 * rows - 5)
    empty = gpd.GeoDataFrame(
        {"id": [1, 2, 3], "class": pd.Series([None] * 3, dtype=object)}, geometry=points, crs=GRID.crs
    )
    write_features(sample, empty, layer="sample")
    with pytest.raises(LabelError, match="field 'class' is empty in every feature; fill it in"):
        read_labels(sample, GRID)
    filled = read_features(sample, error=LabelError).to_crs(GRID.crs)
    filled["class"] = filled["id"].map({1: "Grünland", 2: "Grünland", 3: "water"})
    write_features(sample, filled, layer="sample")
    labels = read_labels(sample, GRID)
    assert (labels.rows.tolist(), labels.cols.tolist()) == (rows.tolist(), cols.tolist())
    assert assess(tmp_path / "map.tif", sample).overall_accuracy == 1
    with pytest.raises(AreaError, match="holds Point; give polygons"):
        read_area(GRID, src_path=sample)


def test_parquet_of_other_writers(tmp_path: Path) -> None:
    categories = frame(kind=["a", "b", "a"]).astype({"kind": "category"})
    categories.to_parquet(tmp_path / "categories.parquet")
    assert counts(read_labels(tmp_path / "categories.parquet", GRID)) == {"a": 12, "b": 6}
    frame(kind=["a", "b"], size=[1.5, 2.5]).set_index("kind").to_parquet(tmp_path / "index.geoparquet")
    assert counts(read_labels(tmp_path / "index.geoparquet", GRID)) == {"a": 6, "b": 6}
    pd.DataFrame({"x": [LEFT + 5], "y": [TOP - 5], "kind": ["a"]}).to_parquet(tmp_path / "table.parquet")
    assert counts(read_labels(tmp_path / "table.parquet", GRID)) == {"a": 1}
    (tmp_path / "damaged.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(LabelError, match=r"damaged\.parquet is not a vector file or a raster"):
        read_labels(tmp_path / "damaged.parquet", GRID)


def test_parquet_without_what_reads_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frame(land=["a"]).to_parquet(tmp_path / "gt.parquet")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(LabelError, match=r"gt\.parquet cannot be read: Parquet needs pyarrow; pip install 's2fin\[par"):
        read_labels(tmp_path / "gt.parquet", GRID)


@pytest.mark.parametrize(("name", "crs"), [("gt.geojson", None), ("gt.gpkg", "EPSG:4258"), ("gt.shp", "EPSG:4326")])
def test_coordinates_that_are_no_degrees_are_refused(tmp_path: Path, name: str, crs: str | None) -> None:
    path = tmp_path / name
    if crs is None:
        write_vector(path, [at(0, 0)], crs="EPSG:4326", land=["a"])
        text = path.read_text()
        start = text.index('"crs"')
        path.write_text(text[:start] + text[text.index('"features"') :])
    else:
        write_vector(path, [at(0, 0)], crs=crs, land=["a"])
    message = r"degrees\), but has coordinates such as 500030, 4999980, .* ogr2ogr -a_srs EPSG:32632 assigned\.gpkg"
    with pytest.raises(LabelError, match=message):
        read_labels(path, GRID)
    with pytest.raises(AreaError, match=message):
        read_area(GRID, src_path=path)


def test_longitudes_up_to_360_are_degrees(tmp_path: Path) -> None:
    path = write_vector(tmp_path / "gt.gpkg", [box(369 - 9.5, -90, 360, 90)], crs="EPSG:4326", land=["a"])
    assert len(read_features(path, error=LabelError)) == 1


def unclosed(shape: Polygon) -> bytes:
    """A polygon as well-known binary whose ring lacks its last point."""
    points = shapely.get_coordinates(shape)[:-1]
    return struct.pack("<BIII", 1, 3, 1, len(points)) + bytes(points.astype("<f8").data)


@pytest.mark.parametrize("suffix", [".gpkg", ".parquet"])
def test_a_broken_ring_is_named_and_closed(tmp_path: Path, caplog: pytest.LogCaptureFixture, suffix: str) -> None:
    path, shapes = tmp_path / f"gt{suffix}", frame(land=["a", "b", "c"])
    binary = [shapely.to_wkb(at(0, 0)), unclosed(at(9, 9)), struct.pack("<BIII2d", 1, 3, 1, 1, LEFT, TOP)]
    if suffix == ".parquet":
        shapes.to_parquet(path)
        table = parquet.read_table(path)
        place = table.schema.get_field_index("geometry")
        broken = table.set_column(place, table.schema.field("geometry"), pa.array(binary))
        parquet.write_table(broken.replace_schema_metadata(table.schema.metadata), path)
    else:
        pyogrio.raw.write(
            path, np.array(binary, dtype=object), [np.array(["a", "b", "c"], dtype=object)], ["land"],
            geometry_type="Polygon", crs="EPSG:32632",
        )  # fmt: skip
    assert counts(read_labels(path, GRID)) == {"a": 6, "b": 6}
    first = 0 if suffix == ".parquet" else 1
    assert f"the geometry of feature {first + 1} (FID) is broken" in caplog.text
    assert f"feature {first + 1} (FID): rings closed; 6 pixels of the image are inside" in caplog.text
    assert f"the geometry of feature {first + 2} (FID) is broken beyond repair; it is skipped" in caplog.text


def test_features_with_coordinates_that_are_no_numbers_are_skipped(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    holed = Polygon([(LEFT, TOP), (np.inf, TOP - 40), (LEFT + 60, TOP)])
    path = write_vector(tmp_path / "gt.gpkg", [holed, at(9, 9)], land=["a", "b"])
    assert counts(read_labels(path, GRID)) == {"b": 6}
    assert "skipped features 1 (FID), which have coordinates that are not numbers" in caplog.text


def test_curves_are_made_of_short_lines(tmp_path: Path) -> None:
    (tmp_path / "gt.csv").write_text(
        'WKT,land\n"CURVEPOLYGON(CIRCULARSTRING(500100 4999900,500150 4999950,500200 4999900,500150 4999850,'
        '500100 4999900))",a\n'
    )
    virtual = (
        '<OGRVRTDataSource><OGRVRTLayer name="gt"><SrcDataSource relativeToVRT="1">gt.csv</SrcDataSource>'
        "<GeometryType>wkbUnknown</GeometryType><LayerSRS>EPSG:32632</LayerSRS>"
        '<GeometryField encoding="WKT" field="WKT"/></OGRVRTLayer></OGRVRTDataSource>'
    )
    (tmp_path / "gt.vrt").write_text(virtual)
    circle = np.hypot(*np.meshgrid(np.arange(-45, 50, 10), np.arange(-45, 50, 10))) < 50
    assert counts(read_labels(tmp_path / "gt.vrt", GRID, rules=LabelRules("land"))) == {"a": circle.sum()}


@pytest.mark.parametrize(
    "surface",
    [
        "TIN Z(((500000 4999900 1,500100 4999900 2,500100 4999800 3,500000 4999900 1)),"
        "((500000 4999900 1,500100 4999800 3,500000 4999800 9,500000 4999900 1)))",
        "POLYHEDRALSURFACE Z(((500000 4999900 1,500100 4999900 2,500100 4999800 3,500000 4999800 9,500000 4999900 1)),"
        "((500000 4999900 1,500100 4999900 2,500100 4999900 9,500000 4999900 9,500000 4999900 1)))",
    ],
    ids=["triangles", "a roof and a wall"],
)
def test_a_surface_covers_what_it_does_from_above(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, surface: str
) -> None:
    (tmp_path / "gt.csv").write_text(f'WKT,land\n"{at(30, 30).wkt}",b\n"{surface}",a\n')
    (tmp_path / "gt.vrt").write_text(
        '<OGRVRTDataSource><OGRVRTLayer name="gt"><SrcDataSource relativeToVRT="1">gt.csv</SrcDataSource>'
        "<GeometryType>wkbUnknown</GeometryType><LayerSRS>EPSG:32632</LayerSRS>"
        '<GeometryField encoding="WKT" field="WKT"/></OGRVRTLayer></OGRVRTDataSource>'
    )
    assert counts(read_labels(tmp_path / "gt.vrt", GRID, rules=LabelRules("land"))) == {"a": 100, "b": 6}
    assert "not valid" not in caplog.text


def test_heights_that_are_no_numbers_do_no_harm(tmp_path: Path) -> None:
    degrees = gpd.GeoSeries([at(0, 0), at(9, 9)], crs=GRID.crs).to_crs(4326)
    high = [shapely.Polygon([(x, y, np.nan) for x, y in shape.exterior.coords]) for shape in degrees]
    path = write_vector(tmp_path / "gt.gpkg", high, land=["a", "b"], crs="EPSG:4326")
    assert counts(read_labels(path, GRID)) == {"a": 6, "b": 6}
    points = [shapely.Point(*shape.centroid.coords[0], np.nan) for shape in degrees]
    path = write_vector(tmp_path / "points.gpkg", points, land=["a", "b"], crs="EPSG:4326")
    assert counts(read_labels(path, GRID)) == {"a": 1, "b": 1}


def test_coordinates_beyond_everything_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    spike = Polygon([(LEFT, TOP), (1e308, TOP - 40), (LEFT + 60, TOP)])
    path = write_vector(tmp_path / "gt.gpkg", [spike, at(9, 9), spike], land=["a", "b", "b"])
    assert counts(read_labels(path, GRID)) == {"b": 6}
    assert "skipped features 1, 3 (FID), which have impossible coordinates, beyond 1e+09" in caplog.text
    assert "classes of the features that are skipped for their geometry: a (1), b (1)" in caplog.text


def test_the_feature_that_is_of_another_kind_is_named(tmp_path: Path) -> None:
    shapes = [at(0, 0), at(5, 0), at(9, 9).centroid]
    path = write_vector(tmp_path / "gt.gpkg", shapes, land=["a", "b", "c"])
    for read in (lambda: read_labels(path, GRID), lambda: read_area(GRID, src_path=path)):
        with pytest.raises(InputError, match=r"\(Polygon: 2 features; Point: 3 \(FID\)\)"):
            read()
