"""A bidirectional selective scan over a short sequence, computed in closed form.

Published (arXiv 2510.04628 and its summaries): Mamba blocks fuse over long range; their position in the network is not
known to us. The block below is this project's choice: a selective state space with one scalar decay per head, as in
Mamba-2 (Dao and Gu, arXiv 2405.21060), run in both directions.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from s2fin.frequency import full_precision
from s2fin.initialisation import ResidualLinear
from s2fin.pointwise import Linear


def scan_kernel(decay: Tensor, step: Tensor) -> Tensor:
    """Compute how much position t takes from position s, (B, H, L, L) by t and s, but for the states' products.

    Args:
        decay: log decays of the forward and the backward direction at each position, all <= 0, (2, B, H, L).
        step: their step sizes, (2, B, H, L).

    Equation (ours): forward h_t = exp(a_t) h_{t-1} + u_t B_t x_t, backward h_t = exp(b_t) h_{t+1} + v_t B_t x_t.
    Unrolled, position t takes exp(a_{s+1} + ... + a_t) u_s from s <= t, and exp(b_t + ... + b_{s-1}) v_s from s >= t.
    NOTE: sums of decays are differences of one cumulative sum, so no loop; every exponent is <= 0, so no overflow.
    """
    total = decay.cumsum(dim=-1)
    ahead, back = total[0], total[1] - decay[1]
    length = decay.shape[-1]
    past = torch.ones(length, length, dtype=torch.bool, device=decay.device).tril()  # s <= t
    ahead_exponent = ahead.unsqueeze(-1) - ahead.unsqueeze(-2)
    back_exponent = back.unsqueeze(-2) - back.unsqueeze(-1)
    kernel = torch.where(past, ahead_exponent, back_exponent).exp()
    kernel = kernel * torch.where(past, step[0].unsqueeze(-2), step[1].unsqueeze(-2))
    return kernel + torch.diag_embed(step[1])  # a position takes from itself in both directions


class SelectiveScan(nn.Module):
    """A residual block that mixes the positions of a sequence by a selective state space in both directions.

    Equation (ours), for a sequence S: x, z, B, C, dt = W_in LN(S); x <- SiLU(x); step = softplus(dt + bias) for either
    direction and head; log decay = -exp(A) step; y_t = sum_s kernel[t, s] (C_t . B_s) x_s + D x_t, see `scan_kernel`;
    S <- S + W_out LN(y . SiLU(z)).
    """

    def __init__(self, width: int, *, state_size: int, heads: int) -> None:
        super().__init__()
        self.inner = 2 * width
        self.state_size = state_size
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.into = Linear(width, 2 * self.inner + 2 * state_size + 2 * heads)
        self.step_bias = nn.Parameter(torch.empty(2, heads))
        self.log_decay = nn.Parameter(torch.empty(2, heads))
        self.skip = nn.Parameter(torch.empty(self.inner))
        self.inner_norm = nn.LayerNorm(self.inner)
        self.out = ResidualLinear(self.inner, width)
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Spread the memory of the heads from a few positions to the whole sequence."""
        nn.init.ones_(self.skip)
        self.log_decay.zero_()
        # softplus(bias) is the decay a position: 0.5 forgets within two, 0.02 reaches over all of a short sequence
        steps = torch.logspace(-1.7, -0.3, self.heads)
        self.step_bias.copy_(torch.log(torch.expm1(steps)))

    def forward(self, sequence: Tensor) -> Tensor:
        """Mix a sequence (B, L, d); same shape."""
        sizes = [self.inner, self.inner, self.state_size, self.state_size, 2 * self.heads]
        x, z, key, query, dt = self.into(self.norm(sequence)).split(sizes, dim=2)
        y = self.scan(F.silu(x), dt, key=key, query=query)
        mixed: Tensor = sequence + self.out(self.inner_norm(y * F.silu(z)))
        return mixed

    def scan(self, x: Tensor, dt: Tensor, *, key: Tensor, query: Tensor) -> Tensor:
        """Run both directions over x (B, L, inner), with dt (B, L, 2 H) and key, query (B, L, state)."""
        batch, length, _ = x.shape
        with torch.autocast(x.device.type, enabled=False):
            x, dt, key, query = (full_precision(t) for t in (x, dt, key, query))
            dt = dt.view(batch, length, 2, self.heads).permute(2, 0, 3, 1)
            step = F.softplus(dt + self.step_bias[:, None, :, None])
            kernel = scan_kernel(-self.log_decay.exp()[:, None, :, None] * step, step)
            mix = kernel * (query @ key.mT).unsqueeze(1)
            heads = x.view(batch, length, self.heads, -1).transpose(1, 2)
            y = (mix @ heads).transpose(1, 2).reshape(batch, length, self.inner)
            return torch.addcmul(y, self.skip, x)
