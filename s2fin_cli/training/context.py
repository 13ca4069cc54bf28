"""The training of AFCM alone, on single pixels, before the whole network learns."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional as F

from s2fin_cli.core.errors import S2finError
from s2fin_cli.training.draws import Pool

if TYPE_CHECKING:
    from s2fin import S2Fin
    from s2fin_cli.core.progress import Stop
    from s2fin_cli.training.recipe import Recipe
    from s2fin_cli.training.samples import TrainingSet


def learn_context(
    network: S2Fin, train: TrainingSet, recipe: Recipe, *, generator: torch.Generator, stop: Stop | None = None
) -> None:
    """Train AFCM alone, on single pixels: without windows, many steps take less time than one round with them.

    Raises:
        S2finError: its loss is no longer a number.
        Stopped: training is to end.
    """
    device, cells, how = network.standardizer.device, train.cells, recipe.context
    values = network.values(cells.at_pixels(cells.near), cells.at_pixels(cells.near_aux))
    context = cells.at_pixels(cells.context.permute(0, 3, 1, 2))
    network.set_context_statistics(values, context)
    targets = torch.from_numpy(train.targets)
    power = recipe.dense.power if train.dense else 0.0
    pool = Pool(np.arange(len(targets)), train.targets.argmax(axis=1), power)
    parameters = list(network.context_parameters())
    optimiser = torch.optim.AdamW(parameters, lr=how.rate, weight_decay=recipe.steps.weight_decay, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=how.rate, total_steps=how.steps)
    for _ in range(how.steps):
        if stop is not None:
            stop.check()
        drawn = torch.from_numpy(pool.draw(how.pixels, generator))
        logits = network.classify_context(values[drawn].to(device), context[drawn].to(device))
        loss = F.cross_entropy(logits, targets[drawn].to(device))
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(parameters, recipe.steps.gradient_norm)
        optimiser.step()
        schedule.step()
    if not math.isfinite(loss.item()):
        raise S2finError("training diverged: its loss is no longer a number; the images may hold absurd values")
