"""AFCM alone, which learns first."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from s2fin import S2Fin
from s2fin_cli.core.progress import Stopped
from s2fin_cli.stack.cells import Cells
from s2fin_cli.training.context import learn_context
from s2fin_cli.training.recipe import ContextSteps, Recipe
from s2fin_cli.training.samples import StandardizedCells, TrainingSet
from tests.recipes import QUICK
from tests.training.lessons import (
    StopAtCheck,
    has_weights,
    make_cells,
    make_network,
    make_training,
    patches_of,
    right_of,
    run_fit,
    soft,
)


class Watched(S2Fin):
    """A network that keeps what AFCM alone was asked about, (n, values and context)."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.seen: list[Tensor] = []

    def classify_context(self, values: Tensor, context: Tensor) -> Tensor:
        self.seen.append(torch.cat([values, context], dim=1))
        return super().classify_context(values, context)


def learn(network: S2Fin, train: TrainingSet, *, seed: int = 0, **how: Any) -> None:
    recipe = Recipe(context=ContextSteps(**how))
    learn_context(network, train, recipe, generator=torch.Generator().manual_seed(seed))


def surprise_of_context(network: S2Fin, cells: Cells, targets: NDArray[np.float32]) -> float:
    """Cross-entropy of AFCM's own answers for the pixels of cells."""
    with torch.inference_mode():
        logits = network.classify_context(*seen_by_patches(network, cells))
        return torch.nn.functional.cross_entropy(logits, torch.from_numpy(targets)).item()


def seen_by_patches(network: S2Fin, cells: Cells) -> tuple[Tensor, Tensor]:
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
    targets = soft(classes[other.places.index], 0.8)
    surprises = [surprise_of_context(network, other, targets)]
    learn(network, make_training(20))
    surprises.append(surprise_of_context(network, other, targets))
    changed = {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}
    weights = (f"{layer}.{part}" for layer in ("fuse.0", "fuse.2", "classify") for part in ("weight", "bias"))
    assert changed == {f"map_stem.afcm.{name}" for name in ("mean", "std", *weights)}
    least = -(0.8 * np.log(0.8) + 0.2 * np.log(0.2))
    assert surprises[0] > least + 0.15
    assert least - 1e-6 < surprises[1] < least + 0.05


def with_margin(cells: Cells, more: int) -> Cells:
    """Cells with a wider margin, which nobody looks at."""
    around = ((0, 0), (0, 0), (more, more), (more, more))
    return replace(cells, images=cells.images.map(lambda part: np.pad(part, around, constant_values=1e3)))


@pytest.mark.parametrize("more", [0, 2])
def test_afcm_scales_by_how_the_pixels_that_it_learns_from_are_spread(
    more: int,
) -> None:
    """Those of the cells that are pixels, each once; a band that is the same everywhere is left alone."""
    classes = np.arange(6) % 2
    cells, network = make_cells(classes, seed=0, apart=3.0, each=5), make_network()
    cells.images.image[:, 2] = 4.0
    train = TrainingSet(
        StandardizedCells.of(network, with_margin(cells, more)),
        soft(classes[cells.places.index], 0.9),
        -classes[cells.places.index],
    )
    learn(network, train, steps=1)
    together = torch.cat(seen_by_patches(network, cells), dim=1).double()
    assert together.shape == (30, 3 + 2 + 1 + 4 * 3)
    deviations = together.std(dim=0, correction=0)
    assert deviations[2] == 0
    assert (deviations > 0.01).sum() == len(deviations) - 1
    deviations[2] = 1
    afcm = network.map_stem.afcm
    assert afcm is not None
    torch.testing.assert_close(afcm.mean.double(), together.mean(dim=0), rtol=0, atol=1e-4)
    torch.testing.assert_close(afcm.std.double(), deviations, rtol=0, atol=1e-4)


def test_the_seed_decides_what_afcm_learns() -> None:
    networks = [make_network() for _ in range(3)]
    for network, seed in zip(networks, (0, 0, 1), strict=True):
        learn(network, make_training(6), steps=10, seed=seed)
    first, again, other = ([*network.context_parameters()] for network in networks)
    assert all(torch.equal(one, two) for one, two in zip(first, again, strict=True))
    assert all(not torch.equal(one, two) for one, two in zip(first, other, strict=True))


@pytest.mark.parametrize("more", [0, 2])
@pytest.mark.parametrize("dense", [True, False])
def test_afcm_is_taught_by_pixels_with_their_own_values_context_and_target(
    monkeypatch: pytest.MonkeyPatch, *, dense: bool, more: int
) -> None:
    """Each step by 600; classes equally often, or between dense labels by the root of their size."""
    classes = np.repeat([0, 1], [9, 1])
    cells, network = make_cells(classes, seed=0, apart=1.0, each=50), make_network(kind=Watched)
    assert isinstance(network, Watched)
    share = np.random.default_rng(0).uniform(0.6, 1.0, size=len(cells.places)).astype(np.float32)
    targets = np.where(classes[cells.places.index] == 0, [share, 1 - share], [1 - share, share]).T
    given = TrainingSet(StandardizedCells.of(network, with_margin(cells, more)), targets, np.full(500, -1), dense)
    asked: list[Tensor] = []
    cross_entropy = torch.nn.functional.cross_entropy

    def watch_targets(logits: Tensor, wanted: Tensor) -> Tensor:
        asked.append(wanted)
        return cross_entropy(logits, wanted)

    monkeypatch.setattr(torch.nn.functional, "cross_entropy", watch_targets)
    learn(network, given, steps=7, pixels=600)
    assert (len(network.seen), len(asked)) == (7, 7)
    assert all(part.shape == (600, 6 + 12) for part in network.seen)
    given_of, wanted = torch.cat(network.seen), torch.cat(asked)
    # all pixels differ, so that their targets identify them
    pixels = (wanted[:, None, 0] - torch.from_numpy(targets)[:, 0]).abs().argmin(dim=1)
    assert len(np.unique(targets[:, 0])) == len(targets)
    assert torch.equal(wanted, torch.from_numpy(targets)[pixels])
    expected = torch.cat(seen_by_patches(network, cells), dim=1)[pixels]
    torch.testing.assert_close(given_of, expected, rtol=0, atol=1e-4)
    rare = (classes[cells.places.index][pixels.numpy()] == 1).mean()
    assert rare == pytest.approx(1 / (1 + 9**0.5) if dense else 0.5, abs=0.04)


def test_training_resumes_from_what_afcm_learnt_alone() -> None:
    train, network, alone = make_training(6), make_network(), make_network()
    with pytest.raises(Stopped):  # at the first step of all
        run_fit(network, train, QUICK, epochs=1, seed=3, stop=StopAtCheck(QUICK.context.steps + 1))
    learn(alone, train, seed=3, steps=QUICK.context.steps)
    assert has_weights(network, alone.state_dict())


@pytest.mark.parametrize("resumes", [False, True])
def test_a_network_that_resumes_keeps_how_afcm_scales(*, resumes: bool) -> None:
    """AFCM is not taught alone once more, but resumes with the others; what it has learnt fits how it scales."""
    network, more = make_network(), make_training(6, seed=1)
    afcm = network.map_stem.afcm
    assert afcm is not None
    run_fit(network, make_training(6), QUICK, epochs=1)
    before = copy.deepcopy(afcm.state_dict())
    first_check_of_all = 1 if resumes else QUICK.context.steps + 1
    with pytest.raises(Stopped):
        run_fit(network, more, QUICK, epochs=1, resumes=resumes, stop=StopAtCheck(first_check_of_all))
    assert all(torch.equal(value, before[name]) == resumes for name, value in afcm.state_dict().items())
    run_fit(network, more, QUICK, epochs=1, resumes=True)
    assert not any(torch.equal(value, before[name]) for name, value in afcm.named_parameters())


def test_a_network_without_afcm_learns_as_well() -> None:
    network = make_network(afcm=False)
    outcome = run_fit(network, make_training(20), Recipe(), epochs=5)
    assert not outcome.interrupted
    assert right_of(network, seed=1) > 0.9
