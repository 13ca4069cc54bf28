"""Frames of geopandas as files: what is in them is what is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely

from s2fin_cli.core.errors import InputError
from s2fin_cli.vector.frame_copies import write_frame
from s2fin_cli.vector.read import read_features
from tests.files import CRS_CODE

POINTS = [shapely.Point(i, i) for i in range(3)]


def read_back(folder: Path, frame: gpd.GeoDataFrame | gpd.GeoSeries) -> gpd.GeoDataFrame:
    path = folder / "copy.gpkg"
    write_frame(path, frame, name="`labels` (GeoDataFrame)")
    return read_features(path, error=InputError)


def test_fields_and_places_are_kept(tmp_path: Path) -> None:
    fields = {"class": ["a", None, "c"], "number": [1, 2, 3], "height": [0.5, None, 2]}
    frame = gpd.GeoDataFrame(fields, geometry=POINTS, crs=CRS_CODE, index=[7, 7, 9])
    found = read_back(tmp_path, frame)
    assert found.crs == frame.crs
    assert found["number"].tolist() == [1, 2, 3]
    assert found["class"].isna().tolist() == [False, True, False]
    assert found.geometry.tolist() == POINTS


def test_fields_that_files_do_not_hold(tmp_path: Path) -> None:
    fields = {
        "fid": [5, 5, 6], "geom": ["x", "y", "z"], "kind": pd.Categorical(["a", "b", "a"]),
        "list": [[1], [2, 3], None], "mixed": ["a", 1, None], 8: [1, 2, 3],
    }  # fmt: skip
    frame = gpd.GeoDataFrame(fields, geometry=POINTS, crs=CRS_CODE).rename_geometry("place")
    frame["other"] = gpd.GeoSeries(POINTS)
    found = read_back(tmp_path, frame)
    assert list(found.columns) == ["fid", "geom", "kind", "list", "mixed", "8", "geometry"]
    assert (found["fid"].tolist(), found["kind"].tolist()) == ([5, 5, 6], ["a", "b", "a"])
    assert (found["list"].tolist()[:2], found["mixed"].tolist()[:2]) == (["[1]", "[2, 3]"], ["a", "1"])


def test_a_dissolved_frame_keeps_its_classes(tmp_path: Path) -> None:
    frame = gpd.GeoDataFrame({"class": ["a", "b", "a"], "year": [1, 2, 3]}, geometry=POINTS, crs=CRS_CODE)
    found = read_back(tmp_path, frame.dissolve("class"))  # whose index are the classes
    assert (found["class"].tolist(), found["year"].tolist()) == (["a", "b"], [1, 2])
    both = frame.assign(site=[7, 8, 9]).set_index(["class", "site"])
    assert list(read_back(tmp_path, both).columns) == ["class", "site", "year", "geometry"]


@pytest.mark.parametrize(
    "values",
    [
        pd.Categorical([4, None, 6]),
        pd.array([4, None, 6], "Int64"),
        pd.Series([4, None, 6], dtype=object),
        np.array([4, np.nan, 6], "float16"),
    ],
    ids=["categories", "nullable", "objects", "half floats"],
)
def test_numbers_stay_numbers_where_some_are_missing(tmp_path: Path, values: Any) -> None:
    found = read_back(tmp_path, gpd.GeoDataFrame({"class": values}, geometry=POINTS, crs=CRS_CODE))
    assert found["class"].isna().tolist() == [False, True, False]
    assert found["class"].dropna().tolist() == [4, 6]


def test_rings_become_lines(tmp_path: Path) -> None:
    frame = gpd.GeoSeries([shapely.LinearRing([(0, 0), (1, 0), (1, 1)]), POINTS[0]], crs=CRS_CODE)
    found = read_back(tmp_path, frame)
    assert found.geometry.tolist() == [shapely.LineString([(0, 0), (1, 0), (1, 1), (0, 0)]), POINTS[0]]
    assert frame.iloc[0].geom_type == "LinearRing"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"Class": [1, 2, 3], "class": [4, 5, 6]}, "has the columns 'Class' and 'class', which are one field"),
        ({1: [1, 2, 3], "1": [4, 5, 6]}, "has the columns '1' and '1', which are one field"),
        ({"class": np.array([1, 2, 2**63], "uint64")}, "cannot be read .* keep only the fields that are needed"),
    ],
)
def test_fields_that_no_file_can_have_are_refused(tmp_path: Path, fields: dict[Any, Any], message: str) -> None:
    with pytest.raises(InputError, match=rf"`labels` \(GeoDataFrame\) {message}"):
        read_back(tmp_path, gpd.GeoDataFrame(fields, geometry=POINTS, crs=CRS_CODE))


def test_geometries_alone_and_without_a_crs(tmp_path: Path) -> None:
    found = read_back(tmp_path, gpd.GeoSeries(POINTS))
    assert (found.crs is None or found.crs.is_engineering, len(found)) == (True, 3)


def test_a_frame_without_an_active_geometry_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"`labels` \(GeoDataFrame\) has no active geometry; choose the column"):
        read_back(tmp_path, gpd.GeoDataFrame({"class": ["a"]}))
