from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from s2fin import S2Fin, S2FinConfig
from s2fin_cli.errors import S2finError
from s2fin_cli.geo.stack import build_stack
from s2fin_cli.infer.engine import Engine
from s2fin_cli.learn import training
from s2fin_cli.learn.pipeline import train
from s2fin_cli.learn.samples import CELL_SIZE, Cells, read_cells
from s2fin_cli.learn.training import (
    WINDOWS_OF_CELL,
    Hyperparameters,
    Outcome,
    TrainingSet,
    cell_logits,
    fit,
    predict_cells,
)
from s2fin_cli.modelfile import read_model
from s2fin_cli.progress import Progress, silent
from tests.app.scenes import Scene, tiny_options

SIZES = {"width": 8, "map_width": 8, "deep_width": 8, "max_tokens": 3, "heads": 2, "state_size": 4, "components": 2}


def make_network(seed: int = 0, *, classes: int = 2) -> S2Fin:
    torch.manual_seed(seed)
    images = {"in_channels": 3, "aux_channels": 1, "num_classes": classes, "patch_size": 5, "context_size": 3}
    return S2Fin(S2FinConfig.from_dict({**images, **SIZES}))


def make_cells(classes: NDArray[np.int64], *, seed: int, apart: float, each: int = 1) -> Cells:
    """Cells for `make_network`, of one class each, that differ in all bands; so many pixels in each."""
    generator = np.random.default_rng(seed)
    side = CELL_SIZE + 2 * (make_network().input_size // 2)
    count = len(classes)
    image = generator.normal(size=(count, 3, side, side)) + apart * (classes - 0.5)[:, None, None, None]
    aux = generator.normal(size=(count, 1, side, side))
    index = np.repeat(np.arange(count), each)
    rows, cols = generator.integers(CELL_SIZE, size=(2, count * each))
    return Cells(image.astype(np.float32), aux.astype(np.float32), index, rows, cols)


def soft(classes: NDArray[np.int64], probability: float) -> NDArray[np.float32]:
    """Targets of two classes that give one of them a probability."""
    targets = np.full((len(classes), 2), 1 - probability, np.float32)
    targets[np.arange(len(classes)), classes] = probability
    return targets


def make_training(count: int, *, seed: int = 0, apart: float = 3.0) -> TrainingSet:
    """So many cells, the two classes in turns, with a labelled pixel in each and one that the teacher was asked for."""
    classes = np.arange(count) % 2
    of_pixel = np.repeat(classes, 2)
    labelled = np.tile([True, False], count)
    targets = np.where(labelled[:, None], soft(of_pixel, 0.95), soft(of_pixel, 0.8))
    cells = make_cells(classes, seed=seed, apart=apart, each=2)
    return TrainingSet(cells, targets, np.where(labelled, of_pixel, -1))


def right_of(network: S2Fin, *, seed: int) -> float:
    """Share of other cells that a network takes for what they are, patch by patch."""
    classes = np.arange(40) % 2
    cells = make_cells(classes, seed=seed, apart=3.0)
    return float((patch_by_patch(network, cells).argmax(dim=1).numpy() == classes).mean())


def run_fit(
    network: S2Fin,
    train: TrainingSet,
    *,
    epochs: int = 2,
    seed: int = 0,
    learning_rate: float = 5e-3,
    progress: Progress = silent,
) -> Outcome:
    hyperparameters = Hyperparameters(epochs, 16, learning_rate, seed)
    return fit(network, train, hyperparameters=hyperparameters, progress=progress)


def patches_of(cells: Cells, size: int) -> tuple[Tensor, Tensor | None]:
    """What `S2Fin.forward` takes: a patch around each pixel."""

    def cut(part: NDArray[np.float32]) -> Tensor:
        places = zip(cells.index, cells.rows, cells.cols, strict=True)
        return torch.from_numpy(np.stack([part[i, :, row : row + size, col : col + size] for i, row, col in places]))

    return cut(cells.image), None if cells.aux is None else cut(cells.aux)


def patch_by_patch(network: S2Fin, cells: Cells) -> Tensor:
    """Logits of the pixels of cells, by the network's own way to take patches."""
    with torch.inference_mode():
        logits: Tensor = network.eval()(*patches_of(cells, network.input_size))
    return logits


# ---- what is learnt --------------------------------------------------------------------------------------------------


def test_a_separable_problem_is_learnt() -> None:
    network = make_network()
    run_fit(network, make_training(20), epochs=5)
    assert right_of(network, seed=1) > 0.9


def test_what_the_teacher_thinks_of_pixels_without_a_label_is_learnt() -> None:
    """The labelled pixels lie in cells of noise, so that all there is to learn is what the teacher says elsewhere."""
    noise = make_cells(np.array([0, 1]), seed=3, apart=0.0)
    classes = np.arange(20) % 2
    scene = make_cells(classes, seed=4, apart=3.0)
    assert noise.aux is not None
    assert scene.aux is not None
    cells = Cells(
        np.concatenate([noise.image, scene.image]),
        np.concatenate([noise.aux, scene.aux]),
        np.arange(22),
        np.append(noise.rows, scene.rows),
        np.append(noise.cols, scene.cols),
    )
    targets = np.concatenate([soft(np.array([0, 1]), 0.95), soft(classes, 0.8)])
    labels = np.append([0, 1], np.full(20, -1))
    network = make_network()
    run_fit(network, TrainingSet(cells, targets, labels), epochs=6)
    assert right_of(network, seed=1) > 0.9


def weights_after(seed: int) -> dict[str, torch.Tensor]:
    network = make_network(seed)
    run_fit(network, make_training(20), seed=seed)
    return network.state_dict()


@pytest.mark.usefixtures("short_epochs")
def test_the_seed_decides_every_bit() -> None:
    first, again, other = weights_after(0), weights_after(0), weights_after(1)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_samples_are_not_changed() -> None:
    samples = make_training(20)
    before = copy.deepcopy(samples)
    run_fit(make_network(), samples, epochs=1)
    for name, value in vars(samples.cells).items():
        assert np.array_equal(value, getattr(before.cells, name)), name
    assert np.array_equal(samples.targets, before.targets)
    assert np.array_equal(samples.labels, before.labels)


def test_cells_with_missing_values_do_not_spoil_the_weights() -> None:
    samples = make_training(20)
    samples.cells.image[::2, :, :9] = np.nan
    samples.cells.image[1] = np.nan
    network = make_network()
    outcome = run_fit(network, samples, epochs=1)
    assert np.isfinite(outcome.loss)
    assert all(value.isfinite().all() for value in network.state_dict().values())


def test_cells_for_a_network_that_looks_less_far_are_refused() -> None:
    network = S2Fin(replace(make_network().cfg, context_size=7))
    with pytest.raises(ValueError, match="a margin of 6 pixels, got 4"):
        run_fit(network, make_training(4))


def test_a_loss_that_is_no_number_is_an_error_for_the_user() -> None:
    samples = make_training(20)
    samples.targets[:] = np.nan
    with pytest.raises(S2finError, match=r"diverged.*--learning-rate"):
        run_fit(make_network(), samples)


def test_one_epoch_of_few_steps() -> None:
    told: list[tuple[int, int]] = []
    outcome = run_fit(
        make_network(),
        make_training(2),
        epochs=1,
        progress=lambda stage, done, total, **figures: told.append((done, total)),
    )
    assert (outcome.epochs, outcome.interrupted) == (1, False)
    assert told == [(0, 1), (1, 1)]


# ---- what is kept, and interruptions ---------------------------------------------------------------------------------


class Watched:
    """The averaged weights and the loss after each epoch."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.weights: list[dict[str, torch.Tensor]] = []
        self.losses: list[float] = []
        original = training._Run.train_epoch

        def train_epoch(run: training._Run) -> float:
            self.losses.append(original(run))
            self.weights.append(copy.deepcopy(run.averaged.state_dict()))
            return self.losses[-1]

        monkeypatch.setattr(training._Run, "train_epoch", train_epoch)

    def kept(self, network: S2Fin) -> list[bool]:
        """For each epoch, whether the network has its weights."""
        own = network.state_dict()
        return [all(torch.equal(value, own[name]) for name, value in weights.items()) for weights in self.weights]


@pytest.mark.usefixtures("short_epochs")
def test_the_averaged_weights_of_the_last_epoch_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "_temper", lambda *args: None)
    watched, network = Watched(monkeypatch), make_network()
    told: list[dict[str, float]] = []
    outcome = run_fit(
        network, make_training(10), epochs=4, progress=lambda stage, done, total, **figures: told.append(figures)
    )
    assert watched.kept(network) == [False, False, False, True]
    assert (outcome.epochs, outcome.interrupted, outcome.loss) == (4, False, watched.losses[-1])
    assert told == [{}, *({"loss": loss} for loss in watched.losses)]


@pytest.mark.usefixtures("short_epochs")
def test_an_interrupt_within_an_epoch_keeps_the_one_before(monkeypatch: pytest.MonkeyPatch) -> None:
    watched, network = Watched(monkeypatch), make_network()
    steps = 0
    original = training._Run._average

    def interrupt(run: training._Run) -> None:
        nonlocal steps
        original(run)
        steps += 1
        if steps == 2 * run.steps + 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(training._Run, "_average", interrupt)
    outcome = run_fit(network, make_training(10), epochs=5)
    assert (outcome.epochs, outcome.interrupted, outcome.loss) == (2, True, watched.losses[1])
    assert watched.kept(network) == [False, True]


def test_a_network_is_as_sure_as_its_teacher(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of pixels without a label: no other temperature of its logits would be likelier, and no class is another."""
    raw, tempered = make_network(), make_network()
    train = make_training(40)
    with monkeypatch.context() as patch:
        patch.setattr(training, "_temper", lambda *args: None)
        run_fit(raw, train, epochs=6)
    run_fit(tempered, train, epochs=6)
    assert predict_cells(raw, train.cells).argmax(dim=1).equal(predict_cells(tempered, train.cells).argmax(dim=1))
    asked = train.labels < 0
    targets = torch.from_numpy(train.targets[asked])

    def surprise(network: S2Fin, temperature: float) -> float:
        logits = predict_cells(network, train.cells)[torch.from_numpy(asked)]
        return torch.nn.functional.cross_entropy(logits / temperature, targets).item()

    assert surprise(raw, 1) > surprise(tempered, 1) + 1e-3, "it does something here"
    assert all(surprise(tempered, 1) <= surprise(tempered, other) for other in (0.9, 1.1))


@pytest.mark.usefixtures("short_epochs")
def test_an_interrupt_while_it_is_tempered_keeps_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    watched, network = Watched(monkeypatch), make_network()

    def interrupted(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "predict_cells", interrupted)
    outcome = run_fit(network, make_training(10), epochs=3)
    assert (outcome.epochs, outcome.interrupted) == (3, True)
    assert watched.kept(network) == [False, False, True]


def test_labels_alone_need_no_temperature() -> None:
    train = make_training(10)
    outcome = run_fit(make_network(), replace(train, labels=np.maximum(train.labels, 0)), epochs=1)
    assert not outcome.interrupted


def test_an_interrupt_before_the_first_epoch_goes_through(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(run: training._Run) -> float:
        raise KeyboardInterrupt

    monkeypatch.setattr(training._Run, "train_epoch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_fit(make_network(), make_training(10))


@pytest.mark.usefixtures("short_epochs")
def test_the_kept_model_is_trained_on_all_labels(scene: Scene, tmp_path: Path) -> None:
    first, refitted, interrupted = (tmp_path / f"{name}.s2fin" for name in ("first", "refitted", "interrupted"))

    def interrupt(stage: str, done: int, total: int, **figures: float) -> None:
        if stage == "training on all labels" and done == 1:
            raise KeyboardInterrupt

    plain = train(tiny_options(scene, first, epochs=2))
    full = train(tiny_options(scene, refitted, epochs=2, refit=True))
    stopped = train(tiny_options(scene, interrupted, epochs=2, refit=True), progress=interrupt)
    assert [result.info.training["refitted"] for result in (plain, full, stopped)] == [False, True, False]
    assert [result.outcome.interrupted for result in (plain, full, stopped)] == [False, False, True]
    figures = [result.info.training["validation"] for result in (plain, full, stopped)]
    assert figures[0] == figures[1] == figures[2], "the figures are those of the pixels held out before"
    weights = [read_model(path)[0].state_dict() for path in (first, refitted, interrupted)]
    assert all(torch.equal(weights[0][name], weights[2][name]) for name in weights[0])
    assert any(not torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


# ---- steps and draws -------------------------------------------------------------------------------------------------


def steps_of(labelled: int, *, classes: int = 2) -> int:
    """Steps of an epoch with so many labelled pixels."""
    cells = make_cells(np.zeros(1, np.int64), seed=0, apart=0.0, each=labelled + 500)
    labels = np.append(np.arange(labelled) % classes, np.full(500, -1))
    targets = np.full((len(labels), classes), 1 / classes, np.float32)
    network = make_network(classes=classes)
    return training._Run(network, TrainingSet(cells, targets, labels), Hyperparameters(1, 8, 1e-3, 0)).steps


def test_an_epoch_is_between_16_and_60_steps() -> None:
    assert [steps_of(labelled) for labelled in (2, 12 * 16, 12 * 30 - 1, 9999)] == [16, 16, 30, 60]
    assert [steps_of(20, classes=classes) for classes in (8, 12, 40)] == [16, 24, 60], "two for each class"


def make_draws(
    classes: NDArray[np.int64], labelled: int, index: NDArray[np.int64], *, seed: int = 0, dense: bool = False
) -> training._Draws:
    """Draws from pixels in these cells, the first of which are labelled; of the others the teacher thinks so."""
    empty = np.empty((int(index.max()) + 1, 0, 0, 0), np.float32)
    cells = Cells(empty, None, index, np.zeros_like(index), np.zeros_like(index))
    targets = np.eye(int(classes.max()) + 1, dtype=np.float32)[classes]
    labels = np.where(np.arange(len(classes)) < labelled, classes, -1)
    return training._Draws(TrainingSet(cells, targets, labels, dense), torch.Generator().manual_seed(seed))


def scattered(count: int, *, cells: int) -> NDArray[np.int64]:
    """Puts pixels into cells at random, each cell at least one."""
    generator = np.random.default_rng(0)
    return generator.permutation(np.append(np.arange(cells), generator.integers(cells, size=count - cells)))


def test_classes_and_their_pixels_are_drawn_equally_often_by_label_and_by_what_the_teacher_thinks() -> None:
    classes = np.repeat([0, 1, 2, 0, 1, 2], [980, 20, 1, 440, 50, 10])
    draws = make_draws(classes, 1001, scattered(1501, cells=60))
    _, pixels = draws.next(WINDOWS_OF_CELL * 12_000)
    by_label, by_teacher = pixels[:6000, 0], pixels[6000:, 0]
    assert by_label.max() < 1001 <= by_teacher.min()
    for drawn in (by_label, by_teacher):
        assert np.bincount(classes[drawn]) == pytest.approx([2000] * 3, rel=0.1)
    times = np.bincount(pixels[:, 0], minlength=1501)
    assert times[classes == 1] == pytest.approx(np.repeat([100, 40], [20, 50]), rel=0.7)


def test_half_of_the_windows_in_cells_of_labelled_pixels_are_labelled() -> None:
    """Each of 100 cells holds a labelled pixel and 31 others, so that chance alone would give one in 32."""
    index = np.tile(np.arange(100), 32)
    cells, pixels = make_draws(np.arange(3200) % 2, 100, index).next(WINDOWS_OF_CELL * 4000)
    assert (cells.shape, pixels.shape) == ((4000,), (4000, WINDOWS_OF_CELL))
    labelled, half = pixels < 100, WINDOWS_OF_CELL // 2
    assert labelled[:2000, :half].all()
    assert labelled[:2000, half:].mean() == pytest.approx(1 / 32, abs=0.01)
    assert not labelled[2000:, 0].any()
    assert labelled[2000:, 1:].mean() == pytest.approx(1 / 32, abs=0.01)
    assert len(np.unique(pixels)) > 3000, "nearly every pixel has been drawn by now"


def test_between_dense_labels_all_pixels_are_drawn_alike_and_classes_by_the_root_of_their_size() -> None:
    classes = np.repeat([0, 1, 2], [900, 400, 100])
    index = np.tile(np.arange(100), 14)
    cells, pixels = make_draws(classes, 700, index, dense=True).next(WINDOWS_OF_CELL * 12_000)
    assert np.bincount(classes[pixels[:, 0]]) == pytest.approx(12_000 * np.array([3, 2, 1]) / 6, rel=0.05)
    assert (pixels[:, 0] < 700).mean() == pytest.approx((700 / 900) / 2, abs=0.03), "labelled or not"
    assert np.array_equal(index[pixels], np.repeat(cells[:, None], WINDOWS_OF_CELL, axis=1))
    others = pixels[:, 1:].ravel()
    assert (others < 700).mean() == pytest.approx(0.5, abs=0.03)
    assert np.bincount(others, minlength=1400).min() > 0, "any pixel of a cell"


@pytest.mark.parametrize("dense", [True, False])
def test_between_dense_labels_values_are_left_alone_and_steps_are_larger(
    monkeypatch: pytest.MonkeyPatch, *, dense: bool
) -> None:
    changed: list[Tensor] = []

    def watch(image: Tensor, *, generator: torch.Generator) -> Tensor:
        changed.append(image)
        return image

    monkeypatch.setattr(training, "change_values", watch)
    run = training._Run(make_network(), replace(make_training(12), dense=dense), Hyperparameters(1, 24, 1e-3, 0))
    run.train_epoch()
    assert len(changed) == (0 if dense else 2 * run.steps)
    assert run.optimiser.param_groups[0]["max_lr"] == (2e-3 if dense else 1e-3)


@pytest.mark.parametrize("dense", [True, False])
@pytest.mark.parametrize("unlabelled", [0, 200])
@pytest.mark.parametrize("windows", [1, 8, 64, 1000])
def test_windows_lie_in_their_cells(windows: int, unlabelled: int, *, dense: bool) -> None:
    count = 60 + unlabelled
    index = scattered(count, cells=40)
    cells, pixels = make_draws(np.arange(count) % 3, 60, index, dense=dense).next(windows)
    assert 1 <= len(cells) <= max(windows // WINDOWS_OF_CELL, 2)
    assert len(cells) >= windows // WINDOWS_OF_CELL - 1, "with or without unlabelled pixels"
    assert np.array_equal(index[pixels], np.repeat(cells[:, None], WINDOWS_OF_CELL, axis=1))


def test_the_seed_decides_what_is_drawn() -> None:
    index = scattered(50, cells=20)
    first, again, other = (make_draws(np.arange(50) % 2, 30, index, seed=seed).next(100) for seed in (0, 0, 1))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[1], other[1])


# ---- cells, patches and tiles give the same --------------------------------------------------------------------------


def scene_network(*, alone: bool, patch_size: int) -> S2Fin:
    """A network for the scene's images whose probabilities differ clearly."""
    torch.manual_seed(1)
    images = {"in_channels": 5, "aux_channels": 2 if alone else 1, "num_classes": 3}
    network = S2Fin(S2FinConfig.from_dict({**images, **SIZES, "patch_size": patch_size, "aux_from_image": alone}))
    network.set_statistics([180.0] * 5, [60.0] * 5, *((None, None) if alone else ([5.0], [9.0])))
    torch.nn.init.normal_(network.head.classify.weight, std=0.5)
    return network.eval()


@pytest.mark.parametrize(("alone", "patch_size"), [(False, 7), (True, 5)])
def test_pixels_of_cells_have_the_answers_of_the_engine_and_of_patches(
    scene: Scene, alone: bool, patch_size: int
) -> None:
    """At the raster's edges too, where cells are cut and the margin is mirrored."""
    network = scene_network(alone=alone, patch_size=patch_size)
    images = {"hsi": [str(scene.hsi)]} if alone else {name: [str(path)] for name, path in scene.images.items()}
    stack = build_stack(images)
    margin = network.input_size // 2
    generator = np.random.default_rng(0)
    rows, cols = generator.integers(60, size=80), generator.integers(70, size=80)
    rows[:5], cols[:5] = (0, 0, 59, 59, 30), (0, 69, 0, 69, 69)
    cells = read_cells(stack, rows, cols, margin=margin)
    logits = predict_cells(network, cells)
    assert (logits - patch_by_patch(network, cells)).abs().max() < 1e-4
    with stack.open() as opened:
        tile = opened.read(stack.grid.window, halo=margin)
    aux = None if tile.aux is None else torch.from_numpy(tile.aux)
    valid = torch.ones(60, 70, dtype=torch.bool)
    probs = Engine(network, torch.device("cpu"), stride=1).predict(torch.from_numpy(tile.image), aux, valid)
    assert probs.std() > 0.01
    assert (logits.softmax(dim=1) - probs[:, rows, cols].T).abs().max() < 1e-5


def test_several_cells_at_a_time_have_the_same_answers_as_patches() -> None:
    network = make_network().eval()
    cells = make_cells(np.arange(6) % 2, seed=0, apart=3.0, each=4)
    assert cells.aux is not None
    x, a = network.standardize(torch.from_numpy(cells.image), torch.from_numpy(cells.aux))
    places = torch.from_numpy(cells.rows).view(6, 4), torch.from_numpy(cells.cols).view(6, 4)
    with torch.inference_mode():
        logits = cell_logits(network, x, a, places, places)
    assert (logits - patch_by_patch(network, cells)).abs().max() < 1e-5


def test_a_pixel_is_told_from_the_window_with_the_centre_that_is_given() -> None:
    network = make_network().eval()
    cells = make_cells(np.arange(6) % 2, seed=0, apart=3.0)
    assert cells.aux is not None
    x, a = network.standardize(torch.from_numpy(cells.image), torch.from_numpy(cells.aux))
    places = torch.from_numpy(cells.rows)[:, None], torch.from_numpy(cells.cols)[:, None]
    centres = places[0].clamp(2, CELL_SIZE - 3), (places[1] + 2).clamp(0, CELL_SIZE - 1)
    around = replace(cells, rows=centres[0][:, 0].numpy(), cols=centres[1][:, 0].numpy())
    image, aux = patches_of(around, network.input_size)
    with torch.inference_mode():
        logits = cell_logits(network, x, a, places, centres)
        maps = network.stem(*network.standardize(image, aux), border=2)
        block = network.classify_windows(maps.tokens[..., 0, 0], maps.image, maps.aux, network.block(5))
    positions = (places[0] - centres[0] + 2) * 5 + places[1] - centres[1] + 2
    assert len(set(positions.flatten().tolist())) > 2
    assert (logits - block[torch.arange(6), positions[:, 0]]).abs().max() < 1e-5


def test_pixels_lie_anywhere_in_the_blocks_of_the_windows_they_are_learnt_from() -> None:
    run = training._Run(make_network(), make_training(4), Hyperparameters(1, 8, 1e-3, 0))
    places = torch.arange(CELL_SIZE).repeat(500, 1), torch.arange(CELL_SIZE).flip(0).repeat(500, 1)
    for centre, place in zip(run._centres(places), places, strict=True):
        assert (int(centre.min()), int(centre.max())) == (0, CELL_SIZE - 1), "windows stay in their cell"
        offsets, counts = np.unique((place - centre)[:, 2:-2].numpy(), return_counts=True)
        assert offsets.tolist() == [-2, -1, 0, 1, 2]
        assert counts.min() > 0.8 * counts.max()


def test_no_pixels_have_no_answers() -> None:
    cells = make_cells(np.arange(2), seed=1, apart=3.0)
    assert predict_cells(make_network(), cells.select(np.empty(0, np.int64))).shape == (0, 2)


def test_a_step_sees_the_drawn_pixels_surroundings_in_any_orientation(monkeypatch: pytest.MonkeyPatch) -> None:
    """With values left alone, each window's logits are those of its pixel's patch, turned or flipped."""
    monkeypatch.setattr(training, "change_values", lambda image, *, generator: image)
    monkeypatch.setattr(training._Run, "_centres", lambda run, places: places)
    samples = make_training(12)
    run = training._Run(make_network(), samples, Hyperparameters(1, 64, 1e-3, 0))
    torch.nn.init.normal_(run.network.head.classify.weight, std=0.5)
    run.network.eval()
    chosen, pixels = run.draws.next(64)
    with torch.inference_mode():
        logits = run._logits(chosen, pixels)
        image, aux = patches_of(samples.cells.select(pixels.ravel()), run.network.input_size)
        assert aux is not None
        known = torch.stack(
            [
                run.network(*(torch.rot90(part, turns, dims=(2, 3)) for part in parts))
                for parts in ((image, aux), (image.flip(3), aux.flip(3)))
                for turns in range(4)
            ]
        )
    distances = (logits - known).abs().amax(dim=2)
    assert distances.amin(dim=0).max() < 1e-4
    assert len(set(distances.argmin(dim=0).tolist())) > 1
    assert torch.equal(run._targets(pixels), torch.from_numpy(samples.targets[pixels.ravel()]))
