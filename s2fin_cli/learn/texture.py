"""What lies around a pixel, told by patches of the scene itself: texture, for the teacher.

Means and deviations of the surroundings do not know how values are arranged. How like a pixel's 3 x 3 neighbours are to
each of many patches drawn from the scene does, and it needs no label: patches of a scene as filters, after Xu et al.
(2018, random patches network), whitened and with the "triangle" activation of Coates, Ng and Lee (2011).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

#: Patches that others are compared with, and pixels a side.
WORDS, SIDE = 128, 3
#: Leading directions of the patches that are compared, at most; and what is added to their variances before these
#: become 1, as a share of their mean, so that noise is not blown up.
DIRECTIONS, REGULARISATION = 48, 0.05


@dataclass(frozen=True)
class Dictionary:
    """Patches of a scene, whitened.

    Attributes:
        mean: (C SIDE SIDE,), of the patches.
        whitening: (C SIDE SIDE, D), from the difference to it to values of about variance 1.
        words: (K, D), whitened patches.
    """

    mean: Tensor
    whitening: Tensor
    words: Tensor

    @classmethod
    def of(cls, patches: Tensor, generator: torch.Generator) -> Dictionary:
        """A dictionary of patches (n, C SIDE SIDE) of a scene, some of which become its words.

        Computed in float64 on the CPU, where the same patches give the same dictionary whatever the device.
        """
        device, values = patches.device, patches.cpu().double()
        mean = values.mean(dim=0)
        variances, axes = torch.linalg.eigh((values - mean).T @ (values - mean) / len(values))
        variances, axes = variances[-DIRECTIONS:].clamp_min(0), axes[:, -DIRECTIONS:]
        whitening = axes / (variances + REGULARISATION * variances.mean() + 1e-12).sqrt()
        chosen = torch.randperm(len(values), generator=generator)[:WORDS]
        words = (values[chosen] - mean) @ whitening
        return cls(*(part.float().to(device) for part in (mean, whitening, words)))

    def likeness(self, maps: Tensor) -> Tensor:
        """How like each word the patches of maps (B, H, W, C) are, (B, H - SIDE + 1, W - SIDE + 1, K).

        0 for words that are further off than the mean word, and the more the nearer they are.
        """
        whitened = (patches_of(maps) - self.mean) @ self.whitening
        distances = torch.cdist(whitened.flatten(0, 2), self.words).view(*whitened.shape[:3], -1)
        return (distances.mean(dim=3, keepdim=True) - distances).clamp_min(0)


def patches_of(maps: Tensor) -> Tensor:
    """All patches (B, H - SIDE + 1, W - SIDE + 1, C SIDE SIDE) of maps (B, H, W, C)."""
    return maps.unfold(1, SIDE, 1).unfold(2, SIDE, 1).flatten(3)
