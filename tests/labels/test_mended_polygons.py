"""Polygons that are not valid, collections, and polygons without an area."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import shapely
from rasterio.features import geometry_mask
from shapely import GeometryCollection, LineString, MultiPolygon, Polygon

from s2fin_cli.labels.read import read_labels
from tests.files import write_vector
from tests.labels.places import pixels
from tests.rectangles import GRID, LEFT, TOP, at, centres, counts

if TYPE_CHECKING:
    from pathlib import Path


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
    xs, ys = centres(GRID)
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
    assert "the collections of feature 2 (FID) also hold lines or points, which are skipped" in caplog.text


def test_a_polygon_without_area_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    flat = Polygon([(LEFT, TOP), (LEFT + 50, TOP - 50), (LEFT, TOP)])
    path = write_vector(tmp_path / "gt.gpkg", [flat, at(9, 9)], land=["a", "b"])
    assert counts(read_labels(path, GRID)) == {"b": 6}
    assert "feature 1 (FID): without any area; skipped" in caplog.text
