"""The memory layout of maps: inside a window (B, H * W, C), between convolutions (B, C, H, W), channels last.

Linear layers, LayerNorm and the small DFTs take channels-last maps without a transposition.
"""

from __future__ import annotations

import torch
from torch import Tensor


def crop(planes: Tensor, border: int) -> Tensor:
    """Planes (..., H, W) without `border` pixels on each side, (..., H - 2 border, W - 2 border); a view."""
    return planes[..., border : planes.shape[-2] - border, border : planes.shape[-1] - border]


def flatten(planes: Tensor) -> Tensor:
    """(B, C, H, W) as (B, H * W, C); no copy of channels-last memory."""
    return planes.permute(0, 2, 3, 1).flatten(1, 2)


def unflatten(maps: Tensor, shape: tuple[int, int]) -> Tensor:
    """(B, H * W, C) as (B, C, H, W), a view in channels-last memory; `shape` is (H, W)."""
    return maps.view(maps.shape[0], *shape, maps.shape[2]).permute(0, 3, 1, 2)


def pick(maps: Tensor, positions: Tensor) -> Tensor:
    """Values (B, n, C) of maps (B, m, C) at the same positions (n,) of all maps, or at each map's own (B, n)."""
    if positions.ndim == 1:
        return maps[:, positions]
    return maps[torch.arange(len(maps), device=maps.device)[:, None], positions]
