"""Augmentation of standardised windows: changes that another date, sensor or place could cause."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from s2fin_cli.training.recipe import Augmentation

#: Symmetries of a square.
SYMMETRIES = 8


def reorient(squares: Sequence[Tensor]) -> list[Tensor]:
    """Turn and flip squares, an eighth of the batch by each of the square's symmetries.

    NOTE: whole parts of the batch, because turning one square after another took as long as the network.

    Args:
        squares: co-located (B, ..., S, S), in random order; sides may differ if the centres are the same.

    Returns:
        new tensors of the same shapes.
    """
    results = []
    for tensor in squares:
        parts = torch.tensor_split(tensor, SYMMETRIES)
        turned = [torch.rot90(part, number % 4, dims=(-2, -1)) for number, part in enumerate(parts)]
        results.append(torch.cat([part.flip(-1) if number >= 4 else part for number, part in enumerate(turned)]))
    return results


def change_values(image: Tensor, strengths: Augmentation, *, generator: torch.Generator) -> Tensor:
    """Change the gains and offsets of windows (B, C, S, S) at random and add noise; a new tensor."""
    batch, bands = image.shape[:2]

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator).to(image)

    gain = 1 + strengths.gain * normal(batch, 1, 1, 1) + strengths.band_gain * normal(batch, bands, 1, 1)
    return torch.addcmul(
        strengths.offset * normal(batch, 1, 1, 1) + strengths.noise * normal(*image.shape), image, gain
    )
