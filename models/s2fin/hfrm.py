"""HFRM, the high-frequency resonance mask: emphasises where both images agree, in the deep stage.

Published role (arXiv 2510.04628): phase similarity between the modalities emphasises sharp edges and amplifies
modality-consistent regions. The equations below are this project's reconstruction of that role, not the paper's.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from s2fin.frequency import HighPass, full_precision, irdft, rdft

#: Keeps a cosine finite, and near 0, where one of the two amplitudes vanishes (features are of order 1).
EPS = 1e-3


def phase_cosine(one: Tensor, two: Tensor) -> Tensor:
    """Compute the cosine of the phase difference (B, F, C) of two spectra (B, 2, F, C).

    Equation: Re(F1 conj F2) / sqrt(|F1|^2 |F2|^2 + eps^2). NOTE: no angle(), whose gradient breaks at amplitude 0, and
    eps under the root, where it keeps the root's gradient finite too.
    """
    product = (one * two).sum(dim=1)
    powers = one.square().sum(dim=1) * two.square().sum(dim=1)
    return product * torch.rsqrt(powers + EPS**2)


class HFRM(nn.Module):
    """Amplifies the high frequencies of both maps where they resonate.

    Equation (ours): R = sigmoid(kappa (S - delta)) . M with the high-pass mask M and S the cosine of the phase
    difference of F(X_1) and F(X_2), by frequency and channel; out_m = F^-1(F(X_m) . (1 + softplus(gamma_m) R)).
    With `spatial`, for ablation: H_m = F^-1(F(X_m) . M), S the cosine between the channel vectors of H_1 and H_2 at
    each position, R = sigmoid(kappa (S - delta)); out_m = X_m + softplus(gamma_m) R . H_m.
    kappa, delta, gamma and the threshold are trained, one per channel (with `spatial`, a single kappa and delta).
    """

    def __init__(self, channels: int, *, temperature: float, hard: bool, spatial: bool) -> None:
        super().__init__()
        self.spatial = spatial
        self.high_pass = HighPass(channels, temperature=temperature, hard=hard, lowest=0.1, highest=0.5)
        size = 1 if spatial else channels
        self.kappa = nn.Parameter(torch.empty(size))
        self.delta = nn.Parameter(torch.empty(size))
        self.gamma = nn.Parameter(torch.empty(2, channels))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Start near the identity: softplus(-1.5) = 0.2."""
        nn.init.constant_(self.kappa, 4.0)
        nn.init.zeros_(self.delta)
        nn.init.constant_(self.gamma, -1.5)

    def forward(self, image: Tensor, aux: Tensor, shape: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """Amplify two maps (B, H * W, C) over `shape` (H, W); both keep their shape."""
        with torch.autocast(image.device.type, enabled=False):
            image, aux = full_precision(image), full_precision(aux)
            high = self.high_pass(shape)
            if self.spatial:
                amplified = self._by_position(
                    irdft(rdft(image, shape) * high, shape), irdft(rdft(aux, shape) * high, shape)
                )
            else:
                amplified = self._by_frequency(rdft(image, shape), rdft(aux, shape), high, shape)
            strength = F.softplus(self.gamma)
            return torch.addcmul(image, strength[0], amplified[0]), torch.addcmul(aux, strength[1], amplified[1])

    def _by_frequency(self, one: Tensor, two: Tensor, high: Tensor, shape: tuple[int, int]) -> tuple[Tensor, Tensor]:
        resonance = torch.sigmoid(self.kappa * (phase_cosine(one, two) - self.delta)) * high
        resonance = resonance.unsqueeze(1)
        return irdft(one * resonance, shape), irdft(two * resonance, shape)

    def _by_position(self, one: Tensor, two: Tensor) -> tuple[Tensor, Tensor]:
        powers = one.square().sum(dim=2, keepdim=True) * two.square().sum(dim=2, keepdim=True)
        cosine = (one * two).sum(dim=2, keepdim=True) * torch.rsqrt(powers + EPS**2)
        resonance = torch.sigmoid(self.kappa * (cosine - self.delta))
        return one * resonance, two * resonance
