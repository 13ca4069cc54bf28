"""Smoothing of class probabilities along the image: neighbours that look alike have a say in each other's class.

A joint bilateral filter (Petschnigg et al. 2004; Eisemann and Durand 2004) with Tukey's biweight as its weight, over
squares of pixels. It is ours, and no part of the network.
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

if TYPE_CHECKING:
    from collections.abc import Iterator

    from s2fin import S2Fin

#: Pixels on each side that have a say.
RADIUS = 3
#: Pixels this far apart in the guide, or farther, have none: in deviations of the scene's components.
UNLIKE = 0.75
#: Leading components of the image that pixels are compared by.
COMPONENTS = 6


@torch.inference_mode()
def guide_of(network: S2Fin, image: Tensor, aux: Tensor | None) -> Tensor:
    """What pixels are compared by: the image's leading components, and the second image's bands where it has any.

    Args:
        network: a network, for its statistics and components.
        image: raw values (bands, height, width), NaN where there is no data.
        aux: the second image likewise, or None.

    Returns:
        float32 (n, height, width); the square of two pixels' distance is the mean of the squared differences of their
        components, and that of their bands of the second image, both standardised, added.
    """
    device, bands = network.components.device, network.cfg.in_channels
    x, a = network.standardize(image[None].to(device), None if aux is None else aux[None].to(device))
    weights = network.components[:COMPONENTS, :, None, None]
    components = torch.zeros(len(weights), *image.shape[1:], device=device)
    # NOTE: band by band, as a matrix product's rounding depends on its size, and so the map would on the tiles'.
    for band in range(bands):
        components += weights[:, band] * x[0, band]
    parts = [components] if aux is None else [components, a[0]]
    return torch.cat([part.cpu() / math.sqrt(len(part)) for part in parts])


@torch.inference_mode()
def smooth(probs: Tensor, guide: Tensor, valid: Tensor) -> Tensor:
    """Weighted means of probabilities over squares of 2 `RADIUS` + 1 pixels.

    NOTE: sums and products alone, pixel by pixel in one order, so that a pixel's result does not depend on how large
    the part is that it is computed in; exponentials differ in the last bit by where in memory a value lies.

    Args:
        probs: (num_classes, height, width).
        guide: (n, height, width), see `guide_of`.
        valid: (height, width), which pixels have a say.

    Returns:
        (num_classes, height - 2 `RADIUS`, width - 2 `RADIUS`), the inner pixels' that are valid; 0 of others.
    """
    height, width = (size - 2 * RADIUS for size in valid.shape)
    centre = _shifted(guide, RADIUS, RADIUS, height, width)
    total = torch.zeros(height, width)
    result = torch.zeros(len(probs), height, width)
    for row, col in itertools.product(range(2 * RADIUS + 1), repeat=2):
        distance = torch.zeros(height, width)
        for own, other in zip(centre, _shifted(guide, row, col, height, width), strict=True):
            distance += (own - other).square_()
        weight = (1 - distance / UNLIKE**2).clamp_(min=0).square_() * _shifted(valid, row, col, height, width)
        total += weight
        result += weight * _shifted(probs, row, col, height, width)
    inner = _shifted(valid, RADIUS, RADIUS, height, width)
    return torch.where(inner, result / total, 0)


def _shifted(values: Tensor, row: int, col: int, height: int, width: int) -> Tensor:
    return values[..., row : row + height, col : col + width]


def around(mask: Tensor) -> Tensor:
    """A mask (height, width) with the pixels added that have a say in it."""
    return F.max_pool2d(mask[None].float(), 2 * RADIUS + 1, stride=1, padding=RADIUS)[0] > 0


def smooth_all(probs: Tensor, guide: Tensor, valid: Tensor) -> Tensor:
    """Smooth a whole raster: (num_classes, height, width), 0 where it is not valid."""
    around = (RADIUS,) * 4
    return smooth(F.pad(probs, around), F.pad(guide, around), F.pad(valid, around))


class Smoother:
    """Smooths a raster whose tiles come row by row, each pixel as soon as all of its square has come.

    What was not smoothed yet, and what it needs, is kept: the last rows of all tiles above, and the last columns of the
    tile before.
    """

    def __init__(self, shape: tuple[int, int]) -> None:
        """Begin.

        Args:
            shape: (height, width) of what the tiles cover.
        """
        self._shape = shape
        self._classes = 0
        self._above: Tensor | None = None
        self._below: Tensor | None = None
        self._left: Tensor | None = None

    def add(
        self, row: int, col: int, probs: Tensor, guide: Tensor, valid: Tensor
    ) -> Iterator[tuple[int, int, Tensor, Tensor]]:
        """Add a tile.

        Args:
            row: where it begins.
            col: likewise.
            probs: (num_classes, height, width).
            guide: (n, height, width).
            valid: (height, width).

        Returns:
            row, column, probabilities and validity of the part that is done, if there is any.
        """
        self._classes = len(probs)
        return self._add(row, col, torch.cat([probs, guide, valid[None].float()]))

    def skip(self, row: int, col: int, shape: tuple[int, int]) -> Iterator[tuple[int, int, Tensor, Tensor]]:
        """Add a tile of a shape (height, width) in which nothing is valid, see `add`."""
        if self._above is None:
            return iter(())  # nothing came before
        return self._add(row, col, torch.zeros(len(self._above), *shape))

    def _add(self, row: int, col: int, tile: Tensor) -> Iterator[tuple[int, int, Tensor, Tensor]]:
        (height, width), (rows, cols) = tile.shape[1:], self._shape
        patch = self._with_those_before(row, col, tile)
        # beyond the raster's edge there is nothing to wait for
        after = (0, RADIUS * (col + width == cols), 0, RADIUS * (row + height == rows))
        patch = F.pad(patch, after)
        top, left = max(row - RADIUS, 0), max(col - RADIUS, 0)
        patch = patch[:, max(RADIUS - row, 0) :, max(RADIUS - col, 0) :]  # nothing lies before the raster's edge
        here = patch[-1] > 0
        inner = here[RADIUS:-RADIUS, RADIUS:-RADIUS]
        if inner.numel() and inner.any():
            yield top, left, smooth(patch[: self._classes], patch[self._classes : -1], here), inner

    def _with_those_before(self, row: int, col: int, tile: Tensor) -> Tensor:
        """The tile with 2 RADIUS rows above and columns before it; zeros, which are not valid, where there are none."""
        channels, height, width = tile.shape
        before = 2 * RADIUS
        if self._above is None or self._below is None:
            self._above = torch.zeros(channels, before, self._shape[1])
            self._below = torch.zeros_like(self._above)
        column = torch.cat([self._above[:, :, col : col + width], tile], dim=1)
        left = torch.zeros(channels, height + before, before) if col == 0 or self._left is None else self._left
        patch = torch.cat([left, column], dim=2)
        self._left = patch[:, :, -before:].clone()
        self._below[:, :, col : col + width] = column[:, -before:]
        if col + width == self._shape[1]:
            self._above, self._below = self._below, self._above
        return patch
