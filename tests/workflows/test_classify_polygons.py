"""The polygons of a map."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
import rasterio.features
import shapely

from s2fin_cli.workflows.classify import ClassifyResult
from tests.files import TRANSFORM, read_raster
from tests.maps import check_polygons, read_polygons, run_classify
from tests.scenes import SHAPE, Scene, write_scene


def test_polygons(result: ClassifyResult, scene: Scene) -> None:
    frame = check_polygons(result.outputs, TRANSFORM)
    with rasterio.open(scene.hsi) as src:
        assert frame.crs == src.crs.to_wkt()
    assert dict(zip(frame["class_id"], frame["class_name"], strict=True)) == {1: "forest", 2: "meadow", 3: "water"}
    assert result.outputs.confidence is not None
    confidence = read_raster(result.outputs.confidence)[0]
    for geometry, mean in zip(frame.geometry, frame["confidence"], strict=True):
        inside = rasterio.features.geometry_mask([geometry], SHAPE, TRANSFORM, invert=True)
        assert mean == pytest.approx(confidence[inside].mean(), abs=1e-5)


def test_generalised_polygons_and_the_whole_raster(model: Path, tmp_path: Path) -> None:
    """Of a scene with a border that goes up in steps."""
    mmu, cell = 30, abs(TRANSFORM.a * TRANSFORM.e)
    stairs = np.where(np.tri(*SHAPE, dtype=bool), 1, 3)
    scene = write_scene(tmp_path / "scene", truth=stairs)
    result = run_classify(scene, model, tmp_path / "whole.tif")
    assert (read_raster(result.outputs.map)[0] == stairs).mean() > 0.9
    general = run_classify(scene, model, tmp_path / "map.tif", mmu=mmu, simplify=3 * TRANSFORM.a)
    assert np.array_equal(read_raster(general.outputs.map), read_raster(result.outputs.map))
    frame, full = read_polygons(general.outputs), read_polygons(result.outputs)
    assert shapely.coverage_is_valid(frame.geometry.to_numpy())
    assert frame.area.sum() == pytest.approx(full.area.sum()) == pytest.approx(cell * sum(result.pixels.values()))
    vertices = [shapely.get_num_coordinates(part.geometry.to_numpy()).sum() for part in (frame, full)]
    assert vertices[0] < vertices[1] / 2


def test_without_polygons_only_the_map_is_written(scene: Scene, model: Path, tmp_path: Path) -> None:
    result = run_classify(scene, model, tmp_path / "map.tif", vector=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["map.qml", "map.tif", "map.tif.aux.xml"]
    assert result.outputs.polygons is None
    assert result.to_dict()["polygons"] is None
