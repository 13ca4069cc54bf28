"""The stem: spectral tokens and maps of each pixel, without padding.

Published (arXiv 2510.04628): the three inputs, and AFCM in the shallow layers. The embedding, the convolutions and how
AFCM's output enters are this project's reconstruction, see `docs/network.md`.

Over a tile the stem runs once a pixel, and the stages once a pixel of each window, which is 49 times as often at the
default size. So the wide layers, and everything that looks beyond the window, are here.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from s2fin.afcm import AFCM
from s2fin.config import HALO, S2FinConfig
from s2fin.initialisation import INITIAL_STD
from s2fin.layout import crop
from s2fin.pointwise import Linear


class StemMaps(NamedTuple):
    """The output of the stem for each pixel.

    Attributes:
        tokens: (B, N, d, h, w).
        image, aux: maps (B, D, h, w) of both images.
        logits: (B, num_classes, h, w), AFCM's own logits of each pixel; 0 without AFCM.
    """

    tokens: Tensor
    image: Tensor
    aux: Tensor
    logits: Tensor


class TokenEmbedding(nn.Module):
    """Embeds each contiguous group of bands over 3 x 3 pixels as one token, and adds the token's learned position."""

    def __init__(self, cfg: S2FinConfig) -> None:
        super().__init__()
        self.shape = (cfg.num_tokens, cfg.width)
        channels = cfg.num_tokens * cfg.group_size
        self.missing = channels - cfg.in_channels
        self.conv = nn.Conv2d(channels, cfg.num_tokens * cfg.width, 3, groups=cfg.num_tokens)
        self.position = nn.Parameter(torch.empty(self.shape))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw small positions."""
        nn.init.normal_(self.position, std=INITIAL_STD)

    def forward(self, x: Tensor, *, stride: int = 1) -> Tensor:
        """Embed an image (B, C, h + 2, w + 2) as tokens (B, h, w, N, d), or every `stride`-th of its pixels."""
        x = nn.functional.pad(x, (0, 0, 0, 0, 0, self.missing)) if self.missing else x
        tokens = nn.functional.conv2d(x, self.conv.weight, self.conv.bias, stride, groups=self.conv.groups)
        return tokens.permute(0, 2, 3, 1).reshape(*tokens.shape[:1], *tokens.shape[2:], *self.shape) + self.position


class MapStem(nn.Module):
    """Mixes the bands of each pixel of both images, convolves over 3 x 3, and adds AFCM's output.

    Equation (ours), for both images x_m: y_m = GELU(U_m x_m); out_m = LN(V_m GELU(conv(y_m)) + W_m AFCM), with AFCM
    the module's output at the pixel.
    """

    def __init__(self, cfg: S2FinConfig) -> None:
        super().__init__()
        channels, width = (cfg.in_channels + cfg.components, cfg.aux_channels), cfg.map_width
        self.mix = nn.ModuleList(nn.Sequential(Linear(count, width), nn.GELU()) for count in channels)
        self.conv = nn.ModuleList(nn.Conv2d(width, 2 * width, 3) for _ in channels)
        self.narrow = nn.ModuleList(nn.Sequential(nn.GELU(), Linear(2 * width, width)) for _ in channels)
        self.afcm = _afcm(cfg) if cfg.afcm else None
        self.add = nn.ModuleList(Linear(cfg.context_width, width) for _ in channels if cfg.afcm)
        self.num_classes, self.aux_from_image = cfg.num_classes, cfg.aux_from_image
        self.norm = nn.ModuleList(nn.LayerNorm(width) for _ in channels)

    def forward(self, x: Tensor, a: Tensor, context: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Compute both maps (B, D, h, w) and AFCM's logits (B, num_classes, h, w), stored channels last.

        Args:
            x: the image, (B, C + components, h + 2, w + 2).
            a: the second image, (B, C', h + 2, w + 2).
            context: context of the pixels, (B, h, w, C'').
        """
        mixed = [mix(part.permute(0, 2, 3, 1)) for mix, part in zip(self.mix, (x, a), strict=True)]
        near = [_convolve(conv, part) for conv, part in zip(self.conv, mixed, strict=True)]
        maps = [narrow(part) for narrow, part in zip(self.narrow, near, strict=True)]
        if self.afcm is None:
            logits = context.new_zeros(*context.shape[:3], self.num_classes)
        else:
            values = self.values(crop(x, HALO), crop(a, HALO)).permute(0, 2, 3, 1)
            fused = self.afcm(values, context)
            maps = [own + add(fused) for own, add in zip(maps, self.add, strict=True)]
            logits = self.afcm.classify(fused)
        image, aux = (norm(part).permute(0, 3, 1, 2) for norm, part in zip(self.norm, maps, strict=True))
        return image, aux, logits.permute(0, 3, 1, 2)

    def values(self, x: Tensor, a: Tensor) -> Tensor:
        """Join the channels (B, C, ...) that AFCM takes; without a second image of its own, the first one's alone."""
        return x if self.aux_from_image else torch.cat([x, a], dim=1)


def _afcm(cfg: S2FinConfig) -> AFCM:
    values = cfg.in_channels + cfg.context_channels
    context = 2 * len(cfg.context_scales) * cfg.context_channels
    return AFCM(values + context, cfg.context_width, num_classes=cfg.num_classes)


def _convolve(conv: nn.Module, maps: Tensor) -> Tensor:
    """Convolve maps (B, H, W, C), channels last before and after."""
    convolved: Tensor = conv(maps.permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last))
    return convolved.permute(0, 2, 3, 1)
