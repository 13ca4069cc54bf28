"""Which field holds the class, and the numbers and names of the classes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from s2fin_cli.core.errors import LabelError
from s2fin_cli.labels.class_field import class_field
from s2fin_cli.labels.numbering import number_classes
from s2fin_cli.labels.read import read_labels
from s2fin_cli.labels.rules import LabelRules
from s2fin_cli.vector.texts import is_text
from tests.files import write_vector
from tests.labels.places import write_table
from tests.rectangles import GRID, at, counts, frame

if TYPE_CHECKING:
    from pathlib import Path


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
    assert [(c.id, c.name) for c in read_labels(path, GRID, rules=LabelRules("kind")).classes] == [
        (1, "sand"),
        (2, "sea"),
    ]


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
    _, class_ids, found = number_classes(frame(**fields), numbers, src_path="gt.shp", table=None, takes_table=True)
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
    _, _, found = number_classes(
        frame(**{"class": [12, 5, 12, 7]}, **fields), "class", src_path="gt.shp", table=None, takes_table=True
    )
    assert found == {5: "5", 7: "7", 12: "12"}


def test_names_that_do_not_fit_are_reported(caplog: pytest.LogCaptureFixture) -> None:
    number_classes(
        frame(lulc_id=[1, 1, 2], lulc_name=["sea", "See", "sand"]),
        "lulc_id",
        src_path="gt.shp",
        table=None,
        takes_table=True,
    )
    assert "gt.shp: class names are not taken from field 'lulc_name'" in caplog.text


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
    assert [c.name for c in read_labels(path, GRID, rules=LabelRules("code")).classes] == ["1", "2"]
    path = write_vector(tmp_path / "pair.gpkg", shapes, code=[1, 1, 2], kind=["Road", " Road ", "Sea"])
    assert [c.name for c in read_labels(path, GRID, rules=LabelRules("code")).classes] == ["Road", "Sea"]


def test_alphabetical_order_does_not_part_capitals(tmp_path: Path) -> None:
    path = write_vector(tmp_path / "gt.gpkg", [at(3 * i, 0) for i in range(4)], land=["b", "C", "a", "A"])
    assert [c.name for c in read_labels(path, GRID).classes] == ["A", "a", "b", "C"]


def test_names_that_differ_in_case_alone_are_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    shapes = [at(0, 0), at(9, 9), at(19, 19)]
    path = write_vector(tmp_path / "gt.gpkg", shapes, land=["forest", "water", "Forest"])
    assert counts(read_labels(path, GRID)) == {"Forest": 6, "forest": 6, "water": 6}
    assert "'Forest' and 'forest' are treated as two classes; if they are one, correct the names" in caplog.text


def test_text_with_missing_values_is_text() -> None:
    assert is_text(pd.Series(["a", None, np.nan], dtype=object))
    assert not is_text(pd.Series([1, None], dtype=object))


def test_names_that_do_not_fit_the_numbers_are_no_pair(tmp_path: Path) -> None:
    path = write_vector(
        tmp_path / "gt.gpkg", [at(0, 0), at(9, 0), at(19, 0)], code=[1, 2, 2], kind=["sea", "sea", "sand"]
    )
    with pytest.raises(LabelError, match=r"gt\.gpkg: several fields may .* \(code, kind\); .*`label_field`"):
        read_labels(path, GRID)
    assert [c.name for c in read_labels(path, GRID, rules=LabelRules("code")).classes] == ["1", "2"]


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
        ({"a": [1, 2, 2], "b": ["x", "x", "y"]}, None, r"\(a, b\); name the field with `label_field`"),
        (
            {"area": [1.5, 2.5, 2.5]},
            None,
            r"no field seems to hold the class \(area\); name the field with `label_field`",
        ),
        ({"a": [1, 2, 2]}, "b", "has no field 'b'; its fields are: a; name one with `label_field`"),
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


def test_numbers_with_gaps(tmp_path: Path) -> None:
    path = write_vector(tmp_path / "gt.gpkg", [at(0, 0), at(9, 0), at(19, 0)], code=[3.0, None, 8.0])
    assert counts(read_labels(path, GRID)) == {"3": 6, "8": 6}


def test_a_field_that_is_empty_throughout(tmp_path: Path) -> None:
    path = write_vector(tmp_path / "gt.gpkg", [at(0, 0), at(9, 0)], land=["", " "])
    with pytest.raises(LabelError, match="field 'land' is empty in every feature"):
        read_labels(path, GRID, rules=LabelRules("land"))


@pytest.mark.parametrize("class_id", [-1, 65536, 10**9, 3e20])
def test_class_numbers_that_no_map_can_hold(tmp_path: Path, class_id: float) -> None:
    path = write_vector(tmp_path / "gt.geojson", [at(0, 0), at(9, 0)], code=[float(class_id), 1.0])
    with pytest.raises(LabelError, match="; number classes from 0 to 65535"):
        read_labels(path, GRID)


def test_a_class_table_numbers_names_and_colours(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    table = write_table(
        tmp_path / "t.csv", '\ufeffid,Name,color\n30, Forêt ,#1e6e32\n10,"Water, deep",\n20,Road,#010203\n'
    )
    assert [(c.id, c.name) for c in table] == [(10, "Water, deep"), (20, "Road"), (30, "Forêt")]
    assert [c.color for c in table[1:]] == [(1, 2, 3), (30, 110, 50)]
    shapes = [at(0, 0), at(9, 0), at(18, 0), at(27, 0)]
    path = write_vector(tmp_path / "gt.gpkg", shapes, land=["forêt", "Road ", "swamp", None])
    labels = read_labels(path, GRID, rules=LabelRules(classes=table))
    assert labels.counts() == {20: 6, 30: 6}
    assert labels.classes == table[1:]
    assert "skipped 1 feature of classes that are not in the class table: swamp" in caplog.text
    assert "skipped 1 feature whose 'land' is empty" in caplog.text
    numbers = write_vector(tmp_path / "numbers.gpkg", shapes, code=[10, 20, 99, 20])
    labels = read_labels(numbers, GRID, rules=LabelRules(classes=table))
    assert labels.counts() == {10: 6, 20: 12}
    assert "class table: 99" in caplog.text
    with pytest.raises(LabelError, match=r"no class of field 'land' is in the class table \(x\)"):
        read_labels(path, GRID, rules=LabelRules(classes=write_table(tmp_path / "x.csv", "id;name\n1;x\n")))
