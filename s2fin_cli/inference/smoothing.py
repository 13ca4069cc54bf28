"""Smoothing of class probabilities along the image: similar neighbours vote on each other's class.

A joint bilateral filter (Petschnigg et al. 2004; Eisemann and Durand 2004) with Tukey's biweight as its weight, over
squares of pixels. It is ours, not part of the network.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, NamedTuple

import torch
from rasterio.windows import Window
from torch import Tensor
from torch.nn import functional as F

from s2fin_cli.core.images import Images
from s2fin_cli.stack.guide import COMPONENTS, guide_parts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from s2fin import Standardizer

#: Pixels on each side that vote.
RADIUS = 3
#: Pixels this far apart in the guide, or farther, do not vote: in standard deviations of the scene's components.
VOTE_RANGE = 0.75


class Prediction(NamedTuple):
    """Probabilities of a window.

    Attributes:
        window: where they are in the stack's grid.
        probs: float32 (num_classes, height, width) on the CPU, meaningless where `valid` is False.
        valid: (height, width), the pixels that were classified.
        measures: float32 (n, height, width), what else is known of the pixels; smoothing leaves it as it is.
    """

    window: Window
    probs: Tensor
    valid: Tensor
    measures: Tensor


@torch.inference_mode()
def guide_of(standardizer: Standardizer, images: Images[Tensor]) -> Tensor:
    """The features by which pixels are compared: the image's leading components, and any bands of the second image.

    Args:
        standardizer: standardizer of the scene that the network was trained on.
        images: raw values (bands, height, width), NaN where there is no data.

    Returns:
        float32 (n, height, width) on the CPU. The squared distance of two pixels is the mean of the squared differences
        of their components, plus that of their bands of the second image, both standardised.
    """
    device, bands = standardizer.device, standardizer.bands
    x, a = standardizer(*images.map(lambda part: part[None].to(device)))
    weights = standardizer.components[:COMPONENTS, :, None, None]
    components = torch.zeros(len(weights), *x.shape[2:], device=device)
    # NOTE: band by band, because the rounding of a matrix product depends on its size, and so the map would depend on
    # that of the tiles.
    for band in range(bands):
        components += weights[:, band] * x[0, band]
    compared = Images(components, None if images.aux is None else a[0])
    return torch.cat(guide_parts(compared.map(Tensor.cpu)))


@torch.inference_mode()
def smooth(probs: Tensor, guide: Tensor, valid: Tensor) -> Tensor:
    """Weighted means of probabilities over squares of 2 `RADIUS` + 1 pixels.

    NOTE: only sums and products, pixel by pixel in one order, so that a pixel's result does not depend on the size of
    the part that it is computed in; exponentials differ in the last bit by a value's place in memory.

    Args:
        probs: (num_classes, height, width).
        guide: (n, height, width), see `guide_of`.
        valid: (height, width), which pixels vote.

    Returns:
        (num_classes, height - 2 `RADIUS`, width - 2 `RADIUS`), of the inner pixels; 0 where they are not valid.
    """
    height, width = (size - 2 * RADIUS for size in valid.shape)
    centre = _shifted(guide, RADIUS, RADIUS, height, width)
    total = torch.zeros(height, width)
    result = torch.zeros(len(probs), height, width)
    for row, col in itertools.product(range(2 * RADIUS + 1), repeat=2):
        distance = torch.zeros(height, width)
        for own, other in zip(centre, _shifted(guide, row, col, height, width), strict=True):
            distance += (own - other).square_()
        weight = (1 - distance / VOTE_RANGE**2).clamp_(min=0).square_() * _shifted(valid, row, col, height, width)
        total += weight
        result += weight * _shifted(probs, row, col, height, width)
    inner = _shifted(valid, RADIUS, RADIUS, height, width)
    return torch.where(inner, result / total, 0)


def _shifted(values: Tensor, row: int, col: int, height: int, width: int) -> Tensor:
    return values[..., row : row + height, col : col + width]


def around(mask: Tensor, by: int = RADIUS) -> Tensor:
    """A mask (height, width) with the pixels added that are at most `by` rows and columns away."""
    return F.max_pool2d(mask[None].float(), 2 * by + 1, stride=1, padding=by)[0] > 0


class Smoother:
    """Smooths predictions that come tile by tile, row by row: each pixel as soon as all of its square is there.

    It keeps the pixels that are not smoothed yet, and those that they need: the last rows of all tiles above, and the
    last columns of the tile before.

    Attributes:
        guide: makes the guide from a tile's raw values, see `guide_of`.
    """

    def __init__(self, extent: Window, guide: Callable[[Images[Tensor]], Tensor]) -> None:
        """Begin.

        Args:
            extent: what the tiles cover.
            guide: makes the guide from a tile's raw values.
        """
        self.guide = guide
        self._extent, self._shape = extent, (extent.height, extent.width)
        #: Channels of probabilities, of the guide and of measures.
        self._channels = [0, 0, 0]
        self._above: Tensor | None = None
        self._below: Tensor | None = None
        self._left: Tensor | None = None

    def add(self, predicted: Prediction, guide: Tensor) -> Iterator[Prediction]:
        """Add a tile.

        Args:
            predicted: the tile's probabilities.
            guide: (n, height, width), the features by which its pixels are compared.

        Returns:
            the smoothed probabilities of the part that is complete now, if any of it is valid.
        """
        window, probs, valid, measures = predicted
        parts = [probs, guide, measures]
        self._channels = [len(part) for part in parts]
        yield from self._add(window, torch.cat([*parts, valid[None].float()]))

    def skip(self, window: Window) -> Iterator[Prediction]:
        """Add a tile in which nothing is valid, see `add`."""
        if self._above is not None:  # something came before
            yield from self._add(window, torch.zeros(len(self._above), window.height, window.width))

    def _add(self, window: Window, tile: Tensor) -> Iterator[Prediction]:
        (height, width), (rows, cols) = tile.shape[1:], self._shape
        row, col = window.row_off - self._extent.row_off, window.col_off - self._extent.col_off
        patch = self._with_those_before(row, col, tile)
        # beyond the raster's edge there is nothing to wait for
        after = (0, RADIUS * (col + width == cols), 0, RADIUS * (row + height == rows))
        patch = F.pad(patch, after)
        top, left = max(row - RADIUS, 0), max(col - RADIUS, 0)
        patch = patch[:, max(RADIUS - row, 0) :, max(RADIUS - col, 0) :]  # there is nothing before the raster's edge
        here = patch[-1] > 0
        inner = here[RADIUS:-RADIUS, RADIUS:-RADIUS]
        if inner.numel() and inner.any():
            probs, guide, measures = torch.split(patch[:-1], self._channels)
            placed = Window(self._extent.col_off + left, self._extent.row_off + top, inner.shape[1], inner.shape[0])
            yield Prediction(placed, smooth(probs, guide, here), inner, measures[:, RADIUS:-RADIUS, RADIUS:-RADIUS])

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
