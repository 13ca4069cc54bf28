"""Frames of geopandas as files: what is in them is what is read."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
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


def test_geometries_alone_and_without_a_crs(tmp_path: Path) -> None:
    found = read_back(tmp_path, gpd.GeoSeries(POINTS))
    assert (found.crs is None or found.crs.is_engineering, len(found)) == (True, 3)


def test_a_frame_without_an_active_geometry_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"`labels` \(GeoDataFrame\) has no active geometry; choose the column"):
        read_back(tmp_path, gpd.GeoDataFrame({"class": ["a"]}))
