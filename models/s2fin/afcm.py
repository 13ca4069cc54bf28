"""AFCM, the adaptive frequency channel module: fuses the two images' features in the stem, the shallowest stage.

Published role (arXiv 2510.04628): it fuses low-frequency structure with enhanced high-frequency detail, with learned
weights. The equations below are this project's reconstruction of that role, not the paper's.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from s2fin.frequency import full_precision
from s2fin.pointwise import Linear


class AFCM(nn.Module):
    """Tells what the surroundings of each pixel look like: the low frequencies of both images, and the high of each.

    Equation (ours), for the features X_m of both images m: L_m = mean of X_m over the `size` square around each pixel,
    a low-pass; H_m = the root of the mean of (X_m - L_m)^2 over that square, L_m that of its centre: how strong what
    the low-pass takes away is, by channel; out_m = W_m GELU[L_1; L_2; H_m].
    NOTE: the strength and not the detail itself, since the detail beyond a pixel's neighbours differs from place to
    place. It runs once a pixel, so that it can look far beyond a window.
    """

    def __init__(self, channels: int, *, size: int) -> None:
        super().__init__()
        self.size = size
        self.act = nn.GELU()
        self.out = nn.ModuleList(Linear(3 * channels, channels) for _ in range(2))

    def forward(self, image: Tensor, aux: Tensor) -> list[Tensor]:
        """Give what is to be added to the features of either image, (B, H - size + 1, W - size + 1, C).

        Args:
            image: features (B, H, W, C) of single pixels.
            aux: likewise of the second image.
        """
        (low_image, high_image), (low_aux, high_aux) = (local_statistics(maps, self.size) for maps in (image, aux))
        return [
            out(self.act(torch.cat([low_image, low_aux, high], dim=3)))
            for out, high in zip(self.out, (high_image, high_aux), strict=True)
        ]


def local_statistics(maps: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation over the `size` square around each pixel.

    Args:
        maps: (B, H, W, C).
        size: pixels a side, odd.

    Returns:
        two tensors (B, H - size + 1, W - size + 1, C); nothing is padded.
    """
    with torch.autocast(maps.device.type, enabled=False):
        maps = full_precision(maps)
        mean = _box_mean(maps, size)
        variance = _box_mean(maps.square(), size) - mean.square()
        # NOTE: the small term keeps the root's gradient finite where the surroundings are flat.
        return mean, (variance.clamp_min(0) + 1e-4).sqrt()


def _box_mean(maps: Tensor, size: int) -> Tensor:
    """Mean over squares, as a product with a banded matrix along either axis: its backward pass is one too."""
    batch, height, width, channels = maps.shape
    rows = _band_matrix(height, size, maps) @ maps.reshape(batch, height, width * channels)
    columns = _band_matrix(width, size, maps) @ rows.view(batch * rows.shape[1], width, channels)
    return columns.view(batch, rows.shape[1], -1, channels)


def _band_matrix(side: int, size: int, like: Tensor) -> Tensor:
    """(side - size + 1, side): each row averages `size` neighbours."""
    ones = torch.ones(side - size + 1, side, dtype=like.dtype, device=like.device)
    return ones.triu().tril(size - 1) / size
