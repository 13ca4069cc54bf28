"""Fixtures that tests of the use cases share."""

from __future__ import annotations

from pathlib import Path

import pytest

from s2fin_cli.workflows.classify import ClassifyResult
from tests.maps import run_classify
from tests.scenes import Scene


@pytest.fixture(scope="module")
def result(scene: Scene, model: Path, tmp_path_factory: pytest.TempPathFactory) -> ClassifyResult:
    """All outputs of the scene."""
    folder = tmp_path_factory.mktemp("outputs")
    return run_classify(
        scene, model, folder / "map.tif", confidence=folder / "confidence.tif", probabilities=folder / "probs.tif"
    )


@pytest.fixture(scope="module")
def at_stride_1(scene: Scene, model: Path, tmp_path_factory: pytest.TempPathFactory) -> ClassifyResult:
    """Map, polygons and confidence at stride 1, by one process."""
    folder = tmp_path_factory.mktemp("at_stride_1")
    return run_classify(scene, model, folder / "map.tif", confidence=folder / "c.tif", stride=1)
