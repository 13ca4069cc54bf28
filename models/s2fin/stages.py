"""The stages on a window: shallow blocks, SSAF in the intermediate stage, HFRM in the deep one.

Published (arXiv 2510.04628): the depth of SSAF and HFRM. The blocks between them are this project's choice, see
`docs/network.md`. LayerNorm only, no BatchNorm: a window's result must not depend on its batch, nor differ between
training on patches and evaluation over a tile.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn

from s2fin.config import S2FinConfig
from s2fin.hfrm import HFRM
from s2fin.initialisation import ResidualLinear
from s2fin.layout import flatten, unflatten
from s2fin.pointwise import Linear
from s2fin.ssaf import SSAF


class StageMaps(NamedTuple):
    """The output of the stages for each window.

    Attributes:
        tokens: (B, N, d).
        image, aux: deep maps (B, p * p, D') at half the resolution, p = (P + 1) / 2.
        fine: maps (B, P * P, D) of both images at full resolution, from which the deep ones were computed.
    """

    tokens: Tensor
    image: Tensor
    aux: Tensor
    fine: tuple[Tensor, Tensor]


class ConvBlock(nn.Module):
    """A residual block on maps (B, H * W, C): depthwise 3 x 3, LayerNorm, and two linear layers around a GELU."""

    def __init__(self, channels: int, *, expansion: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.mlp = nn.Sequential(
            nn.LayerNorm(channels),
            Linear(channels, expansion * channels),
            nn.GELU(),
            ResidualLinear(expansion * channels, channels),
        )

    def forward(self, maps: Tensor, shape: tuple[int, int]) -> Tensor:
        """Refine maps (B, H * W, C) over `shape` (H, W); same shape."""
        block: Tensor = maps + self.mlp(flatten(self.depthwise(unflatten(maps, shape))))
        return block


class Halve(nn.Module):
    """A 3 x 3 convolution of stride 2: maps (B, H * W, C) to (B, ceil(H / 2) * ceil(W / 2), C'), then LayerNorm.

    NOTE: with odd sides, the window's centre stays the centre of the halved window.
    """

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, out_channels, 3, stride=2, padding=1)
        self.norm = nn.LayerNorm(out_channels)

    def forward(self, maps: Tensor, shape: tuple[int, int]) -> Tensor:
        """Halve maps over `shape` (H, W)."""
        halved: Tensor = self.norm(flatten(self.conv(unflatten(maps, shape))))
        return halved


class WindowStages(nn.Module):
    """All stages on a window's tokens and two maps: blocks, SSAF, halving, HFRM, blocks.

    A part that is switched off passes its inputs on.
    """

    def __init__(self, cfg: S2FinConfig) -> None:
        super().__init__()
        width, deep = cfg.map_width, cfg.deep_width
        self.shape = (cfg.patch_size, cfg.patch_size)
        self.deep_shape = (cfg.deep_size, cfg.deep_size)
        self.shallow = nn.ModuleList(ConvBlock(width, expansion=1) for _ in range(2))
        self.ssaf = SSAF(cfg.width, width) if cfg.ssaf else None
        self.halve = nn.ModuleList(Halve(width, deep) for _ in range(2))
        self.hfrm = _hfrm(cfg) if cfg.hfrm else None
        self.deep = nn.ModuleList(ConvBlock(deep, expansion=2) for _ in range(2))

    def forward(self, tokens: Tensor, image: Tensor, aux: Tensor) -> StageMaps:
        """Process tokens (B, N, d) and maps (B, P * P, D) of both images."""
        image, aux = (block(maps, self.shape) for block, maps in zip(self.shallow, (image, aux), strict=True))
        if self.ssaf is not None:
            tokens, image, aux = self.ssaf(tokens, image, aux)
        fine = image, aux
        image, aux = (halve(maps, self.shape) for halve, maps in zip(self.halve, (image, aux), strict=True))
        if self.hfrm is not None:
            image, aux = self.hfrm(image, aux, self.deep_shape)
        image, aux = (block(maps, self.deep_shape) for block, maps in zip(self.deep, (image, aux), strict=True))
        return StageMaps(tokens, image, aux, fine)


def _hfrm(cfg: S2FinConfig) -> HFRM:
    return HFRM(
        cfg.deep_width,
        temperature=cfg.temperature,
        hard=cfg.frequency_mask == "hard",
        spatial=cfg.resonance == "spatial",
    )
