"""AFCM, the adaptive frequency channel module: fuses the two images' feature maps in the shallow stage.

Published role (arXiv 2510.04628): it fuses low-frequency structure with enhanced high-frequency detail, with learned
weights. The equations below are this project's reconstruction of that role, not the paper's.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from s2fin.frequency import HighPass, full_precision, irdft, rdft
from s2fin.pointwise import Linear


class AFCM(nn.Module):
    """Shares the low frequencies of both maps and weighs the high frequencies of each.

    Equation (ours), for the maps X_m of both images m: L_m = F^-1(F(X_m) . (1 - M)), H_m = X_m - L_m with the high-pass
    mask M (one threshold a channel); a descriptor q = [mean |L_m|, mean |H_m|] and an MLP give softmax weights w_m over
    the images and gains g_m = 1 + tanh(.), both by channel; out_m = X_m + W_m (w_1 L_1 + w_2 L_2 + g_m H_m).
    """

    def __init__(self, channels: int, *, temperature: float, hard: bool) -> None:
        super().__init__()
        self.high_pass = HighPass(channels, temperature=temperature, hard=hard, lowest=0.15, highest=0.6)
        self.weights = nn.Sequential(Linear(4 * channels, channels), nn.GELU(), Linear(channels, 4 * channels))
        self.out = nn.ModuleList(Linear(channels, channels) for _ in range(2))

    def forward(self, image: Tensor, aux: Tensor, shape: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """Fuse two maps (B, H * W, C) over `shape` (H, W); both keep their shape."""
        low_image, high_image = self.split(image, shape)
        low_aux, high_aux = self.split(aux, shape)
        parts = (low_image, low_aux, high_image, high_aux)
        descriptor = torch.cat([part.abs().mean(dim=1) for part in parts], dim=1)
        share, gain = self.weights(descriptor).view(-1, 2, 2, 1, image.shape[2]).unbind(dim=1)
        share = share.softmax(dim=1)
        gain = 1 + torch.tanh(gain)
        low = share[:, 0] * low_image + share[:, 1] * low_aux
        fused_image = image + self.out[0](torch.addcmul(low, gain[:, 0], high_image))
        fused_aux = aux + self.out[1](torch.addcmul(low, gain[:, 1], high_aux))
        return fused_image, fused_aux

    def split(self, maps: Tensor, shape: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """Give the low and the high frequencies of a map (B, H * W, C), which sum to it."""
        with torch.autocast(maps.device.type, enabled=False):
            maps = full_precision(maps)
            low = irdft(rdft(maps, shape) * (1 - self.high_pass(shape)), shape)
            return low, maps - low
