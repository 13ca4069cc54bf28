"""The head: the logits of a window's pixels. Only the class of the centre pixel is published; all of this is ours."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from s2fin.config import S2FinConfig
from s2fin.initialisation import INITIAL_STD, Classifier
from s2fin.layout import pick
from s2fin.pointwise import Linear
from s2fin.scan import SelectiveScan
from s2fin.stages import StageMaps


class CentredPooling(nn.Module):
    """Pools a map around its centre at several trained scales.

    Equation (ours): token k is the mean of the positions, weighted by softmax(-r^2 / (2 sigma_k^2)), r in positions
    from the centre; sigma starts spread from half a position to the whole window.
    """

    radius_squared: Tensor

    def __init__(self, side: int, count: int) -> None:
        super().__init__()
        self.side = side
        axis = torch.arange(side, dtype=torch.float32) - (side - 1) / 2
        self.register_buffer("radius_squared", (axis[:, None] ** 2 + axis**2).flatten(), persistent=False)
        self.log_sigma = nn.Parameter(torch.empty(count))
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Spread the scales from half a position to the whole window."""
        self.log_sigma.copy_(torch.linspace(0.5, self.side / 2, len(self.log_sigma)).log())

    def forward(self, maps: Tensor) -> Tensor:
        """Pool maps (B, side * side, C) to tokens (B, count, C)."""
        weights = torch.softmax(-0.5 * self.radius_squared * torch.exp(-2 * self.log_sigma)[:, None], dim=1)
        return weights @ maps


class Head(nn.Module):
    """Classifies pixels of a window by their own features and by the window's.

    Equation (ours): both deep maps are pooled to tokens, the sequence of all tokens is scanned, and m are the means of
    the three sources. The logits of a pixel are W GELU(W_x LN[X_1; X_2] + W_m LN(m)), X_1 and X_2 the fine maps there;
    AFCM's logits are added to them.
    NOTE: so a window serves a block of pixels, and a pixel's own features reach its logits by a short path.
    """

    def __init__(self, cfg: S2FinConfig) -> None:
        super().__init__()
        self.sizes = [cfg.num_tokens, cfg.map_tokens, cfg.map_tokens]
        self.pool = nn.ModuleList(CentredPooling(cfg.deep_size, cfg.map_tokens) for _ in range(2))
        self.project = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(cfg.deep_width), Linear(cfg.deep_width, cfg.width)) for _ in range(2)
        )
        self.position = nn.Parameter(torch.empty(2 * cfg.map_tokens, cfg.width))
        self.reset_parameters()  # NOTE: here, because a seed's weights depend on the order of all draws
        self.scan = SelectiveScan(cfg.width, state_size=cfg.state_size, heads=cfg.heads) if cfg.scan else None
        self.of_window = nn.Sequential(nn.LayerNorm(3 * cfg.width), Linear(3 * cfg.width, cfg.deep_width))
        self.of_pixel = nn.Sequential(nn.LayerNorm(2 * cfg.map_width), Linear(2 * cfg.map_width, cfg.deep_width))
        self.act = nn.GELU()
        self.dropout = nn.Dropout(cfg.dropout)
        self.classify = Classifier(cfg.deep_width, cfg.num_classes)

    def reset_parameters(self) -> None:
        """Draw small positions."""
        nn.init.normal_(self.position, std=INITIAL_STD)

    def forward(self, maps: StageMaps, positions: Tensor) -> Tensor:
        """Compute logits (B, n, num_classes) at positions of the windows, (n,) of all or each window's own (B, n)."""
        fine = torch.cat([pick(part, positions) for part in maps.fine], dim=2)
        hidden = self.of_pixel(fine) + self.of_window(self.sources(maps)).unsqueeze(1)
        logits: Tensor = self.classify(self.dropout(self.act(hidden)))
        return logits

    def sources(self, maps: StageMaps) -> Tensor:
        """Compute the means (B, 3 d) of the tokens of each source: spectrum, image, second image."""
        pooled = [
            project(pool(part))
            for project, pool, part in zip(self.project, self.pool, (maps.image, maps.aux), strict=True)
        ]
        sequence = torch.cat([maps.tokens, torch.cat(pooled, dim=1) + self.position], dim=1)
        if self.scan is not None:
            sequence = self.scan(sequence)
        return torch.cat([source.mean(dim=1) for source in torch.split(sequence, self.sizes, dim=1)], dim=1)
