"""Several label files from the command line and from Python: training, splitting, assessing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import geopandas as gpd
import numpy as np
import pytest
import shapely

from s2fin_cli.core.errors import UsageError
from s2fin_cli.core.run_record import RunRecord
from s2fin_cli.model.file import read_info
from s2fin_cli.reporting.commands import command_of
from s2fin_cli.workflows.options.train import TrainOptions
from s2fin_cli.workflows.train import prepare
from s2fin_cli.workflows.train import run as train
from tests.files import CRS_CODE, TRANSFORM, read_raster, write_raster
from tests.recipes import QUICK, TINY_NETWORK
from tests.scenes import tiny_options
from tests.teachers import Undecided

if TYPE_CHECKING:
    from pathlib import Path

    from tests.scenes import Run, Scene


@pytest.fixture
def corrections(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Points in the polygons of two patches, of which one is not filled in, and one is of another class than there."""
    places = [shapely.Point(*(TRANSFORM * (col + 0.5, 10.5))) for col in (7, 21, 22)]
    classes = ["meadow", None, "meadow"]
    guesses = ["water", "forest", "water"]  # as a file of suggestions has them beside the class
    path = tmp_path_factory.mktemp("labels") / "next.gpkg"
    gpd.GeoDataFrame({"class": classes, "guess": guesses}, geometry=places, crs=CRS_CODE).to_file(path)
    return path


def test_training_takes_several_files(scene: Scene, corrections: Path, tmp_path: Path) -> None:
    single = prepare(tiny_options(scene, tmp_path / "a.s2fin"), network=TINY_NETWORK, recipe=QUICK).labels
    both = tiny_options(scene, tmp_path / "a.s2fin", labels=[scene.labels, corrections])
    labels = prepare(both, network=TINY_NETWORK, recipe=QUICK).labels
    assert labels.kind == "mixed"
    assert [c.name for c in labels.classes] == [c.name for c in single.classes] == ["forest", "meadow", "water"]
    changed = {
        (row, col): class_id
        for row, col, class_id in zip(
            labels.rows.tolist(), labels.cols.tolist(), labels.class_ids.tolist(), strict=True
        )
        if class_id != single.class_ids[(single.rows == row) & (single.cols == col)]
    }
    assert changed == {(10, 7): 2}  # forest before


@pytest.mark.slow
def test_the_model_names_all_files_and_what_was_skipped(
    scene: Scene, corrections: Path, tmp_path: Path, run: Run
) -> None:
    options = tiny_options(scene, tmp_path / "m.s2fin", labels=(str(scene.labels), corrections), epochs=1)
    result = train(options, recipe=QUICK, network=TINY_NETWORK, teacher=Undecided())
    skipped = f"{corrections}: skipped 1 feature whose 'class' is empty"
    decided = "1 pixel has different classes in several label files; the last of these files decides (forest, meadow)"
    assert {skipped, decided} <= set(result.to_dict()["warnings"])
    findings = read_info(tmp_path / "m.s2fin").findings
    assert findings is not None
    record = RunRecord.from_dict(findings["run"])
    assert record.paths_of("labels") == [str(scene.labels), str(corrections)]
    assert all(file.sha256 for file in record.files)
    again = command_of(record, "m.s2fin")
    assert f"--labels {scene.labels} --labels {corrections}" in again
    shown = run("inspect", tmp_path / "m.s2fin")
    assert "next.gpkg" in shown.stdout
    assert "labels.gpkg" in shown.stdout


def test_splitting_and_assessing_take_several_files(scene: Scene, corrections: Path, run: Run, tmp_path: Path) -> None:
    names = [part for path in (scene.labels, corrections) for part in ("--labels", path)]
    outputs = ["--train", "train.tif", "--test", "test.tif"]
    result = run("split", *names, "--like", scene.hsi, *outputs, "--method", "random", "--distance", 0)
    assert result.exit_code == 0, result.stderr
    parts = [read_raster(tmp_path / name)[0] for name in ("train.tif", "test.tif")]
    assert int(np.maximum(*parts)[10, 7]) == 2
    write_raster(tmp_path / "map.tif", scene.truth.astype(np.uint8))
    references = [part for path in (scene.labels, corrections) for part in ("--reference", path)]
    result = run("evaluate", "--map", "map.tif", *references, "--json")
    assert result.exit_code == 1  # a map of numbers, and labels of names
    assert f"{scene.labels}, {corrections} holds classes that the map does not know" in result.stderr
    result = run("evaluate", "--map", "test.tif", *references, "--json")
    assert result.exit_code == 0, result.stderr
    report = json.loads(result.stdout)
    assert report["reference"] == f"{scene.labels}, {corrections}"
    assert report["overall_accuracy"] == 1


@pytest.mark.parametrize("labels", [(), [], None])
def test_no_file_at_all(scene: Scene, labels: Any) -> None:
    with pytest.raises(UsageError, match=r"`labels` is .*; it must be a file, or a sequence of files"):
        TrainOptions(**scene.images, labels=labels)


def test_outputs_do_not_replace_any_of_the_files(scene: Scene, corrections: Path, run: Run) -> None:
    before = corrections.read_bytes()
    result = run(
        "train", *scene.arguments, "--labels", scene.labels, "--labels", corrections, "-o", corrections, "--overwrite"
    )
    assert result.exit_code == 2
    assert "is an input" in result.stderr
    assert corrections.read_bytes() == before
