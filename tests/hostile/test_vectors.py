"""Vector files that claim more than they hold: what was found, and what hostile files may try."""

from __future__ import annotations

import contextlib
import json
import logging
import shutil
import sqlite3
import struct
from typing import TYPE_CHECKING, Any

import geopandas as gpd
import pytest
import shapely

from s2fin_cli.core.errors import InputError
from s2fin_cli.vector.description import describe_vector
from s2fin_cli.vector.read import read_features
from s2fin_cli.vector.views import check_views
from tests.files import write_vector

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.scenes import Scene

BOXES = [shapely.box(500_000 + 100 * n, 4_999_000, 500_050 + 100 * n, 4_999_050) for n in range(3)]
NAMES = ["forest", "meadow", "water"]


@pytest.fixture
def database(scene: Scene, tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """The scene's labels as a GeoPackage whose rows anything can be done to."""
    shutil.copy(scene.labels, tmp_path / "a.gpkg")
    with contextlib.closing(sqlite3.connect(tmp_path / "a.gpkg", isolation_level=None)) as opened:
        for (name,) in opened.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            opened.execute(f'DROP TRIGGER "{name}"')
        yield opened


def test_a_ring_of_four_billion_points(database: sqlite3.Connection, tmp_path: Path) -> None:
    (value,) = database.execute("SELECT geom FROM labels LIMIT 1").fetchone()
    content = bytearray(value)
    start = content.index(struct.pack("<BI", 1, 3))  # a polygon in well-known binary
    struct.pack_into("<I", content, start + 9, 2**32 - 1)
    database.execute("UPDATE labels SET geom = ? WHERE fid = 1", (bytes(content),))
    with pytest.raises(InputError, match=r"a\.gpkg .*geometry"):
        read_features(tmp_path / "a.gpkg", error=InputError)


def test_a_view_without_an_end(database: sqlite3.Connection, tmp_path: Path) -> None:
    database.execute("ALTER TABLE labels RENAME TO kept")
    numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
    database.execute(f"CREATE VIEW labels AS {numbers} SELECT i AS fid, (SELECT geom FROM kept) AS geom FROM n")  # noqa: S608
    with pytest.raises(
        InputError, match=r"a\.gpkg: its view 'labels' has no end, or too many rows to count; export it"
    ):
        check_views(tmp_path / "a.gpkg", most=1_000_000)


def test_views_with_an_end(database: sqlite3.Connection, tmp_path: Path) -> None:
    database.execute("ALTER TABLE labels RENAME TO kept")
    database.execute("CREATE VIEW labels AS SELECT fid, geom, class FROM kept WHERE fid < 5")
    assert len(read_features(tmp_path / "a.gpkg", error=InputError)) == 4


def collection(geometry: str, properties: str = '{"class": "forest"}') -> str:
    return (
        '{"type": "FeatureCollection", "features": [{"type": "Feature", "properties": '
        f'{properties}, "geometry": {geometry}}}]}}'
    )


@pytest.mark.parametrize(
    "text",
    [
        collection('{"type": "Polygon", "coordinates": ' + "[" * 100_000 + "]" * 100_000 + "}"),
        collection('{"type": "GeometryCollection", "geometries": [' * 2000 + "]}" * 2000),
        collection('{"type": "Point", "coordinates": [1e999, 1]}'),
        collection('{"type": "Point", "coordinates": [NaN, 1]}'),
        collection('{"type": "Point", "coordinates": [' + "9" * 5000 + ", 1]}"),
        collection("null", '{"a": ' * 50_000 + "1" + "}" * 50_000),
    ],
    ids=["deep arrays", "deep collections", "infinite", "not a number", "long number", "deep properties"],
)
def test_json_that_goes_beyond_limits(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.geojson"
    path.write_text(text)
    with pytest.raises(InputError, match=r"a\.geojson"):
        read_features(path, error=InputError)


def test_long_names_and_repeated_fields(tmp_path: Path) -> None:
    path, name = tmp_path / "a.geojson", "x" * 1_000_000
    path.write_text(
        collection('{"type": "Point", "coordinates": [7, 50]}', json.dumps({"class": name})[:-1] + ', "class": "b"}')
    )
    assert len(read_features(path, error=InputError)) == 1


@pytest.mark.parametrize("spoilt", [b"PAR1" + b"\0" * 100 + b"PAR1", b"PAR1"])
def test_a_damaged_parquet_file_is_described_in_one_sentence(tmp_path: Path, spoilt: bytes) -> None:
    path = tmp_path / "a.parquet"
    path.write_bytes(spoilt)
    for read in (describe_vector, lambda name: read_features(name, error=InputError)):
        with pytest.raises(InputError, match=r"a\.parquet") as caught:
            read(str(path))
        assert "\n" not in str(caught.value)


def test_a_parquet_file_with_a_text_in_another_encoding(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    frame = gpd.GeoDataFrame({"class": ["meadow", "forest"]}, geometry=gpd.points_from_xy([1, 2], [1, 2]), crs=4326)
    frame.to_parquet(path, compression=None)
    path.write_bytes(path.read_bytes().replace(b"forest", b"for\xffst"))
    with pytest.raises(
        InputError, match=r"a\.parquet holds text that is not in the encoding .* \(the byte 0xFF is not"
    ):
        read_features(path, error=InputError)


@pytest.mark.parametrize("place", [1, 2])
def test_xml_that_breaks_off_is_not_described_as_if_it_ended(tmp_path: Path, place: int) -> None:
    path = write_vector(tmp_path / "a.gml", BOXES, name=NAMES)
    parts = path.read_text().split("</ogr:featureMember>")
    parts[place] = parts[place].replace("</ogr:a>", "</ogr:b>")
    path.write_text("</ogr:featureMember>".join(parts))
    with pytest.raises(InputError, match=r"a\.gml cannot be read as a vector file .*mismatched tag"):
        describe_vector(str(path))


def test_external_entities_are_not_read(tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("hidden words")
    path = write_vector(tmp_path / "a.gml", BOXES, name=NAMES)
    head, body = path.read_text().split("?>", 1)
    declared = f'<!DOCTYPE a [<!ENTITY x SYSTEM "{secret.as_uri()}">]>'
    path.write_text(f"{head}?>{declared}{body.replace('forest', '&x;')}")
    found: Any = None
    with contextlib.suppress(InputError):
        found = read_features(path, error=InputError)
    assert "hidden" not in str(found)


def test_a_table_that_was_cut_off(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "a.shp"
    gpd.GeoDataFrame({"name": NAMES}, geometry=BOXES, crs="EPSG:32632").to_file(path)
    table = path.with_suffix(".dbf")
    table.write_bytes(table.read_bytes()[:-100])
    with caplog.at_level(logging.WARNING):
        describe_vector(str(path))
    assert "a.dbf was cut off: it has" in caplog.text


def test_a_table_of_any_number_of_columns(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("x,y" + ",a" * 100_000 + "\n")
    with pytest.raises(InputError, match=r"a\.csv has 100002 columns, and at most 10000 are read"):
        read_features(path, error=InputError)


def test_a_line_of_any_length(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("x,y,class\n1,2," + "a" * 10_000_000)
    with pytest.raises(InputError, match=r"a\.csv has a line of 10000004 characters, and at most 8388608 are read"):
        read_features(path, error=InputError)
