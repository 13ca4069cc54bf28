"""Labels read some rows at a time are those that are read at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from s2fin_cli.labels.limits import Limits
from s2fin_cli.labels.pixels import joined
from s2fin_cli.labels.read import open_labels, read_labels
from s2fin_cli.labels.rules import LabelRules
from tests.files import write_raster, write_vector
from tests.labels.places import pixels, point
from tests.labels.test_rasters import label_raster
from tests.rectangles import GRID

if TYPE_CHECKING:
    from pathlib import Path


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
    whole = read_labels(path, GRID, rules=rules)
    warnings = list(caplog.messages)
    caplog.clear()
    labels = open_labels(path, GRID, rules=rules, limits=SMALL)
    strips = list(labels.strips())
    assert labels.whole is None
    assert caplog.messages == warnings, "once, although they are read twice"
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
