"""Cells as they are learnt from, and that cells, patches and tiles give the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from s2fin import S2Fin, S2FinConfig
from s2fin_cli.core.images import Images
from s2fin_cli.inference.engine import Engine
from s2fin_cli.stack.assembly import build_stack
from s2fin_cli.stack.cells import CELL_SIZE, Cells, read_cells
from s2fin_cli.training.draws import Draws
from s2fin_cli.training.samples import StandardizedCells, TrainingSet, Windows
from tests.scenes import Scene
from tests.training.lessons import MARGIN, SIZES, make_cells, make_network, patch_by_patch, soft


@pytest.mark.parametrize(("changes", "margin"), [({"context_size": 15}, 9), ({"patch_size": 7}, 6)])
def test_cells_for_a_network_that_looks_less_far_are_refused(changes: dict[str, Any], margin: int) -> None:
    network = make_network(**changes)
    with pytest.raises(ValueError, match=f"a margin of {margin} pixels, got 5"):
        StandardizedCells.of(network, make_cells(np.arange(4) % 2, seed=0, apart=3.0))


def test_cells_are_kept_as_far_as_the_network_looks_and_no_farther() -> None:
    network = make_network()
    raw = make_cells(np.arange(20) % 2, seed=0, apart=3.0, each=1)
    cells = StandardizedCells.of(network, raw)
    near, windows = CELL_SIZE + network.cfg.near_size - 1, CELL_SIZE + network.cfg.patch_size - 1
    assert (near, windows) == (14, 12)
    assert cells.near.shape == (20, 3 + 2, near, near)
    assert cells.near_aux.shape == (20, 1, near, near)
    assert cells.context.shape == (20, windows, windows, (2 + 1) * 2 * 2)
    x, a = network.standardize(*raw.images.map(torch.from_numpy))
    assert torch.equal(cells.near, x[..., 2:-2, 2:-2])
    assert torch.equal(cells.near_aux, a[..., 2:-2, 2:-2])
    assert torch.equal(cells.context, network.context(x, a))
    values = network.values(cells.near, cells.near_aux)
    assert torch.equal(values, torch.cat([x, a], dim=1)[..., 2:-2, 2:-2])


# ---- cells, patches and tiles give the same --------------------------------------------------------------------------


def scene_network(*, alone: bool, patch_size: int, context_size: int) -> S2Fin:
    """A network for the scene's images whose probabilities differ clearly."""
    torch.manual_seed(1)
    images = {"in_channels": 5, "aux_channels": 2 if alone else 1, "num_classes": 3}
    sizes = {**SIZES, "patch_size": patch_size, "context_size": context_size, "aux_from_image": alone}
    network = S2Fin(S2FinConfig.from_dict({**images, **sizes}))
    network.set_statistics([180.0] * 5, [60.0] * 5, *((None, None) if alone else ([5.0], [9.0])))
    torch.nn.init.normal_(network.head.classify.weight, std=0.5)
    return network.eval()


def logits_of(network: S2Fin, draws: Draws, windows: Windows) -> Tensor:
    """Logits (n, block^2, classes) of windows, as they are learnt from."""
    with torch.inference_mode():
        x, a, context = draws.values(windows)
        return network.classify_parts(x, a, context, network.block(draws.block_size))


def draws_of(network: S2Fin, cells: Cells, block_size: int) -> Draws:
    """Draws from cells, whatever their targets are."""
    zeros = 0 * cells.places.index
    train = TrainingSet(StandardizedCells.of(network, cells), soft(zeros, 0.9), zeros)
    return Draws(train, block_size, dense_power=0.5, generator=torch.Generator().manual_seed(0))


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
    logits = logits_of(network, draws, Windows(cells.places.index, cells.places.rows, cells.places.cols))[:, 0]
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
    for window, own in enumerate(probs):
        cell, row, col = (int(part[window]) for part in windows)
        square = (cell, slice(None), slice(row, row + side), slice(col, col + side))
        tile = Images(*(torch.from_numpy(part[square]) for part in cells.images.parts()))
        expected = engine.predict(tile, torch.ones(block_size, block_size, dtype=torch.bool))
        assert (own.T.view(2, block_size, block_size) - expected).abs().max() < 1e-5
