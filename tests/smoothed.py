"""Smoothing of a whole raster at once, which smoothing tile by tile is compared with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch.nn import functional as F

from s2fin_cli.inference.smoothing import RADIUS, smooth

if TYPE_CHECKING:
    from torch import Tensor


def smooth_all(probs: Tensor, guide: Tensor, valid: Tensor) -> Tensor:
    """Smoothed probabilities (num_classes, height, width), 0 where they are not valid."""
    beyond = (RADIUS,) * 4
    return smooth(F.pad(probs, beyond), F.pad(guide, beyond), F.pad(valid, beyond))
