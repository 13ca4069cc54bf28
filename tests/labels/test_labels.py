"""Labels: which field holds the class, which pixels a feature holds, and label rasters."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import pytest
import shapely
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Transformer
from rasterio.crs import CRS
from rasterio.features import geometry_mask
from rasterio.windows import Window
from shapely import GeometryCollection, LineString, MultiPoint, MultiPolygon, Point, Polygon, box

from s2fin_cli.core.classes import LandCoverClass, make_classes, map_encoding, read_class_table
from s2fin_cli.core.errors import GeoreferencingError, LabelError, RasterError
from s2fin_cli.geo.grid import Grid
from s2fin_cli.labels.burning import PolygonBurner, Rings, burn
from s2fin_cli.labels.classfield import class_field
from s2fin_cli.labels.limits import Limits
from s2fin_cli.labels.numbering import number_classes
from s2fin_cli.labels.pixels import LabelledPixels, joined
from s2fin_cli.labels.read import open_labels, read_labels
from s2fin_cli.labels.rules import LabelRules
from s2fin_cli.raster.classmap import create_class_map
from s2fin_cli.raster.info import read_info
from s2fin_cli.vector.texts import is_text
from tests.files import write_raster, write_vector

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


LEFT, TOP = 500_000, 5_000_000
GRID = Grid(CRS.from_epsg(32632), Affine(10, 0, LEFT, 0, -10, TOP), (40, 50))
SOUTH_UP = Grid(GRID.crs, Affine(10, 0, LEFT, 0, 10, TOP - 400), (40, 50))


def at(col: float, row: float, width: float = 3, height: float = 2) -> Polygon:
    """A rectangle in pixels of the grid."""
    return box(LEFT + 10 * col, TOP - 10 * (row + height), LEFT + 10 * (col + width), TOP - 10 * row)


def point(col: float, row: float) -> Point:
    return Point(LEFT + 10 * col, TOP - 10 * row)


def counts(labels: LabelledPixels) -> dict[str, int]:
    return {c.name: labels.counts()[c.id] for c in labels.classes}


def pixels(labels: LabelledPixels) -> set[tuple[int, int, int]]:
    return set(zip(labels.rows.tolist(), labels.cols.tolist(), labels.class_ids.tolist(), strict=True))


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


@pytest.mark.parametrize(
    ("values", "names"),
    [
        pytest.param(["b ", "a", " b"], {1: "a", 2: "b"}, id="text"),
        pytest.param([30, 4, 30], {4: "4", 30: "30"}, id="integers"),
        pytest.param([30.0, 4.0, 30.0], {4: "4", 30: "30"}, id="whole floats"),
        pytest.param([0, 300, 0], {0: "0", 300: "300"}, id="zero and more than a byte"),
    ],
)
@pytest.mark.parametrize("suffix", [".gpkg", ".shp", ".geojson"])
def test_kinds_of_classes(
    tmp_path: Path,
    suffix: str,
    values: list[Any],
    names: dict[int, str],
) -> None:
    path = write_vector(tmp_path / f"gt{suffix}", [at(0, 0), at(10, 0), at(20, 0)], kind=values)
    labels = read_labels(path, GRID)
    assert {c.id: c.name for c in labels.classes} == names
    assert sorted(labels.counts().values()) == [6, 12]
    assert labels.ids_are_given == (values[1] != "a")


def test_a_number_and_a_name_of_the_same_classes(tmp_path: Path) -> None:
    path = write_vector(
        tmp_path / "gt.gpkg", [at(0, 0), at(9, 0), at(19, 0)], code=[12, 5, 12], kind=["sea", "sand", "sea"]
    )
    assert [(c.id, c.name) for c in read_labels(path, GRID).classes] == [(5, "sand"), (12, "sea")]
    assert [(c.id, c.name) for c in read_labels(path, GRID, LabelRules("kind")).classes] == [(1, "sand"), (2, "sea")]


@pytest.mark.parametrize(
    ("numbers", "names"),
    [
        ("LULC_ID", "LULC_NAME"), ("Classvalue", "Classname"), ("class", "class_name"), ("class_id", "class"),
        ("id_clase", "nom_clase"), ("MC_ID", "MC_info"), ("lcCode", "lcName"), ("klasse_nr", "klasse"),
        ("code", "label"), ("value", "name_de"), ("gridcode", "landcover"), ("NUTZART_NR", "NUTZART_TEXT"),
    ],
)  # fmt: skip
def test_fields_that_name_the_classes(numbers: str, names: str) -> None:
    """Beside another text that fits the classes as well."""
    fields: dict[str, list[Any]] = {
        "surveyor": ["Ann", "Bob", "Ann", "Cid"],
        numbers: [12, 5, 12, 7],
        names: ["sea", "sand", "sea", None],
    }
    _, class_ids, found = number_classes(frame(**fields), numbers, "gt.shp")
    assert class_ids.tolist() == [12, 5, 12, 7]
    assert found == {12: "sea", 5: "sand", 7: "7"}


@pytest.mark.parametrize(
    "fields",
    [
        {"remark": [None, None, "maybe", None]},
        {"remark": ["a", "b", "a", "c"]},
        {"surveyor": ["Ann", "Bob", "Ann", "Cid"]},
        {"date": ["2021-05-01", "2021-05-02", "2021-05-01", "2021-05-03"]},
        {"class_name": ["sea", "sand", None, "mud"]},
        {"class_name": ["sea", "sand", "sea", "sand"]},
        {"class_name": ["sea", "sand", "mud", "rock"]},
    ],
)
def test_what_is_no_name_of_a_class(fields: dict[str, list[Any]]) -> None:
    _, _, found = number_classes(frame(**{"class": [12, 5, 12, 7]}, **fields), "class", "gt.shp")
    assert found == {5: "5", 7: "7", 12: "12"}


def test_names_that_do_not_fit_are_reported(caplog: pytest.LogCaptureFixture) -> None:
    number_classes(frame(lulc_id=[1, 1, 2], lulc_name=["sea", "See", "sand"]), "lulc_id", "gt.shp")
    assert "gt.shp: field 'lulc_name' is not used for the classes' names" in caplog.text


def test_a_usual_name_comes_before_others() -> None:
    fields: dict[str, list[Any]] = {
        "surveyor": ["Ann", "Bob", "Ann"],
        "class": [1, 2, 1],
        "class_name": ["a", "b", "a"],
    }
    assert class_field(frame(**fields), "gt.shp", label_field=None) == "class"
    assert class_field(frame(clase=["a", "b", "a"], autor=["x", "y", "y"]), "gt.shp", label_field=None) == "clase"


def test_blanks_around_names_make_no_other_class(tmp_path: Path) -> None:
    shapes = [at(0, 0), at(9, 0), at(19, 0)]
    path = write_vector(tmp_path / "gt.gpkg", shapes, code=[1, 2, 2], kind=["Road", "Road ", "Road"])
    assert [c.name for c in read_labels(path, GRID, LabelRules("code")).classes] == ["1", "2"]
    path = write_vector(tmp_path / "pair.gpkg", shapes, code=[1, 1, 2], kind=["Road", " Road ", "Sea"])
    assert [c.name for c in read_labels(path, GRID, LabelRules("code")).classes] == ["Road", "Sea"]


def test_alphabetical_order_does_not_part_capitals(tmp_path: Path) -> None:
    path = write_vector(tmp_path / "gt.gpkg", [at(3 * i, 0) for i in range(4)], land=["b", "C", "a", "A"])
    assert [c.name for c in read_labels(path, GRID).classes] == ["A", "a", "b", "C"]


def test_names_that_differ_in_case_alone_are_told_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    shapes = [at(0, 0), at(9, 9), at(19, 19)]
    path = write_vector(tmp_path / "gt.gpkg", shapes, land=["forest", "water", "Forest"])
    assert counts(read_labels(path, GRID)) == {"Forest": 6, "forest": 6, "water": 6}
    assert "'Forest' and 'forest' are taken for two classes; if they are one, mend the names" in caplog.text


def test_text_with_missing_values_is_text() -> None:
    assert is_text(pd.Series(["a", None, np.nan], dtype=object))
    assert not is_text(pd.Series([1, None], dtype=object))


def test_names_that_do_not_fit_the_numbers_are_no_pair(tmp_path: Path) -> None:
    path = write_vector(
        tmp_path / "gt.gpkg", [at(0, 0), at(9, 0), at(19, 0)], code=[1, 2, 2], kind=["sea", "sea", "sand"]
    )
    with pytest.raises(LabelError, match=r"gt\.gpkg: which field .* could be any of code, kind; .*`label_field`"):
        read_labels(path, GRID)
    assert [c.name for c in read_labels(path, GRID, LabelRules("code")).classes] == ["1", "2"]


def frame(**fields: list[Any]) -> gpd.GeoDataFrame:
    size = len(next(iter(fields.values())))
    return gpd.GeoDataFrame(fields, geometry=[at(3 * i, 0) for i in range(size)], crs=GRID.crs)


@pytest.mark.parametrize(
    ("fields", "chosen"),
    [
        ({"fid": [1, 2, 3], "land": ["a", "b", "a"]}, "land"),
        ({"area": [1.5, 2.5, 3.5], "land": ["a", "b", "a"]}, "land"),
        ({"Class": ["a", "b", "a"], "note": ["x", "y", "y"]}, "Class"),
        ({"who": ["me", "me", "me"], "land": ["a", "b", "a"]}, "land"),
        ({"name": ["p1", "p2", "p3"], "land": ["a", "b", "a"]}, "land"),
        ({"empty": [None, None, None], "land": ["a", "b", "a"]}, "land"),
        ({"blank": ["", " ", ""], "land": ["a", "b", "c"]}, "land"),
        ({"checked": [True, False, True], "land": ["a", "b", "a"]}, "land"),
        ({"land": ["a", "a", "a"]}, "land"),
        ({"class": ["a", "b", "c"], "surveyor": ["x", "y", "y"]}, "class"),
        ({"class": [4, 2, 3], "remark": ["sure", "sure", None]}, "class"),
        ({"class": ["a", "a", "a"], "land": ["a", "b", "a"]}, "land"),
        ({"class": [1, 2, 3], "landcover": ["a", "b", "a"]}, "landcover"),
        ({"Name": ["a", "b", "c"], "tessellate": [-1, -1, -1], "visibility": [-1, -1, -1]}, "Name"),
    ],
)
def test_the_only_field_that_can_be_it(fields: dict[str, list[Any]], chosen: str) -> None:
    assert class_field(frame(**fields), "gt.shp", label_field=None) == chosen


@pytest.mark.parametrize(
    ("fields", "label_field", "message"),
    [
        ({"a": [1, 2, 2], "b": ["x", "x", "y"]}, None, "could be any of a, b; name it with `label_field`"),
        ({"area": [1.5, 2.5, 2.5]}, None, "it is none of area; name it with `label_field`"),
        ({"a": [1, 2, 2]}, "b", "has no field 'b'; its fields are: a"),
        ({"area": [1.5, 2.5, 2.5]}, "area", "field 'area' holds neither text nor whole numbers but 1.5; name another"),
        ({"seen": [True, True, False]}, "seen", "field 'seen' holds neither text nor whole numbers but True"),
        ({"land": [None, "", " "]}, "land", "field 'land' is empty in every feature; fill it in"),
        ({"id": [1, 2, 3], "class": [None, None, None]}, None, "field 'class' is empty in every feature; fill it in"),
    ],
)
def test_an_unclear_field(fields: dict[str, list[Any]], label_field: str | None, message: str) -> None:
    with pytest.raises(LabelError, match=rf"gt\.shp.*{message}"):
        class_field(frame(**fields), "gt.shp", label_field=label_field)


def test_no_field_at_all(tmp_path: Path) -> None:
    path = write_vector(tmp_path / "gt.gpkg", [at(0, 0)])
    with pytest.raises(LabelError, match="has no attribute fields; add a text field"):
        read_labels(path, GRID)


def test_features_without_a_class_or_a_geometry_are_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    shapes = [at(0, 0), at(9, 0), at(19, 0), None, Polygon(), at(29, 0)]
    path = write_vector(tmp_path / "gt.gpkg", shapes, land=["a", None, " ", "a", "b", "b"])
    with caplog.at_level(logging.WARNING):
        labels = read_labels(path, GRID)
    assert counts(labels) == {"a": 6, "b": 6}
    assert "2 features without a geometry are left out" in caplog.text
    assert "2 features whose 'land' is empty are left out" in caplog.text


def test_numbers_with_gaps(tmp_path: Path) -> None:
    path = write_vector(tmp_path / "gt.gpkg", [at(0, 0), at(9, 0), at(19, 0)], code=[3.0, None, 8.0])
    assert counts(read_labels(path, GRID)) == {"3": 6, "8": 6}


def test_a_field_that_is_empty_throughout(tmp_path: Path) -> None:
    path = write_vector(tmp_path / "gt.gpkg", [at(0, 0), at(9, 0)], land=["", " "])
    with pytest.raises(LabelError, match="field 'land' is empty in every feature"):
        read_labels(path, GRID, LabelRules("land"))


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
    with pytest.raises(LabelError, match=r"holds several layers \(spring, autumn\); choose one, and give it as GPKG:"):
        read_labels(path, GRID)


def test_mixtures_are_refused(tmp_path: Path) -> None:
    path = write_vector(tmp_path / "gt.geojson", [at(0, 0), point(3, 3)], land=["a", "b"])
    with pytest.raises(LabelError, match="holds Point, Polygon; give a layer of polygons, of lines or of points alone"):
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
    wide = read_labels(path, GRID, LabelRules(buffer=15.0))
    assert {row for row, _, class_id in pixels(wide) if class_id == 1} == {2, 3, 4}
    assert {row for row, _, class_id in pixels(wide) if class_id == 2} == {9, 10, 11}


def test_points_with_a_buffer_are_circles(tmp_path: Path) -> None:
    path = write_vector(tmp_path / "gt.gpkg", [point(5.5, 5.5), point(20.5, 20.5)], land=["a", "b"])
    labels = read_labels(path, GRID, LabelRules(buffer=11.0))
    cross = {(5, 5), (4, 5), (6, 5), (5, 4), (5, 6)}
    assert {(row, col) for row, col, class_id in pixels(labels) if class_id == 1} == cross
    polygons = write_vector(tmp_path / "polygons.gpkg", [at(0, 0), at(9, 9)], land=["a", "b"])
    with pytest.raises(LabelError, match="a buffer is for points and lines"):
        read_labels(polygons, GRID, LabelRules(buffer=11.0))


@pytest.mark.parametrize(("rule", "columns"), [("first", {4, 5}), ("last", {2, 3, 4, 5})])
def test_a_rule_for_pixels_that_different_classes_claim(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, rule: str, columns: set[int]
) -> None:
    path = write_vector(tmp_path / "gt.gpkg", [at(0, 0, 4, 1), at(2, 0, 4, 1)], land=["a", "b"])
    labels = read_labels(path, GRID, LabelRules(on_conflict=rule))
    assert {entry for entry in pixels(labels) if entry[2] == 2} == {(0, col, 2) for col in columns}
    assert len(labels) == 6
    assert f"2 pixels that different classes claim are given to the {rule} feature (a, b)" in caplog.text
    with pytest.raises(LabelError, match=r"different classes claim 2 pixels \(a, b\); mend the features that overlap"):
        read_labels(path, GRID, LabelRules(on_conflict="error"))
    apart = write_vector(tmp_path / "apart.gpkg", [at(0, 0), at(9, 0)], land=["a", "b"])
    assert len(read_labels(apart, GRID, LabelRules(on_conflict="error"))) == 12


def write_table(path: Path, text: str) -> tuple[LandCoverClass, ...]:
    path.write_text(text, encoding="utf-8")
    return read_class_table(path)


def test_a_class_table_numbers_names_and_colours(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    table = write_table(
        tmp_path / "t.csv", '\ufeffid,Name,color\n30, Forêt ,#1e6e32\n10,"Water, deep",\n20,Road,#010203\n'
    )
    assert [(c.id, c.name) for c in table] == [(10, "Water, deep"), (20, "Road"), (30, "Forêt")]
    assert [c.color for c in table[1:]] == [(1, 2, 3), (30, 110, 50)]
    shapes = [at(0, 0), at(9, 0), at(18, 0), at(27, 0)]
    path = write_vector(tmp_path / "gt.gpkg", shapes, land=["forêt", "Road ", "swamp", None])
    labels = read_labels(path, GRID, LabelRules(classes=table))
    assert labels.counts() == {20: 6, 30: 6}
    assert labels.classes == table[1:]
    assert "1 features of classes that the class table does not have are left out: swamp" in caplog.text
    assert "1 features whose 'land' is empty are left out" in caplog.text
    numbers = write_vector(tmp_path / "numbers.gpkg", shapes, code=[10, 20, 99, 20])
    labels = read_labels(numbers, GRID, LabelRules(classes=table))
    assert labels.counts() == {10: 6, 20: 12}
    assert "left out: 99" in caplog.text
    with pytest.raises(LabelError, match=r"no class in field 'land' is in the class table \(x\)"):
        read_labels(path, GRID, LabelRules(classes=write_table(tmp_path / "x.csv", "id;name\n1;x\n")))


def test_a_class_table_names_the_numbers_of_a_raster(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    values = np.zeros((40, 50), np.uint8)
    values[0, :3], values[1, :4], values[2, :5] = 1, 2, 3
    path = write_raster(tmp_path / "gt.tif", values)
    table = write_table(tmp_path / "t.csv", "id,name\n1,sea\n2,reef\n9,sand")
    labels = read_labels(path, GRID, LabelRules(classes=table))
    assert counts(labels) == {"sea": 3, "reef": 4}
    assert "5 pixels of classes that the class table does not have are left out: 3" in caplog.text
    with pytest.raises(LabelError, match="none of its classes is in the class table"):
        read_labels(path, GRID, LabelRules(classes=table[2:]))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("number,name\n1,a\n", "has no columns id and name but number, name"),
        ("", "has no columns id and name but nothing"),
        ("id,name\n", "holds no classes"),
        ("id,name\n1,a\nx,b\n", "line 3: id is 'x' and name 'b'; give a whole number and a name"),
        ("id,name\n1,\n", "line 2: id is '1' and name ''"),
        ("id,name\n1\n", "line 2: id is '1' and name ''"),
        ("id,name,color\n1,a,red\n", "line 2: color is 'red'; write it as #rrggbb"),
        ("id,name\n1,a\n1,b\n", "line 3: class 1 'b' is there twice"),
        ("id,name\n1,a\n2,A\n", "line 3: class 2 'A' is there twice"),
        ("id,name\n70000,a\n", "line 2: id is 70000; number classes from 0 to 65535"),
    ],
)
def test_a_class_table_that_makes_no_sense(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(LabelError) as caught:
        write_table(tmp_path / "t.csv", text)
    assert message in str(caught.value)


def test_a_class_table_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(LabelError, match=r"the class table .*none\.csv does not exist; check the path"):
        read_class_table(tmp_path / "none.csv")
    (tmp_path / "latin.csv").write_bytes("id,name\n1,Forêt".encode("latin-1"))
    with pytest.raises(LabelError, match="give a CSV file in UTF-8"):
        read_class_table(tmp_path / "latin.csv")


def test_a_map_of_ours_as_labels_has_its_names(tmp_path: Path) -> None:
    classes = make_classes({4: "sea", 7: "reef"})
    with create_class_map(tmp_path / "map.tif", GRID, classes, tags={}) as writer:
        writer.write(np.where(np.arange(2000).reshape(1, 40, 50) < 5, 7, 4).astype("uint8"), GRID.window)
    assert counts(read_labels(tmp_path / "map.tif", GRID)) == {"sea": 1995, "reef": 5}


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
    with pytest.raises(GeoreferencingError, match="the image's pixels have a CRS but the labels have none"):
        read_labels(path, GRID)
    bare = Grid(None, GRID.transform, GRID.shape)
    assert counts(read_labels(path, bare)) == {"a": 6}
    assert "its coordinates are taken to be the image's" in caplog.text
    with_crs = write_vector(tmp_path / "gt.gpkg", [at(0, 0)], land=["a"])
    with pytest.raises(GeoreferencingError, match="the labels have a CRS but the image's pixels have none"):
        read_labels(with_crs, bare)


def test_pixels_that_different_classes_claim_are_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    shapes = [at(0, 0, 4, 1), at(2, 0, 4, 1), at(1, 0, 1, 1)]
    path = write_vector(tmp_path / "gt.gpkg", shapes, land=["a", "b", "a"])
    labels = read_labels(path, GRID)
    assert pixels(labels) == {(0, 0, 1), (0, 1, 1), (0, 4, 2), (0, 5, 2)}
    assert "2 pixels that different classes claim are left out" in caplog.text
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
    rows, cols, groups = PolygonBurner(geometries, grid).burn(0, grid.height)
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


BOW_TIE = Polygon([(LEFT, TOP), (LEFT + 60, TOP - 40), (LEFT + 60, TOP), (LEFT, TOP - 40)])
#: A ring that covers 4 pixels twice, which an even-odd rule leaves out.
TWICE = Polygon(
    [(LEFT + 10 * x, TOP - 10 * y) for x, y in [(0, 0), (10, 0), (10, 6), (4, 6), (4, 2), (6, 2), (6, 8), (0, 8)]]
)


@pytest.mark.parametrize(
    "case",
    [
        pytest.param((BOW_TIE, None), id="bow tie"),
        pytest.param((TWICE, [at(0, 0, 6, 8), at(4, 2, 6, 4), at(0, 0, 10, 2)]), id="ring over itself"),
        pytest.param((MultiPolygon([at(0, 0, 4, 4), at(2, 2, 4, 4)]), [at(0, 0, 4, 4), at(2, 2, 4, 4)]), id="parts"),
        pytest.param((MultiPolygon([at(0, 0, 4, 4), at(4, 0, 4, 4)]), [at(0, 0, 8, 4)]), id="parts side by side"),
        pytest.param(
            (
                Polygon(at(0, 0, 9, 9).exterior, [at(1, 1, 4, 4).exterior, at(3, 3, 4, 4).exterior]),
                [at(0, 0, 9, 9) - at(1, 1, 4, 4) - at(3, 3, 4, 4)],
            ),
            id="holes",
        ),
    ],
)
def test_no_part_of_an_invalid_polygon_is_lost(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    case: tuple[Any, list[Polygon] | None],
) -> None:
    """The pixels of a polygon that overlaps itself are those of the union of what its rings enclose.

    A case is the shape, and polygons that make its union.
    """
    shape, parts = case
    path = write_vector(tmp_path / "gt.gpkg", [at(20, 20), shape], land=["a", "b"])
    labels = read_labels(path, GRID)
    xs, ys = GRID.transform * (np.meshgrid(np.arange(50) + 0.5, np.arange(40) + 0.5))
    wanted = shapely.contains_xy(shapely.union_all(parts or list(shapely.make_valid(shape).geoms)), xs, ys)
    assert {(row, col) for row, col, class_id in pixels(labels) if class_id == 2} == set(
        zip(*np.nonzero(wanted), strict=True)
    )
    plain = geometry_mask([shape], GRID.shape, GRID.transform, invert=True)
    change = f"gain {(wanted & ~plain).sum()} and lose {(plain & ~wanted).sum()} pixels of the image"
    assert "feature 2 (FID): not valid as polygons" in caplog.text
    assert change in caplog.text


def test_collections_give_their_polygons(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    pure = GeometryCollection([at(0, 0), GeometryCollection([at(9, 0)])])
    mixed = GeometryCollection([at(20, 20), LineString([(LEFT, TOP), (LEFT + 50, TOP)])])
    path = write_vector(tmp_path / "gt.gpkg", [pure, mixed, at(30, 30)], land=["a", "b", "b"])
    labels = read_labels(path, GRID)
    assert (labels.kind, counts(labels)) == ("polygons", {"a": 12, "b": 12})
    assert "the collections of feature 2 (FID) hold lines or points too, which are left out" in caplog.text


def test_a_polygon_without_area_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    flat = Polygon([(LEFT, TOP), (LEFT + 50, TOP - 50), (LEFT, TOP)])
    path = write_vector(tmp_path / "gt.gpkg", [flat, at(9, 9)], land=["a", "b"])
    assert counts(read_labels(path, GRID)) == {"b": 6}
    assert "feature 1 (FID): without any area; skipped" in caplog.text


def test_a_south_up_grid_gives_the_flipped_result(tmp_path: Path) -> None:
    shapes = [at(0.2, 0.3, 5, 7), at(20, 31.4, 9.1, 30)]
    path = write_vector(tmp_path / "gt.gpkg", shapes, land=["a", "b"])
    flipped = {(39 - row, col, class_id) for row, col, class_id in pixels(read_labels(path, GRID))}
    assert pixels(read_labels(path, SOUTH_UP)) == flipped
    dots = write_vector(tmp_path / "dots.gpkg", [point(3.3, 4.4), point(49.9, 39.9)], land=["a", "b"])
    assert pixels(read_labels(dots, GRID)) == {(4, 3, 1), (39, 49, 2)}
    assert pixels(read_labels(dots, SOUTH_UP)) == {(35, 3, 1), (0, 49, 2)}


def label_raster() -> NDArray[Any]:
    values = np.zeros((40, 50), dtype="uint8")
    values[3:6, 7:9] = 4
    values[20, 30] = 200
    return values


def test_a_label_raster(tmp_path: Path) -> None:
    labels = read_labels(write_raster(tmp_path / "gt.tif", label_raster()), GRID)
    assert labels.kind == "raster"
    assert labels.ids_are_given
    assert counts(labels) == {"4": 6, "200": 1}
    assert set(labels.groups.tolist()) == {0}
    assert pixels(labels) == {(r, c, 4) for r in (3, 4, 5) for c in (7, 8)} | {(20, 30, 200)}


def test_a_raster_has_neither_fields_nor_a_buffer(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write_raster(tmp_path / "gt.tif", label_raster())
    assert counts(read_labels(path, GRID, LabelRules("land"))) == {"4": 6, "200": 1}
    assert "is a raster and has no fields; the field 'land' is left aside" in caplog.text
    with pytest.raises(LabelError, match="a buffer is for points and lines, and the labels are a raster"):
        read_labels(path, GRID, LabelRules(buffer=5))


def test_a_label_raster_with_its_own_nodata(tmp_path: Path) -> None:
    values = np.full((40, 50), -1, dtype="int16")
    values[0, :3] = 0
    values[1, :4] = 9
    labels = read_labels(write_raster(tmp_path / "gt.tif", values, nodata=-1), GRID)
    assert counts(labels) == {"0": 3, "9": 4}


def test_a_label_raster_on_another_grid(tmp_path: Path) -> None:
    finer = np.repeat(np.repeat(label_raster(), 2, axis=0), 2, axis=1)
    path = write_raster(tmp_path / "fine.tif", finer, transform=GRID.transform @ Affine.scale(0.5))
    assert pixels(read_labels(path, GRID)) == pixels(
        read_labels(write_raster(tmp_path / "gt.tif", label_raster()), GRID)
    )
    assert pixels(read_labels(path, SOUTH_UP)) == {
        (39 - row, col, class_id) for row, col, class_id in pixels(read_labels(path, GRID))
    }
    small = write_raster(
        tmp_path / "small.tif", np.full((4, 4), 7, dtype="uint8"), transform=GRID.transform @ Affine.translation(48, 37)
    )
    assert counts(read_labels(small, GRID)) == {"7": 6}


def test_what_a_label_raster_tells(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        read_labels(write_raster(tmp_path / "gt.tif", label_raster()), GRID)
        read_labels(write_raster(tmp_path / "nd.tif", label_raster(), nodata=200), GRID)
    assert "labels: 0 means unlabelled in" in caplog.text
    assert "labels: 200 means unlabelled in" in caplog.text


def test_a_label_raster_read_in_strips(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "gt.tif", label_raster())
    whole = read_labels(path, GRID)
    strips = open_labels(path, GRID, limits=Limits(strip_pixels=210)).whole
    assert strips is not None
    for name in ("rows", "cols", "class_ids", "groups"):
        assert getattr(strips, name).dtype == np.int64
        assert np.array_equal(getattr(strips, name), getattr(whole, name))
    assert (np.diff(strips.rows * GRID.width + strips.cols) > 0).all()


#: Strips of few pixels, and bands of few rows for polygons of more than a few pixels.
SMALL = Limits(held_pixels=5, strip_pixels=210, window_pixels=60, band_rows=3)


def write_blobs(path: Path) -> Path:
    """Oblique polygons that overlap, small and large ones, in three classes."""
    generator = np.random.default_rng(3)
    centres, sizes = generator.uniform((0, 0), (50, 40), (40, 2)), generator.choice([2.0, 9.0], 40)
    shapes = [point(*centre).buffer(10 * size, quad_segs=2) for centre, size in zip(centres, sizes, strict=True)]
    return write_vector(path, shapes, land=[f"c{i % 3}" for i in range(40)])


@pytest.fixture(params=["polygons", "points", "buffered", "bytes", "integers"])
def any_labels(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """Labels of each kind; features of different classes claim the same pixels."""
    generator = np.random.default_rng(7)
    if request.param == "polygons":
        return write_blobs(tmp_path / "polygons.gpkg")
    if request.param in ("bytes", "integers"):
        values = generator.integers(0, 4, (40, 50)).astype("uint8" if request.param == "bytes" else "int32")
        return write_raster(tmp_path / "gt.tif", values)
    number = 900 if request.param == "points" else 60
    dots = [point(*place) for place in generator.uniform((0, 0), (50, 40), (number, 2))]
    return write_vector(tmp_path / f"{request.param}.gpkg", dots, land=[f"c{i % 3}" for i in range(number)])


@pytest.mark.parametrize(
    "rules", [LabelRules(on_conflict=rule) for rule in ("drop", "first", "last")], ids=["drop", "first", "last"]
)
def test_labels_in_strips_are_those_that_are_read_at_once(
    any_labels: Path, caplog: pytest.LogCaptureFixture, rules: LabelRules
) -> None:
    path = any_labels
    if path.name == "buffered.gpkg":
        rules = LabelRules(buffer=22.0, on_conflict=rules.on_conflict)
    caplog.clear()
    whole = read_labels(path, GRID, rules)
    told = list(caplog.messages)
    caplog.clear()
    labels = open_labels(path, GRID, rules, limits=SMALL)
    strips = list(labels.strips())
    assert labels.whole is None
    assert caplog.messages == told, "once, although they are read twice"
    assert path.name == "points.gpkg" or len(strips) > 3
    found = joined(strips)
    for name in ("rows", "cols", "class_ids", "groups"):
        assert np.array_equal(getattr(found, name), getattr(whole, name))
    assert (found.classes, found.kind, found.ids_are_given) == (whole.classes, whole.kind, whole.ids_are_given)
    assert labels.totals == whole.counts()
    with labels.open() as read:
        for start, stop in ((0, 40), (7, 8), (11, 30), (39, 40), (2, 9)):
            rows = read(start, stop)
            expected = whole.select((whole.rows >= start) & (whole.rows < stop))
            assert np.array_equal(rows.cols, expected.cols)
            assert np.array_equal(rows.class_ids, expected.class_ids)


def test_few_labels_are_held_and_more_are_not(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "gt.tif", label_raster())
    labels = open_labels(path, GRID, limits=Limits(held_pixels=7))
    assert labels.whole is not None
    assert pixels(labels.whole) == pixels(read_labels(path, GRID))
    assert open_labels(path, GRID, limits=Limits(held_pixels=6)).whole is None
    assert (len(labels), labels.totals) == (7, {4: 6, 200: 1})


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("void", "nodata"), [(0, None), (np.nan, None), (np.nan, np.nan), (-9999, -9999)])
def test_whole_numbers_in_floating_point_are_classes(
    tmp_path: Path, dtype: str, void: float, nodata: float | None
) -> None:
    values = np.where(label_raster() == 0, void, label_raster().astype(dtype)).astype(dtype)
    labels = read_labels(write_raster(tmp_path / "gt.tif", values, nodata=nodata), GRID)
    assert counts(labels) == {"4": 6, "200": 1}
    assert pixels(labels) == {(r, c, 4) for r in (3, 4, 5) for c in (7, 8)} | {(20, 30, 200)}


def test_an_undeclared_void_in_floating_point_is_no_class(tmp_path: Path) -> None:
    values = np.where(label_raster() == 0, -9999, label_raster().astype("float32"))
    with pytest.raises(LabelError, match=r"class -9999 cannot stand in a map; .*gdal_edit\.py -a_nodata -9999"):
        read_labels(write_raster(tmp_path / "gt.tif", values), GRID)


def test_label_rasters_of_the_wrong_kind(tmp_path: Path) -> None:
    bands = write_raster(tmp_path / "bands.tif", np.stack([label_raster()] * 3))
    with pytest.raises(LabelError, match=r"bands\.tif holds 3 bands; give a raster with one band of class numbers"):
        read_labels(bands, GRID)
    waves = write_raster(tmp_path / "waves.tif", np.ones((40, 50), dtype="complex64"))
    with pytest.raises(RasterError, match=r"waves\.tif holds complex values"):
        read_labels(waves, GRID)


def test_a_label_raster_without_crs(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    bare = Grid(None, GRID.transform, GRID.shape)
    elsewhere = GRID.transform @ Affine.translation(7, 0)
    path = write_raster(tmp_path / "gt.tif", label_raster(), crs=None, transform=elsewhere)
    with pytest.raises(
        GeoreferencingError, match=r"neither the image nor .*gt\.tif has a CRS, and their extents differ"
    ):
        read_labels(path, bare)
    read_labels(write_raster(tmp_path / "fit.tif", label_raster(), crs=None), bare)
    assert "fit.tif has no CRS either; it is taken to match the image pixel by pixel" in caplog.text


def test_label_rasters_that_cannot_be_used(tmp_path: Path) -> None:
    shares = write_raster(tmp_path / "share.tif", np.where(label_raster() == 200, 0.5, 1).astype("float32"))
    with pytest.raises(
        LabelError, match=r"share\.tif holds 0\.5 at row 20, column 30 of the image; class numbers must be whole .*rint"
    ):
        read_labels(shares, GRID)
    empty = write_raster(tmp_path / "empty.tif", np.zeros((40, 50), dtype="uint8"))
    with pytest.raises(LabelError, match=r"empty\.tif: no labelled pixel is in the image"):
        read_labels(empty, GRID)
    negative = write_raster(tmp_path / "negative.tif", np.full((40, 50), -3, dtype="int16"))
    with pytest.raises(
        LabelError, match=r"class -3 cannot stand in a map; number classes from 0 to 65535, or.*-a_nodata -3"
    ):
        read_labels(negative, GRID)
    bare = write_raster(tmp_path / "bare.tif", label_raster(), crs=None)
    with pytest.raises(GeoreferencingError, match="only one of the label raster"):
        read_labels(bare, GRID)
    with pytest.raises(GeoreferencingError, match="their sizes differ"):
        read_labels(bare, Grid(None, GRID.transform, (41, 50)))
    assert counts(read_labels(bare, Grid(None, GRID.transform, (40, 50)))) == {"4": 6, "200": 1}


@pytest.mark.parametrize("class_id", [-1, 65536, 10**9, 3e20])
def test_class_numbers_that_no_map_can_hold(tmp_path: Path, class_id: float) -> None:
    path = write_vector(tmp_path / "gt.geojson", [at(0, 0), at(9, 0)], code=[float(class_id), 1.0])
    with pytest.raises(LabelError, match="cannot stand in a map; number classes from 0 to 65535"):
        read_labels(path, GRID)


@pytest.mark.parametrize(
    ("class_ids", "encoding"),
    [
        ([1, 2], ("uint8", 0)), ([255], ("uint8", 0)), ([0, 1], ("uint8", 255)), ([0], ("uint8", 255)),
        ([0, 254], ("uint8", 255)), ([0, 255], ("uint16", 65535)), ([1, 256], ("uint16", 0)),
        ([0, 300], ("uint16", 255)), ([0, 65535], ("uint16", 255)), ([0, 255, 300], ("uint16", 65535)),
        ([65535], ("uint16", 0)),
    ],
)  # fmt: skip
def test_how_a_map_holds_its_classes(class_ids: list[int], encoding: tuple[str, int]) -> None:
    assert map_encoding(class_ids) == encoding


def test_no_nodata_value_is_left() -> None:
    with pytest.raises(LabelError, match="classes 0, 255 and 65535 leave no nodata value"):
        map_encoding([0, 255, 65535])


@pytest.mark.parametrize(
    ("name", "like"),
    [
        ("Forested", "forest"), ("waters", "water"), ("grassland", "grass"), ("Wet_sand", "sand"), ("WetSand", "sand"),
        ("dryout", "dry"), ("ice field", "ice"), ("Sea", "sea"), ("roads", "road"), ("Rainforest", "forest"),
        ("freshwater", "water"), ("corn2", "corn"), ("Season crops", "crop"), ("Rice", None), ("Price", None),
        ("Service area", None), ("Street", None), ("Broadleaf", None), ("Corner", None),
    ],
)  # fmt: skip
def test_which_words_give_a_colour(name: str, like: str | None) -> None:
    (found,) = make_classes({1: name})
    expected = make_classes({1: "?" if like is None else like})[0]
    assert found.color == expected.color


def test_colours_fit_the_names_and_differ() -> None:
    classes = make_classes(
        {9: "Water", 2: "deep water", 5: "Mixed Forest", 7: "?", 8: ""} | dict.fromkeys(range(20, 60), "x")
    )
    assert [c.id for c in classes] == sorted(c.id for c in classes)
    colors = {c.name: c.color for c in classes}
    red, green, blue = colors["deep water"]
    assert blue > max(red, green)
    red, green, blue = colors["Mixed Forest"]
    assert green > max(red, blue)
    assert len({c.color for c in classes}) == len(classes)
    assert all(0 <= value <= 255 for c in classes for value in c.color)


def test_real_polygons_on_a_geographic_grid(real_scenes: Path) -> None:
    scene = real_scenes / "amazon_s2_dem"
    labels = read_labels(scene / "train_sen2.gpkg", read_info(scene / "sen2_12b.tif").grid)
    assert counts(labels) == {"dryout": 204, "forest": 1056, "village": 614, "water": 496}
    assert len(np.unique(labels.groups)) == 25


def test_real_polygons_in_another_crs(real_scenes: Path) -> None:
    scene = real_scenes / "beaufort_s2"
    grid = read_info(scene / "2018-10-13, Sentinel-2B L1C, B02.tiff").grid
    labels = read_labels(scene / "rcr_landcover.shp", grid)
    assert {c.id: c.name for c in labels.classes} == {
        2100: "Subtidal Haline", 2253: "Sand", 2260: "Emergent Wetland", 2360: "Forested Wetland",
        6201: "Herbaceous", 22531: "WetSand",
    }  # fmt: skip
    reprojected = gpd.read_file(scene / "rcr_landcover.shp").to_crs(4326)
    a, _, c, _, e, f = grid.transform[:6]
    points = shapely.points(c + a * (labels.cols + 0.5), f + e * (labels.rows + 0.5))
    holders = reprojected.geometry.to_numpy()[labels.groups]
    assert shapely.contains(holders, points).all()
    assert len(np.unique(labels.groups)) == 23


def test_real_polygons_with_several_candidates(real_scenes: Path) -> None:
    scene = real_scenes / "slovenia_ndvi_dem"
    grid = read_info(scene / "eo_ndvi68.tif").grid
    with pytest.raises(LabelError, match="could be any of RABA_ID, DATE, LULC_ID, LULC_NAME"):
        read_labels(scene / "lulc.gpkg", grid)
    names = counts(read_labels(scene / "lulc.gpkg", grid, LabelRules("LULC_NAME")))
    raster = read_labels(scene / "eo_lulc.tif", grid).counts()
    assert raster == {1: 11, 2: 7601, 3: 1777, 4: 358, 8: 198}
    assert sorted(names.values()) == sorted(raster.values())


# ---- what a label raster's own header says ---------------------------------------------------------------------------


def label_values() -> NDArray[np.uint8]:
    values = np.zeros(GRID.shape, np.uint8)
    values[:10], values[10:20] = 1, 2
    return values


def test_a_mask_says_what_is_unlabelled_and_0_is_a_class_then(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="s2fin_cli")
    mask = np.ones(GRID.shape, bool)
    mask[5:15] = False
    values = label_values()
    with_mask = write_raster(tmp_path / "a.tif", values, mask=mask, transform=GRID.transform)
    with_alpha = write_raster(tmp_path / "b.tif", values, alpha=mask, transform=GRID.transform)
    for path in (with_mask, with_alpha):
        labels = read_labels(path, GRID)
        assert labels.counts() == {c: int((mask & (values == c)).sum()) for c in (0, 1, 2)}
        assert f"masked pixels are unlabelled in {path}" in caplog.text


def test_labels_finer_than_the_image_give_the_class_that_most_of_a_pixel_has(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="s2fin_cli")
    values = np.kron(label_values(), np.ones((5, 5), np.uint8))
    values[2::5, 2::5] = 3  # the pixels in the middle
    path = write_raster(tmp_path / "a.tif", values, transform=GRID.transform @ Affine.scale(0.2))
    labels = read_labels(path, GRID)
    expected = label_values()
    assert labels.counts() == {1: int((expected == 1).sum()), 2: int((expected == 2).sum())}
    assert (expected[labels.rows, labels.cols] == labels.class_ids).all()
    assert "each pixel gets the class that most of it has" in caplog.text


def commonest(values: NDArray[np.int64], pixel: tuple[int, int]) -> set[int]:
    """The values that most of the 4 x 4 pixels in a pixel of the grid have."""
    row, col = pixel
    found, numbers = np.unique(values[4 * row : 4 * row + 4, 4 * col : 4 * col + 4], return_counts=True)
    return set(found[numbers == numbers.max()].tolist())


@pytest.mark.parametrize("nodata", [None, 0, 9, -9999.0])
@pytest.mark.parametrize("mark", [None, "mask", "alpha", "nan"])
def test_unlabelled_pixels_of_finer_labels_count(tmp_path: Path, nodata: float | None, mark: str | None) -> None:
    rng = np.random.default_rng(0)
    classes = rng.integers(1, 4, (160, 200))
    values = np.where(rng.random(classes.shape) < 0.4, 0 if nodata is None else nodata, classes)
    is_masked = rng.random(classes.shape) < 0.2
    unlabelled = ((values == nodata) | is_masked) if mark else values == (nodata or 0)
    dtype = "float32" if mark == "nan" else "int16" if nodata == -9999 else "uint8"
    if mark == "nan":
        values = np.where(is_masked, np.nan, values)
        unlabelled |= values == (nodata or 0)
    mask, alpha = (~is_masked if mark == name else None for name in ("mask", "alpha"))
    transform = GRID.transform @ Affine.scale(0.25)
    path = write_raster(
        tmp_path / "a.tif", values.astype(dtype), transform=transform, nodata=nodata, mask=mask, alpha=alpha
    )
    labels = read_labels(path, GRID)
    expected = np.where(unlabelled, -1, np.nan_to_num(values)).astype(np.int64)
    found = np.full(GRID.shape, -1)
    found[labels.rows, labels.cols] = labels.class_ids
    assert 0 < len(labels) < found.size
    assert all(found[pixel] in commonest(expected, pixel) for pixel in np.ndindex(GRID.shape))


def test_a_declared_0_gives_finer_labels_the_same_pixels(tmp_path: Path) -> None:
    values = np.zeros((160, 200), np.uint8)
    values[1::8, 2::8] = 1  # one of 16
    values[40:81, 40:83], values[100:141, 99:140] = 1, 2
    transform = GRID.transform @ Affine.scale(0.25)
    plain, declared = (
        read_labels(write_raster(tmp_path / f"{nodata}.tif", values, transform=transform, nodata=nodata), GRID)
        for nodata in (None, 0)
    )
    assert plain.counts() == {1: 110, 2: 100}
    assert pixels(plain) == pixels(declared)


def test_finer_labels_fill_no_pixel_that_they_hardly_reach(tmp_path: Path) -> None:
    values = np.ones((42, 41), np.uint8)  # 10 pixels and a half, 10 and a quarter
    for nodata in (None, 0):
        path = write_raster(tmp_path / "a.tif", values, transform=GRID.transform @ Affine.scale(0.25), nodata=nodata)
        labels = read_labels(path, GRID)
        assert labels.cols.max() == 9


def test_the_highest_number_that_fills_labels_is_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    values = np.where(label_values() > 0, label_values(), 255).astype(np.uint8)
    few = read_labels(write_raster(tmp_path / "a.tif", values, transform=GRID.transform), GRID)
    share = 100 * few.counts()[255] / len(few)
    is_warned = "have class 255, the highest number that there is" in caplog.text
    assert is_warned == (share > 50)
    caplog.clear()
    values[4:] = 255
    path = write_raster(tmp_path / "b.tif", values, transform=GRID.transform)
    read_labels(path, GRID)
    assert f"declare it with: gdal_edit.py -a_nodata 255 {path}" in caplog.text


def test_labels_that_jpeg_has_changed_are_refused(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", label_values(), transform=GRID.transform, compress="jpeg")
    with pytest.raises(LabelError, match="compressed by JPEG, which changes class numbers"):
        read_labels(path, GRID)


def test_metres_that_are_called_degrees_are_refused(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "a.tif", label_values(), crs="EPSG:4326", transform=GRID.transform)
    with pytest.raises(GeoreferencingError, match=r"is said to be in degrees, but covers x .*gdal_edit\.py -a_srs"):
        read_labels(path, GRID)
