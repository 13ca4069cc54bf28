"""Vector files of every format: the same polygons, staged whole, in a CRS that the format can store."""

from __future__ import annotations

from typing import TYPE_CHECKING

import geopandas
import numpy as np
import pytest
import shapely
from affine import Affine
from rasterio.crs import CRS

from s2fin_cli.core.errors import GeoreferencingError, OutputError, UsageError
from s2fin_cli.core.files import staged
from s2fin_cli.core.formats import VECTOR_OUTPUT_SUFFIXES
from s2fin_cli.geo.grid import Grid
from s2fin_cli.vector.write import check_vector_crs, check_vector_path
from tests.vector.class_maps import NODATA, NORTH_UP, UTM, class_map, noise, write

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("suffix", [*VECTOR_OUTPUT_SUFFIXES, ".GPKG"])
def test_every_format_holds_the_same_polygons(tmp_path: Path, suffix: str) -> None:
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    expected_path, dst_path = tmp_path / "map.gpkg", tmp_path / f"other{suffix}"
    for path in (expected_path, dst_path):
        write(path, *noise(), block_px=100)  # several batches
    expected = geopandas.read_file(expected_path, layer="landcover")
    layer = "landcover" if suffix in (".gpkg", ".GPKG") else None
    frame = geopandas.read_parquet(dst_path) if suffix == ".parquet" else geopandas.read_file(dst_path, layer=layer)
    assert list(frame.columns) == list(expected.columns)
    assert shapely.coverage_is_valid(frame.geometry.to_numpy())
    if suffix == ".geojson":
        assert frame.crs.to_epsg() == 4326, "as its standard wants it"
        frame = frame.to_crs(expected.crs)
    assert frame.crs == expected.crs
    order = ["area_m2", "confidence"]
    frame, expected = (part.sort_values(order, ignore_index=True) for part in (frame, expected))
    assert frame.class_name.tolist() == expected.class_name.tolist()
    for name in ("class_id", "area_m2", "perim_m", "confidence", "conf_min"):
        np.testing.assert_allclose(frame[name], expected[name], rtol=1e-6)
    np.testing.assert_allclose(frame.area, expected.area, rtol=1e-2 if suffix == ".geojson" else 1e-6)
    distances = shapely.hausdorff_distance(frame.geometry.to_numpy(), expected.geometry.to_numpy())
    assert distances.max() <= {".geojson": 0.02, ".tab": 1e-6}.get(suffix, 0)


@pytest.mark.parametrize("suffix", [suffix for suffix in VECTOR_OUTPUT_SUFFIXES if suffix != ".parquet"])
@pytest.mark.parametrize("crs", [UTM, None])
def test_an_empty_map_in_every_format(tmp_path: Path, suffix: str, crs: CRS | None) -> None:
    assert write(tmp_path / f"map{suffix}", np.full((5, 4), NODATA, dtype=np.uint8), crs=crs) == 0
    layer = "landcover" if suffix == ".gpkg" else None
    assert len(geopandas.read_file(tmp_path / f"map{suffix}", layer=layer)) == 0


def test_formats_that_are_not_known_or_not_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    suffixes = r"\.gpkg, .* or \.\w+$"
    with pytest.raises(UsageError, match=rf"map\.kml cannot be written: give features a name that ends in {suffixes}"):
        check_vector_path(tmp_path / "map.kml")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UsageError, match="GeoParquet needs pyarrow; pip install pyarrow"):
        check_vector_path(tmp_path / "map.parquet")


@pytest.mark.parametrize("suffix", [".tab", ".TAB", ".shp", ".SHP", ".sqlite"])
def test_a_dataset_of_several_files_is_staged_and_replaced_whole(tmp_path: Path, suffix: str) -> None:
    path, values = tmp_path / f"map{suffix}", np.ones((2, 2), dtype=np.uint8)
    files: list[set[str]] = []
    for classes in (values, values * 2):
        with staged([path], overwrite=True) as (tmp_path_,):
            write(tmp_path_, classes)
        assert geopandas.read_file(path).class_id.tolist() == classes[0, :1].tolist()
        files.append({file.name for file in tmp_path.iterdir()})
        (tmp_path / "map.ind").write_text("stale")  # an index that MapInfo makes
    assert files[0] == files[1] - {"map.ind"}
    assert ("map.ind" in files[1]) == (suffix.lower() != ".tab"), "it belongs to the MapInfo dataset alone"
    with pytest.raises(OutputError, match=r"already exists; give `overwrite=True`"), staged([path], overwrite=False):
        pass


@pytest.mark.parametrize("code", [32632, 25832, 4326, 31370, 3857, 2154])
def test_mapinfo_takes_a_crs_that_it_can_store(tmp_path: Path, code: int) -> None:
    check_vector_crs(tmp_path / "map.tab", Grid(CRS.from_epsg(code), NORTH_UP, (4, 4)))
    grid = Grid(CRS.from_epsg(code), Affine(1e-4, 0, 11.5, 0, -1e-4, 48.1) if code == 4326 else NORTH_UP, (4, 4))
    check_vector_crs(tmp_path / "map.tab", grid)


@pytest.mark.parametrize("code", [3035, 3413])
def test_mapinfo_refuses_a_crs_that_it_would_change(tmp_path: Path, code: int) -> None:
    grid = Grid(CRS.from_epsg(code), NORTH_UP, (4, 4))
    with pytest.raises(GeoreferencingError, match=r"map\.tab cannot be written: MapInfo cannot store .*; give a name"):
        check_vector_crs(tmp_path / "map.tab", grid)
    check_vector_crs(tmp_path / "map.sqlite", grid)
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"cannot write features to .*map\.gpkg"):
        write(tmp_path / "missing" / "map.gpkg", class_map("12"))
