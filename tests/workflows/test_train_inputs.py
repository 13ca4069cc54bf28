"""Training with few labels, tiny scenes and hardly any data."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

from s2fin_cli.core.errors import LabelError
from s2fin_cli.core.run_record import RunRecord
from s2fin_cli.model.file import read_info, read_model
from s2fin_cli.stack.cells import scatter_pixels
from s2fin_cli.teaching.teacher import Lesson
from s2fin_cli.training.recipe import HoldingOut, Sampling
from s2fin_cli.workflows.classify import run as classify
from s2fin_cli.workflows.options.classify import ClassifyOptions
from s2fin_cli.workflows.options.train import TrainOptions
from s2fin_cli.workflows.train import TrainResult, prepare, run
from tests.files import read_raster, write_raster
from tests.recipes import QUICK, TINY_NETWORK
from tests.scenes import SHAPE, Scene, make_heights, make_image, tiny_options, write_labels
from tests.teachers import Examined, Undecided


def quick_train(options: TrainOptions, **changes: Any) -> TrainResult:
    """Train a tiny network in hardly any steps."""
    return run(options, **{"recipe": QUICK, "network": TINY_NETWORK, **changes})


def raster_labels(scene: Scene, path: Path, places: list[tuple[int, int]]) -> Path:
    values = np.zeros(scene.truth.shape, np.uint8)
    rows, cols = zip(*places, strict=True)
    values[rows, cols] = scene.truth[rows, cols]
    return write_raster(path, values)


# ---- few labels ------------------------------------------------------------------------------------------------------


def test_few_labels_are_all_trained_on_and_the_teacher_is_cross_validated(
    scene: Scene, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    labels = write_labels(tmp_path / "few.gpkg", rows=range(1))  # 32, 32 and 16 pixels
    result = quick_train(tiny_options(scene, tmp_path / "few.s2fin", labels=labels, refit=True))
    assert "too few labels to hold any out (fewer than 40 in the median class)" in caplog.text
    training = read_info(result.model).training
    assert (training["split"], training["validation"], training["refitted"]) == ("none", None, False)
    assert (training["train_pixels"], training["validation_pixels"]) == (80, 0)
    assert (training["epochs"], training["interrupted"]) == (4, False)
    assert result.accuracy is None
    assert result.teacher is not None
    assert result.teacher.n == 80
    assert result.teacher.overall_accuracy > 0.9
    assert training["cross_validation"]["overall_accuracy"] == result.teacher.overall_accuracy


def test_it_is_the_middle_class_that_has_to_have_labels_enough(scene: Scene, tmp_path: Path) -> None:
    labels = write_labels(tmp_path / "few.gpkg", rows=range(1))  # 32, 32 and 16 pixels
    for fewest, validated in ((32, True), (33, False)):
        recipe = replace(QUICK, holding_out=HoldingOut(fewest=fewest))
        result = quick_train(tiny_options(scene, tmp_path / f"{fewest}.s2fin", labels=labels, epochs=1), recipe=recipe)
        assert (result.accuracy is not None) is validated


def test_polygons_cannot_be_asked_for_in_a_raster_of_few_labels_either(scene: Scene, tmp_path: Path) -> None:
    labels = raster_labels(scene, tmp_path / "labels.tif", [(5, 5), (5, 20)])
    with pytest.raises(LabelError, match="no polygons to split by"):
        quick_train(tiny_options(scene, tmp_path / "model.s2fin", labels=labels, split="polygons"))
    assert list(tmp_path.iterdir()) == [labels]


@pytest.mark.parametrize("classes", [2, 30])
def test_one_pixel_of_each_class(scene: Scene, tmp_path: Path, classes: int) -> None:
    """The accuracy of the model is unknown, but there is a model."""
    values = np.zeros(SHAPE, np.uint8)
    values[30, 2 * np.arange(classes)] = np.arange(classes) + 1
    labels = write_raster(tmp_path / "labels.tif", values)
    result = quick_train(tiny_options(scene, tmp_path / "model.s2fin", labels=labels, epochs=1))
    assert result.teacher is None
    training = read_info(result.model).training
    assert (training["validation"], training["cross_validation"]) == (None, None)
    assert len(result.info.classes) == classes


# ---- where labels and data are ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("alone", [False, True], ids=["two images", "one image"])
@pytest.mark.parametrize("shape", [(9, 12), (1, 70), (16, 16), (17, 33)])
def test_scenes_of_hardly_a_cell(scene: Scene, tmp_path: Path, shape: tuple[int, int], alone: bool) -> None:
    """From training to the map, with every pixel but the last column labelled as left or right."""
    window = (slice(0, shape[0]), slice(0, shape[1]))
    hsi = write_raster(tmp_path / "hsi.tif", make_image(scene.truth)[:, *window])
    lidar = None if alone else write_raster(tmp_path / "lidar.tif", make_heights(scene.truth)[window])
    values = np.ones(shape, np.uint8)
    values[:, shape[1] // 2 :] = 2
    values[:, -1] = 0
    labels = write_raster(tmp_path / "labels.tif", values)
    images = {"hsi": hsi, "lidar": lidar}
    options = tiny_options(scene, tmp_path / "model.s2fin", **images, labels=labels, epochs=1, split="random")
    given = {**images, "model": quick_train(options).model, "output": tmp_path / "map.tif", "device": "cpu"}
    mapped = classify(ClassifyOptions.from_kwargs(given))
    assert read_raster(mapped.outputs.map).shape == (1, *shape)
    assert set(mapped.pixels) == {1, 2}
    assert mapped.nodata_pixels == 0


def test_a_scene_with_hardly_any_data(scene: Scene, tmp_path: Path) -> None:
    """Two labelled pixels, no two neighbours with data, and no pixel without a label to learn from."""
    image = np.full((5, *SHAPE), np.nan, np.float32)
    places = [(10, 10), (25, 5)]
    rows, cols = zip(*places, strict=True)
    image[:, rows, cols] = make_image(scene.truth)[:, rows, cols]
    hsi = write_raster(tmp_path / "hsi.tif", image)
    labels = raster_labels(scene, tmp_path / "labels.tif", places)
    result = quick_train(tiny_options(scene, tmp_path / "model.s2fin", hsi=hsi, labels=labels))
    assert np.isfinite(result.outcome.loss)
    assert all(value.isfinite().all() for value in read_model(result.model)[0].state_dict().values())


def test_a_scene_none_of_whose_scattered_pixels_has_data(scene: Scene, tmp_path: Path) -> None:
    generator = np.random.default_rng(TrainOptions.seed)
    rows, cols = scatter_pixels(SHAPE, cells=1, pixels=1, generator=generator)
    image = make_image(scene.truth).astype(np.float32)
    image[:, rows, cols] = np.nan
    hsi = write_raster(tmp_path / "hsi.tif", image)
    recipe = replace(QUICK, sampling=Sampling(scene_cells=1, scene_pixels=1))
    options = tiny_options(scene, tmp_path / "model.s2fin", hsi=hsi, epochs=1)
    assert not len(prepare(options, recipe=recipe).scene.rows)
    assert quick_train(options, recipe=recipe).accuracy is not None


def test_a_huge_undeclared_value_spoils_no_neighbour(scene: Scene, model: Path, tmp_path: Path) -> None:
    values = read_raster(scene.hsi).astype("float32")
    values[:, 30, 30] = -3.4e38
    damaged = write_raster(tmp_path / "damaged.tif", values)
    options = {"output": tmp_path / "map.tif", "confidence": tmp_path / "c.tif", "vector": False, "model": model}
    classify(ClassifyOptions.from_kwargs({**scene.images, "hsi": damaged, **options, "device": "cpu"}))
    with rasterio.open(tmp_path / "c.tif") as src, rasterio.open(tmp_path / "map.tif") as class_map:
        assert np.isfinite(src.read(1)[class_map.read(1) != class_map.nodata]).all()


# ---- the record ------------------------------------------------------------------------------------------------------


@dataclass
class Editing(Undecided):
    """A teacher while whose lesson somebody edits a file."""

    edited: Path

    def examine(self, lesson: Lesson) -> Examined:
        self.edited.write_bytes(self.edited.read_bytes() + b"edited")
        return super().examine(lesson)


def test_the_record_has_the_labels_that_were_learnt_even_if_they_are_edited_meanwhile(
    scene: Scene, tmp_path: Path
) -> None:
    labels = write_labels(tmp_path / "labels.gpkg")
    learnt = hashlib.sha256(labels.read_bytes()).hexdigest()
    options = tiny_options(scene, tmp_path / "model.s2fin", labels=labels, epochs=1, refit=np.bool_(False))
    findings = read_info(quick_train(options, teacher=Editing(labels)).model).findings or {}
    record = RunRecord.from_dict(findings["run"])
    assert [file.sha256 for file in record.files if file.option == "labels"] == [learnt]
    assert learnt != hashlib.sha256(labels.read_bytes()).hexdigest()
