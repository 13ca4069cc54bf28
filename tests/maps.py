"""How tests make maps and check their polygons."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import rasterio.features
import shapely
from affine import Affine

from s2fin_cli.workflows.classify import ClassifyResult
from s2fin_cli.workflows.classify import run as classify
from s2fin_cli.workflows.classify_outputs import Outputs
from s2fin_cli.workflows.options.classify import ClassifyOptions
from tests.files import read_raster
from tests.scenes import Scene


def run_classify(scene: Scene, model: Path, output: Path, /, **changes: Any) -> ClassifyResult:
    return classify(ClassifyOptions(**{**scene.images, "model": model, "output": output, "device": "cpu", **changes}))


def read_polygons(outputs: Outputs) -> gpd.GeoDataFrame:
    return gpd.read_file(outputs.polygons, layer="landcover")


def check_polygons(outputs: Any, transform: Affine) -> gpd.GeoDataFrame:
    """Polygons tile the map exactly and say what the rasters say."""
    frame = gpd.read_file(outputs.polygons, layer="landcover")
    class_map = read_raster(outputs.map)[0]
    geometries = frame.geometry.to_numpy()
    assert shapely.coverage_is_valid(geometries)
    cell = abs(transform.a * transform.e)
    for class_id, rows in frame.groupby("class_id"):
        assert rows.area.sum() == pytest.approx(cell * (class_map == class_id).sum())
    assert frame["area_m2"].to_numpy() == pytest.approx(frame.area.to_numpy(), rel=1e-3)  # UTM is that near
    back = rasterio.features.rasterize(
        zip(geometries, frame["class_id"], strict=True), out_shape=class_map.shape, transform=transform, fill=0
    )
    assert np.array_equal(back, class_map)
    return frame
