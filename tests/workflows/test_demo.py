from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from s2fin_cli.core.errors import OutputError
from s2fin_cli.workflows.demo import FILES, example_folder
from s2fin_cli.workflows.demo import run as run_demo
from s2fin_cli.workflows.options.demo import DemoOptions
from tests.scenes import Run, Scene, write_labels

LEAST_TRAINING = {"epochs": 2, "patch_size": 5, "batch_size": 16}


@pytest.fixture
def small_example(scene: Scene, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The synthetic scene under the names of the example."""
    folder = tmp_path_factory.mktemp("example")
    shutil.copy(scene.hsi, folder / "L7_ETMs.tif")
    shutil.copy(scene.lidar, folder / "olinda_dem_utm25s.tif")
    write_labels(folder / "training.shp", rows=range(2))
    write_labels(folder / "validation.shp", rows=range(2, 3))
    return folder


def test_the_demo_runs_from_labels_to_a_picture(small_example: Path, tmp_path: Path) -> None:
    options = DemoOptions(output=tmp_path / "demo")
    answer = run_demo(options, example=small_example, training=LEAST_TRAINING).to_dict()
    assert set(answer) == {*FILES, "accuracy"}
    for name in FILES:
        assert Path(answer[name]).parent == tmp_path / "demo"
        assert Path(answer[name]).stat().st_size > 0
    assert answer["accuracy"]["n"] == 5 * 16
    with pytest.raises(OutputError, match="already exists; give `overwrite=True`"):
        run_demo(options, example=small_example, training=LEAST_TRAINING)


def test_the_demo_on_the_command_line(run: Run, tmp_path: Path) -> None:
    result = run("demo", "--json", "-q")
    assert (result.exit_code, result.stderr) == (0, "")
    answer = json.loads(result.stdout)
    files = {name: Path(answer[name]) for name in FILES}
    assert all((tmp_path / path).stat().st_size > 0 for path in files.values())
    assert answer["accuracy"]["n"] > 0


def test_results_that_are_there_are_kept(run: Run, tmp_path: Path) -> None:
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "map.tif").touch()
    again = run("demo")
    assert again.exit_code == 1
    assert again.stdout == ""
    assert "already exists; give --overwrite" in again.stderr


def test_a_folder_that_cannot_be_made(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for output in ("file", "file/demo"):
        result = run("demo", "-o", output)
        assert result.exit_code == 1
        assert f"error: the folder {output} cannot be created" in result.stderr


def test_the_example_is_found() -> None:
    assert (example_folder() / "training.shp").is_file()
