"""What the use cases hold to beyond single steps: memory, strange values, interruptions."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch
from numpy.typing import NDArray

from s2fin import S2Fin
from s2fin_cli.core.errors import LabelError, S2finError
from s2fin_cli.inference.engine import Engine
from s2fin_cli.inference.pixels import predict_pixels
from s2fin_cli.model.file import read_info, read_model
from s2fin_cli.stack.cells import CELL_SIZE
from s2fin_cli.stack.stack import Stack
from s2fin_cli.teaching import propagation
from s2fin_cli.teaching.ensemble import Ensemble, Lessons, Trust, cross_validate, teach
from s2fin_cli.teaching.features import Features
from s2fin_cli.teaching.propagation import average_alike, guide_of, propagate
from s2fin_cli.training.loop import LABEL_SMOOTHING, Hyperparameters, Outcome, TrainingSet
from s2fin_cli.workflows import train as pipeline
from s2fin_cli.workflows.classify import run as classify
from s2fin_cli.workflows.options.classify import ClassifyOptions
from tests.files import read_raster, write_raster
from tests.scenes import SHAPE, Scene, make_heights, make_image, tiny_options, write_labels


def test_a_huge_undeclared_value_spoils_no_neighbour(scene: Scene, model: Path, tmp_path: Path) -> None:
    values = read_raster(scene.hsi).astype("float32")
    values[:, 30, 30] = -3.4e38
    damaged = write_raster(tmp_path / "damaged.tif", values)
    options = {"output": tmp_path / "map.tif", "confidence": tmp_path / "c.tif", "vector": False, "model": model}
    classify(ClassifyOptions.from_kwargs({**scene.images, "hsi": damaged, **options, "device": "cpu"}))
    with rasterio.open(tmp_path / "c.tif") as src, rasterio.open(tmp_path / "map.tif") as class_map:
        assert np.isfinite(src.read(1)[class_map.read(1) != class_map.nodata]).all()


@pytest.mark.usefixtures("short_epochs")
@pytest.mark.parametrize(
    ("alone", "told"), [(False, r"diverged.*--learning-rate"), (True, r"diverged.*absurd values")], ids=["all", "AFCM"]
)
def test_a_run_that_diverges_is_no_model(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, alone: bool, told: str
) -> None:
    if not alone:
        monkeypatch.setattr("s2fin_cli.training.loop._learn_context", lambda *_: None)
    monkeypatch.setattr(
        "s2fin_cli.training.loop.F.cross_entropy",
        lambda logits, *_, **__: logits.sum() * torch.tensor(torch.nan),
    )
    with pytest.raises(S2finError, match=told):
        pipeline.train(tiny_options(scene, tmp_path / "model.s2fin"))
    assert list(tmp_path.iterdir()) == []


def interrupt_at(monkeypatch: pytest.MonkeyPatch, step: str, *, call: int) -> None:
    """Let the user press Ctrl-C when that step of training is reached for that time."""
    original, calls = getattr(pipeline, step), 0

    def interrupted(*args: object, **kwargs: object) -> object:
        nonlocal calls
        calls += 1
        if calls == call:
            raise KeyboardInterrupt
        return original(*args, **kwargs)

    monkeypatch.setattr(pipeline, step, interrupted)


BEFORE_A_RUN = ["noise_adjusted_components", "scatter_pixels", "split_labels"]
STEPS_OF_A_RUN = ["_make_network", "features_at", "_scene_cells", "teach", "propagate", "fit"]


@pytest.mark.usefixtures("short_epochs")
def test_an_interrupt_of_the_validation_keeps_the_model_unvalidated(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt_at(monkeypatch, "predict_pixels", call=1)
    result = pipeline.train(tiny_options(scene, tmp_path / "model.s2fin", epochs=1, refit=True))
    assert (result.outcome.interrupted, result.accuracy) == (True, None)
    training = read_info(result.model).training
    assert (training["interrupted"], training["refitted"], training["validation"]) == (True, False, None)


@pytest.mark.usefixtures("short_epochs")
@pytest.mark.parametrize("step", BEFORE_A_RUN + STEPS_OF_A_RUN + ["cross_validate"])
def test_an_interrupt_before_there_is_a_model_leaves_nothing(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    interrupt_at(monkeypatch, step, call=1)
    with pytest.raises(KeyboardInterrupt):
        pipeline.train(tiny_options(scene, tmp_path / "model.s2fin", refit=True))
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("short_epochs")
@pytest.mark.parametrize("step", STEPS_OF_A_RUN)
def test_an_interrupt_anywhere_in_the_last_run_keeps_the_validated_model(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    interrupt_at(monkeypatch, step, call=2)
    result = pipeline.train(tiny_options(scene, tmp_path / "model.s2fin", epochs=1, refit=True))
    assert result.outcome.interrupted
    info = read_info(result.model)
    assert (info.training["interrupted"], info.training["refitted"]) == (True, False)
    assert info.training["validation"] is not None
    assert read_model(result.model)[0].training is False


@pytest.mark.usefixtures("short_epochs")
def test_an_interrupt_of_the_first_run_after_an_epoch_ends_all_training(scene: Scene, tmp_path: Path) -> None:
    stages: list[str] = []

    def interrupt(stage: str, done: int, total: int, **figures: float) -> None:
        stages.append(stage)
        if stage == "training" and done == 1:
            raise KeyboardInterrupt

    result = pipeline.train(tiny_options(scene, tmp_path / "model.s2fin", refit=True), progress=interrupt)
    assert (result.outcome.interrupted, result.outcome.epochs) == (True, 1)
    assert pipeline.ON_ALL_LABELS not in stages
    assert read_info(result.model).training["refitted"] is False


@pytest.mark.usefixtures("short_epochs")
def test_training_leaves_the_callers_random_numbers_alone(scene: Scene, tmp_path: Path) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    pipeline.train(tiny_options(scene, tmp_path / "model.s2fin", epochs=1))
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.usefixtures("short_epochs")
def test_the_seed_decides_every_byte_of_the_model(scene: Scene, tmp_path: Path) -> None:
    first, again, other, largest = (
        pipeline.train(tiny_options(scene, tmp_path / f"{name}.s2fin", epochs=1, refit=refit, seed=seed)).model
        for name, seed, refit in (
            ("first", 3, True),
            ("again", 3, True),
            ("other", 4, False),
            ("largest", 2**63 - 1, False),
        )
    )
    assert first.read_bytes() == again.read_bytes()
    weights = [read_model(path)[0].state_dict() for path in (first, other, largest)]
    for others in weights[1:]:
        assert any(not torch.equal(value, others[name]) for name, value in weights[0].items())


# ---- what the network is taught --------------------------------------------------------------------------------------


@dataclass
class Taught:
    """What training gave to the teacher and to the network, run by run, instead of training the network.

    Attributes:
        teachers: features, targets and units of what ensembles were cross-validated with.
        buffers: around what was held out in it.
        lessons: what they were asked about, and what they said.
        runs: networks, as they were, with what they were to learn from and how.
        validated: rows, columns and scores of the pixels held out.
    """

    teachers: list[tuple[Features, NDArray[np.int64], NDArray[np.int64]]] = field(default_factory=list)
    buffers: list[int] = field(default_factory=list)
    lessons: list[tuple[Features, Lessons]] = field(default_factory=list)
    runs: list[tuple[S2Fin, TrainingSet, Hyperparameters]] = field(default_factory=list)
    validated: list[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]] = field(default_factory=list)

    @property
    def sets(self) -> list[TrainingSet]:
        """What the networks were to learn from."""
        return [train for _, train, _ in self.runs]

    def numbers(self, run: int = 0) -> NDArray[np.int64]:
        """Numbers of the pixels that a network of the numbered scene was to learn from."""
        network, train, _ = self.runs[run]
        cells, margin = train.cells, (train.cells.near.shape[-1] - CELL_SIZE) // 2
        values = cells.near[cells.index, 5, cells.rows + margin, cells.cols + margin]
        numbers = values * network.image_std[5] + network.image_mean[5]
        return np.asarray(numbers.round().numpy().ravel(), np.int64)


@pytest.fixture
def taught(monkeypatch: pytest.MonkeyPatch) -> Taught:
    seen = Taught()

    def watch_validation_of_teacher(
        ensemble: Ensemble, features: Features, targets: NDArray[np.int64], units: NDArray[np.int64], *, buffer: int
    ) -> Trust:
        seen.teachers.append((features, targets, units))
        seen.buffers.append(buffer)
        return cross_validate(ensemble, features, targets, units, buffer=buffer)

    def watch(
        ensemble: Ensemble, features: Features, targets: NDArray[np.int64], asked: Features, *, trust: Trust
    ) -> Lessons:
        seen.lessons.append((asked, teach(ensemble, features, targets, asked, trust=trust)))
        return seen.lessons[-1][1]

    def no_fit(network: S2Fin, train: TrainingSet, *, hyperparameters: Hyperparameters, **_: Any) -> Outcome:
        seen.runs.append((copy.deepcopy(network), train, hyperparameters))
        with torch.no_grad():
            network.head.classify.bias.fill_(1.5)  # what it "learnt"
        return Outcome(1, 0.0, interrupted=False)

    def watch_validation(
        engine: Engine, stack: Stack, rows: NDArray[np.int64], cols: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        seen.validated.append((rows, cols, predict_pixels(engine, stack, rows, cols)))
        return seen.validated[-1][2]

    monkeypatch.setattr(pipeline, "cross_validate", watch_validation_of_teacher)
    monkeypatch.setattr(pipeline, "teach", watch)
    monkeypatch.setattr(pipeline, "fit", no_fit)
    monkeypatch.setattr(pipeline, "predict_pixels", watch_validation)
    return seen


@pytest.fixture(scope="module")
def numbered(scene: Scene, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """The scene with one more band, which holds each pixel's number."""
    numbers = np.arange(SHAPE[0] * SHAPE[1], dtype=np.uint16).reshape(1, *SHAPE)
    path = tmp_path_factory.mktemp("numbered") / "hsi.tif"
    return replace(scene, hsi=write_raster(path, np.concatenate([make_image(scene.truth), numbers])))


def labelled_numbers() -> set[int]:
    """Numbers of the pixels in the scene's polygons, 4 x 4 pixels in the middle of each patch of the map."""
    mask = np.zeros(SHAPE, bool)
    for row, col in np.ndindex(3, 5):
        mask[20 * row + 8 : 20 * row + 12, 14 * col + 5 : 14 * col + 9] = True
    return set(np.flatnonzero(mask).tolist())


def test_the_network_is_taught_by_labels_and_elsewhere_by_the_teacher(
    numbered: Scene, tmp_path: Path, taught: Taught
) -> None:
    result = pipeline.train(tiny_options(numbered, tmp_path / "model.s2fin", refit=True))
    truth = numbered.truth.ravel() - 1
    ((rows, cols, scores),) = taught.validated
    held_out = rows * SHAPE[1] + cols
    assert result.accuracy is not None
    assert result.accuracy.overall_accuracy == (scores.argmax(axis=1) == truth[held_out]).mean()
    assert len(taught.runs) == 2
    for run, expected in enumerate((labelled_numbers() - set(held_out.tolist()), labelled_numbers())):
        samples, numbers = taught.sets[run], taught.numbers(run)
        labelled = samples.labels >= 0
        assert sorted(numbers) == list(range(truth.size)), "the scene is small enough to take each pixel, once"
        assert set(numbers[labelled]) == expected
        assert np.array_equal(samples.labels[labelled], truth[numbers[labelled]])
        assert samples.targets.sum(axis=1) == pytest.approx(np.ones(truth.size), abs=1e-5)
        smoothed = np.eye(3)[samples.labels[labelled]] * (1 - LABEL_SMOOTHING) + LABEL_SMOOTHING / 3
        assert samples.targets[labelled] == pytest.approx(smoothed, abs=1e-6)
        assert (samples.targets.argmax(axis=1) == truth[numbers]).mean() > 0.9, "the teacher knows the easy scene"
    counts = result.info.training
    assert (counts["train_pixels"], counts["validation_pixels"]) == (240 - len(held_out), len(held_out))


def test_all_labels_are_learnt_by_going_on_from_what_a_part_of_them_taught(
    scene: Scene, tmp_path: Path, taught: Taught
) -> None:
    """In fewer epochs; and the teacher is what it was found to be."""
    result = pipeline.train(tiny_options(scene, tmp_path / "model.s2fin", refit=True))
    (first, _, how), (second, _, how_more) = taught.runs
    assert not how.goes_on
    assert how_more == replace(how, epochs=2, goes_on=True)
    assert how.epochs == 4
    assert (len(taught.teachers), len(taught.lessons)) == (1, 2)
    assert not first.head.classify.bias.eq(1.5).any()
    for name, value in second.state_dict().items():
        learnt = torch.full_like(value, 1.5) if name == "head.classify.bias" else first.state_dict()[name]
        assert torch.equal(value, learnt), name
    assert result.info.training["refitted"] is True


def test_a_network_of_another_kind_starts_anew(
    scene: Scene, tmp_path: Path, taught: Taught, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where all labels lie densely, and a part of them does not."""
    densely = iter([False, True])
    monkeypatch.setattr(pipeline, "lie_densely", lambda *_: next(densely))
    pipeline.train(tiny_options(scene, tmp_path / "model.s2fin", refit=True))
    (first, _, how), (second, _, how_more) = taught.runs
    assert first.cfg != second.cfg
    assert how_more == how
    assert not how.goes_on
    assert not second.head.classify.bias.eq(1.5).any()


@pytest.mark.parametrize("alone", [False, True], ids=["two images", "one image"])
def test_the_model_tells_how_much_the_second_image_was_used(
    scene: Scene, tmp_path: Path, taught: Taught, *, alone: bool
) -> None:
    images: dict[str, Any] = {"lidar": None} if alone else {}
    use = pipeline.train(tiny_options(scene, tmp_path / "m.s2fin", **images)).info.training["use_of_second_image"]
    if alone:
        assert use is None
        assert taught.lessons[0][1].use_of_second is None
    else:
        assert use == pytest.approx(taught.lessons[0][1].use_of_second, abs=6e-4)
        assert 0 < use < 1


def test_random_pixels_are_cross_validated_without_a_buffer(
    numbered: Scene, tmp_path: Path, taught: Taught, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(propagation, "DENSE", 1.0)
    pipeline.train(tiny_options(numbered, tmp_path / "model.s2fin", split="random"))
    assert taught.buffers == [0]


@pytest.mark.parametrize("dense", [True, False])
def test_whole_cells_are_taught_what_neighbours_agree_on(
    numbered: Scene, tmp_path: Path, taught: Taught, monkeypatch: pytest.MonkeyPatch, *, dense: bool
) -> None:
    """Between dense labels it is passed on from pixel to pixel, elsewhere those that look alike are averaged."""
    monkeypatch.setattr(propagation, "DENSE", 20.0 if dense else 1.0)
    monkeypatch.setattr(pipeline, "SCENE_CELLS", 20)
    monkeypatch.setattr(pipeline, "SCENE_PIXELS", 20 * 5)
    result = pipeline.train(tiny_options(numbered, tmp_path / "model.s2fin", validation=0))
    (samples,), ((asked, lessons),), numbers = taught.sets, taught.lessons, taught.numbers()
    assert samples.dense == dense
    assert taught.buffers == [0 if dense else 15]
    assert result.info.architecture["block_size"] == (3 if dense else 5)
    cells = numbers // SHAPE[1] // CELL_SIZE * 9 + numbers % SHAPE[1] // CELL_SIZE
    rows, cols = np.indices(SHAPE) // CELL_SIZE
    assert sorted(numbers) == np.flatnonzero(np.isin(rows * 9 + cols, cells)).tolist(), "whole cells, each pixel once"
    assert labelled_numbers() <= set(numbers.tolist())
    assert 0 < len(set(cells) - set(cells[samples.labels >= 0])) <= 20
    assert np.array_equal(asked["position"], np.stack(np.divmod(numbers, SHAPE[1]), axis=1))
    guide = guide_of(asked["components"], asked["aux"])
    told = (
        propagate(lessons.probs, samples.labels, guide, asked["position"])
        if dense
        else average_alike(lessons.probs, guide, samples.cells)
    )
    unlabelled = samples.labels < 0
    assert samples.targets[unlabelled] == pytest.approx(told[unlabelled], abs=1e-6)
    assert np.abs(told - lessons.probs).max() > 0.01
    truth = numbered.truth.ravel()[numbers] - 1
    assert (samples.targets.argmax(axis=1) == truth).mean() > 0.9


def test_the_teacher_learns_from_whole_polygons_and_not_too_many_pixels(
    numbered: Scene, tmp_path: Path, taught: Taught, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "TEACHER_LABELS", 30)
    result = pipeline.train(tiny_options(numbered, tmp_path / "model.s2fin", validation=0))
    ((features, targets, units),) = taught.teachers
    assert np.bincount(targets).tolist() == [30] * 3
    hsi = result.info.bands[0]
    numbers = np.rint(features["bands"][:, 5] * hsi.std[5] + hsi.mean[5]).astype(int)
    assert set(numbers) <= labelled_numbers()
    assert np.array_equal(targets, numbered.truth.ravel()[numbers] - 1), "features, classes and units are in step"
    polygon = numbers // SHAPE[1] // 20 * 5 + numbers % SHAPE[1] // 14
    assert len(set(zip(units, polygon, strict=True))) == len(set(units)) == len(set(polygon)) == 15
    assert result.teacher is not None
    assert result.teacher.n == 90
    assert result.info.training["cross_validation"] == result.teacher.to_dict()


def test_the_figures_count_the_pixels_that_are_left_by_the_limit(scene: Scene, tmp_path: Path, taught: Taught) -> None:
    result = pipeline.train(tiny_options(scene, tmp_path / "model.s2fin", labels_per_class=10))
    (train,), ((_, _, scores),) = taught.sets, taught.validated
    assert np.bincount(train.labels[train.labels >= 0]).tolist() == [10] * 3
    assert len(scores) == 30
    assert result.accuracy is not None
    assert result.accuracy.matrix.sum(axis=1).tolist() == [10] * 3
    assert (result.info.training["train_pixels"], result.info.training["validation_pixels"]) == (30, 30)


@pytest.mark.parametrize("cells", [8, 0])
def test_scattered_labels_take_no_more_memory_than_they_may(
    scene: Scene, tmp_path: Path, taught: Taught, monkeypatch: pytest.MonkeyPatch, *, cells: int
) -> None:
    """The network learns from few of them; the teacher, which needs no cells of theirs, from all."""
    monkeypatch.setattr(pipeline, "_cell_bytes", lambda *_: 1000)
    monkeypatch.setattr(pipeline, "LABEL_BYTES", cells * 1000)
    monkeypatch.setattr(pipeline, "SCENE_CELLS", 1)  # whose labels are learnt from too
    pipeline.train(tiny_options(scene, tmp_path / "model.s2fin"))
    (train,), ((_, targets, _),) = taught.sets, taught.teachers
    labelled = train.labels >= 0
    assert set(train.labels[labelled]) == {0, 1, 2}, "one pixel of each class there must be"
    assert len(np.unique(train.cells.index[labelled])) <= max(cells, 3) + 1
    assert len(targets) + len(taught.validated[0][0]) == 240
    assert labelled.sum() < len(targets)


@pytest.mark.parametrize("alone", [False, True], ids=["two images", "one image"])
@pytest.mark.parametrize("bands", [5, 40])
def test_it_is_known_roughly_what_memory_a_cell_takes(
    scene: Scene, tmp_path: Path, taught: Taught, monkeypatch: pytest.MonkeyPatch, *, bands: int, alone: bool
) -> None:
    estimates: list[int] = []
    cell_bytes = pipeline._cell_bytes

    def watch(*args: Any) -> int:
        estimates.append(cell_bytes(*args))
        return estimates[-1]

    monkeypatch.setattr(pipeline, "_cell_bytes", watch)
    hsi = write_raster(tmp_path / "hsi.tif", np.resize(make_image(scene.truth), (bands, *SHAPE)))
    lidar = None if alone else scene.lidar
    pipeline.train(tiny_options(scene, tmp_path / "model.s2fin", hsi=hsi, lidar=lidar, validation=0))
    ((_, train, _),), ((asked, _),) = taught.runs, taught.lessons
    held = sum(part.nbytes for part in (train.cells.near, train.cells.near_aux, train.cells.context))
    values = 4 * sum(part.shape[1] for part in asked.values()) * CELL_SIZE**2
    assert 0.4 * estimates[0] < held / len(train.cells.near) + values < 1.1 * estimates[0]


# ---- few labels ------------------------------------------------------------------------------------------------------


def raster_labels(scene: Scene, path: Path, places: list[tuple[int, int]]) -> Path:
    values = np.zeros(scene.truth.shape, np.uint8)
    rows, cols = zip(*places, strict=True)
    values[rows, cols] = scene.truth[rows, cols]
    return write_raster(path, values)


@pytest.mark.usefixtures("short_epochs")
def test_few_labels_are_all_trained_on_and_the_teacher_is_cross_validated(
    scene: Scene, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    labels = write_labels(tmp_path / "few.gpkg", rows=range(1))  # 32, 32 and 16 pixels
    result = pipeline.train(tiny_options(scene, tmp_path / "few.s2fin", labels=labels, refit=True))
    assert "labels are too few to hold any out" in caplog.text
    training = read_info(result.model).training
    assert (training["split"], training["validation"], training["refitted"]) == ("none", None, False)
    assert (training["train_pixels"], training["validation_pixels"]) == (80, 0)
    assert (training["epochs"], training["interrupted"]) == (4, False)
    assert result.accuracy is None
    assert result.teacher is not None
    assert result.teacher.n == 80
    assert result.teacher.overall_accuracy > 0.9
    assert training["cross_validation"]["overall_accuracy"] == result.teacher.overall_accuracy


@pytest.mark.usefixtures("short_epochs")
def test_it_is_the_middle_class_that_has_to_have_labels_enough(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = write_labels(tmp_path / "few.gpkg", rows=range(1))  # 32, 32 and 16 pixels
    for fewest, validated in ((32, True), (33, False)):
        monkeypatch.setattr(pipeline, "FEWEST_TO_HOLD_OUT", fewest)
        result = pipeline.train(tiny_options(scene, tmp_path / f"{fewest}.s2fin", labels=labels, epochs=1))
        assert (result.accuracy is not None) is validated


@pytest.mark.usefixtures("short_epochs")
def test_polygons_cannot_be_asked_for_in_a_raster_of_few_labels_either(scene: Scene, tmp_path: Path) -> None:
    labels = raster_labels(scene, tmp_path / "labels.tif", [(5, 5), (5, 20)])
    with pytest.raises(LabelError, match="no polygons to split by"):
        pipeline.train(tiny_options(scene, tmp_path / "model.s2fin", labels=labels, split="polygons"))
    assert list(tmp_path.iterdir()) == [labels]


@pytest.mark.usefixtures("short_epochs")
@pytest.mark.parametrize("classes", [2, 30])
def test_one_pixel_of_each_class(scene: Scene, tmp_path: Path, classes: int) -> None:
    """Nothing can be said of how good the model is, but there is one."""
    values = np.zeros(SHAPE, np.uint8)
    values[30, 2 * np.arange(classes)] = np.arange(classes) + 1
    labels = write_raster(tmp_path / "labels.tif", values)
    result = pipeline.train(tiny_options(scene, tmp_path / "model.s2fin", labels=labels, epochs=1))
    assert result.teacher is None
    training = read_info(result.model).training
    assert (training["validation"], training["cross_validation"]) == (None, None)
    assert len(result.info.classes) == classes


# ---- where labels and data may lie -----------------------------------------------------------------------------------


@pytest.mark.usefixtures("short_epochs")
def test_labels_in_the_corners_of_the_raster(numbered: Scene, tmp_path: Path, taught: Taught) -> None:
    corners = [(0, 0), (0, 69), (59, 0), (59, 69)]
    labels = raster_labels(numbered, tmp_path / "labels.tif", corners)
    pipeline.train(tiny_options(numbered, tmp_path / "model.s2fin", labels=labels))
    (train,) = taught.sets
    assert sorted(taught.numbers()[train.labels >= 0]) == [70 * row + col for row, col in corners]


@pytest.mark.usefixtures("short_epochs")
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
    given = {**images, "model": pipeline.train(options).model, "output": tmp_path / "map.tif", "device": "cpu"}
    mapped = classify(ClassifyOptions.from_kwargs(given))
    assert read_raster(mapped.outputs.map).shape == (1, *shape)
    assert set(mapped.pixels) == {1, 2}
    assert mapped.nodata_pixels == 0


@pytest.mark.usefixtures("short_epochs")
def test_a_scene_with_hardly_any_data(scene: Scene, tmp_path: Path) -> None:
    """Two labelled pixels, no two neighbours with data, and no pixel without a label to learn from."""
    image = np.full((5, *SHAPE), np.nan, np.float32)
    places = [(10, 10), (25, 5)]
    rows, cols = zip(*places, strict=True)
    image[:, rows, cols] = make_image(scene.truth)[:, rows, cols]
    hsi = write_raster(tmp_path / "hsi.tif", image)
    labels = raster_labels(scene, tmp_path / "labels.tif", places)
    result = pipeline.train(tiny_options(scene, tmp_path / "model.s2fin", hsi=hsi, labels=labels))
    assert np.isfinite(result.outcome.loss)
    assert all(value.isfinite().all() for value in read_model(result.model)[0].state_dict().values())


@pytest.mark.usefixtures("short_epochs")
def test_a_scene_none_of_whose_scattered_pixels_has_data(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = make_image(scene.truth).astype(np.float32)
    image[:, 0, 0] = np.nan
    hsi = write_raster(tmp_path / "hsi.tif", image)
    monkeypatch.setattr(pipeline, "scatter_pixels", lambda shape, **_: (np.zeros(1, np.int64), np.zeros(1, np.int64)))
    result = pipeline.train(tiny_options(scene, tmp_path / "model.s2fin", hsi=hsi, epochs=1))
    assert result.accuracy is not None


@pytest.mark.usefixtures("short_epochs")
def test_where_there_is_no_data_nothing_is_taught(numbered: Scene, tmp_path: Path, taught: Taught) -> None:
    heights = make_heights(numbered.truth)
    heights[:, :30] = np.nan
    lidar = write_raster(tmp_path / "lidar.tif", heights)
    pipeline.train(tiny_options(numbered, tmp_path / "model.s2fin", lidar=lidar))
    assert (taught.numbers() % SHAPE[1] >= 30).all()
