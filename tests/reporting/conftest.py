"""Fixtures of tests of reports."""

from __future__ import annotations

from pathlib import Path

import pytest

from s2fin_cli.workflows.classify import ClassifyResult
from tests.maps import run_classify
from tests.scenes import Scene


@pytest.fixture(scope="module")
def result(scene: Scene, model: Path, tmp_path_factory: pytest.TempPathFactory) -> ClassifyResult:
    """A map of the scene with its confidence."""
    folder = tmp_path_factory.mktemp("outputs")
    return run_classify(scene, model, folder / "map.tif", confidence=folder / "confidence.tif", vector=False)
