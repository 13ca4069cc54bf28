"""AFCM, the adaptive frequency channel module: fuses a pixel's values with statistics of its surroundings.

Published role (arXiv 2510.04628): in the shallow layers, it fuses low-frequency structure with enhanced high-frequency
detail, with learned weights. The equations below are this project's reconstruction of that role, not the paper's.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from s2fin.frequency import full_precision
from s2fin.pointwise import Linear

#: Scaled values are clipped to this many deviations, which limits the influence of outliers.
MOST_DEVIATIONS = 8.0
#: Channels with a smaller standard deviation are not scaled.
SMALLEST = 1e-6


class AFCM(nn.Module):
    """Fuses a pixel's values with the low frequencies at several scales and the strength of the high ones.

    Equation (ours): let X be the pixel's own bands, components and second image, and Y its components and second image
    alone. The low-pass k is the mean over a square of 3, 7, 15 or 31 pixels: L_k = mean_k Y. The strength of what it
    removes is H_k = sqrt(mean_k (Y - L_k)^2), by channel, with L_k that of the square's centre.
    Z = [X; L_1; H_1; L_2; H_2; ...], each channel scaled by its mean and deviation over the training pixels and clipped
    at 8 deviations; out = GELU(W GELU(V Z)); logits = U out (`classify`).
    NOTE: the strength of the detail and not the detail itself, since the detail beyond a pixel's neighbours differs
    from place to place. No weight comes before the statistics, so that no gradient has to pass through them.

    Args:
        channels: channels of a pixel's values and context, together.
        width: channels of the output.
        num_classes: number of classes.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, channels: int, width: int, *, num_classes: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("std", torch.ones(channels))
        self.fuse = nn.Sequential(Linear(channels, width), nn.GELU(), Linear(width, width), nn.GELU())
        self.classify = Linear(width, num_classes)

    def forward(self, values: Tensor, context: Tensor) -> Tensor:
        """Fuse pixels' values (..., C) and context (..., C''), channels last, to (..., width)."""
        scaled = torch.cat([values, context], dim=-1)
        # in place, as it is much wider than anything computed from it
        fused: Tensor = self.fuse(scaled.sub_(self.mean).div_(self.std).clamp_(-MOST_DEVIATIONS, MOST_DEVIATIONS))
        return fused

    @torch.no_grad()
    def set_statistics(self, values: Tensor, context: Tensor) -> None:
        """Scale by the means and deviations over pixels, of their values (n, C) and context (n, C'')."""
        std, mean = torch.std_mean(torch.cat([values, context], dim=-1), dim=0, correction=0)
        self.mean.copy_(mean)
        self.std.copy_(torch.where(std > SMALLEST, std, torch.ones_like(std)))


def context_of(maps: Tensor, scales: tuple[int, ...]) -> Tensor:
    """Compute the low frequencies and the strength of the high ones around each pixel, at each scale.

    Args:
        maps: (B, H, W, C).
        scales: sides of the squares in pixels, odd, ascending.

    Returns:
        (B, H - s + 1, W - s + 1, 2 C len(scales)), s the largest scale; nothing is padded.
    """
    parts: list[Tensor] = []
    for scale in scales:
        border = (scales[-1] - scale) // 2
        inner = maps[:, border : maps.shape[1] - border, border : maps.shape[2] - border]
        parts += local_statistics(inner, scale)
    return torch.cat(parts, dim=3)


def local_statistics(maps: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Compute mean and standard deviation over the `size` x `size` square around each pixel.

    Args:
        maps: (B, H, W, C).
        size: pixels along one side, odd.

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
    """Mean over squares, as a product with a banded matrix along each axis, as is its backward pass."""
    batch, height, width, channels = maps.shape
    rows = _band_matrix(height, size, maps) @ maps.reshape(batch, height, width * channels)
    columns = _band_matrix(width, size, maps) @ rows.view(batch * rows.shape[1], width, channels)
    return columns.view(batch, rows.shape[1], -1, channels)


def _band_matrix(side: int, size: int, like: Tensor) -> Tensor:
    """(side - size + 1, side): each row averages `size` neighbours."""
    ones = torch.ones(side - size + 1, side, dtype=like.dtype, device=like.device)
    return ones.triu().tril(size - 1) / size
