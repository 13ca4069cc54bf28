"""The temperature of a trained network, which sets its confidence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional as F

from s2fin_cli.training.draws import Draws

if TYPE_CHECKING:
    from s2fin import S2Fin
    from s2fin_cli.training.recipe import Recipe
    from s2fin_cli.training.samples import TrainingSet

#: Candidate temperatures; the one that fits a trained network to its teacher is chosen.
NETWORK_TEMPERATURES = np.geomspace(0.5, 4.0, 61)


def temper(network: S2Fin, train: TrainingSet, recipe: Recipe, *, generator: torch.Generator) -> None:
    """Divide a network's logits so that it is as confident as its teacher on unlabelled pixels; no class changes.

    NOTE: half of its training pixels are labelled; it becomes confident on these, and with them everywhere.
    """
    draws = Draws(train, network.cfg.block_size, dense_power=recipe.dense.power, generator=generator)
    windows = draws.anywhere(recipe.steps.windows_to_temper)
    with torch.inference_mode():
        x, a, context = draws.values(windows)
        logits = network.classify_parts(x, a, context, network.block(draws.block_size))
    pixels = draws.pixels(windows).flatten()
    known = (pixels >= 0).numpy()
    chosen = np.flatnonzero(known)[train.labels[pixels.numpy()[known]] < 0]
    if not len(chosen):
        return
    logits = logits.flatten(0, 1).cpu().double()[torch.from_numpy(chosen)]
    targets = torch.from_numpy(train.targets[pixels.numpy()[chosen]]).double()
    temperature = min(NETWORK_TEMPERATURES.tolist(), key=lambda value: F.cross_entropy(logits / value, targets).item())
    network.scale_logits(1 / temperature)
