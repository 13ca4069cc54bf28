"""Training that starts from a model of another scene."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import torch
from affine import Affine
from numpy.typing import NDArray

from s2fin_cli.core.errors import LabelError, ModelFileError, S2finError, UsageError
from s2fin_cli.core.progress import Stopped
from s2fin_cli.inference.engine import Engine
from s2fin_cli.inference.pixels import predict_pixels
from s2fin_cli.model.file import read_info, read_item, read_model, write_model
from s2fin_cli.model.fit import fit_stack
from s2fin_cli.stack.assembly import stack_of
from s2fin_cli.teaching.members import STARTING
from s2fin_cli.workflows.train import TrainResult
from s2fin_cli.workflows.train import run as train
from tests.files import TRANSFORM, write_raster
from tests.recipes import QUICK
from tests.scenes import Run, Scene, make_image, tiny_options, write_scene
from tests.stops import AtCheck

#: How far the second scene is from the first, in pixels and in the units of the CRS.
COLUMNS_AWAY = 1000
AWAY = COLUMNS_AWAY * TRANSFORM.a
THERE = Affine.translation(AWAY, 0) @ TRANSFORM
#: A learning rate that changes no weight.
NO_STEP = 1e-30


def make_elsewhere(folder: Path) -> Scene:
    """A scene with the same values as the one of the session's model, at another place."""
    scene = write_scene(folder)
    for path in (scene.hsi, scene.lidar):
        with rasterio.open(path, "r+") as dst:
            dst.transform = Affine.translation(AWAY, 0) @ dst.transform
    labels = gpd.read_file(scene.labels)
    labels.assign(geometry=labels.translate(AWAY)).to_file(scene.labels)
    return scene


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return make_elsewhere(tmp_path_factory.mktemp("elsewhere"))


def start(scene: Scene, folder: Path, model: Path, **changes: Any) -> TrainResult:
    """Train on a scene, from a model."""
    options = {"init": model, "epochs": 1, **changes}
    return train(tiny_options(scene, folder / "new.s2fin", **options), recipe=QUICK)


@pytest.fixture(scope="module")
def started(elsewhere: Scene, model: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    return start(elsewhere, tmp_path_factory.mktemp("started"), model)


def mapped(model: Path, scene: Scene) -> NDArray[np.str_]:
    """Names of the classes of all pixels of a scene."""
    network, info = read_model(model)
    stack = fit_stack(info, stack_of(tiny_options(scene, model)))
    rows, cols = (part.ravel() for part in np.indices(stack.grid.shape))
    probs = predict_pixels(Engine(network, torch.device("cpu")), stack, rows, cols)
    names: NDArray[np.str_] = np.array([c.name for c in info.classes])[probs.argmax(axis=1)]
    return names


def with_other(elsewhere: Scene, folder: Path, labels: gpd.GeoDataFrame) -> Scene:
    """The scene with other labels."""
    path = folder / "labels.gpkg"
    labels.to_file(path)
    return replace(elsewhere, labels=path)


# ---- what is kept ----------------------------------------------------------------------------------------------------


def test_what_learns_nothing_maps_as_the_model_did(elsewhere: Scene, model: Path, tmp_path: Path) -> None:
    new = start(elsewhere, tmp_path, model, learning_rate=NO_STEP).model
    assert np.array_equal(mapped(new, elsewhere), mapped(model, elsewhere))


def test_classes_are_matched_by_name_whatever_their_numbers_and_order(
    elsewhere: Scene, model: Path, tmp_path: Path
) -> None:
    table = tmp_path / "classes.csv"
    table.write_text("id,name\n7,Water\n30,forest\n4,MEADOW\n", encoding="utf-8")
    new = start(elsewhere, tmp_path, model, learning_rate=NO_STEP, classes=table).model
    assert [(c.id, c.name) for c in read_info(new).classes] == [(4, "MEADOW"), (7, "Water"), (30, "forest")]
    assert np.array_equal(np.char.lower(mapped(new, elsewhere)), mapped(model, elsewhere))


@pytest.mark.slow
def test_bands_are_matched_by_name_whatever_their_order(scene: Scene, elsewhere: Scene, tmp_path: Path) -> None:
    names, order = ["blue", "green", "red", "nir", "swir"], [3, 0, 4, 2, 1]
    image = make_image(scene.truth)
    first = replace(scene, hsi=write_raster(tmp_path / "first.tif", image))
    second = replace(elsewhere, hsi=tmp_path / "second.tif")
    write_raster(second.hsi, image[order], transform=THERE)
    for path, own in ((first.hsi, names), (second.hsi, [names[i] for i in order])):
        with rasterio.open(path, "r+") as dst:
            dst.descriptions = own
    model = train(tiny_options(first, tmp_path / "model.s2fin"), recipe=QUICK).model
    new = start(second, tmp_path, model, learning_rate=NO_STEP).model
    assert read_info(new).bands[0].band_names == tuple(names), "in the model's order"
    assert np.array_equal(mapped(new, second), mapped(model, first))


def test_a_class_without_labels_is_left_out_with_a_warning(elsewhere: Scene, model: Path, tmp_path: Path) -> None:
    labels = gpd.read_file(elsewhere.labels)
    result = start(with_other(elsewhere, tmp_path, labels[labels["class"] != "water"]), tmp_path, model)
    assert [c.name for c in result.info.classes] == ["forest", "meadow"]
    assert any("which the new model will not map: water" in text for text in result.warnings)


@pytest.mark.slow
def test_the_scene_is_standardised_as_fits_the_labels(elsewhere: Scene, model: Path, tmp_path: Path) -> None:
    darker = replace(elsewhere, hsi=tmp_path / "darker.tif")
    values = make_image(elsewhere.truth) // 3
    write_raster(darker.hsi, values, transform=THERE)
    result = start(darker, tmp_path, model, learning_rate=NO_STEP)
    assert result.info.training["started_from"]["statistics"] == "scene"
    network, old = (read_model(path)[0] for path in (result.model, model))
    assert torch.equal(network.components, old.components), "the weights are for these"
    assert torch.allclose(network.image_mean.flatten(), torch.tensor(result.info.bands[0].mean))


@pytest.mark.slow
def test_the_same_start_gives_the_same_model(
    elsewhere: Scene, model: Path, started: TrainResult, tmp_path: Path
) -> None:
    before = torch.random.get_rng_state()
    again = start(elsewhere, tmp_path, model)
    assert torch.equal(torch.random.get_rng_state(), before), "the caller's random state stays unchanged"
    first, second = (read_model(result.model)[0].state_dict() for result in (started, again))
    assert all(torch.equal(first[name], second[name]) for name in first)


# ---- what is said of it ----------------------------------------------------------------------------------------------


def test_the_new_model_says_what_it_started_from(started: TrainResult, model: Path) -> None:
    info = read_info(started.model)
    origin = info.training["started_from"]
    assert (origin["file"], origin["model"]) == (model.name, read_item(model)["id"])
    assert origin["labels_right"] > 0.9
    assert info.findings is not None
    assert STARTING.name in [member["name"] for member in info.findings["members"]]
    assert [file["path"] for file in info.findings["run"]["files"] if file["option"] == "init"] == [str(model)]
    properties = read_item(started.model)["properties"]
    assert properties["mlm:pretrained"] is True
    assert properties["mlm:pretrained_source"] == f"{origin['model']} ({model.name})"
    assert read_item(model)["properties"]["mlm:pretrained"] is False


def test_inspect_and_the_report_say_what_it_started_from(run: Run, elsewhere: Scene, model: Path) -> None:
    trained = run(
        "train", *elsewhere.arguments, "--labels", elsewhere.labels, "--init", model, "--patch-size", 5,
        "--epochs", 1, "--no-refit", "--device", "cpu", "--report", "new.html", "-o", "new.s2fin",
    )  # fmt: skip
    assert trained.exit_code == 0, trained.output
    assert "has the right class at" in trained.output
    name = f"{model.name} ({read_item(model)['id']})"
    assert name in " ".join(run("inspect", "new.s2fin").output.split())
    assert f"It started from the model {name}" in Path("new.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_project_file_names_it_relative_to_itself(run: Run, elsewhere: Scene, model: Path) -> None:
    folder = Path("project")
    folder.mkdir()
    (folder / "old.s2fin").write_bytes(model.read_bytes())
    values = {"patch-size": 5, "epochs": 1, "refit": False, "device": "cpu", "init": "old.s2fin"}
    images = {name: str(path) for name, path in elsewhere.images.items()}
    lines = [f"{key} = {json.dumps(value)}" for key, value in (images | {"labels": str(elsewhere.labels)}).items()]
    lines += ["[train]", *(f"{key} = {json.dumps(value)}" for key, value in values.items())]
    (folder / "s2fin.toml").write_text("\n".join(lines), encoding="utf-8")
    result = run("--config", folder / "s2fin.toml", "train", "-o", "new.s2fin")
    assert result.exit_code == 0, result.output
    assert read_info("new.s2fin").training["started_from"]["file"] == "old.s2fin"


# ---- what is refused -------------------------------------------------------------------------------------------------


def refused(error: type[S2finError], match: str, scene: Scene, folder: Path, model: Path, **changes: Any) -> None:
    """Training is refused, and writes nothing."""
    before = set(folder.iterdir())
    with pytest.raises(error, match=match):
        start(scene, folder, model, **changes)
    assert set(folder.iterdir()) == before


def test_a_class_that_the_model_does_not_know_is_refused(elsewhere: Scene, model: Path, tmp_path: Path) -> None:
    labels = gpd.read_file(elsewhere.labels)
    labels.loc[0, "class"] = "swamp"
    match = "knows the classes forest, meadow, water, and the labels have swamp; give classes its names, or .*`init`"
    refused(LabelError, match, with_other(elsewhere, tmp_path, labels), tmp_path, model)


def test_labels_that_the_model_learnt_from_are_refused(scene: Scene, model: Path, tmp_path: Path) -> None:
    refused(LabelError, "learnt from about 80 % of these labels", scene, tmp_path, model)


def test_labels_that_the_model_before_it_learnt_from_are_refused(
    scene: Scene, started: TrainResult, tmp_path: Path
) -> None:
    refused(LabelError, "new.s2fin, .*, learnt from about 80 % of these labels", scene, tmp_path, started.model)


@pytest.mark.parametrize(
    ("error", "match", "changes"),
    [
        (
            ModelFileError,
            "training cannot start from .*: the model needs `hsi` and `lidar`; `lidar` is missing",
            {"lidar": None},
        ),
        (UsageError, "`patch_size` is 7, and .* has windows of 5 pixels; use `patch_size=5`", {"patch_size": 7}),
        (ModelFileError, "no model file .*; check the path", {"init": "none.s2fin"}),
        (ModelFileError, "training cannot start from .*: the model was trained on 5 bands", {"bidx": ("1..4",)}),
    ],
    ids=["image", "patch size", "file", "band"],
)
def test_what_does_not_fit_is_refused(
    elsewhere: Scene, model: Path, tmp_path: Path, error: type[S2finError], match: str, changes: dict[str, Any]
) -> None:
    refused(error, match, elsewhere, tmp_path, model, **changes)


def test_values_of_another_unit_and_bands_of_no_use_are_refused(elsewhere: Scene, model: Path, tmp_path: Path) -> None:
    image = make_image(elsewhere.truth).astype(np.float32)
    scaled = replace(elsewhere, hsi=write_raster(tmp_path / "scaled.tif", image / 10000, transform=THERE))
    refused(ModelFileError, "same unit and scale", scaled, tmp_path, model)
    image[2] = 7
    flat = replace(elsewhere, hsi=write_raster(tmp_path / "flat.tif", image, transform=THERE))
    refused(ModelFileError, "has bands of no use, which .* needs; train without `init`", flat, tmp_path, model)


def test_the_model_to_start_from_is_not_replaced(elsewhere: Scene, model: Path, tmp_path: Path) -> None:
    own = tmp_path / "new.s2fin"
    own.write_bytes(model.read_bytes())
    refused(S2finError, "new.s2fin", elsewhere, tmp_path, own, overwrite=True)
    assert own.read_bytes() == model.read_bytes()


@pytest.mark.parametrize(
    ("name", "value"), [("statistics", "guessed"), ("labels_right", 2.0), ("learnt_from", [{"crs": 1}])]
)
def test_a_description_that_nobody_wrote_is_refused(
    started: TrainResult, tmp_path: Path, name: str, value: object
) -> None:
    network, info = read_model(started.model)
    origin = {**info.training["started_from"], name: value}
    spoilt = tmp_path / "spoilt.s2fin"
    write_model(spoilt, network, info=replace(info, training={**info.training, "started_from": origin}))
    with pytest.raises(ModelFileError, match="is damaged"):
        read_info(spoilt)


def test_a_request_to_end_is_honoured_before_the_labels_are_looked_at(
    elsewhere: Scene, model: Path, tmp_path: Path
) -> None:
    options = tiny_options(elsewhere, tmp_path / "new.s2fin", init=model)
    with pytest.raises(Stopped):
        train(options, recipe=QUICK, stop=AtCheck(6))
    assert list(tmp_path.iterdir()) == []
