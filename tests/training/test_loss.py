"""The loss of a step: which pixels count, how they are identified, and how their values are changed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from s2fin import S2Fin
from s2fin_cli.core.images import Images
from s2fin_cli.core.progress import Stop
from s2fin_cli.stack.cells import Cells, Places
from s2fin_cli.training.augmentation import reorient
from s2fin_cli.training.loop import Run
from s2fin_cli.training.recipe import Augmentation, Dense, Recipe, Steps
from s2fin_cli.training.samples import Windows
from tests.training.lessons import (
    MARGIN,
    hyperparameters,
    make_cells,
    make_network,
    make_set,
    make_training,
    patches_of,
)

#: A recipe that leaves values alone.
UNCHANGED = Recipe(augmentation=Augmentation(gain=0.0, band_gain=0.0, offset=0.0, noise=0.0))


class Watched(S2Fin):
    """A network that keeps what the last step looked at, in the order and orientation of its inputs, and its answer."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.given: list[Tensor] = []
        self.logits = torch.empty(0)

    def classify_parts(self, x: Tensor, a: Tensor, context: Tensor, positions: Tensor) -> Tensor:
        self.given = [x, a, context]
        self.logits = super().classify_parts(x, a, context, positions)
        if self.logits.requires_grad:
            self.logits.retain_grad()
        return self.logits


@pytest.mark.parametrize("dense", [True, False])
def test_the_loss_is_of_pixels_that_are_there_and_of_labelled_ones_above_all(*, dense: bool) -> None:
    """Its gradient at a pixel's logits is the pixel's share of the weights, times what the answer is off by."""
    train = replace(make_training(12, each=40), dense=dense)
    network = make_network(kind=Watched)
    assert isinstance(network, Watched)
    run = Run(network, train, hyperparameters(batch_size=32), UNCHANGED)
    windows = run.draws.next(32)
    loss = run.loss(windows)
    torch.autograd.backward(loss)
    pixels = reorient([run.draws.pixels(windows)])[0].flatten(1)
    kinds = {"missing": pixels < 0, "labelled": torch.from_numpy(train.labels)[pixels] >= 0}
    weights = torch.ones(pixels.shape)
    weights[kinds["labelled"]] = Steps.label_weight
    weights[kinds["missing"]] = 0
    assert set(weights.flatten().tolist()) == {0, 1, Steps.label_weight}
    logits, targets = network.logits.detach(), torch.from_numpy(train.targets)[pixels]
    losses = -(targets * logits.log_softmax(dim=2)).sum(dim=2)
    assert loss.item() == pytest.approx(((losses * weights).sum() / weights.sum()).item(), rel=1e-5)
    expected = (weights / weights.sum())[..., None] * (logits.softmax(dim=2) - targets)
    gradient = network.logits.grad
    assert gradient is not None
    assert (gradient[kinds["missing"]] == 0).all()
    torch.testing.assert_close(gradient, expected, rtol=1e-4, atol=1e-8)


@pytest.mark.parametrize("dense", [True, False])
def test_between_dense_labels_values_are_left_alone_and_the_learning_rate_is_another(*, dense: bool) -> None:
    network = make_network(kind=Watched)
    assert isinstance(network, Watched)
    recipe = Recipe()
    run = Run(network, replace(make_training(12), dense=dense), hyperparameters(learning_rate=1e-3), recipe)
    windows = run.draws.next(24)
    run.loss(windows)
    x, a, context = run.draws.values(windows)
    unchanged = reorient([x, a, context.permute(0, 3, 1, 2)])
    for number in range(2):
        assert torch.equal(network.given[number], unchanged[number]) == dense
        assert not dense or network.given[number].std() > 0.5, "there are values"
    assert torch.equal(network.given[2], unchanged[2].permute(0, 2, 3, 1)), "the context is left alone"
    assert run.optimiser.param_groups[0]["max_lr"] == 1e-3 * (Dense.rate if dense else 1)
    assert np.isfinite(run.train_round(Stop()))


def turned(square: Tensor, number: int) -> Tensor:
    """One of the eight symmetries of squares (..., S, S)."""
    return torch.rot90(square.flip(-1) if number >= 4 else square, number % 4, dims=(-2, -1))


def windows_patches(cells: Cells, windows: Windows, block_size: int) -> Images[Tensor]:
    """Raw patches around the middle of windows' blocks."""
    first = block_size // 2
    centres = replace(cells, places=Places(windows.cells, windows.rows + first, windows.cols + first))
    return patches_of(centres, 2 * MARGIN + 1)


@pytest.mark.parametrize("block_size", [1, 5])
def test_a_steps_logits_are_those_of_patches_in_any_orientation(
    block_size: int,
) -> None:
    """With values left alone, the windows are those of raw patches, turned or flipped, and so are the targets."""
    classes = np.arange(12) % 2
    cells = make_cells(classes, seed=0, apart=3.0)
    train = make_set(cells, classes)
    train = replace(
        train, targets=np.random.default_rng(0).dirichlet([1, 1], size=len(cells.places)).astype(np.float32)
    )
    network = make_network(block_size=block_size, kind=Watched)
    assert isinstance(network, Watched)
    torch.nn.init.normal_(network.head.classify.weight, std=0.5)
    for parameter in network.head.of_pixel.parameters():  # so that pixels of a block differ clearly
        torch.nn.init.normal_(parameter, std=0.5)
    run = Run(network.eval(), train, hyperparameters(), UNCHANGED)
    windows = run.draws.next(64)
    given, pixels = windows_patches(cells, windows, block_size), run.draws.pixels(windows)
    known, targets = [], []
    with torch.inference_mode():
        for number in range(8):
            patches = [turned(part, number) for part in given.parts()]
            if block_size == 1:
                known.append(network(*patches)[:, None])
            else:
                x, a = network.standardize(*patches)
                maps = network.stem(network.near(x), network.near(a), network.context(x, a), border=2)
                tokens, block = maps.tokens[..., 0, 0], network.block(5)
                known.append(network.classify_windows(tokens, maps.image, maps.aux, maps.logits, block))
            targets.append(torch.from_numpy(train.targets)[turned(pixels, number).flatten(1)])
        loss = run.loss(windows)
    distances = (network.logits - torch.stack(known)).abs().amax(dim=(2, 3))
    orientation = distances.argmin(dim=0)
    assert distances.amin(dim=0).max() < 1e-4
    assert torch.bincount(orientation, minlength=8).tolist() == [8] * 8, "an eighth in each"
    own = torch.stack(targets)[orientation, torch.arange(64)]
    labelled = torch.stack([turned(torch.from_numpy(train.labels)[pixels] >= 0, n).flatten(1) for n in range(8)])
    weights = 1 + (Steps.label_weight - 1) * labelled[orientation, torch.arange(64)].float()
    losses = -(own * network.logits.log_softmax(dim=2)).sum(dim=2)
    assert loss.item() == pytest.approx(((losses * weights).sum() / weights.sum()).item(), rel=1e-4)
