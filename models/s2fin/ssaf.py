"""SSAF, spatial-spectral attention fusion: lets tokens and maps inform each other in the intermediate stage.

Published role (arXiv 2510.04628): fusion of spatial and spectral information by attention, in the intermediate layers.
The equations below are this project's reconstruction of that role, not the paper's.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from s2fin.initialisation import ResidualLinear
from s2fin.pointwise import Linear


class SSAF(nn.Module):
    """The tokens gate the channels of both maps, the maps gate the positions, and the gated maps inform the tokens.

    Equation (ours), for tokens Z and maps X_m: c_m = sigmoid(U_m mean LN(Z)) by channel; s = sigmoid(V_1 X_1 + V_2 X_2)
    by position, one gate an image; Y_m = X_m . c_m . s_m; out_m = X_m + W_m Y_m;
    Z <- Z + W_t [sum Y_1 / sum s_1; sum Y_2 / sum s_2], sums over the positions.
    """

    def __init__(self, width: int, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.channel_gate = Linear(width, 2 * channels)
        self.position_gate = nn.ModuleList(Linear(channels, 2, bias=m == 0) for m in range(2))
        self.out = nn.ModuleList(ResidualLinear(channels, channels) for _ in range(2))
        self.to_tokens = Linear(2 * channels, width)

    def forward(self, tokens: Tensor, image: Tensor, aux: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Fuse tokens (B, N, d) and two maps (B, H * W, C); all keep their shape."""
        channel = torch.sigmoid(self.channel_gate(self.norm(tokens).mean(dim=1))).unsqueeze(1).chunk(2, dim=2)
        position = torch.sigmoid(self.position_gate[0](image) + self.position_gate[1](aux)).chunk(2, dim=2)
        gated = [maps * c * s for maps, c, s in zip((image, aux), channel, position, strict=True)]
        means = [y.sum(dim=1) / s.sum(dim=1) for y, s in zip(gated, position, strict=True)]
        tokens = tokens + self.to_tokens(torch.cat(means, dim=1)).unsqueeze(1)
        return tokens, image + self.out[0](gated[0]), aux + self.out[1](gated[1])
