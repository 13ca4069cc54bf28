"""Labels of several files: which classes they have in common, and which file decides about a pixel."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from rasterio.enums import MergeAlg
from rasterio.features import rasterize

from s2fin_cli.core.classes import LandCoverClass
from s2fin_cli.core.errors import LabelError
from s2fin_cli.labels.limits import Limits
from s2fin_cli.labels.pixels import joined
from s2fin_cli.labels.read import open_labels, read_labels
from s2fin_cli.labels.rules import LabelRules
from s2fin_cli.raster.class_map import create_class_map
from s2fin_cli.raster.class_names import CLASSES_TAG
from tests.files import write_raster, write_vector
from tests.labels.places import pixels, point, write_table
from tests.rectangles import ALL, GRID, at, counts

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from s2fin_cli.labels.pixels import LabelledPixels


def write(path: Path, col: float = 0, /, **fields: Any) -> Path:
    """Rectangles of 3 x 2 pixels below each other, from a column on, with fields."""
    size = len(next(iter(fields.values())))
    return write_vector(path, [at(col, 3 * i) for i in range(size)], **fields)


def write_map(path: Path, values: NDArray[np.uint8], names: dict[int, str]) -> Path:
    """A label raster with names of its classes, maybe not of all."""
    if len(set(np.unique(values).tolist()) - {0}) > len(names):
        write_raster(path, values, nodata=0)
        with rasterio.open(path, "r+") as dst:
            dst.update_tags(**{CLASSES_TAG: json.dumps(names)})
        return path
    classes = [LandCoverClass(number, name, (number, 0, 0)) for number, name in names.items()]
    with create_class_map(path, GRID, classes) as writer:
        writer.write(values[None], ALL)
    return path


def numbers(labels: LabelledPixels) -> dict[int, str]:
    return {c.id: c.name for c in labels.classes}


def test_names_of_all_files_are_numbered_together(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    old = write(tmp_path / "old.gpkg", land=["forest", "water", "forest"])
    new = write(tmp_path / "new.geojson", 10, kind=["Water", "bare soil"])
    caplog.set_level("INFO")
    labels = read_labels([old, new], GRID)
    assert numbers(labels) == {1: "bare soil", 2: "forest", 3: "water"}
    assert counts(labels) == {"bare soil": 6, "forest": 12, "water": 12}
    assert labels.kind == "polygons"
    assert not labels.ids_are_given
    assert len(set(labels.groups.tolist())) == 5
    assert "'Water' in" in caplog.text
    assert "is taken for the class 'water'" in caplog.text


def test_the_later_file_decides(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    old = write_vector(tmp_path / "old.gpkg", [at(0, 0, 10, 10)], land=["forest"])
    other = write_vector(tmp_path / "other.gpkg", [at(20, 20)], land=["water"])
    new = write_vector(tmp_path / "new.gpkg", [point(2.5, 3.5), point(8.5, 8.5), point(30.5, 30.5)],
                       land=["water", "forest", "water"])  # fmt: skip
    labels = read_labels([old, other, new], GRID)
    assert counts(labels) == {"forest": 99, "water": 8}
    assert {(3, 2, 2), (8, 8, 1), (30, 30, 2)} <= pixels(labels)
    assert "1 pixel has different classes in several label files; the last of these files decides (forest, water)" in (
        caplog.text
    )
    assert labels.kind == "mixed"
    caplog.clear()
    first = read_labels([old, other, new], GRID, rules=LabelRules(on_conflict="first"))
    assert counts(first) == {"forest": 100, "water": 7}
    assert "the first of these files decides" in caplog.text
    with pytest.raises(LabelError, match=r"1 pixel has different classes .* choose which file decides with `on_conf"):
        read_labels([old, other, new], GRID, rules=LabelRules(on_conflict="error"))


def test_pixels_that_the_deciding_file_drops_do_not_get_an_older_class(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The two rectangles of the corrections share 4 x 5 pixels, all those of a class in the old file."""
    old = write_vector(tmp_path / "old.gpkg", [at(0, 0, 4, 20), at(4, 0, 4, 5)], land=["forest", "shadow"])
    new = write_vector(tmp_path / "new.gpkg", [at(0, 0, 8, 5), at(4, 0, 8, 5)], land=["water", "bare soil"])
    rules = LabelRules(on_conflict="drop")
    labels = read_labels([old, new], GRID, rules=rules)
    assert f"{new}: 20 pixels that different classes claim are skipped (bare soil, water)" in caplog.text
    assert counts(labels) == {"bare soil": 20, "forest": 60, "water": 20}
    assert not {(row, col) for row in range(5) for col in range(4, 8)} & {place[:2] for place in pixels(labels)}
    assert "20 pixels have different classes in several label files; the last of these" in caplog.text
    assert "classes all of whose pixels have another class in another label file: shadow" in caplog.text
    assert counts(read_labels([new, old], GRID, rules=rules)) == {"bare soil": 20, "forest": 80, "shadow": 20}
    third = write_vector(tmp_path / "third.gpkg", [at(5, 1, 1, 1)], land=["water"])
    assert counts(read_labels([old, new, third], GRID, rules=rules))["water"] == 21
    strips = open_labels([old, new], GRID, rules=rules, limits=Limits(held_pixels=5, strip_pixels=90, band_rows=3))
    assert pixels(joined(list(strips.strips()))) == pixels(labels)


def test_a_class_that_a_later_file_takes_away(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    old = write_vector(tmp_path / "old.gpkg", [at(0, 0), at(9, 9)], land=["forest", "watre"])
    labels = read_labels([old, write_vector(tmp_path / "new.gpkg", [at(9, 9)], land=["water"])], GRID)
    assert counts(labels) == {"forest": 6, "water": 6}
    assert "classes all of whose pixels have another class in another label file: watre" in caplog.text


def test_files_in_different_crs(tmp_path: Path) -> None:
    old = write(tmp_path / "old.gpkg", land=["forest", "water"])
    away = tmp_path / "new.gpkg"
    dots = gpd.GeoDataFrame({"class": ["forest"]}, geometry=[point(20.5, 20.5)], crs=GRID.crs)
    dots.to_crs(4326).to_file(away)
    assert (20, 20, 1) in pixels(read_labels([old, away], GRID))


def test_features_without_a_class_are_skipped(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Also where other fields of the file are filled in, as with places that were suggested."""
    old = write(tmp_path / "old.gpkg", land=["forest", "water", "forest"])
    guesses: dict[str, list[Any]] = {"rank": [1, 2, 3], "likeliest": ["forest", "forest", "water"]}
    new = write(tmp_path / "new.gpkg", 10, **{"class": ["water", None, " "]}, **guesses)
    assert counts(read_labels([old, new], GRID)) == {"forest": 12, "water": 12}
    assert f"{new}: skipped 2 features whose 'class' is empty" in caplog.text
    empty = write(tmp_path / "empty.gpkg", 20, **{"class": [None, None, ""]}, **guesses)
    assert counts(read_labels([old, empty, new], GRID)) == {"forest": 12, "water": 12}
    assert f"{empty}: skipped all 3 features, whose 'class' is empty" in caplog.text
    assert counts(read_labels([old, empty], GRID)) == {"forest": 12, "water": 6}
    with pytest.raises(LabelError, match=r"^no label file holds a class: field 'class' of .*empty\.gpkg and field 'cl"):
        read_labels([empty, empty], GRID)
    with pytest.raises(LabelError, match="field 'class' is empty in every feature; fill it in"):
        read_labels(empty, GRID)
    assert counts(read_labels(new, GRID)) == {"water": 6}


def test_a_field_for_all_files_or_for_those_that_have_it(tmp_path: Path) -> None:
    """A file that lacks the field goes by its own, so that the user's first file may need the option."""
    old = write(tmp_path / "old.gpkg", lc=["forest", "water", "forest"], use=["a", "b", "b"])
    new = write(tmp_path / "new.gpkg", 10, **{"class": ["water", "water"]}, who=["Ann", "Bob"])
    with pytest.raises(LabelError, match=r"old\.gpkg: several fields may hold the class \(lc, use\)"):
        read_labels([old, new], GRID)
    assert counts(read_labels([old, new], GRID, rules=LabelRules("lc"))) == {"forest": 12, "water": 18}
    with pytest.raises(LabelError, match=r"old\.gpkg: there is no field 'land', and several fields may hold .*lc, use"):
        read_labels([old, new], GRID, rules=LabelRules("land"))
    with pytest.raises(LabelError, match=r"none of the label files has a field 'land' .* would be taken from: class$"):
        read_labels([new, new], GRID, rules=LabelRules("land"))


def test_names_beside_numbers_with_names(tmp_path: Path) -> None:
    """Numbers that are given stay, and a new name gets the next one."""
    old = write(tmp_path / "old.gpkg", code=[30, 7, 30], code_name=["forest", "water", "forest"])
    new = write(tmp_path / "new.gpkg", 10, **{"class": ["water", "rock", "Forest"]})
    for files in ([old, new], [new, old]):
        labels = read_labels(files, GRID)
        assert numbers(labels) == {7: "water", 30: "forest", 31: "rock"}
        assert counts(labels) == {"water": 12, "forest": 18, "rock": 6}
        assert not labels.ids_are_given


def test_numbers(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    plain = write(tmp_path / "plain.gpkg", code=[1, 2, 1])
    text = write(tmp_path / "text.gpkg", 10, **{"class": ["2", "5"]})
    labels = read_labels([plain, text], GRID)
    assert numbers(labels) == {1: "1", 2: "2", 5: "5"}
    assert labels.ids_are_given
    named = write(tmp_path / "named.gpkg", 20, code=[1, 3, 1], code_name=["forest", "water", "forest"])
    for files in ([plain, named], [named, plain]):
        assert numbers(read_labels(files, GRID)) == {1: "forest", 2: "2", 3: "water"}
    other = write(tmp_path / "other.gpkg", 30, code=[4, 1, 4], code_name=["forest", "water", "forest"])
    caplog.clear()
    labels = read_labels([named, other], GRID)
    assert numbers(labels) == {1: "forest", 3: "water"}
    assert counts(labels) == {"forest": 24, "water": 12}
    assert "another way get its numbers: water (1, now 3), forest (4, now 1)" in caplog.text


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"code": [1, 2, 1], "code_name": ["rock", "water", "rock"]},
         r"class 1 is 'forest' in .*old\.gpkg and 'rock' in .*new\.gpkg; correct the numbers"),
        ({"code": [1, 2, 1], "code_name": ["water", None, "water"]},
         r"class 2 is 'water' in .*old\.gpkg and '2' in .*new\.gpkg; correct the numbers"),
    ],
)  # fmt: skip
def test_numbers_that_contradict_each_other(tmp_path: Path, fields: dict[str, list[Any]], message: str) -> None:
    old = write(tmp_path / "old.gpkg", code=[1, 2, 1], code_name=["forest", "water", "forest"])
    with pytest.raises(LabelError, match=message):
        read_labels([old, write(tmp_path / "new.gpkg", 10, **fields)], GRID)


def test_names_that_cannot_be_matched_with_numbers(tmp_path: Path) -> None:
    plain = write(tmp_path / "plain.gpkg", code=[1, 2, 1])
    named = write(tmp_path / "named.gpkg", 10, **{"class": ["forest", "water"]})
    message = (
        r"named\.gpkg names a class 'forest', and .*plain\.gpkg numbers classes without such a name \(1, 2\); give"
    )
    for files in ([plain, named], [named, plain]):
        with pytest.raises(LabelError, match=message):
            read_labels(files, GRID)
    table = write_table(tmp_path / "t.csv", "id,name,color\n1,water,#0000ff\n2,forest,#00ff00\n")
    labels = read_labels([plain, named], GRID, rules=LabelRules(classes=table))
    assert labels.counts() == {1: 18, 2: 12}
    assert labels.classes == table


def test_a_raster_beside_features(tmp_path: Path) -> None:
    values = np.zeros(GRID.shape, dtype=np.uint8)
    values[:10, :10], values[20:, 20:] = 1, 4
    raster = write_map(tmp_path / "gt.tif", values, {1: "forest", 4: "water"})
    new = write(tmp_path / "new.gpkg", **{"class": ["water", "forest"]})
    labels = read_labels([raster, new], GRID)
    assert numbers(labels) == {1: "forest", 4: "water"}
    assert counts(labels) == {"forest": 94, "water": 20 * 30 + 6}
    assert labels.kind == "raster"
    assert counts(read_labels([new, raster], GRID)) == {"forest": 100, "water": 20 * 30}
    with pytest.raises(
        LabelError, match=r"new\.gpkg names a class 'rock', and .*gt\.tif numbers classes without such a"
    ):
        read_labels([raster, write(tmp_path / "new.gpkg", **{"class": ["rock"]})], GRID)


def test_a_raster_with_an_unnamed_class_that_a_number_is_taken_from(tmp_path: Path) -> None:
    values = np.full(GRID.shape, 2, dtype=np.uint8)
    values[:5] = 1
    one = write_map(tmp_path / "one.tif", values, {1: "forest", 2: "water"})
    other = write_map(tmp_path / "other.tif", values, {1: "water"})
    with pytest.raises(LabelError, match=r"class 2 of .*other\.tif has no name, and .* the number of 'water'; number"):
        read_labels([one, other], GRID)
    values[5:] = 0
    assert counts(read_labels([one, write_map(tmp_path / "third.tif", values, {1: "water"})], GRID)) == {"water": 2000}


def test_a_buffer_for_the_files_that_take_one(tmp_path: Path) -> None:
    old = write(tmp_path / "old.gpkg", land=["forest", "water"])
    dots = write_vector(tmp_path / "new.gpkg", [point(30.5, 30.5)], land=["water"])
    assert counts(read_labels([old, dots], GRID, rules=LabelRules(buffer=15))) == {"forest": 6, "water": 15}
    with pytest.raises(LabelError, match=r"applies to points and lines, and the labels are polygons; leave it out"):
        read_labels([old, old], GRID, rules=LabelRules(buffer=15))


def test_a_file_of_another_place_is_skipped(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    old = write(tmp_path / "old.gpkg", land=["forest", "water"])
    far = write_vector(tmp_path / "far.gpkg", [point(900, 900)], land=["water"])
    empty = write_map(tmp_path / "empty.tif", np.zeros(GRID.shape, np.uint8), {1: "forest", 2: "water"})
    for other in (far, empty):
        for files in ([old, other], [other, old]):
            caplog.clear()
            labels = read_labels(files, GRID)
            assert counts(labels) == {"forest": 6, "water": 6}
            assert labels.kind == "polygons"
            assert f"{other}: skipped the whole file, because none of its labels is in the image" in caplog.text
    for files in ([far, far], [far, empty]):
        with pytest.raises(LabelError, match=r"far\.gpkg: no labelled pixel is in the image"):
            read_labels(files, GRID)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2)])
def test_strips_hold_what_painting_the_files_over_each_other_gives(tmp_path: Path, order: Sequence[int]) -> None:
    """Against GDAL's own burning of the features of all files in this order."""
    generator = np.random.default_rng(5)
    values = generator.integers(0, 4, GRID.shape).astype(np.uint8)
    corners, places = generator.uniform(0, 36, (30, 2)), generator.uniform((0, 0), (50, 40), (200, 2))
    shapes, dots = [at(col, row, 9, 7) for col, row in corners.round().tolist()], [point(*place) for place in places]
    classes = [[1 + i % 3 for i in range(len(group))] for group in (shapes, dots)]
    files = [
        write_raster(tmp_path / "gt.tif", values),
        write_vector(tmp_path / "shapes.gpkg", shapes, code=classes[0]),
        write_vector(tmp_path / "dots.gpkg", dots, code=classes[1]),
    ]
    layers = [
        values,
        *(
            rasterize(
                zip(group, ids, strict=True),
                GRID.shape,
                transform=GRID.transform,
                merge_alg=MergeAlg.replace,
                dtype="uint8",
            )
            for group, ids in zip((shapes, dots), classes, strict=True)
        ),
    ]
    painted = np.zeros(GRID.shape, dtype=np.uint8)
    for number in order:
        painted = np.where(layers[number] > 0, layers[number], painted)
    rules = LabelRules(on_conflict="last")
    chosen = [files[number] for number in order]
    expected = {(row, col, int(painted[row, col])) for row, col in np.argwhere(painted).tolist()}
    whole = read_labels(chosen, GRID, rules=rules)
    assert pixels(whole) == expected
    limits = Limits(held_pixels=5, strip_pixels=210, window_pixels=60, band_rows=3)
    strips = open_labels(chosen, GRID, rules=rules, limits=limits)
    assert strips.whole is None
    for _ in range(2):  # they can be read again
        again = joined(list(strips.strips()))
        assert np.array_equal(again.groups, whole.groups)
        assert pixels(again) == expected
    assert strips.totals == whole.counts()
