"""Tables of points: which columns place the rows, how texts become numbers, and what is refused."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyogrio
import pytest
import shapely
from affine import Affine
from pyproj import CRS as ProjCRS
from pyproj import Transformer
from rasterio.crs import CRS
from shapely import Point, box

from s2fin_cli.core.errors import AreaError, LabelError
from s2fin_cli.geo.grid import Grid
from s2fin_cli.labels.pixels import LabelledPixels
from s2fin_cli.labels.read import read_labels
from s2fin_cli.labels.rules import LabelRules
from s2fin_cli.vector.numerals import typed
from s2fin_cli.vector.place_columns import find_place
from s2fin_cli.vector.read_area import read_area
from s2fin_cli.vector.text_tables import read_text_table

if TYPE_CHECKING:
    from pathlib import Path

LEFT, TOP = 500_000, 5_000_000
GRID = Grid(CRS.from_epsg(32632), Affine(10, 0, LEFT, 0, -10, TOP), (40, 50))
#: Row, column and class of points, in the grid's pixels.
POINTS = ((3, 4, 12), (3, 5, 12), (20, 31, 5))


def found(labels: LabelledPixels) -> set[tuple[int, int, str]]:
    names = {c.id: c.name for c in labels.classes}
    ids = labels.class_ids.tolist()
    return {(r, c, names[i]) for r, c, i in zip(labels.rows.tolist(), labels.cols.tolist(), ids, strict=True)}


def place(row: int, col: int) -> tuple[float, float]:
    return LEFT + 10 * col + 5.5, TOP - 10 * row - 5.5


def write(path: Path, delimiter: str, *, header: str, encoding: str = "utf-8", decimal: str = ".") -> None:
    rows = [delimiter.join([*(f"{v:.1f}".replace(".", decimal) for v in place(r, c)), str(i)]) for r, c, i in POINTS]
    path.write_text("\n".join([header, *rows, ""]), encoding=encoding)


@pytest.mark.parametrize(
    "how",
    [
        ("gt.csv", ",", "x,y,class", "."),
        ("gt.CSV", ",", '"X","Y","Class"', "."),
        ("gt.csv", ";", "X;Y;Klasse", ","),
        ("gt.csv", ";", "sep=;\nPOINT_X;POINT_Y;Klasse", ","),
        ("gt.csv", "\t", "Easting (m)\tNorthing (m)\tclass", ","),
        ("gt.tsv", "\t", "easting\tnorthing\tclass", "."),
        ("gt.txt", "\t", "x\ty\tclass", "."),
        ("gt.txt", " ", "x y class", "."),
        ("gt.txt", "  ", "# x  y class", ","),
        ("gt.dat", ", ", "x, y, class", "."),
        ("gt.xyz", " ", "x y class", "."),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_text_tables(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, how: tuple[str, str, str, str], encoding: str
) -> None:
    """By the file's name, the delimiter, the header and the decimal sign."""
    name, delimiter, header, decimal = how
    path = tmp_path / name
    write(path, delimiter, header=header, encoding=encoding, decimal=decimal)
    labels = read_labels(path, GRID)
    assert labels.kind == "points"
    assert labels.ids_are_given
    assert found(labels) == {(r, c, str(i)) for r, c, i in POINTS}
    assert "names no CRS; the coordinates in columns" in caplog.text
    assert "are assumed to be in the image's, EPSG:32632" in caplog.text


def test_a_regular_grid_of_points_is_no_raster(tmp_path: Path) -> None:
    """GDAL's XYZ driver takes such a file for a raster, even where the pixels are larger than the image's."""
    bare = Grid(None, GRID.transform, GRID.shape)
    rows = [f"{LEFT + 15 + 50 * i},{TOP - 15 - 50 * j},{1 + (i + j) % 2}" for j in range(4) for i in range(4)]
    for name in ("gt.csv", "gt.txt"):
        (tmp_path / name).write_text("\n".join(["x,y,class", *rows, ""]))
        labels = read_labels(tmp_path / name, bare)
        assert (labels.kind, len(labels)) == ("points", 16)
        (tmp_path / f"bare_{name}").write_text("\n".join([*rows, ""]))
        with pytest.raises(LabelError, match=r"500015, 4999985, 1.* x and y \(in the image's CRS\), lon and lat"):
            read_labels(tmp_path / f"bare_{name}", bare)


def test_grids_in_text_stay_rasters(tmp_path: Path) -> None:
    bare = Grid(None, GRID.transform, GRID.shape)
    header = "ncols 50\nnrows 40\nxllcorner 500000\nyllcorner 4999600\ncellsize 10\nNODATA_value 0\n"
    (tmp_path / "gt.txt").write_text(header + ("1 2 " * 25 + "\n") * 40)
    rows = [f"{LEFT + 5 + 10 * i} {TOP - 5 - 10 * j} {1 + i % 2}" for j in range(40) for i in range(50)]
    (tmp_path / "gt.xyz").write_text("\n".join([*rows, ""]))
    (tmp_path / "header.xyz").write_text("\n".join(["X Y Z", *rows, ""]))
    for name in ("gt.txt", "gt.xyz", "header.xyz"):
        labels = read_labels(tmp_path / name, bare)
        assert labels.kind == "raster"
        assert list(labels.counts().values()) == [1000, 1000]


@pytest.mark.parametrize(
    "names", [("lon", "lat"), ("Longitude", "Latitude"), ("long", "lat"), ("decimalLongitude", "decimalLatitude")]
)
def test_longitude_and_latitude(tmp_path: Path, caplog: pytest.LogCaptureFixture, names: tuple[str, str]) -> None:
    to_degrees = Transformer.from_crs(32632, 4326, always_xy=True)
    table = pd.DataFrame([to_degrees.transform(*place(r, c)) for r, c, _ in POINTS], columns=list(names))
    table.assign(x=1, y=2, kind=["a", "a", "Grünland"]).to_csv(tmp_path / "gt.csv", index=False)
    with caplog.at_level(logging.INFO):
        labels = read_labels(tmp_path / "gt.csv", GRID)
    assert found(labels) == {(3, 4, "a"), (3, 5, "a"), (20, 31, "Grünland")}
    assert f"placed by columns '{names[0]}' and '{names[1]}', in WGS 84" in caplog.text


def test_geometries_in_a_column(tmp_path: Path) -> None:
    shapes = [box(LEFT, TOP - 20, LEFT + 30, TOP), box(LEFT + 90, TOP - 20, LEFT + 120, TOP)]
    degrees = shapely.transform(
        np.array(shapes), Transformer.from_crs(32632, 4326, always_xy=True).transform, interleaved=False
    )
    columns = {
        "wkt": [shape.wkt for shape in shapes],
        "the_geom": shapely.to_wkb(shapely.set_srid(np.array(shapes), 32632), hex=True, include_srid=True),
        "geometry": [f"SRID=4326;{shape.wkt}" for shape in degrees],
        ".geo": shapely.to_geojson(degrees),
    }
    for name, values in columns.items():
        pd.DataFrame({"kind": ["a", "b"], name: values}).to_csv(tmp_path / "gt.csv", index=False)
        labels = read_labels(tmp_path / "gt.csv", GRID)
        assert (labels.kind, labels.counts()) == ("polygons", {1: 6, 2: 6}), name
    pd.DataFrame({"wkt": [shape.wkt for shape in shapes]}).to_csv(tmp_path / "aoi.csv", index=False)
    area = read_area(GRID, src_path=tmp_path / "aoi.csv")
    assert area is not None
    assert area.mask(area.window).sum() == 12


def test_a_column_called_geometry_that_holds_none(tmp_path: Path) -> None:
    (tmp_path / "gt.csv").write_text(f"geometry,x,y,class\npoint,{LEFT + 5},{TOP - 5},a\n")
    assert found(read_labels(tmp_path / "gt.csv", GRID)) == {(0, 0, "a")}


@pytest.mark.parametrize("name", ["gt.xlsx", "gt.ods", "gt.dbf", "gt.parquet"])
@pytest.mark.parametrize("kinds", [["a", "a", "b"], [12, 12, 5]])
def test_tables_of_other_formats(tmp_path: Path, name: str, kinds: list[str | int]) -> None:
    x, y = zip(*(place(r, c) for r, c, _ in POINTS), strict=True)
    table = pd.DataFrame({"x": x, "y": y, "class": kinds})
    if name == "gt.parquet":
        table.to_parquet(tmp_path / name)
    else:
        driver = {"gt.xlsx": "XLSX", "gt.ods": "ODS", "gt.dbf": "ESRI Shapefile"}[name]
        pyogrio.write_dataframe(table, tmp_path / name, driver=driver)
    labels = read_labels(tmp_path / name, GRID)
    assert found(labels) == {(r, c, str(kind)) for (r, c, _), kind in zip(POINTS, kinds, strict=True)}


def test_the_only_sheet_with_coordinates_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "gt.xlsx"
    points = pd.DataFrame({"x": [LEFT + 5.0], "y": [TOP - 5.0], "class": ["a"]})
    pyogrio.write_dataframe(pd.DataFrame({"note": ["by Ann"]}), path, driver="XLSX", layer="read me")
    pyogrio.write_dataframe(points, path, driver="XLSX", layer="points", append=True)
    assert found(read_labels(path, GRID)) == {(0, 0, "a")}
    pyogrio.write_dataframe(points, path, driver="XLSX", layer="more", append=True)
    with pytest.raises(LabelError, match=r"gt\.xlsx holds several layers \(points, more\); choose one"):
        read_labels(path, GRID)


def test_two_columns_of_one_name(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "gt.csv").write_text(f"x,y,class,class\n{LEFT + 5},{TOP - 5},a,b\n")
    assert found(read_labels(tmp_path / "gt.csv", GRID)) == {(0, 0, "a")}
    assert "several fields are named 'class'; a later one is called 'class_2'" in caplog.text
    assert found(read_labels(tmp_path / "gt.csv", GRID, rules=LabelRules("class_2"))) == {(0, 0, "b")}


def test_rows_that_cannot_be_placed_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "gt.csv"
    path.write_text(f"x,y,class\n{LEFT + 5},{TOP - 5},1\n\n,,2\n{LEFT + 15},north,2\n{LEFT + 25},{TOP - 5},NA\n")
    assert found(read_labels(path, GRID)) == {(0, 0, "1")}
    assert "gt.csv: skipped lines whose coordinates cannot be read: 4, 5" in caplog.text
    assert "skipped 1 feature whose 'class' is empty" in caplog.text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty; give a table with a header line"),
        ("x,y,class\n", "holds a table without rows"),
        ("x,y,\x07\x01\n1,2,3\n", "is not a table of text, as its name says"),
        ("land,code\na,1\n", "holds a table without geometries; its columns are land, code, .* name them x and y"),
        ("x,y,class\n9.5,45.1,a\n", "columns 'x' and 'y' are 9.5 to 9.5 .* can only be degrees, .* name them lon and"),
        (
            "lon,lat,class\n500005,4999995,a\n",
            "such as 500005, 4999995, .* if they are in the image's CRS, name the columns x and y",
        ),
        ("x,y,class\n500005,5,4999995,5,a\n", "has rows with more fields than its header .* decimals with a point"),
        (
            "lon,lat,class\n9°30'E,45°N,a\n",
            "no plain numbers in columns 'lon' and 'lat'; the first row has 9°30'E, 45°N",
        ),
        ("wkt,class\nsomewhere,a\n", "no geometries as WKT in column 'wkt'; the first row has somewhere"),
        ("wkt,class\nSRID=32632;POINT(1 1),a\nSRID=4326;POINT(1 1),b\n", "several CRS .EPSG:4326, EPSG:32632."),
        ('wkt,class\n"CURVEPOLYGON(CIRCULARSTRING(0 0,1 1,2 0,1 -1,0 0))",a\n', "holds curves|no geometries as WKT"),
    ],
)
def test_tables_that_cannot_be_used(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "gt.csv").write_text(text, encoding="utf-8")
    with pytest.raises(LabelError, match=rf"gt\.csv.*{message}"):
        read_labels(tmp_path / "gt.csv", GRID)


def test_a_table_in_degrees_on_a_grid_in_degrees(tmp_path: Path) -> None:
    grid = Grid(CRS.from_epsg(4326), Affine(0.01, 0, 9, 0, -0.01, 45.1), (10, 10))
    (tmp_path / "gt.csv").write_text("x,y,class\n9.055,45.045,a\n")
    assert found(read_labels(tmp_path / "gt.csv", grid)) == {(5, 5, "a")}
    (tmp_path / "gt.csv").write_text("x,y,class\n500005,4999995,a\n")
    with pytest.raises(LabelError, match="no longitude and latitude"):
        read_labels(tmp_path / "gt.csv", grid)


def test_a_crs_beside_the_table(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """As GDAL writes one; but a Shapefile of the same name has its own."""
    shift = Transformer.from_crs(32632, 32633, always_xy=True)
    x, y = shift.transform(*place(3, 4))
    (tmp_path / "gt.csv").write_text(f"x,y,class\n{x},{y},a\n")
    (tmp_path / "gt.prj").write_text(ProjCRS.from_epsg(32633).to_wkt("WKT1_ESRI"))
    assert found(read_labels(tmp_path / "gt.csv", GRID)) == {(3, 4, "a")}
    assert not caplog.text
    (tmp_path / "gt.shp").touch()
    with pytest.raises(LabelError, match="no labelled pixel is in the image"):
        read_labels(tmp_path / "gt.csv", GRID)
    assert "names no CRS; the coordinates in columns 'x' and 'y' are assumed to be in the image's" in caplog.text
    (tmp_path / "gt.shp").unlink()
    (tmp_path / "gt.prj").write_text("nonsense")
    with pytest.raises(LabelError, match="no labelled pixel is in the image"):
        read_labels(tmp_path / "gt.csv", GRID)
    assert "gt.prj holds no CRS that is known; it is ignored" in caplog.text


def test_commas_of_thousands_are_not_taken_for_decimals(tmp_path: Path) -> None:
    path = tmp_path / "gt.csv"
    for x, y in (("500,055", "4,999,945"), ("500,055", "4999945"), ("500,055.5", "4,999,945.5")):
        for text in (f"x;y;class\n{x};{y};a\n", f'x,y,class\n"{x}","{y}",a\n'):
            path.write_text(text)
            with pytest.raises(
                LabelError, match=r"gt\.csv: column 'x' holds numbers such as 500,055.* without separat"
            ):
                read_labels(path, GRID)
    pd.DataFrame({"x": ["500,055"], "y": ["4,999,945"], "class": ["a"]}).to_parquet(tmp_path / "gt.parquet")
    with pytest.raises(LabelError, match=r"gt\.parquet: column 'x' holds numbers such as 500,055"):
        read_labels(tmp_path / "gt.parquet", GRID)


def test_three_decimals_after_a_comma_stay_decimals_in_degrees(tmp_path: Path) -> None:
    grid = Grid(CRS.from_epsg(4326), Affine(0.01, 0, 9, 0, -0.01, 45.1), (10, 10))
    for names in ("x;y", "lon;lat"):
        (tmp_path / "gt.csv").write_text(f"{names};class\n9,055;45,045;a\n")
        assert found(read_labels(tmp_path / "gt.csv", grid)) == {(5, 5, "a")}
    local = Grid(CRS.from_epsg(32632), Affine(10, 0, 0, 0, -10, 4_999_995), (10, 10))
    (tmp_path / "gt.csv").write_text("x;y;class\n12,345;4999985,5;a\n")
    assert found(read_labels(tmp_path / "gt.csv", local)) == {(0, 1, "a")}


def test_points_are_no_area(tmp_path: Path) -> None:
    write(tmp_path / "gt.csv", ",", header="x,y,class")
    with pytest.raises(AreaError, match=r"gt\.csv holds Point; give polygons"):
        read_area(GRID, src_path=tmp_path / "gt.csv")


def test_a_table_that_is_not_utf8(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "gt.csv").write_text(f"x;y;class\n{LEFT + 5};{TOP - 5};Forêt\n", encoding="cp1252")
    assert found(read_labels(tmp_path / "gt.csv", GRID)) == {(0, 0, "Forêt")}
    assert "gt.csv is not UTF-8; it is read as cp1252" in caplog.text


def test_a_broken_ring_in_a_table_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    ring = f"{LEFT} {TOP}, {LEFT + 30} {TOP}, {LEFT + 30} {TOP - 20}, {LEFT} {TOP - 20}"
    (tmp_path / "gt.csv").write_text(f'wkt,class\n"{box(0, 0, 1, 1).wkt}",a\n"POLYGON(({ring}))",b\n')
    assert len(read_labels(tmp_path / "gt.csv", GRID, rules=LabelRules("class"))) == 6
    assert "the geometries of lines 3 are broken" in caplog.text
    assert "feature 3 (FID): rings closed; 6 pixels of the image are inside" in caplog.text


def test_which_columns_place_the_rows() -> None:
    for columns, wanted in (
        (["id", "X", "Y"], ("X", "Y")),
        (["x", "y", "lon", "lat"], ("lon", "lat")),
        (["x", "y", "WKT"], ("WKT",)),
        (["X Coord", "Y Coord"], ("X Coord", "Y Coord")),
        (["X", "x", "y"], ("x", "y")),
        (["x", "X", "Y"], ("X", "Y")),
        (["x", "lat"], None),
        ([], None),
    ):
        found_place = find_place(columns)
        assert (None if found_place is None else found_place.columns) == wanted


def test_texts_become_numbers_where_all_are(tmp_path: Path) -> None:
    table = typed(
        pd.DataFrame(
            {"whole": ["1", "+2"], "gap": ["1", ""], "real": ["1,5", "2"], "text": ["1", "a"], "none": ["", ""]},
            dtype=str,
        )
    )
    assert table["whole"].tolist() == [1, 2]
    assert table["whole"].dtype == np.int64
    assert table["gap"].iloc[0] == 1
    assert np.isnan(table["gap"].iloc[1])
    assert table["real"].tolist() == [1.5, 2]
    assert table["text"].tolist() == ["1", "a"]
    assert table["none"].isna().all()
    (tmp_path / "t.csv").write_text("a,,b\n1,,x\n", encoding="utf-8")
    assert read_text_table(tmp_path / "t.csv", error=LabelError).columns.tolist() == ["a", "b"]


def test_points_keep_their_place_to_the_last_digit(tmp_path: Path) -> None:
    (tmp_path / "gt.csv").write_text("x;y;class\n500004,999;4999995,001;a\n")
    labels = read_labels(tmp_path / "gt.csv", GRID, rules=LabelRules(buffer=6.0))
    around = [
        (row, col)
        for row in range(3)
        for col in range(3)
        if Point(500004.999, 4999995.001).distance(Point(*GRID.transform * (col + 0.5, row + 0.5))) < 6
    ]
    assert {(row, col) for row, col, _ in found(labels)} == set(around)
