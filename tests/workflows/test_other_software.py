"""The outputs opened with what users open them with; each test is skipped where its program is not at hand."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from rio_cogeo.cogeo import cog_validate

import s2fin_cli
from s2fin_cli.core.formats import VECTOR_OUTPUT_SUFFIXES
from tests.files import read_raster

if TYPE_CHECKING:
    from s2fin_cli.workflows.classify import ClassifyResult
    from tests.scenes import Scene

#: The Python of the system, which Debian's QGIS belongs to, and not that of a virtual environment.
SYSTEM_PYTHON = shutil.which("python3", path=os.defpath)
PLAIN = {"PATH": os.defpath, "QT_QPA_PLATFORM": "offscreen", "HOME": os.environ.get("HOME", "/")}


def has_qgis() -> bool:
    if SYSTEM_PYTHON is None:
        return False
    command = [SYSTEM_PYTHON, "-c", "import qgis.core"]
    return subprocess.run(command, env=PLAIN, capture_output=True, check=False).returncode == 0


@pytest.fixture(scope="module", params=["GTiff", "COG"])
def result(
    request: pytest.FixtureRequest, scene: Scene, model: Path, tmp_path_factory: pytest.TempPathFactory
) -> ClassifyResult:
    folder = tmp_path_factory.mktemp(request.param)
    rasters: dict[str, Any] = {name: folder / f"{name}.tif" for name in ("confidence", "probabilities")}
    return s2fin_cli.classify(
        hsi=scene.hsi, lidar=scene.lidar, model=model, output=folder / "map.tif", format=request.param, **rasters
    )


@pytest.mark.skipif(not has_qgis(), reason="QGIS is not at hand")
def test_qgis_shows_names_and_colours_and_draws_them(result: ClassifyResult) -> None:
    probe = Path(__file__).parents[1] / "qgis_probe.py"
    command = [str(SYSTEM_PYTHON), str(probe), str(result.outputs.map), str(result.outputs.polygons)]
    answer = subprocess.run(command, env=PLAIN, capture_output=True, check=True, timeout=120)
    found: dict[str, Any] = json.loads(answer.stdout)
    colors = {c.name: "#{:02x}{:02x}{:02x}".format(*c.color) for c in result.classes}
    shares = {c.name: result.pixels[c.id] / sum(result.pixels.values()) for c in result.classes}
    for layer, renderer in (("raster", "paletted"), ("polygons", "categorizedSymbol")):
        shown = found[layer]
        assert (shown["valid"], shown["crs"], shown["renderer"]) == (True, "EPSG:32632", renderer)
        assert {name: color for name, color in shown["classes"] if name} == colors
        for name, share in shares.items():
            # polygons have outlines, which take some of the pixels
            assert shown["drawn"].get(colors[name], 0) == pytest.approx(share, abs=0.02 if layer == "raster" else 0.15)


@pytest.mark.parametrize("result", ["COG"], indirect=True)
def test_the_validator_takes_the_rasters_for_cloud_optimised(result: ClassifyResult) -> None:
    for path in (result.outputs.map, result.outputs.confidence, result.outputs.probabilities):
        is_valid, errors, warnings = cog_validate(str(path), strict=True)
        assert (is_valid, errors, warnings) == (True, [], [])


@pytest.mark.skipif(shutil.which("ogrinfo") is None, reason="ogrinfo is not at hand")
@pytest.mark.parametrize("suffix", [suffix for suffix in VECTOR_OUTPUT_SUFFIXES if suffix != ".parquet"])
def test_ogrinfo_lists_the_polygons(scene: Scene, model: Path, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"polygons{suffix}"
    s2fin_cli.classify(hsi=scene.hsi, lidar=scene.lidar, model=model, output=tmp_path / "map.tif", polygons=path)
    answer = subprocess.run(
        ["ogrinfo", "-ro", "-al", "-geom=NO", str(path)], env=PLAIN, capture_output=True, text=True, check=True
    )
    assert "ERROR" not in answer.stderr
    classes = Counter(line.split(" = ")[1] for line in answer.stdout.splitlines() if "class_id (Integer" in line)
    expected = np.unique(read_raster(tmp_path / "map.tif"))
    assert {int(class_id) for class_id in classes} == set(expected.tolist()) - {0}
    fields = ("class_name", "area_m2", "perim_m", "confidence", "conf_min")
    assert all(f"{name} (" in answer.stdout for name in fields)
    assert f"Feature Count: {classes.total()}" in answer.stdout
