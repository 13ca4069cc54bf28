"""How accurately coordinates are transformed, and the warnings about it."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import TYPE_CHECKING

import geopandas
import numpy as np
import pytest
import shapely
from affine import Affine
from rasterio.crs import CRS

from s2fin_cli.geo.accuracy import warn_of_inaccuracy
from s2fin_cli.geo.extents import bounds_on
from s2fin_cli.geo.grid import Grid
from s2fin_cli.geo.transformation import Placed
from s2fin_cli.labels.read import read_labels
from s2fin_cli.stack.assembly import build_stack
from tests.geo.placed import BESSEL, PLACED, UTM, warnings_in, write

if TYPE_CHECKING:
    from pathlib import Path


def test_a_ballpark_transformation_is_warned_of_with_its_size(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    values = np.ones((60, 80), np.uint8)
    paths = {
        "msi": [write(tmp_path / "msi.tif", UTM, PLACED, values)],
        "dsm": [
            write(tmp_path / "dsm.tif", BESSEL, PLACED * Affine.translation(-400, -600) * Affine.scale(15), values)
        ],
    }
    build_stack(paths)
    (message,) = warnings_in(caplog)
    assert (
        "dsm.tif is transformed from an unnamed CRS (no EPSG code) to EPSG:32632 by a ballpark transformation"
        in message
    )
    assert "by some 7" in message
    assert "rio edit-info --crs EPSG:CODE" in message
    caplog.clear()
    point = shapely.Point(500_200, 5_301_400)
    geopandas.GeoDataFrame({"class": ["a"]}, geometry=[point], crs=BESSEL.to_wkt()).to_file(tmp_path / "points.gpkg")
    read_labels(tmp_path / "points.gpkg", Grid(UTM, PLACED, (60, 80)))
    assert [message for message in warnings_in(caplog) if "ballpark" in message and "ogr2ogr" in message]


def test_a_datum_without_a_name_on_the_same_ellipsoid_is_no_cause_for_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    unnamed = CRS.from_string("+proj=utm +zone=25 +south +ellps=GRS80 +units=m +type=crs")
    values = np.ones((60, 80), np.uint8)
    paths = {
        "msi": [write(tmp_path / "msi.tif", CRS.from_epsg(31985), Affine(30, 0, 290_000, 0, -30, 9.1e6), values)],
        "dsm": [write(tmp_path / "dsm.tif", unnamed, Affine(60, 0, 289_000, 0, -60, 9.101e6), values)],
    }
    build_stack(paths)
    assert not warnings_in(caplog)
    assert "without a datum transformation, as none is known; both ellipsoids are the same" in caplog.text


def test_known_datums_are_no_cause_for_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    values = np.ones((60, 80), np.uint8)
    for number, code in enumerate((4326, 25832, 3857, 3035, 4258)):
        crs = CRS.from_epsg(code)
        grid = Grid(crs, Affine(1e-5, 0, 9, 0, -1e-5, 48) if crs.is_geographic else PLACED, (60, 80))
        left, bottom, right, top = bounds_on(Grid(UTM, PLACED, (60, 80)), grid)
        transform = Affine((right - left) / 40, 0, left - (right - left) / 2, 0, (bottom - top) / 30, 2 * top - bottom)
        paths = {
            "msi": [write(tmp_path / "msi.tif", UTM, PLACED, values)],
            "dsm": [write(tmp_path / f"dsm{number}.tif", grid.crs, transform, values)],
        }
        build_stack(paths)
    assert not warnings_in(caplog)


def test_a_better_operation_that_is_not_installed_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """NAD 27 in Kansas: the grid that is good to a few metres comes with no wheel."""
    values = np.ones((60, 80), np.uint8)
    paths = {
        "msi": [write(tmp_path / "msi.tif", CRS.from_epsg(32614), Affine(1, 0, 600_000, 0, -1, 4.3e6), values)],
        "dsm": [write(tmp_path / "dsm.tif", CRS.from_epsg(26714), Affine(10, 0, 599_000, 0, -10, 4.301e6),
                      np.ones((300, 300), np.uint8))],
    }  # fmt: skip
    build_stack(paths)
    found = [message for message in warnings_in(caplog) if "pyproj sync --file" in message]
    assert len(found) <= 1
    if found:  # nothing is logged where the file is installed
        assert "dsm.tif is transformed from EPSG:26714 to EPSG:32614" in found[0]


@pytest.mark.parametrize(
    ("best", "better", "level"),
    [(4.0, 2.0, logging.INFO), (4.0, 0.9, logging.WARNING), (25.0, 5.0, logging.WARNING), (25.0, 6.0, logging.INFO)],
)
def test_a_better_operation_is_a_warning_where_it_helps(
    caplog: pytest.LogCaptureFixture, best: float, better: float, level: int
) -> None:
    """By what PROJ says, as which files are installed differs: good to a pixel of 1 m, or five times as good."""
    file = SimpleNamespace(short_name="shift.tif", available=False)
    operations = SimpleNamespace(
        transformers=[SimpleNamespace(accuracy=best, description="usual")],
        unavailable_operations=[SimpleNamespace(accuracy=better, name="better", grids=[file])],
    )
    grid = Grid(CRS.from_epsg(32614), Affine(1, 0, 600_000, 0, -1, 4.3e6), (60, 80))
    with caplog.at_level(logging.INFO):
        placed = Placed("dsm.tif", "dsm.tif", CRS.from_epsg(26914))
        warn_of_inaccuracy(placed, grid, find_operations=lambda *_: operations)  # type: ignore[arg-type]
    assert [record.levelno for record in caplog.records] == [level]
    assert "pyproj sync --file shift.tif" in caplog.text


def test_realisations_of_one_datum_are_no_warning(caplog: pytest.LogCaptureFixture) -> None:
    """NAD83(2011) onto NAD83, between which PROJ has grids that no wheel comes with."""
    grid = Grid(CRS.from_epsg(26910), Affine(1, 0, 500_000, 0, -1, 4.2e6), (60, 80))
    with caplog.at_level(logging.INFO):
        warn_of_inaccuracy(Placed("dsm.tif", "dsm.tif", CRS.from_epsg(6339)), grid)
    assert not warnings_in(caplog)
