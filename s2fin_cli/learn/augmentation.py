"""Augmentation of standardised cells: what another date, sensor or place could have changed."""

from __future__ import annotations

import torch
from torch import Tensor

#: Standard deviations, in units of a band's own, of the changes to a cell: of all bands, of each band, of each value.
GAIN = 0.05
OFFSET = 0.05
BAND_GAIN = 0.03
NOISE = 0.03


def reorient(
    images: tuple[Tensor, Tensor], places: tuple[Tensor, Tensor], *, inner: int, generator: torch.Generator
) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Turn and flip each cell, and the pixels of interest in it, by its own one of the square's eight symmetries.

    Args:
        images: co-located cells (B, C, S, S) of both images.
        places: rows and columns (B, k) of pixels in the inner part.
        inner: pixels a side of that part.
        generator: source of chance, on the CPU.

    Returns:
        images and places; new tensors of the same shapes.
    """
    results = [torch.empty_like(image) for image in images]
    rows, cols = (place.clone() for place in places)
    for number, symmetry in enumerate(torch.randint(8, (len(rows),), generator=generator).tolist()):
        for image, result in zip(images, results, strict=True):
            turned = torch.rot90(image[number], symmetry % 4, dims=(1, 2))
            result[number] = turned.flip(2) if symmetry >= 4 else turned
        for _ in range(symmetry % 4):
            rows[number], cols[number] = inner - 1 - cols[number], rows[number].clone()
        if symmetry >= 4:
            cols[number] = inner - 1 - cols[number]
    return (results[0], results[1]), (rows, cols)


def change_values(image: Tensor, *, generator: torch.Generator) -> Tensor:
    """Change the gains and offsets of cells (B, C, S, S) at random and add noise; a new tensor."""
    batch, bands = image.shape[:2]

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator).to(image)

    gain = 1 + GAIN * normal(batch, 1, 1, 1) + BAND_GAIN * normal(batch, bands, 1, 1)
    return image * gain + OFFSET * normal(batch, 1, 1, 1) + NOISE * normal(*image.shape)
