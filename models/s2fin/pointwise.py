"""Linear maps in a form that CPUs compute fast. They are not part of the published network; results are the same."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

#: Whether convolutions are faster: this build of torch has oneDNN, and the CPU has AVX-512, which oneDNN exploits.
CONVOLVES = torch.backends.cpu.get_cpu_capability() == "AVX512" and bool(
    torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
)


class Linear(nn.Linear):
    """The linear layer of torch, over the last axis, computed as a 1 x 1 convolution on CPUs.

    NOTE: torch computes a linear layer by its BLAS and a convolution by oneDNN. On CPUs with AVX-512 (matrices of 48 to
    360 columns), oneDNN took half to a quarter of the time, forward and backward; on one with only AVX2 it took as long
    forward and up to twice as long backward, so the BLAS is used there. Weights and their names are those of nn.Linear,
    so state dicts and other devices are unaffected.
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  (the name that nn.Linear gives it)
        """Map (..., in_features) to (..., out_features)."""
        if input.ndim < 3 or not _onednn_serves(input):
            return super().forward(input)
        rows = input.reshape(-1, input.shape[-2], 1, self.in_features).permute(0, 3, 1, 2)
        mapped = F.conv2d(rows, self.weight[:, :, None, None], self.bias)
        return mapped.permute(0, 2, 3, 1).reshape(*input.shape[:-1], self.out_features)


def apply_matrix(matrix: Tensor, signal: Tensor) -> Tensor:
    """Multiply a matrix (m, n) by a signal (B, n, C) to (B, m, C), by a convolution on CPUs, see `Linear`."""
    if not _onednn_serves(signal):
        return torch.matmul(matrix, signal)
    return F.conv1d(signal, matrix[:, :, None])


def _onednn_serves(values: Tensor) -> bool:
    # float64 has no oneDNN kernel, and its convolution falls back to a slow one
    return values.device.type == "cpu" and values.dtype != torch.float64 and CONVOLVES
