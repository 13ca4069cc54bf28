"""The real discrete Fourier transform of short axes, and masks over its frequencies.

Signals are (B, n, C): n positions (one axis, or a plane with its two axes flattened), channels last. Spectra are
(B, 2, F, C): real and imaginary part, then the F frequencies that a real transform keeps. The transform is the
orthonormal one (`norm="ortho"` of torch.fft). The masks are this project's own choice, see `docs/network.md`.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor, nn

from s2fin.pointwise import apply_matrix

# NOTE: up to this many positions one dense matrix product is about as fast as an FFT of the right layout (CPU, measured
# at 11 x 11), and needs neither that layout, nor complex numbers, nor a power of two. Beyond, its quadratic cost
# dominates.
MATRIX_LIMIT = 256


@lru_cache(maxsize=64)
def dft_matrices(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return the real DFT over `shape` and its inverse as matrices: (2 F, n) and (n, 2 F)."""
    n = math.prod(shape)
    half = (*shape[:-1], shape[-1] // 2 + 1)
    axes = tuple(range(1, len(shape) + 1))
    # NOTE: computed in float64 and then rounded, so that a model turned to float64 is exact to float64. Not a buffer: a
    # buffer is rounded once for good by .float(), and float64 buffers cannot move to every device. The cache must not
    # hold inference tensors, which autograd refuses later.
    with torch.inference_mode(mode=False), torch.no_grad():
        impulses = torch.eye(n, dtype=torch.float64).view(n, *shape)
        spectra = torch.fft.rfftn(impulses, dim=axes, norm="ortho").flatten(1)
        forward = torch.cat([spectra.real, spectra.imag], dim=1).t()
        tones = torch.eye(math.prod(half), dtype=torch.float64).view(-1, *half)
        parts = [torch.complex(tones, torch.zeros_like(tones)), torch.complex(torch.zeros_like(tones), tones)]
        waves = torch.fft.irfftn(torch.cat(parts), s=shape, dim=axes, norm="ortho").flatten(1)
        return forward.to(device, dtype).contiguous(), waves.t().to(device, dtype).contiguous()


@lru_cache(maxsize=64)
def radial_frequency(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return the distance of each kept frequency from zero, (F,), in units of the largest one."""
    with torch.inference_mode(mode=False), torch.no_grad():
        squares = torch.fft.rfftfreq(shape[-1], dtype=torch.float64) ** 2
        for size in reversed(shape[:-1]):
            squares = torch.fft.fftfreq(size, dtype=torch.float64)[:, None] ** 2 + squares
        radius = squares.flatten().sqrt()
        scaled: Tensor = radius / radius.max().clamp_min(1e-12)
        return scaled.to(device, dtype)


def rdft(signal: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Transform a signal (B, n, C) over its n = prod(shape) positions to a spectrum (B, 2, F, C)."""
    batch, n, channels = signal.shape
    if n <= MATRIX_LIMIT:
        forward, _ = dft_matrices(shape, signal.dtype, signal.device)
        return apply_matrix(forward, signal).view(batch, 2, -1, channels)
    axes = tuple(range(1, len(shape) + 1))
    spectrum = torch.fft.rfftn(signal.reshape(batch, *shape, channels), dim=axes, norm="ortho")
    spectrum = spectrum.reshape(batch, -1, channels)
    return torch.stack([spectrum.real, spectrum.imag], dim=1)


def irdft(spectrum: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Transform a spectrum (B, 2, F, C) back to the real signal (B, n, C)."""
    batch, _, _, channels = spectrum.shape
    n = math.prod(shape)
    if n <= MATRIX_LIMIT:
        _, inverse = dft_matrices(shape, spectrum.dtype, spectrum.device)
        return apply_matrix(inverse, spectrum.flatten(1, 2))
    half = (*shape[:-1], shape[-1] // 2 + 1)
    axes = tuple(range(1, len(shape) + 1))
    values = torch.complex(spectrum[:, 0], spectrum[:, 1]).reshape(batch, *half, channels)
    # NOTE: the size is given because the half spectrum does not say whether it is odd.
    signal: Tensor = torch.fft.irfftn(values, s=shape, dim=axes, norm="ortho")
    return signal.reshape(batch, n, channels)


def full_precision(signal: Tensor) -> Tensor:
    """Return half-precision values as float32, and wider ones unchanged.

    NOTE: a DFT sums many terms of either sign, and CUDA's half-precision FFT supports powers of two only; so frequency
    blocks run with autocast off, on the result of this.
    """
    return signal.float() if signal.dtype in (torch.float16, torch.bfloat16) else signal


class HighPass(nn.Module):
    """A mask (F, C) that passes the frequencies above a threshold, one per channel.

    Equation (ours): M = sigmoid((r - sigmoid(theta)) / T) with r the radial frequency in units of the largest one.
    The hard mask is 1 where r > sigmoid(theta), else 0. It gives theta no gradient, so theta is a buffer then.
    """

    theta: Tensor

    def __init__(self, channels: int, *, temperature: float, hard: bool, lowest: float, highest: float) -> None:
        super().__init__()
        self.temperature = temperature
        self.hard = hard
        self.range = (lowest, highest)
        if hard:
            self.register_buffer("theta", torch.empty(channels))
        else:
            self.theta = nn.Parameter(torch.empty(channels))
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Spread the channels' thresholds over the range, so that together they cover several scales."""
        self.theta.copy_(torch.logit(torch.linspace(*self.range, len(self.theta))))

    @property
    def threshold(self) -> Tensor:
        """The thresholds, (C,), in units of the largest radial frequency."""
        return torch.sigmoid(self.theta)

    def forward(self, shape: tuple[int, ...]) -> Tensor:
        """Compute the mask (F, C) of spectra over `shape`."""
        distance = radial_frequency(shape, self.theta.dtype, self.theta.device)[:, None] - self.threshold
        if self.hard:
            return (distance > 0).to(distance.dtype)
        return torch.sigmoid(distance / self.temperature)
