"""Classes of a map: class tables, colours, and how a map stores them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from s2fin_cli.core.classes import make_classes, map_encoding, read_class_table
from s2fin_cli.core.errors import LabelError
from tests.labels.places import write_table

if TYPE_CHECKING:
    from pathlib import Path


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
        ("id,name\n1,a\n1,b\n", "line 3: class 1 'b' occurs twice"),
        ("id,name\n1,a\n2,A\n", "line 3: class 2 'A' occurs twice"),
        ("id,name\n70000,a\n", "line 2: id is 70000; number classes from 0 to 65535"),
    ],
)
def test_a_class_table_that_makes_no_sense(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(LabelError) as caught:
        write_table(tmp_path / "t.csv", text)
    assert message in str(caught.value)


def test_a_class_table_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(
        LabelError, match=r"the class table .*none\.csv does not exist \(looked in .*\); check the path"
    ):
        read_class_table(tmp_path / "none.csv")
    (tmp_path / "latin.csv").write_bytes("id,name\n1,Forêt".encode("latin-1"))
    with pytest.raises(LabelError, match="give a CSV file in UTF-8"):
        read_class_table(tmp_path / "latin.csv")


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
