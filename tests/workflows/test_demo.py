from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from s2fin_cli.workflows import demo
from s2fin_cli.workflows.options.train import TrainOptions
from tests.scenes import Run, Scene, write_labels


@pytest.fixture
def small_example(scene: Scene, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """The synthetic scene in the place of the example, and the least training."""
    folder = tmp_path_factory.mktemp("example")
    shutil.copy(scene.hsi, folder / "L7_ETMs.tif")
    shutil.copy(scene.lidar, folder / "olinda_dem_utm25s.tif")
    write_labels(folder / "training.shp", rows=range(2))
    write_labels(folder / "validation.shp", rows=range(2, 3))
    options: Callable[..., Any] = partial(TrainOptions, epochs=2, patch_size=5, batch_size=16)
    monkeypatch.setattr(demo, "TrainOptions", options)
    monkeypatch.setattr(demo, "example_folder", lambda: folder)


@pytest.mark.usefixtures("small_example")
def test_the_demo_runs_from_labels_to_a_picture(run: Run, tmp_path: Path) -> None:
    result = run("demo", "--json", "-q")
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    answer = json.loads(result.stdout)
    assert set(answer) == {"model", "map", "polygons", "picture", "accuracy"}
    for name in ("model", "map", "polygons", "picture"):
        assert (tmp_path / answer[name]).stat().st_size > 0
    assert answer["accuracy"]["n"] == 5 * 16
    again = run("demo")
    assert again.exit_code == 1
    assert again.stdout == ""
    assert "already there; give --overwrite" in again.stderr


def test_a_folder_that_cannot_be_made(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for output in ("file", "file/demo"):
        result = run("demo", "-o", output)
        assert result.exit_code == 1
        assert f"error: the folder {output} cannot be made" in result.stderr


def test_the_example_is_found() -> None:
    assert (demo.example_folder() / "training.shp").is_file()
