"""That `METHOD_VERSION` is raised when training or inference changes."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests import golden

ROOT = Path(__file__).parents[1]


@pytest.fixture
def stored() -> dict[str, Any]:
    """What is stored."""
    values: dict[str, Any] = json.loads(golden.GOLDEN.read_text(encoding="utf-8"))
    return values


@pytest.fixture
def changed(stored: dict[str, Any]) -> dict[str, Any]:
    """What is stored, with one probability that is no longer the same."""
    values = copy.deepcopy(stored)
    values["probabilities"][1][2] += 2 * golden.TOLERANCE
    return values


@pytest.mark.slow
def test_training_and_inference_give_what_they_gave(stored: dict[str, Any]) -> None:
    # NOTE: in a process of its own, as other tests here train with smaller forests
    command, environment = [sys.executable, "-m", "tests.golden", "--show"], {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    complaint = golden.complaint(stored, json.loads(done.stdout))
    assert complaint is None, complaint


def test_numbers_that_differ_ask_for_another_version(stored: dict[str, Any], changed: dict[str, Any]) -> None:
    assert golden.complaint(stored, stored) is None
    assert "by up to 0.0020. If that is meant, raise METHOD_VERSION" in str(golden.complaint(stored, changed))
    libraries = {**stored, "libraries": {"torch": "1.0"}}
    assert golden.complaint(libraries, stored) is None
    assert "(the file was made with torch 1.0)" in str(golden.complaint(libraries, changed))
    assert "raise METHOD_VERSION" in str(golden.complaint(stored, {**stored, "default_epochs": 1}))


def test_another_version_asks_for_another_file(stored: dict[str, Any]) -> None:
    raised = {**stored, "method_version": stored["method_version"] + 1}
    assert "run python -m tests.golden" in str(golden.complaint(stored, raised))


def test_the_file_is_not_written_over_without_another_version(
    tmp_path: Path, stored: dict[str, Any], changed: dict[str, Any]
) -> None:
    path = tmp_path / "golden.json"
    golden.write(path, stored)
    assert path.read_text() == golden.GOLDEN.read_text()
    golden.write(path, stored)  # it is the same
    with pytest.raises(ValueError, match="raise METHOD_VERSION"):
        golden.write(path, changed)
    assert json.loads(path.read_text()) == stored
    golden.write(path, changed, same_version=True)
    assert json.loads(path.read_text()) == changed
    raised = {**stored, "method_version": stored["method_version"] + 1}
    golden.write(path, raised)
    assert json.loads(path.read_text()) == raised
