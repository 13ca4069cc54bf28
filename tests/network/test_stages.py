"""The blocks of the stages against a plain reference in float64."""

import torch
from torch import nn

from s2fin.stages import ConvBlock
from tests.network.small import randn, shaken


def test_conv_block() -> None:
    module = shaken(ConvBlock(4, expansion=2))
    assert isinstance(module, ConvBlock)
    assert module.depthwise.bias is not None
    maps = randn(2, 15, 4)
    planes = nn.functional.pad(maps.view(2, 3, 5, 4), (0, 0, 1, 1, 1, 1))
    filtered = torch.zeros(2, 3, 5, 4).double() + module.depthwise.bias
    for u in range(3):
        for v in range(3):
            filtered = filtered + planes[:, u : u + 3, v : v + 5] * module.depthwise.weight[:, 0, u, v]
    torch.testing.assert_close(module(maps, (3, 5)), maps + module.mlp(filtered.view(2, 15, 4)))
