"""Probabilities of cells are those of the windows around their pixels."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from s2fin_cli.stack.cells import CELL_SIZE
from s2fin_cli.training.cell_probs import probs_of_cells
from s2fin_cli.training.samples import StandardizedCells
from tests.training.lessons import make_cells, make_network, patch_by_patch


@pytest.mark.parametrize("block_size", [1, 3, 5])
def test_each_pixel_gets_the_probabilities_of_a_window_that_holds_it(block_size: int) -> None:
    network = make_network(block_size=block_size).eval()
    cells = make_cells(np.arange(5) % 2, seed=1, apart=3.0, each=20)
    probs = probs_of_cells(network, StandardizedCells.of(network, cells))
    assert probs.shape == (100, 2)
    assert np.allclose(probs.sum(axis=1), 1)
    places = cells.places
    last = CELL_SIZE - block_size
    middles = [
        np.minimum(part // block_size * block_size, last) + block_size // 2 for part in (places.rows, places.cols)
    ]
    central = (middles[0] == places.rows) & (middles[1] == places.cols)
    assert central.any()
    expected = torch.softmax(patch_by_patch(network, cells), dim=1).numpy()
    assert np.allclose(probs[central], expected[central], atol=1e-5)
