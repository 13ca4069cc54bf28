"""Augmentation of standardised patches: what another date, sensor or place could have changed."""

from __future__ import annotations

import torch
from torch import Tensor

#: Standard deviations, in units of a band's own, of the changes to a patch.
GAIN = 0.1
OFFSET = 0.1
BAND_GAIN = 0.03
NOISE = 0.05
#: Probability that a band is left out of a patch, and that all surroundings of the centre are.
BAND_DROPOUT = 0.05
CONTEXT_DROPOUT = 0.1
#: Half width of what is kept where the surroundings are left out.
KEPT_RADIUS = 2


def augment(images: tuple[Tensor, Tensor], *, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Change co-located patches at random, the same way in space and each image on its own in its values.

    Args:
        images: standardised patches (B, C, S, S) of both images.
        generator: source of chance, on the CPU.

    Returns:
        new tensors of the same shapes.
    """
    batch, size = images[0].shape[0], images[0].shape[-1]
    orientation = torch.randint(8, (batch,), generator=generator)
    kept = _kept_surroundings(batch, size, generator).to(images[0].device)
    image, aux = (_reorient(_change_values(part, generator), orientation) * kept for part in images)
    return image, aux


def _change_values(image: Tensor, generator: torch.Generator) -> Tensor:
    batch, bands = image.shape[:2]

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator).to(image)

    gain = 1 + GAIN * normal(batch, 1, 1, 1) + BAND_GAIN * normal(batch, bands, 1, 1)
    offset = OFFSET * normal(batch, 1, 1, 1)
    changed = image * gain + offset + NOISE * normal(*image.shape)
    if bands > 1:
        dropped = torch.rand(batch, bands, 1, 1, generator=generator) < BAND_DROPOUT
        changed = changed.masked_fill(dropped.to(image.device), 0.0)
    return changed


def _kept_surroundings(batch: int, size: int, generator: torch.Generator) -> Tensor:
    """(B, 1, S, S): 1 everywhere, but for some patches 0 beyond the centre's closest neighbours."""
    inner = torch.zeros(size, size)
    centre = size // 2
    inner[centre - KEPT_RADIUS : centre + KEPT_RADIUS + 1, centre - KEPT_RADIUS : centre + KEPT_RADIUS + 1] = 1
    masked = torch.rand(batch, 1, 1, 1, generator=generator) < CONTEXT_DROPOUT
    return torch.where(masked, inner, torch.ones(()))


def _reorient(image: Tensor, orientation: Tensor) -> Tensor:
    """Turn and flip each patch by its own one of the square's eight symmetries."""
    result = torch.empty_like(image)
    for index in range(8):
        which = (orientation == index).nonzero().squeeze(1).to(image.device)
        if len(which):
            turned = torch.rot90(image[which], index % 4, dims=(2, 3))
            result[which] = turned.flip(3) if index >= 4 else turned
    return result
