from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch

from s2fin import S2Fin, S2FinConfig
from s2fin_cli.assess.metrics import Accuracy
from s2fin_cli.geo.classes import make_classes
from s2fin_cli.learn import training
from s2fin_cli.learn.pipeline import train
from s2fin_cli.learn.samples import Patches
from s2fin_cli.learn.training import Hyperparameters, LabelledPatches, Outcome, fit
from s2fin_cli.modelfile import read_model
from s2fin_cli.progress import Progress, silent
from tests.app.scenes import Scene, tiny_options

CLASSES = make_classes({3: "low", 5: "high"})


def make_network(seed: int = 0) -> S2Fin:
    torch.manual_seed(seed)
    sizes = {"width": 8, "map_width": 8, "deep_width": 8, "max_tokens": 3, "heads": 2, "state_size": 4}
    images = {"in_channels": 3, "aux_channels": 1, "num_classes": 2, "patch_size": 5}
    return S2Fin(S2FinConfig.from_dict({**images, **sizes}))


def make_samples(count: int, *, seed: int = 0) -> LabelledPatches:
    """Two classes that differ in all bands by three standard deviations."""
    generator = np.random.default_rng(seed)
    targets = generator.integers(2, size=count)
    image = generator.normal(size=(count, 3, 7, 7)) + (3 * targets - 1.5)[:, None, None, None]
    aux = generator.normal(size=(count, 1, 7, 7))
    return LabelledPatches(Patches(image.astype(np.float32), aux.astype(np.float32)), targets)


def nothing() -> LabelledPatches:
    return make_samples(0)


def run_fit(
    network: S2Fin,
    train: LabelledPatches,
    validation: LabelledPatches,
    *,
    epochs: int = 2,
    seed: int = 0,
    learning_rate: float = 5e-3,
    progress: Progress = silent,
) -> Outcome:
    hyperparameters = Hyperparameters(epochs, 8, learning_rate, seed)
    return fit(network, train, validation, classes=CLASSES, hyperparameters=hyperparameters, progress=progress)


def accuracy_of(share: float) -> Accuracy:
    """Accuracy figures with that overall and average accuracy."""
    right = round(20 * share)
    return Accuracy.from_matrix([[right, 20 - right], [20 - right, right]], class_ids=[3, 5])


def test_a_separable_problem_is_learnt() -> None:
    network = make_network()
    outcome = run_fit(network, make_samples(60), make_samples(100, seed=1), epochs=6)
    assert outcome.accuracy is not None
    assert outcome.accuracy.overall_accuracy > 0.9
    assert outcome.accuracy.class_ids == (3, 5)
    assert outcome.accuracy.class_names == ("low", "high")
    samples = make_samples(100, seed=2)
    with torch.inference_mode():
        logits = network.eval()(torch.from_numpy(samples.patches.image), torch.from_numpy(samples.patches.aux))
    assert (logits.argmax(dim=1).numpy() == samples.targets).mean() > 0.9


def test_the_kept_weights_are_the_validated_ones() -> None:
    network, validation = make_network(), make_samples(50, seed=1)
    outcome = run_fit(network, make_samples(20), validation, epochs=3)
    images = torch.from_numpy(validation.patches.image), torch.from_numpy(validation.patches.aux)
    with torch.inference_mode():
        logits = network.eval()(*images)
    loss = torch.nn.functional.cross_entropy(logits, torch.from_numpy(validation.targets)).item()
    assert loss == pytest.approx(outcome.loss, rel=1e-5)


def weights_after(seed: int) -> dict[str, torch.Tensor]:
    network = make_network(seed)
    run_fit(network, make_samples(20), make_samples(10, seed=1), seed=seed)
    return network.state_dict()


def test_the_seed_decides_every_bit() -> None:
    first, again, other = weights_after(0), weights_after(0), weights_after(1)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_samples_are_not_changed() -> None:
    samples = make_samples(20)
    before = copy.deepcopy(samples)
    run_fit(make_network(), samples, samples, epochs=1)
    assert np.array_equal(samples.patches.image, before.patches.image)
    assert samples.patches.aux is not None
    assert before.patches.aux is not None
    assert np.array_equal(samples.patches.aux, before.patches.aux)


def test_patches_with_missing_values_do_not_spoil_the_weights() -> None:
    samples = make_samples(20)
    samples.patches.image[::2, :, :3] = np.nan
    network = make_network()
    outcome = run_fit(network, samples, nothing(), epochs=1)
    assert np.isfinite(outcome.loss)
    assert all(value.isfinite().all() for value in network.state_dict().values())


class Played:
    """Stands in for validation: gives accuracies and losses from a list, and keeps the weights that were assessed."""

    def __init__(self, figures: list[tuple[float, float]], monkeypatch: pytest.MonkeyPatch) -> None:
        self.weights: list[dict[str, torch.Tensor]] = []
        played = self

        def assess(run: training._Run, samples: LabelledPatches) -> tuple[Accuracy, float]:
            share, loss = figures[len(played.weights)]
            played.weights.append(copy.deepcopy(run.averaged.state_dict()))
            return accuracy_of(share), loss

        monkeypatch.setattr(training._Run, "assess", assess)

    def holds(self, network: S2Fin, epoch: int) -> bool:
        kept = self.weights[epoch - 1]
        return all(torch.equal(value, kept[name]) for name, value in network.state_dict().items())


def test_early_stopping_keeps_the_best_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    figures = [(0.5, 1.0), (0.9, 0.5), (0.8, 0.1), (0.9, 0.6), (0.7, 0.4), (0.6, 0.3), (0.9, 0.5), (1.0, 0.1)]
    played = Played(figures, monkeypatch)
    network = make_network()
    told: list[tuple[int, int]] = []
    outcome = run_fit(
        network,
        make_samples(10),
        make_samples(4),
        epochs=10,
        progress=lambda stage, done, total, **figures: told.append((done, total)),
    )
    assert (outcome.best_epoch, outcome.epochs, outcome.interrupted) == (2, 7, False), "patience is five epochs here"
    assert outcome.loss == 0.5
    assert outcome.accuracy is not None
    assert outcome.accuracy.average_accuracy == 0.9
    assert played.holds(network, 2)
    assert not played.holds(network, 7)
    assert told == [*((done, 10) for done in range(8)), (10, 10)]


def test_the_lower_loss_decides_between_equal_accuracies(monkeypatch: pytest.MonkeyPatch) -> None:
    played = Played([(0.9, 0.5), (0.9, 0.4), (0.9, 0.45)], monkeypatch)
    network = make_network()
    outcome = run_fit(network, make_samples(10), make_samples(4), epochs=3)
    assert (outcome.best_epoch, outcome.epochs) == (2, 3)
    assert played.holds(network, 2)


def test_without_validation_all_epochs_are_run_and_the_last_is_kept() -> None:
    figures_told: list[dict[str, float]] = []

    def listen(stage: str, done: int, total: int, **figures: float) -> None:
        figures_told.append(figures)

    outcome = run_fit(make_network(), make_samples(10), nothing(), epochs=8, progress=listen)
    assert (outcome.best_epoch, outcome.epochs, outcome.accuracy) == (8, 8, None)
    assert [sorted(figures) for figures in figures_told] == [[], *[["loss"]] * 8]


def test_an_interrupt_after_the_second_epoch_keeps_the_best_model(monkeypatch: pytest.MonkeyPatch) -> None:
    played = Played([(0.9, 0.5), (0.5, 0.5)], monkeypatch)
    network = make_network()

    def interrupt(stage: str, done: int, total: int, **figures: float) -> None:
        if done == 2:
            raise KeyboardInterrupt

    outcome = run_fit(network, make_samples(10), make_samples(4), epochs=5, progress=interrupt)
    assert outcome.interrupted
    assert (outcome.best_epoch, outcome.epochs) == (1, 2)
    assert played.holds(network, 1)


def test_an_interrupt_before_the_first_epoch_goes_through(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(run: training._Run) -> float:
        raise KeyboardInterrupt

    monkeypatch.setattr(training._Run, "train_epoch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_fit(make_network(), make_samples(10), make_samples(4))


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


def test_batches_are_balanced_over_the_classes() -> None:
    samples = make_samples(1000)
    samples.targets[:] = np.arange(1000) < 20  # class 1 has 20 samples, class 0 has 980
    run = training._Run(make_network(), samples, CLASSES, Hyperparameters(1, 4000, 1e-3, 0))
    drawn = run._draw()
    assert (samples.targets[drawn] == 1).mean() == pytest.approx(0.5, abs=0.03)
    assert np.bincount(drawn[samples.targets[drawn] == 1]).min() > 50, "each sample of the rare class is drawn often"


def test_an_epoch_is_between_twenty_and_sixty_steps() -> None:
    steps = [
        training._Run(make_network(), make_samples(count), CLASSES, Hyperparameters(1, 8, 1e-3, 0)).steps
        for count in (2, 240, 9999)
    ]
    assert steps == [20, 30, 60]
