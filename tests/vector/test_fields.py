"""Names of fields, read without the features, are those that the features have."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import pytest
from shapely import Point

from s2fin_cli.vector.fields import field_names


@pytest.mark.parametrize("suffix", ["gpkg", "shp", "geojson", "fgb", "sqlite", "parquet", "gml"])
def test_fields_of_each_format(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    frame = gpd.GeoDataFrame({"class": ["a"], "n": [1]}, geometry=[Point(1, 2)], crs=4326)
    if suffix == "parquet":
        frame.to_parquet(path)
    else:
        frame.to_file(path)
    assert [name for name in field_names(path) if name not in ("ogc_fid", "gml_id", "fid")] == ["class", "n"]


def test_fields_of_all_layers(tmp_path: Path) -> None:
    path = tmp_path / "a.gpkg"
    for layer in ("one", "two"):
        frame = gpd.GeoDataFrame({"class": ["a"], layer: [1]}, geometry=[Point(1, 2)], crs=4326)
        frame.to_file(path, layer=layer)
    assert field_names(path) == ["class", "one", "two"]
    assert field_names(f"GPKG:{path}:one") == ["class", "one", "two"]


def test_a_large_file_without_a_header_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.geojson"
    gpd.GeoDataFrame({"class": ["a"]}, geometry=[Point(1, 2)], crs=4326).to_file(path)
    with path.open("a") as file:
        file.write(" " * (17 << 20))
    assert field_names(path) == []


def test_what_is_no_vector_file_raises(tmp_path: Path) -> None:
    path = tmp_path / "a.gpkg"
    path.write_bytes(b"nonsense")
    with pytest.raises(Exception, match=r"a\.gpkg"):
        field_names(path)
