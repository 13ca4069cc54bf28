"""Findings about packages: formats, extras and coordinates."""

from __future__ import annotations

import tomllib
from importlib import metadata
from pathlib import Path

import pyproj
import pytest

from s2fin_cli.installation import software
from s2fin_cli.installation.finding import GOOD, HINT, PROBLEM
from s2fin_cli.installation.software import (
    EXTRAS,
    IN_UTM,
    POINT,
    RASTER_DRIVERS,
    VECTOR_DRIVERS,
    drivers,
    examine_software,
    transformations,
    versions,
)
from tests.extras import FOR_DEVELOPERS

ALL_RASTERS = (*RASTER_DRIVERS, *software.MORE_DRIVERS)
ALL_VECTORS = dict.fromkeys(VECTOR_DRIVERS, "rw")


def test_the_installation_that_runs_the_tests_works() -> None:
    findings = examine_software()
    assert [finding.part for finding in findings][:4] == ["versions", "optional parts", "GDAL's drivers", "coordinates"]
    assert {finding.status for finding in findings} <= {GOOD, HINT}
    for name in ("numpy", "rasterio", "torch"):
        assert f"{name} {metadata.version(name)}" in versions().found


def test_extras_are_those_of_the_package() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert set(project["optional-dependencies"]) - FOR_DEVELOPERS == set(EXTRAS)


@pytest.mark.parametrize("name", RASTER_DRIVERS)
def test_a_raster_format_that_is_missing(name: str) -> None:
    found = drivers(set(ALL_RASTERS) - {name}, ALL_VECTORS)
    assert (found.status, found.found) == (PROBLEM, f"GDAL lacks {name}")
    assert "uv tool install s2fin" in str(found.remedy)


def test_a_vector_format_that_is_read_only() -> None:
    assert drivers(ALL_RASTERS, {**ALL_VECTORS, "GPKG": "r"}).found == "GDAL lacks GPKG"


def test_a_format_that_few_need() -> None:
    assert drivers(ALL_RASTERS, ALL_VECTORS).remedy is None
    found = drivers(set(ALL_RASTERS) - {"JP2OpenJPEG"}, ALL_VECTORS)
    assert found.status == GOOD
    assert "JPEG 2000 cannot be read" in found.found
    assert "gdal_translate" in str(found.remedy)


def test_the_known_coordinates_are_right() -> None:
    """By the length of the meridian on the ellipsoid, not by PROJ's projection."""
    length = pyproj.Geod(ellps="WGS84").line_length([POINT[0]] * 2, [0, POINT[1]])
    assert (500_000, 0.9996 * length) == pytest.approx(IN_UTM, abs=1e-3)


def test_variables_of_another_installation_are_named() -> None:
    assert [finding.status for finding in transformations({})] == [GOOD]
    found = transformations({"PROJ_LIB": "/opt/proj"})[1]
    assert (found.status, found.found) == (HINT, "the environment has PROJ_LIB (/opt/proj)")
    assert "unset PROJ_LIB" in str(found.remedy)
