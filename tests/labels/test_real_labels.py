"""Labels of real scenes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import geopandas as gpd
import numpy as np
import pytest
import shapely

from s2fin_cli.core.errors import LabelError
from s2fin_cli.labels.read import read_labels
from s2fin_cli.labels.rules import LabelRules
from s2fin_cli.raster.info import read_info
from tests.rectangles import counts

if TYPE_CHECKING:
    from pathlib import Path


def test_real_polygons_on_a_geographic_grid(real_scenes: Path) -> None:
    scene = real_scenes / "amazon_s2_dem"
    labels = read_labels(scene / "train_sen2.gpkg", read_info(scene / "sen2_12b.tif").grid)
    assert counts(labels) == {"dryout": 204, "forest": 1056, "village": 614, "water": 496}
    assert len(np.unique(labels.groups)) == 25


def test_real_polygons_in_another_crs(real_scenes: Path) -> None:
    scene = real_scenes / "beaufort_s2"
    grid = read_info(scene / "2018-10-13, Sentinel-2B L1C, B02.tiff").grid
    labels = read_labels(scene / "rcr_landcover.shp", grid)
    assert {c.id: c.name for c in labels.classes} == {
        2100: "Subtidal Haline", 2253: "Sand", 2260: "Emergent Wetland", 2360: "Forested Wetland",
        6201: "Herbaceous", 22531: "WetSand",
    }  # fmt: skip
    reprojected = gpd.read_file(scene / "rcr_landcover.shp").to_crs(4326)
    a, _, c, _, e, f = grid.transform[:6]
    points = shapely.points(c + a * (labels.cols + 0.5), f + e * (labels.rows + 0.5))
    holders = reprojected.geometry.to_numpy()[labels.groups]
    assert shapely.contains(holders, points).all()
    assert len(np.unique(labels.groups)) == 23


def test_real_polygons_with_several_candidates(real_scenes: Path) -> None:
    scene = real_scenes / "slovenia_ndvi_dem"
    grid = read_info(scene / "eo_ndvi68.tif").grid
    with pytest.raises(LabelError, match=r"may hold the class \(RABA_ID, DATE, LULC_ID, LULC_NAME"):
        read_labels(scene / "lulc.gpkg", grid)
    names = counts(read_labels(scene / "lulc.gpkg", grid, rules=LabelRules("LULC_NAME")))
    raster = read_labels(scene / "eo_lulc.tif", grid).counts()
    assert raster == {1: 11, 2: 7601, 3: 1777, 4: 358, 8: 198}
    assert sorted(names.values()) == sorted(raster.values())
