"""The scripts in examples/, as a user runs them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.scenes import Scene

EXAMPLES = Path(__file__).parents[2] / "examples"
Script = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def script(in_folder: Path, environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Script:
    """Run a command in an empty folder, with this very s2fin first on the path."""
    programs = tmp_path_factory.mktemp("bin")
    s2fin = programs / "s2fin"
    s2fin.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m s2fin_cli "$@"\n', encoding="utf-8")
    s2fin.chmod(0o755)
    path = os.pathsep.join([str(programs), environment["PATH"]])

    def run(*command: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(part) for part in command],
            cwd=in_folder,
            env={**environment, "PATH": path},
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )

    return run


@pytest.mark.slow
def test_python_api(script: Script, scene: Scene, in_folder: Path) -> None:
    arguments = ("--msi", scene.hsi, "--dsm", scene.lidar, "--labels", scene.labels, "--epochs", 1)
    done = script(sys.executable, EXAMPLES / "python_api.py", *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    shares = {line.split()[-1]: float(line.split()[0]) for line in lines[1:-1]}
    assert set(shares) == {"forest", "meadow", "water"}
    assert sum(shares.values()) == pytest.approx(100, abs=0.05)
    assert " polygons; the largest: " in lines[-1]
    assert not list(in_folder.iterdir())


@pytest.mark.slow
def test_python_api_in_memory(script: Script, scene: Scene, in_folder: Path) -> None:
    arguments = ("--in-memory", "--msi", scene.hsi, "--dsm", scene.lidar, "--labels", scene.labels, "--epochs", 1)
    done = script(sys.executable, EXAMPLES / "python_api.py", *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert [line.split()[-1] for line in lines[:-1]] == ["forest", "meadow", "water"]
    assert sum(float(line.split()[0]) for line in lines[:-1]) == pytest.approx(100, abs=0.05)
    assert lines[-1].startswith("60 x 70 pixels, mean confidence ")
    assert not list(in_folder.iterdir())


def test_python_api_says_what_is_wrong(script: Script) -> None:
    done = script(sys.executable, EXAMPLES / "python_api.py", "--msi", "none.tif")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: none.tif does not exist")
