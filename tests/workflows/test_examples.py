"""The scripts in examples/, as a user runs them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.files import read_raster, write_raster
from tests.scenes import Scene, make_image

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


def add_scene(scene: Scene, folder: Path) -> Path:
    folder.mkdir(parents=True)
    shutil.copy(scene.hsi, folder / "hsi.tif")
    shutil.copy(scene.lidar, folder / "lidar.tif")
    return folder


@pytest.mark.slow
def test_batch_goes_on_after_a_bad_scene(script: Script, scene: Scene, model: Path, in_folder: Path) -> None:
    scenes = in_folder / "all scenes"
    add_scene(scene, scenes / "north side")
    write_raster(add_scene(scene, scenes / "bad") / "hsi.tif", make_image(scene.truth)[:3])
    add_scene(scene, scenes / "zenith")
    done = script("sh", EXAMPLES / "batch.sh", scenes, "my maps", model)
    assert done.returncode == 1
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert [line for line in lines if line.startswith(("done", "FAILED"))] == [
        "FAILED  bad",
        "done    north side",
        "done    zenith",
    ]
    assert "2 scenes classified, 1 failed" in lines
    assert "bad: error: the model was trained on 5 bands of --hsi" in lines[-1]
    names = {path.name for path in (in_folder / "my maps").iterdir()}
    assert names == {
        f"{name}.{suffix}" for name in ("north side", "zenith") for suffix in ("tif", "tif.aux.xml", "qml", "gpkg")
    }
    first, second = (read_raster(in_folder / "my maps" / f"{name}.tif") for name in ("north side", "zenith"))
    assert np.array_equal(first, second)


def test_batch_without_a_failure_and_with_the_default_model(
    script: Script, scene: Scene, model: Path, in_folder: Path
) -> None:
    add_scene(scene, in_folder / "scenes" / "one")
    shutil.copy(model, in_folder / "model.s2fin")
    done = script("sh", EXAMPLES / "batch.sh", "scenes", "maps")
    assert (done.returncode, done.stderr) == (0, "")
    assert "1 scenes classified, 0 failed" in done.stdout


def test_batch_used_wrongly(script: Script, in_folder: Path) -> None:
    done = script("sh", EXAMPLES / "batch.sh")
    assert (done.returncode, done.stdout) == (2, "")
    assert "Usage: batch.sh FOLDER OUTPUT_FOLDER [MODEL]" in done.stderr
    assert script("sh", EXAMPLES / "batch.sh", "none", "maps").returncode == 2
    (in_folder / "empty").mkdir()
    done = script("sh", EXAMPLES / "batch.sh", "empty", "maps")
    assert done.returncode == 1
    assert "has no subfolders" in done.stderr


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


def test_python_api_says_what_is_wrong(script: Script) -> None:
    done = script(sys.executable, EXAMPLES / "python_api.py", "--msi", "none.tif")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: none.tif does not exist")
