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
from s2fin_cli.core.errors import S2finError
from s2fin_cli.core.images import Images
from s2fin_cli.core.progress import Progress, silent
from s2fin_cli.inference.engine import Engine
from s2fin_cli.model.file import read_model
from s2fin_cli.stack.assembly import build_stack
from s2fin_cli.stack.cells import CELL_SIZE, Cells, read_cells
from s2fin_cli.training import loop as training
from s2fin_cli.training.loop import (
    LABEL_WEIGHT,
    Hyperparameters,
    Outcome,
    StandardizedCells,
    TrainingSet,
    fit,
)
from s2fin_cli.workflows.train import train
from tests.scenes import Scene, tiny_options

SIZES = {
    "width": 8, "map_width": 8, "deep_width": 8, "context_width": 16, "max_tokens": 3, "heads": 2, "state_size": 4,
    "components": 2,
}  # fmt: skip
#: Pixels beyond a cell: two of the window, and three of the context.
MARGIN = 5
WHOLE = CELL_SIZE**2


def make_network(seed: int = 0, *, classes: int = 2, block_size: int = 5) -> S2Fin:
    torch.manual_seed(seed)
    images = {"in_channels": 3, "aux_channels": 1, "num_classes": classes, "patch_size": 5, "context_size": 7}
    return S2Fin(S2FinConfig.from_dict({**images, **SIZES, "block_size": block_size}))


def make_cells(classes: NDArray[np.int64], *, seed: int, apart: float, each: int = WHOLE) -> Cells:
    """Cells for `make_network`, of one class each, that differ in all bands; so many pixels in each."""
    generator = np.random.default_rng(seed)
    side, count = CELL_SIZE + 2 * MARGIN, len(classes)
    image = generator.normal(size=(count, 3, side, side)) + apart * (classes - 0.5)[:, None, None, None]
    aux = generator.normal(size=(count, 1, side, side))
    places = generator.permuted(np.tile(np.arange(WHOLE), (count, 1)), axis=1)[:, :each].ravel()
    index = np.repeat(np.arange(count), each)
    return Cells(image.astype(np.float32), aux.astype(np.float32), index, places // CELL_SIZE, places % CELL_SIZE)


def standardized(cells: Cells) -> StandardizedCells:
    return StandardizedCells.of(make_network(), cells)


def soft(classes: NDArray[np.int64], probability: float) -> NDArray[np.float32]:
    """Targets of two classes that give one of them a probability."""
    targets = np.full((len(classes), 2), 1 - probability, np.float32)
    targets[np.arange(len(classes)), classes] = probability
    return targets


def lessons(cells: Cells, classes: NDArray[np.int64]) -> TrainingSet:
    """Of cells of these classes: the first pixel of each is labelled, and the teacher was asked for the others."""
    of_pixel = classes[cells.index]
    labelled = np.zeros(len(cells), dtype=bool)
    labelled[np.unique(cells.index, return_index=True)[1]] = True
    targets = np.where(labelled[:, None], soft(of_pixel, 0.95), soft(of_pixel, 0.8))
    return TrainingSet(standardized(cells), targets, np.where(labelled, of_pixel, -1))


def make_training(count: int, *, seed: int = 0, each: int = WHOLE) -> TrainingSet:
    """So many cells, the two classes in turns."""
    classes = np.arange(count) % 2
    return lessons(make_cells(classes, seed=seed, apart=3.0, each=each), classes)


def right_of(network: S2Fin, *, seed: int) -> float:
    """Share of other cells that a network takes for what they are, patch by patch."""
    classes = np.arange(40) % 2
    cells = make_cells(classes, seed=seed, apart=3.0, each=1)
    return float((patch_by_patch(network, cells).argmax(dim=1).numpy() == classes).mean())


def run_fit(
    network: S2Fin,
    train: TrainingSet,
    *,
    epochs: int = 2,
    seed: int = 0,
    learning_rate: float = 5e-3,
    goes_on: bool = False,
    progress: Progress = silent,
) -> Outcome:
    hyperparameters = Hyperparameters(epochs, 16, learning_rate, seed, goes_on=goes_on)
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
    """The labelled pixels lie alone in cells of noise, so that all there is to learn is what the teacher says."""
    noise = make_cells(np.array([0, 1]), seed=3, apart=0.0, each=1)
    classes = np.arange(20) % 2
    scene = make_cells(classes, seed=4, apart=3.0)
    assert noise.aux is not None
    assert scene.aux is not None
    cells = Cells(
        np.concatenate([noise.image, scene.image]),
        np.concatenate([noise.aux, scene.aux]),
        np.append([0, 1], scene.index + 2),
        np.append(noise.rows, scene.rows),
        np.append(noise.cols, scene.cols),
    )
    targets = np.concatenate([soft(np.array([0, 1]), 0.95), soft(classes[scene.index], 0.8)])
    labels = np.append([0, 1], np.full(len(scene), -1))
    network = make_network()
    run_fit(network, TrainingSet(standardized(cells), targets, labels), epochs=6)
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


@pytest.mark.usefixtures("short_epochs")
def test_samples_are_not_changed() -> None:
    samples = make_training(20)
    before = copy.deepcopy(samples)
    run_fit(make_network(), samples, epochs=1)
    for name, value in vars(samples.cells).items():
        assert np.array_equal(value, getattr(before.cells, name)), name
    assert np.array_equal(samples.targets, before.targets)
    assert np.array_equal(samples.labels, before.labels)


def test_cells_with_missing_values_do_not_spoil_the_weights() -> None:
    classes = np.arange(20) % 2
    cells = make_cells(classes, seed=0, apart=3.0)
    cells.image[::2, :, :12] = np.nan
    cells.image[1] = np.nan
    network = make_network()
    outcome = run_fit(network, lessons(cells, classes), epochs=1)
    assert np.isfinite(outcome.loss)
    assert all(value.isfinite().all() for value in network.state_dict().values())


@pytest.mark.parametrize(("changes", "margin"), [({"context_size": 15}, 9), ({"patch_size": 7}, 6)])
def test_cells_for_a_network_that_looks_less_far_are_refused(changes: dict[str, int], margin: int) -> None:
    network = S2Fin(S2FinConfig.from_dict({**make_network().cfg.to_dict(), **changes}))
    with pytest.raises(ValueError, match=f"a margin of {margin} pixels, got 5"):
        StandardizedCells.of(network, make_cells(np.arange(4) % 2, seed=0, apart=3.0))


@pytest.mark.parametrize(
    ("goes_on", "told"), [(True, r"diverged.*--learning-rate"), (False, r"diverged.*absurd values")]
)
def test_a_loss_that_is_no_number_is_an_error_for_the_user(*, goes_on: bool, told: str) -> None:
    samples = make_training(20)
    samples.targets[:] = np.nan
    with pytest.raises(S2finError, match=told):
        run_fit(make_network(), samples, goes_on=goes_on)


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


def test_a_cell_with_a_single_pixel_is_enough() -> None:
    classes = np.array([0, 1])
    train = lessons(make_cells(classes, seed=0, apart=3.0, each=1), classes)
    outcome = run_fit(make_network(), train, epochs=1)
    assert np.isfinite(outcome.loss)


# ---- AFCM alone, at first --------------------------------------------------------------------------------------------


def learn_context(network: S2Fin, train: TrainingSet, *, seed: int = 0) -> None:
    training._learn_context(network, train, torch.Generator().manual_seed(seed))


def surprise_of_context(network: S2Fin, cells: Cells, targets: NDArray[np.float32]) -> float:
    """Cross-entropy of what AFCM alone says of the pixels of cells."""
    with torch.inference_mode():
        logits = network.classify_context(*told_by_patches(network, cells))
        return torch.nn.functional.cross_entropy(logits, torch.from_numpy(targets)).item()


def told_by_patches(network: S2Fin, cells: Cells) -> tuple[Tensor, Tensor]:
    """The values (n, C) and the context (n, C') of the pixels of cells, of a patch around each."""
    x, a = network.standardize(*patches_of(cells, network.input_size))
    context = network.context(x, a)
    bands = x if network.cfg.aux_from_image else torch.cat([x, a], dim=1)
    middle, centre = network.input_size // 2, context.shape[1] // 2
    return bands[..., middle, middle], context[:, centre, centre]


def test_afcm_is_taught_alone() -> None:
    """Nothing else changes, and of other cells too it then knows what the teacher says, nearly as well as can be."""
    classes = np.arange(20) % 2
    network = make_network()
    before = copy.deepcopy(network.state_dict())
    other = make_cells(classes, seed=1, apart=3.0, each=8)
    targets = soft(classes[other.index], 0.8)
    surprises = [surprise_of_context(network, other, targets)]
    learn_context(network, make_training(20))
    surprises.append(surprise_of_context(network, other, targets))
    changed = {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}
    weights = (f"{layer}.{part}" for layer in ("fuse.0", "fuse.2", "classify") for part in ("weight", "bias"))
    assert changed == {f"map_stem.afcm.{name}" for name in ("mean", "std", *weights)}
    least = -(0.8 * np.log(0.8) + 0.2 * np.log(0.2))
    assert surprises[0] > least + 0.15
    assert least - 1e-6 < surprises[1] < least + 0.05


@pytest.mark.parametrize("more", [0, 2])
def test_afcm_scales_by_how_the_pixels_that_it_learns_from_are_spread(
    monkeypatch: pytest.MonkeyPatch, more: int
) -> None:
    """Those of the cells that are pixels, each once; a band that is the same everywhere is left alone."""
    monkeypatch.setattr(training, "CONTEXT_STEPS", 1)
    classes = np.arange(6) % 2
    cells, network = make_cells(classes, seed=0, apart=3.0, each=5), make_network()
    cells.image[:, 2] = 4.0
    train = TrainingSet(
        StandardizedCells.of(network, with_margin(cells, more)), soft(classes[cells.index], 0.9), -classes[cells.index]
    )
    learn_context(network, train)
    together = torch.cat(told_by_patches(network, cells), dim=1).double()
    assert together.shape == (30, 3 + 2 + 1 + 4 * 3)
    deviations = together.std(dim=0, correction=0)
    assert deviations[2] == 0
    assert (deviations > 0.01).sum() == len(deviations) - 1
    deviations[2] = 1
    afcm = network.map_stem.afcm
    assert afcm is not None
    torch.testing.assert_close(afcm.mean.double(), together.mean(dim=0), rtol=0, atol=1e-4)
    torch.testing.assert_close(afcm.std.double(), deviations, rtol=0, atol=1e-4)


def test_the_seed_decides_what_afcm_learns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "CONTEXT_STEPS", 10)
    networks = [make_network() for _ in range(3)]
    for network, seed in zip(networks, (0, 0, 1), strict=True):
        learn_context(network, make_training(6), seed=seed)
    first, again, other = ([*network.context_parameters()] for network in networks)
    assert all(torch.equal(one, two) for one, two in zip(first, again, strict=True))
    assert all(not torch.equal(one, two) for one, two in zip(first, other, strict=True))


@pytest.mark.parametrize("more", [0, 2])
@pytest.mark.parametrize("dense", [True, False])
def test_afcm_is_taught_by_pixels_with_their_own_values_context_and_target(
    monkeypatch: pytest.MonkeyPatch, *, dense: bool, more: int
) -> None:
    """Each step by so many; classes alike, or between dense labels by the root of their size."""
    monkeypatch.setattr(training, "CONTEXT_STEPS", 7)
    monkeypatch.setattr(training, "CONTEXT_PIXELS", 600)
    classes = np.repeat([0, 1], [9, 1])
    cells, network = make_cells(classes, seed=0, apart=1.0, each=50), make_network()
    share = np.random.default_rng(0).uniform(0.6, 1.0, size=len(cells)).astype(np.float32)
    targets = np.where(classes[cells.index] == 0, [share, 1 - share], [1 - share, share]).T
    given = TrainingSet(StandardizedCells.of(network, with_margin(cells, more)), targets, np.full(500, -1), dense)
    told: list[tuple[Tensor, Tensor]] = []
    classify_context, cross_entropy = network.classify_context, torch.nn.functional.cross_entropy
    seen: list[Tensor] = []

    def watch_context(values: Tensor, context: Tensor) -> Tensor:
        seen.append(torch.cat([values, context], dim=1))
        return classify_context(values, context)

    def watch_targets(logits: Tensor, wanted: Tensor) -> Tensor:
        told.append((seen[-1], wanted))
        return cross_entropy(logits, wanted)

    monkeypatch.setattr(network, "classify_context", watch_context)
    monkeypatch.setattr(torch.nn.functional, "cross_entropy", watch_targets)
    learn_context(network, given)
    assert len(told) == 7
    assert all(part.shape == (600, 6 + 12) for part, _ in told)
    given_of, wanted = (torch.cat(parts) for parts in zip(*told, strict=True))
    # all pixels differ, so that their targets tell which they are
    pixels = (wanted[:, None, 0] - torch.from_numpy(targets)[:, 0]).abs().argmin(dim=1)
    assert len(np.unique(targets[:, 0])) == len(targets)
    assert torch.equal(wanted, torch.from_numpy(targets)[pixels])
    expected = torch.cat(told_by_patches(network, cells), dim=1)[pixels]
    torch.testing.assert_close(given_of, expected, rtol=0, atol=1e-4)
    rare = (classes[cells.index][pixels.numpy()] == 1).mean()
    assert rare == pytest.approx(1 / (1 + 9**0.5) if dense else 0.5, abs=0.04)


def with_margin(cells: Cells, more: int) -> Cells:
    """Cells with a wider margin, which nobody looks at."""
    assert cells.aux is not None
    image, aux = (
        np.pad(part, ((0, 0), (0, 0), (more, more), (more, more)), constant_values=1e3)
        for part in (cells.image, cells.aux)
    )
    return replace(cells, image=image, aux=aux)


def test_training_goes_on_from_what_afcm_learnt_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The averaged weights, which are what is kept, start there too."""
    seen: list[dict[str, Tensor]] = []

    def train_epoch(run: training._Run) -> float:
        own, averaged = run.network.state_dict(), run.averaged.state_dict()
        assert all(torch.equal(own[name], value) for name, value in averaged.items())
        seen.append(copy.deepcopy(own))
        return 0.0

    monkeypatch.setattr(training._Run, "train_epoch", train_epoch)
    monkeypatch.setattr(training, "CONTEXT_STEPS", 10)
    train, network, alone = make_training(6), make_network(), make_network()
    run_fit(network, train, epochs=1, seed=3)
    learn_context(alone, train, seed=3)
    assert all(torch.equal(seen[0][name], value) for name, value in alone.state_dict().items())


@pytest.mark.usefixtures("short_epochs")
@pytest.mark.parametrize("goes_on", [False, True])
def test_a_network_that_goes_on_keeps_how_afcm_scales(monkeypatch: pytest.MonkeyPatch, *, goes_on: bool) -> None:
    """AFCM is not taught alone again, but goes on with the others; what it has learnt fits how it scales."""
    calls: list[object] = []
    original = training._learn_context

    def watched(network: S2Fin, train: TrainingSet, generator: torch.Generator) -> None:
        calls.append(network)
        original(network, train, generator)

    monkeypatch.setattr(training, "_learn_context", watched)
    network = make_network()
    afcm = network.map_stem.afcm
    assert afcm is not None
    run_fit(network, make_training(6), epochs=1)
    assert len(calls) == 1
    before = copy.deepcopy(afcm.state_dict())
    run_fit(network, make_training(6, seed=1), epochs=1, goes_on=goes_on)
    assert len(calls) == (1 if goes_on else 2)
    for name in ("mean", "std"):
        assert torch.equal(afcm.state_dict()[name], before[name]) == goes_on
    assert not any(torch.equal(value, before[name]) for name, value in afcm.named_parameters())


def test_a_network_without_afcm_learns_as_well() -> None:
    network = S2Fin(S2FinConfig.from_dict({**make_network().cfg.to_dict(), "afcm": False}))
    outcome = run_fit(network, make_training(20), epochs=5)
    assert not outcome.interrupted
    assert right_of(network, seed=1) > 0.9


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
        network,
        make_training(10, each=9),
        epochs=4,
        progress=lambda stage, done, total, **figures: told.append(figures),
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
    outcome = run_fit(network, make_training(10, each=9), epochs=5)
    assert (outcome.epochs, outcome.interrupted, outcome.loss) == (2, True, watched.losses[1])
    assert watched.kept(network) == [False, True]


def test_a_network_is_as_sure_as_its_teacher(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of pixels without a label: no other temperature of its logits would be likelier, and no class is another."""
    classes = np.arange(40) % 2
    cells = make_cells(classes, seed=0, apart=3.0, each=12)
    train = lessons(cells, classes)
    with monkeypatch.context() as patch:
        patch.setattr(training, "_temper", lambda *args: None)
        raw = make_network()  # it seeds dropout too
        run_fit(raw, train, epochs=4)
    tempered = make_network()
    run_fit(tempered, train, epochs=4)
    before, after = patch_by_patch(raw, cells), patch_by_patch(tempered, cells)
    temperature = before[0, 0] / after[0, 0]
    assert (before - temperature * after).abs().max() < 1e-4
    asked = torch.from_numpy(train.labels < 0)
    targets = torch.from_numpy(train.targets)[asked]

    def surprise(divisor: float) -> float:
        return torch.nn.functional.cross_entropy(after[asked] / divisor, targets).item()

    assert torch.nn.functional.cross_entropy(before[asked], targets).item() > surprise(1) + 1e-3, "it does something"
    assert all(surprise(1) <= surprise(other) for other in (0.8, 1.25))


@pytest.mark.usefixtures("short_epochs")
def test_an_interrupt_while_it_is_tempered_keeps_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    watched, network = Watched(monkeypatch), make_network()

    def interrupted(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "_temper", interrupted)
    outcome = run_fit(network, make_training(10, each=9), epochs=3)
    assert (outcome.epochs, outcome.interrupted) == (3, True)
    assert watched.kept(network) == [False, False, True]


def test_labels_alone_need_no_temperature() -> None:
    train = make_training(10, each=9)
    outcome = run_fit(make_network(), replace(train, labels=np.maximum(train.labels, 0)), epochs=1)
    assert not outcome.interrupted


@pytest.mark.parametrize("part", ["_learn_context", "_Run.train_epoch"])
def test_an_interrupt_before_the_first_epoch_goes_through(monkeypatch: pytest.MonkeyPatch, part: str) -> None:
    def interrupted(*args: object) -> float:
        raise KeyboardInterrupt

    monkeypatch.setattr(f"s2fin_cli.training.loop.{part}", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_fit(make_network(), make_training(10, each=9))


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


def empty_cells(index: NDArray[np.int64]) -> StandardizedCells:
    """Cells without values, with pixels in these cells, each at a place of its own there."""
    order = np.argsort(index, kind="stable")
    place = np.empty_like(index)
    place[order] = np.arange(len(index)) - np.searchsorted(index[order], index[order])
    assert place.max() < WHOLE
    values = torch.empty(int(index.max()) + 1, 0, 0, 0)
    return StandardizedCells(values, values, values, index, place // CELL_SIZE, place % CELL_SIZE)


def steps_of(labelled: int, *, classes: int = 2, dense: bool = False) -> int:
    """Steps of an epoch with so many labelled pixels."""
    labels = np.append(np.arange(labelled) % classes, np.full(500, -1))
    targets = np.full((len(labels), classes), 1 / classes, np.float32)
    train = TrainingSet(empty_cells(np.arange(len(labels)) // WHOLE), targets, labels, dense)
    return training._Run(make_network(classes=classes), train, Hyperparameters(1, 8, 1e-3, 0)).steps


def test_an_epoch_has_steps_for_its_labels_and_classes_within_bounds() -> None:
    least, most, labels = training.MIN_STEPS, training.MAX_STEPS, training.LABELS_OF_STEP
    assert least + 3 < most
    given = 2, labels * least, labels * (least + 2) - 1, labels * (least + 2) + 1, labels * most * 4
    assert [steps_of(labelled) for labelled in given] == [least, least, least + 2, least + 3, most]
    assert steps_of(given[-1], dense=True) == most * training.STEPS_OF_DENSE
    for classes in (8, 20, 70):
        assert steps_of(20, classes=classes) == min(max(training.STEPS_OF_CLASS * classes, least), most)


def make_draws(
    classes: NDArray[np.int64],
    labelled: int,
    index: NDArray[np.int64],
    *,
    seed: int = 0,
    dense: bool = False,
    block_size: int = 1,
) -> training._Draws:
    """Draws from pixels in these cells, the first of which are labelled; of the others the teacher thinks so."""
    targets = np.eye(int(classes.max()) + 1, dtype=np.float32)[classes]
    labels = np.where(np.arange(len(classes)) < labelled, classes, -1)
    train = TrainingSet(empty_cells(index), targets, labels, dense)
    return training._Draws(train, block_size, torch.Generator().manual_seed(seed))


def scattered(count: int, *, cells: int) -> NDArray[np.int64]:
    """Puts pixels into cells at random, each cell at least one."""
    generator = np.random.default_rng(0)
    return generator.permutation(np.append(np.arange(cells), generator.integers(cells, size=count - cells)))


def drawn(draws: training._Draws, count: int) -> NDArray[np.int64]:
    """The pixels that about so many windows are drawn for, of draws whose blocks are single pixels."""
    return np.asarray(draws.pixels(draws.next(count))[:, 0, 0].numpy())


def test_classes_and_their_pixels_are_drawn_equally_often_by_label_and_by_what_the_teacher_thinks() -> None:
    classes = np.repeat([0, 1, 2, 0, 1, 2], [980, 20, 1, 440, 50, 10])
    pixels = drawn(make_draws(classes, 1001, scattered(1501, cells=60)), 12_000)
    assert np.count_nonzero(pixels < 1001) == 6000
    for part in (pixels[pixels < 1001], pixels[pixels >= 1001]):
        assert np.bincount(classes[part]) == pytest.approx([2000] * 3, rel=0.1)
    times = np.bincount(pixels, minlength=1501)
    assert times[classes == 1] == pytest.approx(np.repeat([100, 40], [20, 50]), rel=0.7)


def test_windows_of_both_kinds_are_mixed() -> None:
    """As the first eighth of a batch is turned in one way, and the second in another."""
    pixels = drawn(make_draws(np.arange(200) % 2, 100, scattered(200, cells=60)), 8000)
    for part in np.split(pixels < 100, 8):
        assert part.mean() == pytest.approx(0.5, abs=0.06)


def test_between_dense_labels_all_pixels_are_drawn_alike_and_classes_by_the_root_of_their_size() -> None:
    classes = np.repeat([0, 1, 2], [900, 400, 100])
    pixels = drawn(make_draws(classes, 700, np.tile(np.arange(100), 14), dense=True), 12_000)
    assert len(pixels) == 12_000
    assert np.bincount(classes[pixels]) == pytest.approx(12_000 * np.array([3, 2, 1]) / 6, rel=0.05)
    assert (pixels < 700).mean() == pytest.approx((700 / 900) / 2, abs=0.03), "labelled or not"


@pytest.mark.parametrize("dense", [True, False])
def test_between_dense_labels_values_are_left_alone_and_the_learning_rate_is_another(
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
    assert run.optimiser.param_groups[0]["max_lr"] == 1e-3 * (training.RATE_OF_DENSE if dense else 1)


@pytest.mark.parametrize("dense", [True, False])
@pytest.mark.parametrize("unlabelled", [0, 200])
@pytest.mark.parametrize("windows", [1, 8, 65])
@pytest.mark.parametrize("block_size", [1, 3, 7])
def test_blocks_lie_in_their_cells_and_know_their_pixels(
    block_size: int, windows: int, unlabelled: int, *, dense: bool
) -> None:
    count = 60 + unlabelled
    draws = make_draws(np.arange(count) % 3, 60, scattered(count, cells=40), dense=dense, block_size=block_size)
    given, cells = draws.next(windows), draws.train.cells
    kinds = 2 if unlabelled and not dense else 1
    assert len(given.cells) == max(windows // kinds, 1) * kinds
    for first in (given.rows, given.cols):
        assert first.min() >= 0
        assert first.max() <= CELL_SIZE - block_size
    there = {place: i for i, place in enumerate(zip(cells.index, cells.rows, cells.cols, strict=True))}
    pixels = draws.pixels(given)
    assert pixels.shape == (len(given.cells), block_size, block_size)
    for window, block in enumerate(pixels.tolist()):
        assert max(max(row) for row in block) >= 0, "the pixel that it was drawn for"
        for r, row in enumerate(block):
            for c, pixel in enumerate(row):
                place = given.cells[window], given.rows[window] + r, given.cols[window] + c
                assert pixel == there.get(place, -1)


@pytest.mark.parametrize("block_size", [1, 3, 5])
def test_a_block_holds_the_drawn_pixel_anywhere(block_size: int) -> None:
    """Each of 64 cells has one pixel, at another place, so that a window's cell tells what it was drawn for."""
    place = np.arange(WHOLE)
    cells = replace(empty_cells(place), rows=place // CELL_SIZE, cols=place % CELL_SIZE)
    train = TrainingSet(cells, soft(place % 2, 0.9), place % 2)
    draws = training._Draws(train, block_size, torch.Generator().manual_seed(0))
    windows = draws.next(400 * WHOLE)
    pixels = draws.pixels(windows).flatten(1).sort(dim=1).values
    assert torch.equal(pixels[:, -1], torch.from_numpy(windows.cells)), "the pixel is in its block"
    assert (pixels[:, :-1] == -1).all(), "and it is all that there is"
    for cell in range(WHOLE):
        for first, at in ((windows.rows, cell // CELL_SIZE), (windows.cols, cell % CELL_SIZE)):
            offsets, counts = np.unique(first[windows.cells == cell], return_counts=True)
            possible = range(max(at - block_size + 1, 0), min(at, CELL_SIZE - block_size) + 1)
            assert offsets.tolist() == list(possible)
            assert counts.min() > 0.5 * counts.max()


def test_windows_anywhere_are_those_of_different_pixels() -> None:
    draws = make_draws(np.arange(50) % 2, 30, scattered(50, cells=20))
    assert sorted(draws.pixels(draws.anywhere(90)).flatten().tolist()) == list(range(50))
    assert len(set(draws.pixels(draws.anywhere(20)).flatten().tolist())) == 20


def test_the_seed_decides_what_is_drawn() -> None:
    index = scattered(50, cells=20)
    first, again, other = (
        make_draws(np.arange(50) % 2, 30, index, seed=seed, block_size=5).next(100) for seed in (0, 0, 1)
    )
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first.cells, other.cells)


# ---- the loss --------------------------------------------------------------------------------------------------------


class Step:
    """What a step looks at, in the order and orientation of the network's inputs, and what it answers."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, network: S2Fin) -> None:
        self.logits = torch.empty(0)
        classify_parts = network.classify_parts

        def watched(x: Tensor, a: Tensor, context: Tensor, positions: Tensor) -> Tensor:
            self.logits = classify_parts(x, a, context, positions)
            if self.logits.requires_grad:
                self.logits.retain_grad()
            return self.logits

        monkeypatch.setattr(network, "classify_parts", watched)
        monkeypatch.setattr(training, "change_values", lambda image, *, generator: image)


@pytest.mark.parametrize("dense", [True, False])
def test_the_loss_is_of_pixels_that_are_there_and_of_labelled_ones_above_all(
    monkeypatch: pytest.MonkeyPatch, *, dense: bool
) -> None:
    """Its gradient at a pixel's logits is the pixel's share of the weights, times what the answer is off by."""
    monkeypatch.setattr(training, "reorient", lambda squares: [square.clone() for square in squares])
    train = replace(make_training(12, each=40), dense=dense)
    run = training._Run(make_network(), train, Hyperparameters(1, 32, 1e-3, 0))
    step, windows = Step(monkeypatch, run.network), run.draws.next(32)
    loss = run._loss(windows)
    torch.autograd.backward(loss)
    pixels = run.draws.pixels(windows).flatten(1)
    kinds = {"missing": pixels < 0, "labelled": torch.from_numpy(train.labels)[pixels] >= 0}
    weights = torch.ones(pixels.shape)
    weights[kinds["labelled"]] = LABEL_WEIGHT
    weights[kinds["missing"]] = 0
    assert set(weights.flatten().tolist()) == {0, 1, LABEL_WEIGHT}
    logits, targets = step.logits.detach(), torch.from_numpy(train.targets)[pixels]
    losses = -(targets * logits.log_softmax(dim=2)).sum(dim=2)
    assert loss.item() == pytest.approx(((losses * weights).sum() / weights.sum()).item(), rel=1e-5)
    expected = (weights / weights.sum())[..., None] * (logits.softmax(dim=2) - targets)
    gradient = step.logits.grad
    assert gradient is not None
    assert (gradient[kinds["missing"]] == 0).all()
    torch.testing.assert_close(gradient, expected, rtol=1e-4, atol=1e-8)


# ---- cells, patches and tiles give the same --------------------------------------------------------------------------


def turned(square: Tensor, number: int) -> Tensor:
    """One of the eight symmetries of squares (..., S, S)."""
    return torch.rot90(square.flip(-1) if number >= 4 else square, number % 4, dims=(-2, -1))


def windows_patches(cells: Cells, windows: training._Windows, block_size: int) -> tuple[Tensor, Tensor]:
    """Raw patches around the middle of windows' blocks."""
    first = block_size // 2
    assert cells.aux is not None
    centres = replace(cells, index=windows.cells, rows=windows.rows + first, cols=windows.cols + first)
    image, aux = patches_of(centres, 2 * MARGIN + 1)
    assert aux is not None
    return image, aux


@pytest.mark.parametrize("block_size", [1, 5])
def test_a_steps_logits_are_those_of_patches_in_any_orientation(
    monkeypatch: pytest.MonkeyPatch, block_size: int
) -> None:
    """With values left alone, the windows are those of raw patches, turned or flipped, and so are the targets."""
    classes = np.arange(12) % 2
    cells = make_cells(classes, seed=0, apart=3.0)
    train = lessons(cells, classes)
    train = replace(train, targets=np.random.default_rng(0).dirichlet([1, 1], size=len(cells)).astype(np.float32))
    network = make_network(block_size=block_size)
    torch.nn.init.normal_(network.head.classify.weight, std=0.5)
    for parameter in network.head.of_pixel.parameters():  # so that pixels of a block differ clearly
        torch.nn.init.normal_(parameter, std=0.5)
    run = training._Run(network.eval(), train, Hyperparameters(1, 64, 1e-3, 0))
    windows = run.draws.next(64)
    given, pixels = windows_patches(cells, windows, block_size), run.draws.pixels(windows)
    known, targets = [], []
    with torch.inference_mode():
        for number in range(8):
            patches = [turned(part, number) for part in given]
            if block_size == 1:
                known.append(network(*patches)[:, None])
            else:
                x, a = network.standardize(*patches)
                maps = network.stem(network.near(x), network.near(a), network.context(x, a), border=2)
                tokens, block = maps.tokens[..., 0, 0], network.block(5)
                known.append(network.classify_windows(tokens, maps.image, maps.aux, maps.logits, block))
            targets.append(torch.from_numpy(train.targets)[turned(pixels, number).flatten(1)])
        step = Step(monkeypatch, network)
        loss = run._loss(windows)
    distances = (step.logits - torch.stack(known)).abs().amax(dim=(2, 3))
    orientation = distances.argmin(dim=0)
    assert distances.amin(dim=0).max() < 1e-4
    assert torch.bincount(orientation, minlength=8).tolist() == [8] * 8, "an eighth in each"
    own = torch.stack(targets)[orientation, torch.arange(64)]
    labelled = torch.stack([turned(torch.from_numpy(train.labels)[pixels] >= 0, n).flatten(1) for n in range(8)])
    weights = 1 + (LABEL_WEIGHT - 1) * labelled[orientation, torch.arange(64)].float()
    losses = -(own * step.logits.log_softmax(dim=2)).sum(dim=2)
    assert loss.item() == pytest.approx(((losses * weights).sum() / weights.sum()).item(), rel=1e-4)


def scene_network(*, alone: bool, patch_size: int, context_size: int) -> S2Fin:
    """A network for the scene's images whose probabilities differ clearly."""
    torch.manual_seed(1)
    images = {"in_channels": 5, "aux_channels": 2 if alone else 1, "num_classes": 3}
    sizes = {**SIZES, "patch_size": patch_size, "context_size": context_size, "aux_from_image": alone}
    network = S2Fin(S2FinConfig.from_dict({**images, **sizes}))
    network.set_statistics([180.0] * 5, [60.0] * 5, *((None, None) if alone else ([5.0], [9.0])))
    torch.nn.init.normal_(network.head.classify.weight, std=0.5)
    return network.eval()


def logits_of(network: S2Fin, draws: training._Draws, windows: training._Windows) -> Tensor:
    """Logits (n, block^2, classes) of windows, as they are learnt from."""
    with torch.inference_mode():
        x, a, context = draws.values(windows)
        return network.classify_parts(x, a, context, network.block(draws.block_size))


def draws_of(network: S2Fin, cells: Cells, block_size: int) -> training._Draws:
    """Draws from cells, whatever their targets are."""
    train = TrainingSet(StandardizedCells.of(network, cells), soft(0 * cells.index, 0.9), 0 * cells.index)
    return training._Draws(train, block_size, torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("alone", "patch_size", "context_size", "more"),
    [(False, 7, 7, 0), (True, 5, 15, 3), (False, 5, 31, 1), (True, 7, 3, 2)],
)
def test_pixels_of_cells_have_the_answers_of_the_engine_and_of_patches(
    scene: Scene, alone: bool, patch_size: int, context_size: int, more: int
) -> None:
    """At the raster's edges too, where cells are cut and the margin is mirrored; and with more margin than it needs."""
    network = scene_network(alone=alone, patch_size=patch_size, context_size=context_size)
    images = {"hsi": [str(scene.hsi)]} if alone else {name: [str(path)] for name, path in scene.images.items()}
    stack = build_stack(images)
    margin = network.input_size // 2
    generator = np.random.default_rng(0)
    rows, cols = generator.integers(60, size=80), generator.integers(70, size=80)
    rows[:5], cols[:5] = (0, 0, 59, 59, 30), (0, 69, 0, 69, 69)
    cells = read_cells(stack, rows, cols, margin=margin + more)
    draws = draws_of(network, cells, 1)
    logits = logits_of(network, draws, training._Windows(cells.index, cells.rows, cells.cols))[:, 0]
    exact = read_cells(stack, rows, cols, margin=margin)
    assert (logits - patch_by_patch(network, exact)).abs().max() < 1e-4
    with stack.open() as opened:
        tile = opened.read(stack.grid.window, halo=margin)
    valid = torch.ones(60, 70, dtype=torch.bool)
    probs = Engine(network, torch.device("cpu"), stride=1).predict(tile.images.map(torch.from_numpy), valid)
    assert probs.std() > 0.01
    assert (logits.softmax(dim=1) - probs[:, rows, cols].T).abs().max() < 1e-5


@pytest.mark.parametrize("block_size", [3, 5])
def test_blocks_have_the_answers_of_the_engine(block_size: int) -> None:
    """The engine is given each window's surroundings as a tile of its own."""
    cells = make_cells(np.arange(20) % 2, seed=0, apart=3.0, each=3)
    network = make_network(block_size=block_size).eval()
    torch.nn.init.normal_(network.head.classify.weight, std=0.5)
    draws, engine = draws_of(network, cells, block_size), Engine(network, torch.device("cpu"))
    windows = draws.next(40)
    probs = logits_of(network, draws, windows).softmax(dim=2)
    side = block_size + 2 * MARGIN
    assert cells.aux is not None
    for window, own in enumerate(probs):
        cell, row, col = (int(part[window]) for part in windows)
        square = (cell, slice(None), slice(row, row + side), slice(col, col + side))
        tile = Images(torch.from_numpy(cells.image[square]), torch.from_numpy(cells.aux[square]))
        told = engine.predict(tile, torch.ones(block_size, block_size, dtype=torch.bool))
        assert (own.T.view(2, block_size, block_size) - told).abs().max() < 1e-5


def test_cells_are_kept_as_far_as_the_network_looks_and_no_farther() -> None:
    network = make_network()
    raw = make_cells(np.arange(20) % 2, seed=0, apart=3.0, each=1)
    cells = StandardizedCells.of(network, raw)
    near, windows = CELL_SIZE + network.cfg.near_size - 1, CELL_SIZE + network.cfg.patch_size - 1
    assert (near, windows) == (14, 12)
    assert cells.near.shape == (20, 3 + 2, near, near)
    assert cells.near_aux.shape == (20, 1, near, near)
    assert cells.context.shape == (20, windows, windows, (2 + 1) * 2 * 2)
    assert raw.aux is not None
    x, a = network.standardize(torch.from_numpy(raw.image), torch.from_numpy(raw.aux))
    assert torch.equal(cells.near, x[..., 2:-2, 2:-2])
    assert torch.equal(cells.near_aux, a[..., 2:-2, 2:-2])
    assert torch.equal(cells.context, network.context(x, a))
    values = network.values(cells.near, cells.near_aux)
    assert torch.equal(values, torch.cat([x, a], dim=1)[..., 2:-2, 2:-2])
