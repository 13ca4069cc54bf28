"""HFSET, the high-frequency sparse enhancement transformer: refines the spectral tokens of a pixel.

Published role (arXiv 2510.04628): sparse spatial-spectral attention optimises the parameters of a high-frequency
filter with a trainable frequency threshold, which enhances discriminative high-frequency components of spectral
signatures. The equations below are this project's reconstruction of that role, not the paper's.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from s2fin.frequency import HighPass, full_precision, irdft, rdft
from s2fin.initialisation import ResidualLinear
from s2fin.pointwise import Linear
from s2fin.selection import nth_largest


def sparse_softmax(scores: Tensor, keep: int) -> Tensor:
    """Softmax over the last axis of the `keep` largest scores of each row; the others get weight 0."""
    if keep >= scores.shape[-1]:
        return scores.softmax(dim=-1)
    known = scores.detach()
    return scores.masked_fill(known < nth_largest(known, keep), -math.inf).softmax(dim=-1)


class SparseGain(nn.Module):
    """Computes the gain of the filter by sparse attention over tokens and over channels.

    Equation (ours), for tokens Y (N, d), with Q, K, V linear in Y and split over heads:
    O_t = topk-softmax(Q K' / sqrt(d_h)) V over the tokens, O_c = (topk-softmax(Q' K / sqrt(N)) V')' over the channels,
    G = sigmoid(W [mean O_t; mean O_c]), means over the tokens. NOTE: only these means are needed, and a mean over the
    queries goes before the product with V, so that the attention costs little more than its projections.
    """

    def __init__(self, width: int, *, num_tokens: int, heads: int, topk: float) -> None:
        super().__init__()
        self.heads = heads
        # a softmax over a single key is constant, and would leave Q and K without a gradient
        self.keep_tokens = max(2, math.ceil(topk * num_tokens))
        self.keep_channels = max(2, math.ceil(topk * (width // heads)))
        self.qkv = Linear(width, 3 * width)
        self.gain = Linear(2 * width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        """Compute gains (M, 1, d), 0 to 1, of tokens (M, N, d)."""
        m, n, width = tokens.shape
        qkv = self.qkv(tokens).view(m, n, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)  # each (M, heads, N, d_h)
        over_tokens = sparse_softmax(q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1]), self.keep_tokens)
        from_tokens = over_tokens.mean(dim=-2, keepdim=True) @ v  # (M, heads, 1, d_h)
        over_channels = sparse_softmax(q.transpose(-1, -2) @ k / math.sqrt(n), self.keep_channels)
        from_channels = over_channels @ v.mean(dim=-2).unsqueeze(-1)  # (M, heads, d_h, 1)
        both = torch.cat([from_tokens.reshape(m, width), from_channels.reshape(m, width)], dim=1)
        return torch.sigmoid(self.gain(both)).unsqueeze(1)


class HFSET(nn.Module):
    """One layer: attention sets the gain of a high-pass filter along the spectral axis, then a feed-forward part.

    Equation (ours): Y = LN(Z); Z <- Z + W F^-1(F(Y) . (1 + G . M)); Z <- Z + FFN(LN(Z)), with F the real DFT along the
    tokens, M the high-pass mask with one trainable threshold a channel, and G the gain of `SparseGain`.
    """

    def __init__(
        self, width: int, *, num_tokens: int, heads: int, topk: float, temperature: float, hard: bool, dropout: float
    ) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.gain = SparseGain(width, num_tokens=num_tokens, heads=heads, topk=topk)
        self.high_pass = HighPass(width, temperature=temperature, hard=hard, lowest=0.15, highest=0.65)
        self.out = ResidualLinear(width, width)
        self.ffn = nn.Sequential(
            nn.LayerNorm(width),
            Linear(width, 2 * width),
            nn.GELU(),
            nn.Dropout(dropout),
            ResidualLinear(2 * width, width),
        )

    def forward(self, tokens: Tensor) -> Tensor:
        """Refine tokens (M, N, d); same shape."""
        y = self.norm(tokens)
        tokens = tokens + self.out(self.enhance(y, self.gain(y)))
        refined: Tensor = tokens + self.ffn(tokens)
        return refined

    def enhance(self, tokens: Tensor, gain: Tensor) -> Tensor:
        """Amplify the high frequencies of tokens (M, N, d) along N by gains (M, 1, d)."""
        shape = (tokens.shape[1],)
        with torch.autocast(tokens.device.type, enabled=False):
            spectrum = rdft(full_precision(tokens), shape)
            amplified = spectrum * (1 + full_precision(gain) * self.high_pass(shape)).unsqueeze(1)
            return irdft(amplified, shape)
