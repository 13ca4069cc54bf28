from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from s2fin_cli.core.errors import S2finError
from s2fin_cli.core.images import Images
from s2fin_cli.core.progress import Stop, Stopped
from s2fin_cli.stack.cells import Cells, Places
from s2fin_cli.training.loop import Run
from s2fin_cli.training.recipe import Dense, Recipe, Steps
from s2fin_cli.training.samples import TrainingSet
from tests.recipes import QUICK
from tests.training.lessons import (
    WHOLE,
    StopAtCheck,
    empty_cells,
    has_weights,
    hyperparameters,
    labelled_only,
    make_cells,
    make_network,
    make_set,
    make_training,
    patch_by_patch,
    replayed,
    right_of,
    run_fit,
    soft,
    standardized,
)

# ---- what is learnt --------------------------------------------------------------------------------------------------


def test_a_separable_problem_is_learnt() -> None:
    network = make_network()
    run_fit(network, make_training(20), Recipe(), epochs=5)
    assert right_of(network, seed=1) > 0.9


def test_what_the_teacher_thinks_of_pixels_without_a_label_is_learnt() -> None:
    """The labelled pixels lie alone in cells of noise, so that all there is to learn is what the teacher answers."""
    noise = make_cells(np.array([0, 1]), seed=3, apart=0.0, each=1)
    classes = np.arange(20) % 2
    scene = make_cells(classes, seed=4, apart=3.0)
    both = zip(noise.images.parts(), scene.images.parts(), strict=True)
    places = Places(
        np.append([0, 1], scene.places.index + 2),
        np.append(noise.places.rows, scene.places.rows),
        np.append(noise.places.cols, scene.places.cols),
    )
    cells = Cells(Images(*(np.concatenate(parts) for parts in both)), places)
    targets = np.concatenate([soft(np.array([0, 1]), 0.95), soft(classes[scene.places.index], 0.8)])
    labels = np.append([0, 1], np.full(len(scene.places), -1))
    network = make_network()
    run_fit(network, TrainingSet(standardized(cells), targets, labels), Recipe(), epochs=6)
    assert right_of(network, seed=1) > 0.9


def weights_after(seed: int) -> dict[str, torch.Tensor]:
    network = make_network(seed)
    run_fit(network, make_training(20), QUICK, seed=seed)
    return network.state_dict()


def test_the_seed_decides_every_bit() -> None:
    first, again, other = weights_after(0), weights_after(0), weights_after(1)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_samples_are_not_changed() -> None:
    samples = make_training(20)
    before = copy.deepcopy(samples)
    run_fit(make_network(), samples, QUICK, epochs=1)
    for name in ("near", "near_aux", "context"):
        assert torch.equal(getattr(samples.cells, name), getattr(before.cells, name)), name
    for name, value in vars(samples.cells.places).items():
        assert np.array_equal(value, getattr(before.cells.places, name)), name
    assert np.array_equal(samples.targets, before.targets)
    assert np.array_equal(samples.labels, before.labels)


def test_cells_with_missing_values_do_not_spoil_the_weights() -> None:
    classes = np.arange(20) % 2
    cells = make_cells(classes, seed=0, apart=3.0)
    cells.images.image[::2, :, :12] = np.nan
    cells.images.image[1] = np.nan
    network = make_network()
    outcome = run_fit(network, make_set(cells, classes), QUICK, epochs=1)
    assert np.isfinite(outcome.loss)
    assert all(value.isfinite().all() for value in network.state_dict().values())


@pytest.mark.parametrize(
    ("resumes", "message"), [(True, r"diverged.*`learning_rate`"), (False, r"diverged.*absurd values")]
)
def test_a_loss_that_is_no_number_is_an_error_for_the_user(*, resumes: bool, message: str) -> None:
    samples = make_training(20)
    samples.targets[:] = np.nan
    with pytest.raises(S2finError, match=message):
        run_fit(make_network(), samples, QUICK, resumes=resumes)


def test_one_epoch_of_few_steps() -> None:
    reported: list[tuple[int, int]] = []
    outcome = run_fit(
        make_network(),
        make_training(2),
        Recipe(),
        epochs=1,
        progress=lambda stage, done, total, **figures: reported.append((done, total)),
    )
    assert (outcome.epochs, outcome.interrupted) == (1, False)
    assert reported == [(0, 1), (1, 1)]


def test_a_cell_with_a_single_pixel_is_enough() -> None:
    classes = np.array([0, 1])
    train = make_set(make_cells(classes, seed=0, apart=3.0, each=1), classes)
    outcome = run_fit(make_network(), train, QUICK, epochs=1)
    assert np.isfinite(outcome.loss)


# ---- what is kept, and requests to end -------------------------------------------------------------------------------


#: How often a quick run asks whether it is to end: before each step, and after each round.
OF_CONTEXT, OF_ROUND = QUICK.context.steps, QUICK.steps.most + 1


def test_the_averaged_weights_of_the_last_round_are_kept() -> None:
    train, network = labelled_only(make_training(10, each=9)), make_network()
    reported: list[dict[str, float]] = []
    outcome = run_fit(
        network, train, QUICK, epochs=4, progress=lambda stage, done, total, **figures: reported.append(figures)
    )
    weights, losses = replayed(train, QUICK, epochs=4)
    assert [has_weights(network, part) for part in weights] == [False, False, False, True]
    assert (outcome.epochs, outcome.interrupted, outcome.loss) == (4, False, losses[-1])
    assert reported == [{}, *({"loss": loss} for loss in losses)]


@pytest.mark.parametrize("step", [1, 2, OF_ROUND - 1])
def test_a_request_within_a_round_keeps_the_one_before(step: int) -> None:
    train, network = make_training(10, each=9), make_network()
    stop = StopAtCheck(OF_CONTEXT + 2 * OF_ROUND + step)
    outcome = run_fit(network, train, QUICK, epochs=5, stop=stop)
    weights, losses = replayed(train, QUICK, epochs=5)
    assert (outcome.epochs, outcome.interrupted, outcome.loss) == (2, True, losses[1])
    assert [has_weights(network, part) for part in weights[:3]] == [False, True, False]
    assert stop.has_result
    assert not network.training


def test_a_request_after_the_last_round_keeps_the_network_as_it_is() -> None:
    """It does without its temperature, which changes no class."""
    train, network, stop = make_training(10, each=9), make_network(), Stop()

    def ask(stage: str, done: int, total: int, **figures: float) -> None:
        if done == 3:
            stop.set()

    outcome = run_fit(network, train, QUICK, epochs=3, progress=ask, stop=stop)
    assert (outcome.epochs, outcome.interrupted) == (3, True)
    assert has_weights(network, replayed(train, QUICK, epochs=3)[0][-1])


@pytest.mark.parametrize("check", [1, OF_CONTEXT, OF_CONTEXT + 1, OF_CONTEXT + OF_ROUND - 1])
def test_a_request_before_the_first_round_is_done_leaves_nothing(check: int) -> None:
    stop = StopAtCheck(check)
    with pytest.raises(Stopped):
        run_fit(make_network(), make_training(10, each=9), QUICK, stop=stop)
    assert not stop.has_result


def test_a_network_is_as_sure_as_its_teacher() -> None:
    """Of pixels without a label: no other temperature of its logits would be likelier, and no class is another."""
    classes = np.arange(40) % 2
    cells = make_cells(classes, seed=0, apart=3.0, each=12)
    train, recipe = make_set(cells, classes), Recipe()
    raw, tempered = make_network(), make_network()  # it seeds dropout too
    run_fit(tempered, train, recipe, epochs=4)
    raw.load_state_dict(replayed(train, recipe, epochs=4)[0][-1])
    before, after = patch_by_patch(raw, cells), patch_by_patch(tempered, cells)
    temperature = before[0, 0] / after[0, 0]
    assert (before - temperature * after).abs().max() < 1e-4
    asked = torch.from_numpy(train.labels < 0)
    targets = torch.from_numpy(train.targets)[asked]

    def surprise(divisor: float) -> float:
        return torch.nn.functional.cross_entropy(after[asked] / divisor, targets).item()

    assert torch.nn.functional.cross_entropy(before[asked], targets).item() > surprise(1) + 1e-3, "it does something"
    assert all(surprise(1) <= surprise(other) for other in (0.8, 1.25))


def test_labels_alone_need_no_temperature() -> None:
    train, network = labelled_only(make_training(10, each=9)), make_network()
    outcome = run_fit(network, train, QUICK, epochs=1)
    assert not outcome.interrupted
    assert has_weights(network, replayed(train, QUICK, epochs=1)[0][-1])


# ---- steps -----------------------------------------------------------------------------------------------------------


def steps_of(labelled: int, *, classes: int = 2, dense: bool = False) -> int:
    """Steps of a round with this many labelled pixels."""
    labels = np.append(np.arange(labelled) % classes, np.full(500, -1))
    targets = np.full((len(labels), classes), 1 / classes, np.float32)
    train = TrainingSet(empty_cells(np.arange(len(labels)) // WHOLE), targets, labels, dense)
    return Run(make_network(classes=classes), train, hyperparameters(), Recipe()).steps


def test_a_round_has_steps_for_its_labels_and_classes_within_bounds() -> None:
    least, most, labels = Steps.fewest, Steps.most, Steps.labels_of_step
    assert least + 3 < most
    given = 2, labels * least, labels * (least + 2) - 1, labels * (least + 2) + 1, labels * most * 4
    assert [steps_of(labelled) for labelled in given] == [least, least, least + 2, least + 3, most]
    assert steps_of(given[-1], dense=True) == most * Dense.steps
    for classes in (8, 20, 70):
        assert steps_of(20, classes=classes) == min(max(Steps.of_class * classes, least), most)
