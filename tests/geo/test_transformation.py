"""What can be transformed from one coordinate reference system to another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import geopandas
import numpy as np
import pytest
import shapely
from affine import Affine
from rasterio.crs import CRS

from s2fin_cli.core.errors import GeoreferencingError
from s2fin_cli.geo.grid import Grid
from s2fin_cli.geo.transformation import Placed
from s2fin_cli.geo.wrapping import kernel_scale
from s2fin_cli.labels.read import read_labels
from s2fin_cli.stack.assembly import build_stack
from s2fin_cli.vector.write import check_vector_crs
from tests.geo.placed import BESSEL, PLACED, UTM, write

if TYPE_CHECKING:
    from pathlib import Path


LOCAL = CRS.from_wkt('LOCAL_CS["WGS 84 / UTM zone 32N",UNIT["metre",1]]')
OTHER_LOCAL = CRS.from_wkt('LOCAL_CS["site",UNIT["metre",1]]')
MARS = CRS.from_user_input("IAU_2015:49900")


@pytest.mark.parametrize(
    ("image_crs", "dsm_crs", "message"),
    [
        (UTM, LOCAL, r"`dsm` .*dsm\.tif has the engineering CRS .*: rio edit-info --crs EPSG:32632 .*dsm\.tif"),
        (LOCAL, UTM, r"`msi` .*msi\.tif has the engineering CRS .*: rio edit-info --crs EPSG:32632 .*msi\.tif"),
        (UTM, MARS, r"dsm.tif has IAU_2015:49900 and .*nothing can be transformed between them \(.*celestial body"),
    ],
)  # fmt: skip
def test_a_second_image_that_no_transformation_reaches(
    tmp_path: Path, image_crs: CRS, dsm_crs: CRS, message: str
) -> None:
    values = np.ones((6, 8), np.uint8)
    paths = {
        "msi": [write(tmp_path / "msi.tif", image_crs, PLACED, values)],
        "dsm": [
            write(tmp_path / "dsm.tif", dsm_crs, PLACED if dsm_crs != MARS else Affine(1, 0, 9, 0, -1, 48), values)
        ],
    }
    with pytest.raises(GeoreferencingError, match=message):
        build_stack(paths)


def test_two_names_of_an_engineering_crs_are_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    values = np.ones((6, 8), np.uint8)
    paths = {
        "msi": [write(tmp_path / "msi.tif", LOCAL, PLACED, values)],
        "dsm": [write(tmp_path / "dsm.tif", OTHER_LOCAL, PLACED, values)],
    }
    build_stack(paths)
    assert "dsm.tif has the engineering CRS 'site'" in caplog.text
    assert "both are assumed to be the same plane" in caplog.text


def test_images_of_one_engineering_crs_go_together(tmp_path: Path) -> None:
    fine = np.arange(48, dtype=np.float32).reshape(6, 8)
    coarse = np.arange(12, dtype=np.float32).reshape(3, 4)
    paths = {
        "msi": [write(tmp_path / "msi.tif", LOCAL, PLACED, fine)],
        "dsm": [write(tmp_path / "dsm.tif", LOCAL, PLACED * Affine.scale(2), coarse)],
    }
    stack = build_stack(paths)
    with stack.open() as opened:
        tile = opened.read(stack.grid.window)
    assert np.array_equal(tile.images.image[0], fine)
    assert tile.images.aux is not None
    assert tile.images.aux[0, 1, 1] == pytest.approx((9 * 0 + 3 * 1 + 3 * 4 + 5) / 16), "bilinear, between four pixels"
    assert kernel_scale(Grid(LOCAL, PLACED * Affine.scale(2), (3, 4)), stack.grid) == {"XSCALE": 2, "YSCALE": 2}
    assert stack.grid.footprint() is None


@pytest.mark.parametrize("suffix", [".gpkg", ".shp", ".fgb"])
def test_labels_of_the_same_engineering_crs(tmp_path: Path, suffix: str) -> None:
    grid = Grid(LOCAL, PLACED, (6, 8))
    square = shapely.box(500_000, 5_299_970, 500_020, 5_300_000)
    frame = geopandas.GeoDataFrame({"class": ["a"]}, geometry=[square], crs=LOCAL.to_wkt())
    frame.to_file(tmp_path / f"labels{suffix}")
    labels = read_labels(tmp_path / f"labels{suffix}", grid)
    assert (len(labels), labels.rows.max(), labels.cols.max()) == (6, 2, 1)
    with pytest.raises(
        GeoreferencingError, match=r"is really in EPSG:32632, assign it with: ogr2ogr -a_srs EPSG:32632"
    ):
        read_labels(tmp_path / f"labels{suffix}", Grid(UTM, PLACED, (6, 8)))


def test_a_label_raster_of_an_engineering_crs(tmp_path: Path) -> None:
    values = np.ones((6, 8), np.uint8)
    path = write(tmp_path / "labels.tif", LOCAL, PLACED, values)
    assert len(read_labels(path, Grid(LOCAL, PLACED, (6, 8)))) == 48
    with pytest.raises(GeoreferencingError, match=r"labels\.tif has the engineering CRS .* --crs EPSG:32632 "):
        read_labels(path, Grid(UTM, PLACED, (6, 8)))


def test_geojson_of_an_engineering_crs_is_refused_before_the_work(tmp_path: Path) -> None:
    for crs in (LOCAL, MARS):
        grid = Grid(crs, PLACED, (6, 8))
        check_vector_crs(tmp_path / "map.gpkg", grid)
        with pytest.raises(GeoreferencingError, match=r"GeoJSON is in longitude and latitude.*ends in \.gpkg"):
            check_vector_crs(tmp_path / "map.geojson", grid)
    for known in (UTM, BESSEL, None):
        check_vector_crs(tmp_path / "map.geojson", Grid(known, PLACED, (6, 8)))


def test_the_command_that_assigns_a_crs_quotes_names_with_blanks() -> None:
    for is_vector, command in (
        (False, "rio edit-info --crs EPSG:32632 'my data/a.tif'"),
        (True, "ogr2ogr -a_srs EPSG:32632 OUT.gpkg 'my data/a.tif'"),
    ):
        placed = Placed("a", "my data/a.tif", CRS.from_epsg(32632), is_vector)
        assert placed.assign("EPSG:32632") == command
