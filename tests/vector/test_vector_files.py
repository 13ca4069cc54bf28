"""Vector files of which some part is odd: counts that are wrong, pending changes, parts that do not fit together."""

from __future__ import annotations

import hashlib
import logging
import re
import shutil
import sqlite3
import subprocess
import sys
import unicodedata
import zipfile
from typing import TYPE_CHECKING, Any

import geopandas as gpd
import pandas as pd
import pyogrio
import pytest

from s2fin_cli.core.classes import make_classes, normalized, read_class_table
from s2fin_cli.core.errors import LabelError
from s2fin_cli.labels.read import read_labels
from s2fin_cli.labels.rules import LabelRules
from s2fin_cli.vector.read import read_features
from s2fin_cli.vector.read_area import read_area
from s2fin_cli.workflows.input_files import input_files
from tests.rectangles import ALL, GRID, at, counts

if TYPE_CHECKING:
    from pathlib import Path


def write(path: Path, **fields: Any) -> Path:
    """Rectangles of 3 x 2 pixels side by side."""
    size = len(next(iter(fields.values())))
    frame = gpd.GeoDataFrame(fields, geometry=[at(4 * i, 0) for i in range(size)], crs=GRID.crs)
    frame.to_file(path)
    return path


@pytest.mark.parametrize("count", [0, 1])
def test_a_geopackage_that_counts_too_few_features_loses_none(tmp_path: Path, count: int) -> None:
    path = write(tmp_path / "gt.gpkg", land=["a", "b", "a"])
    with sqlite3.connect(path) as database:
        database.execute("UPDATE gpkg_ogr_contents SET feature_count = ?", [count])
    database.close()
    assert counts(read_labels(path, GRID)) == {"a": 12, "b": 6}
    area = read_area(GRID, src_path=path)
    assert area is not None
    assert area.mask(ALL).sum() == 18


#: Changes a class without merging the change into the file, as a program does that is not closed properly.
CHANGE = """
import os, sqlite3, sys
database = sqlite3.connect(sys.argv[1])
database.execute("PRAGMA journal_mode=wal")
for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
    database.execute(f'DROP TRIGGER "{name}"')
database.execute("UPDATE gt SET land = 'changed' WHERE land = 'b'")
database.commit()
os._exit(0)
"""


@pytest.mark.parametrize("has_index", [True, False])
@pytest.mark.parametrize("name", ["{}", "GPKG:{}:gt"])
def test_pending_changes_of_a_geopackage_count_and_stay_pending(tmp_path: Path, name: str, has_index: bool) -> None:
    path = write(tmp_path / "gt.gpkg", land=["a", "b"])
    subprocess.run([sys.executable, "-c", CHANGE, str(path)], check=True)
    if not has_index:
        (tmp_path / "gt.gpkg-shm").unlink()
    before = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in tmp_path.iterdir()}
    assert "gt.gpkg-wal" in before
    assert counts(read_labels(name.format(path), GRID)) == {"a": 6, "changed": 6}
    assert str(path) in input_files([name.format(path)])
    after = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in tmp_path.iterdir()}
    before.pop("gt.gpkg-shm", None), after.pop("gt.gpkg-shm", None)  # which holds no data
    assert after == before


@pytest.mark.parametrize("archived", [False, True])
def test_shapes_without_a_row_in_the_table_are_reported(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, archived: bool
) -> None:
    path = write(tmp_path / "gt.shp", land=["a", "a", "b", "c"])
    write(tmp_path / "short.shp", land=["a", "a"])
    shutil.copy(tmp_path / "short.dbf", tmp_path / "gt.dbf")
    if archived:
        path = tmp_path / "gt.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for part in tmp_path.glob("gt.[!z]*"):
                archive.write(part, part.name)
    assert counts(read_labels(path, GRID)) == {"a": 12}
    assert "the table gt.dbf has 2 rows and the Shapefile 4 shapes; the last 2 shapes are left out" in caplog.text


def test_a_shapefile_that_was_cut_off_is_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write(tmp_path / "gt.shp", land=["a", "b", "c"])
    whole = path.stat().st_size
    path.write_bytes(path.read_bytes()[:-140])  # a shape, and a little of the one before it
    assert counts(read_labels(path, GRID)) == {"a": 6}
    assert f"gt.shp was cut off: it has {whole - 140} bytes and should have {whole}" in caplog.text


def test_a_whole_shapefile_gives_no_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write(tmp_path / "gt.shp", land=["a", "b"])
    with caplog.at_level(logging.WARNING):
        assert counts(read_labels(path, GRID)) == {"a": 6, "b": 6}
    assert not caplog.text


def test_a_boolean_field_with_a_missing_value_is_not_numbered(tmp_path: Path) -> None:
    path = write(tmp_path / "gt.gpkg", land=pd.array([True, None, False], dtype="boolean"))
    with pytest.raises(LabelError, match="field 'land' holds neither text nor whole numbers but True"):
        read_labels(path, GRID, rules=LabelRules("land"))


#: Locks a database until its input ends.
LOCK = """
import sqlite3, sys
database = sqlite3.connect(sys.argv[1])
database.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
sys.stdin.read()
"""


def test_a_locked_geopackage_is_refused_in_plain_words(tmp_path: Path) -> None:
    path = write(tmp_path / "gt.gpkg", land=["a", "b"])
    pyogrio.set_gdal_config_options({"SQLITE_BUSY_TIMEOUT": "1"})
    command = [sys.executable, "-c", LOCK, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(LabelError, match=r"gt\.gpkg is locked by another program; save and close the file there"):
            read_features(path, error=LabelError)
        other.communicate()
    pyogrio.set_gdal_config_options({"SQLITE_BUSY_TIMEOUT": None})
    assert len(read_features(path, error=LabelError)) == 2


def test_a_mapinfo_file_in_another_encoding_is_refused_with_the_remedy(tmp_path: Path) -> None:
    path = write(tmp_path / "gt.mif", land=["Wald", "Aue"])
    content = path.read_bytes()
    (tmp_path / "gt.mid").write_bytes((tmp_path / "gt.mid").read_bytes().replace(b"Wald", "Лес".encode("cp1251")))
    with pytest.raises(LabelError, match=r"gt\.mif holds text with the byte 0xCB, .* its line Charset declares"):
        read_labels(path, GRID, rules=LabelRules("land"))
    path.write_bytes(re.sub(rb'Charset "\w+"', b'Charset "WindowsCyrillic"', content))
    assert counts(read_labels(path, GRID, rules=LabelRules("land"))) == {"Лес": 6, "Aue": 6}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty \\(0 bytes\\); copy or download it again"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "holds a pointer of Git LFS .* git lfs pull"),
        (b"\n<!DOCTYPE html><html><body>Sign in</body></html>", "holds a web page and no data .* download it again"),
    ],
)
@pytest.mark.parametrize("suffix", [".gpkg", ".geojson", ".shp"])
def test_a_file_that_did_not_come_over_is_named(tmp_path: Path, suffix: str, content: bytes, message: str) -> None:
    path = tmp_path / f"gt{suffix}"
    path.write_bytes(content)
    with pytest.raises(LabelError, match=rf"gt\{suffix} {message}"):
        read_labels(path, GRID)


def test_a_name_of_a_class_is_what_it_looks_like(tmp_path: Path) -> None:
    names = [
        "Forêt",
        unicodedata.normalize("NFD", "Forêt"),
        "\ufeffForêt",
        "Fo\u200brêt",
        "Forêt\xa0",
        "Forêt\xa0dense",
    ]
    path = write(tmp_path / "gt.gpkg", land=[*names, "Forêt dense"])
    assert counts(read_labels(path, GRID)) == {"Forêt": 30, "Forêt dense": 12}
    (tmp_path / "classes.csv").write_text(unicodedata.normalize("NFD", "id,name\n7,forêt\n"), encoding="utf-8")
    table = read_class_table(tmp_path / "classes.csv")
    assert [c.name for c in table] == ["forêt"]
    assert counts(read_labels(path, GRID, rules=LabelRules(classes=table))) == {"forêt": 30}


def test_joiners_inside_a_name_stay() -> None:
    persian = "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"
    assert normalized(f"\u200e{persian}\u200c ") == persian


@pytest.mark.parametrize("word", ["NULL", "<Null>", "(null)", "nan", "<NA>", "#N/A", "\\N"])
def test_words_for_no_value_are_no_class(tmp_path: Path, caplog: pytest.LogCaptureFixture, word: str) -> None:
    path = write(tmp_path / "gt.gpkg", land=["a", word, "b", ""])
    assert counts(read_labels(path, GRID)) == {"a": 6, "b": 6}
    found = f"skipped 2 features whose 'land' is empty; {word!r} is treated as empty; a class of that name must be"
    assert found in caplog.text
    assert len(caplog.records) == 1


@pytest.mark.parametrize("word", ["None", "none", "NA", "n/a", "Nil"])
def test_words_that_may_be_a_class_are_one(tmp_path: Path, caplog: pytest.LogCaptureFixture, word: str) -> None:
    path = write(tmp_path / "gt.gpkg", land=["minor", word, "severe", word])
    assert counts(read_labels(path, GRID)) == {"minor": 6, word: 12, "severe": 6}
    assert f"in field 'land', {word!r} is kept as a class; to skip it, give a class table without it" in caplog.text
    caplog.clear()
    table = make_classes({1: "minor", 2: "severe"})
    assert counts(read_labels(path, GRID, rules=LabelRules(classes=table))) == {"minor": 6, "severe": 6}
    assert "kept as a class" not in caplog.text
    assert f"skipped 2 features of classes that are not in the class table: {word}" in caplog.text


@pytest.mark.parametrize(("word", "said"), [("none", "kept as a class"), ("NULL", "treated as empty")])
def test_a_class_table_is_recommended_only_where_one_can_be_given(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, word: str, said: str
) -> None:
    path = write(tmp_path / "gt.gpkg", land=["a", "b", word])
    for takes_table in (True, False):
        caplog.clear()
        read_labels(path, GRID, rules=LabelRules(takes_table=takes_table))
        assert f"{word!r} is {said}" in caplog.text
        assert ("class table" in caplog.text) is takes_table


def test_a_field_of_nothing_but_none_is_not_taken_for_the_class(tmp_path: Path) -> None:
    path = write(tmp_path / "gt.gpkg", land=["a", "b", "c"], note=["None", "None", "None"])
    assert counts(read_labels(path, GRID)).keys() == {"a", "b", "c"}


def test_names_of_numbers_may_be_none_but_not_null(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write(tmp_path / "gt.gpkg", damage_id=[0, 1, 2], damage_name=["None", "Minor", "NULL"])
    labels = read_labels(path, GRID, rules=LabelRules("damage_id"))
    assert {c.id: c.name for c in labels.classes} == {0: "None", 1: "Minor", 2: "2"}
    assert (
        "in field 'damage_name', 'NULL' is treated as empty; the classes without a name are named by their"
        in caplog.text
    )
    assert len(caplog.records) == 1


def test_a_class_table_keeps_a_word_for_no_value(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write(tmp_path / "gt.gpkg", land=["a", "None", "NULL"])
    table = make_classes({1: "a", 2: "none"})
    assert counts(read_labels(path, GRID, rules=LabelRules(classes=table))) == {"a": 6, "none": 6}
    assert "skipped 1 feature whose 'land' is empty; 'NULL' is treated as empty" in caplog.text


def test_a_field_of_nothing_but_words_for_no_value_is_empty(tmp_path: Path) -> None:
    path = write(tmp_path / "gt.gpkg", land=["NULL", "<Null>"])
    with pytest.raises(LabelError, match="field 'land' is empty in every feature"):
        read_labels(path, GRID, rules=LabelRules("land"))


@pytest.mark.parametrize(
    ("values", "names", "are_given"),
    [
        (["2", "10", "100"], {2: "2", 10: "10", 100: "100"}, True),
        (["2", "10", "NULL"], {2: "2", 10: "10"}, True),
        (["2", "10", "NA"], {2: "2", 10: "10"}, True),
        (["0", " 3 ", "4.0"], {0: "0", 3: "3", 4: "4"}, True),
        (["02", "10", "100"], {1: "02", 2: "10", 3: "100"}, False),
        (["2", "10", "70000"], {1: "10", 2: "2", 3: "70000"}, False),
        (["2", "10", "-1"], {1: "-1", 2: "10", 3: "2"}, False),
        (["2", "10", "1.5"], {1: "1.5", 2: "10", 3: "2"}, False),
        (["2", "10", "a"], {1: "10", 2: "2", 3: "a"}, False),
    ],
)
def test_class_numbers_in_a_field_of_text(
    tmp_path: Path, values: list[str], names: dict[int, str], are_given: bool
) -> None:
    labels = read_labels(write(tmp_path / "gt.gpkg", land=values), GRID)
    assert {c.id: c.name for c in labels.classes} == names
    assert labels.ids_are_given == are_given


def test_class_numbers_in_a_field_of_text_have_the_names_of_another(tmp_path: Path) -> None:
    path = write(tmp_path / "gt.gpkg", code=["10", "2", "10"], name=["tree", "grass", "tree"])
    for rules in (None, LabelRules("code")):
        labels = read_labels(path, GRID, rules=rules)
        assert {c.id: c.name for c in labels.classes} == {2: "grass", 10: "tree"}


def test_a_class_table_has_the_numbers_that_are_text_or_such_names(tmp_path: Path) -> None:
    path = write(tmp_path / "gt.gpkg", land=["10", "2", "10"])
    numbers = make_classes({2: "grass", 10: "tree"})
    assert counts(read_labels(path, GRID, rules=LabelRules(classes=numbers))) == {"grass": 6, "tree": 12}
    names = make_classes({1: "10", 2: "2"})
    labels = read_labels(path, GRID, rules=LabelRules(classes=names))
    assert labels.counts() == {1: 12, 2: 6}


def test_a_number_that_is_no_class_is_shown(tmp_path: Path) -> None:
    path = write(tmp_path / "gt.gpkg", land=[1.0, float("inf"), 2.0])
    with pytest.raises(LabelError, match="holds neither text nor whole numbers but inf"):
        read_labels(path, GRID, rules=LabelRules("land"))
