"""Likeness: how the pixels of a tile compare with the reference pixels that a model keeps of its training data."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from s2fin_cli.core.device import in_threads_of_their_own
from s2fin_cli.core.images import Images
from s2fin_cli.stack.guide import AROUND, FEW_BANDS, compared_parts

if TYPE_CHECKING:
    from s2fin import Standardizer
    from s2fin_cli.inference.engine import Predictor
    from s2fin_cli.model.reference import ReferencePixels


class Likeness:
    """Measures the pixels of tiles.

    NOTE: squares of `Predictor.batch_side` pixels are measured one by one, in the same shapes wherever they are, so
    that rounding does not depend on the tiles, as with the engine.

    Attributes:
        reference: the model's reference pixels.
    """

    def __init__(self, reference: ReferencePixels, standardizer: Standardizer, predictor: Predictor) -> None:
        """Begin.

        Args:
            reference: the model's reference pixels.
            standardizer: standardizer of the scene that the model was trained on; its device computes.
            predictor: what classifies the tiles, whose batches and margin the tiles have.
        """
        self.reference, self._standardizer = reference, standardizer
        self._side, self._margin = predictor.batch_side, predictor.margin

    def __call__(self, images: Images[Tensor], valid: Tensor) -> Tensor:
        """Measure a tile.

        Args:
            images: raw values (bands, height + 2 margin, width + 2 margin), NaN where there is no data.
            valid: (height, width), the pixels to classify, on the CPU.

        Returns:
            float32 (n, height, width) on the CPU, `MEASURES` of `s2fin_cli.inference.uncertainty`; 0 where no pixel
            nearby is valid.
        """
        side, (height, width) = self._side, valid.shape
        measures = torch.zeros(2, -(-height // side) * side, -(-width // side) * side)
        corners = [
            (row, col)
            for row in range(0, height, side)
            for col in range(0, width, side)
            if valid[row : row + side, col : col + side].any()
        ]

        def measure(corner: tuple[int, int]) -> Tensor:
            with torch.inference_mode():
                return self._measure(images.map(lambda part: self._square(part, *corner)))

        squares = in_threads_of_their_own(measure, corners)
        for (row, col), found in zip(corners, squares, strict=True):
            measures[:, row : row + side, col : col + side] = found
        return measures[:, :height, :width]

    def _square(self, values: Tensor, row: int, col: int) -> Tensor:
        """Values (bands, side + 2 `AROUND`, ...) of a square of a tile with what is around it, NaN beyond the tile."""
        top, left = (start + self._margin - AROUND for start in (row, col))
        side = self._side + 2 * AROUND
        part = values[:, top : top + side, left : left + side].to(self._standardizer.device)
        padding = (0, side - part.shape[2], 0, side - part.shape[1])
        return F.pad(part, padding, value=torch.nan) if any(padding) else part

    def _measure(self, images: Images[Tensor]) -> Tensor:
        """Measures (2, side, side) of raw values (bands, side + 2 `AROUND`, ...)."""
        x, a = self._standardizer(*images.map(lambda part: part[None]))
        bands = self._standardizer.bands
        image = x[:, :bands] if bands <= FEW_BANDS else x[:, bands:]
        compared = Images(image, None if images.aux is None else a)
        around = compared.map(lambda part: F.avg_pool2d(part, 2 * AROUND + 1, stride=1)[0])
        features = torch.cat(compared_parts(around)).flatten(1).T.contiguous()
        index = self.reference.dissimilarity(features) / self.reference.threshold
        return torch.stack([self.reference.disagreement(features), index]).view(2, self._side, self._side).cpu()
