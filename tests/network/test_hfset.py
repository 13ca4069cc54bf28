"""HFSET against a plain reference in float64."""

import math

import torch

from s2fin.hfset import HFSET, SparseGain, sparse_softmax
from tests.network.small import randn, shaken


def test_sparse_softmax_keeps_the_largest() -> None:
    scores = torch.tensor([[3.0, 1.0, 2.0, 0.0]])
    expected = torch.tensor([[math.e / (math.e + 1), 0.0, 1 / (math.e + 1), 0.0]])
    torch.testing.assert_close(sparse_softmax(scores, 2), expected)
    torch.testing.assert_close(sparse_softmax(scores, 9), scores.softmax(-1))


def test_sparse_gain() -> None:
    module = shaken(SparseGain(8, num_tokens=6, heads=2, topk=0.5))
    assert isinstance(module, SparseGain)
    tokens = randn(3, 6, 8)
    result = module(tokens)
    for m in range(3):
        q, k, v = torch.split(module.qkv(tokens[m]), 8, dim=1)
        from_tokens, from_channels = torch.zeros(6, 8).double(), torch.zeros(6, 8).double()
        for head in (slice(0, 4), slice(4, 8)):
            for i in range(6):
                scores = k[:, head] @ q[i, head] / 2.0
                kept = scores.argsort(descending=True)[:3]
                from_tokens[i, head] = scores[kept].softmax(0) @ v[kept, head]
            for c in range(head.start, head.stop):
                scores = k[:, head].T @ q[:, c] / math.sqrt(6)
                kept = scores.argsort(descending=True)[:2]
                from_channels[:, c] = v[:, head][:, kept] @ scores[kept].softmax(0)
        both = torch.cat([from_tokens.mean(0), from_channels.mean(0)])
        torch.testing.assert_close(result[m, 0], torch.sigmoid(module.gain(both)))


def test_hfset() -> None:
    module = shaken(HFSET(8, num_tokens=7, heads=2, topk=0.5, temperature=0.05, hard=False, dropout=0.2))
    assert isinstance(module, HFSET)
    tokens = randn(3, 7, 8)
    y = module.norm(tokens)
    frequency = torch.tensor([0, 1, 2, 3]).double() / 3
    mask = torch.sigmoid((frequency[:, None] - torch.sigmoid(module.high_pass.theta)) / 0.05)
    filtered = torch.fft.irfft(torch.fft.rfft(y, dim=1) * (1 + module.gain(y) * mask), n=7, dim=1)
    z = tokens + module.out(filtered)
    torch.testing.assert_close(module(tokens), z + module.ffn(z))


def test_hfset_amplifies_only_above_the_threshold() -> None:
    module = HFSET(4, num_tokens=16, heads=2, topk=0.5, temperature=0.001, hard=False, dropout=0.0).double()
    time = torch.arange(16).double()[None, :, None].expand(1, 16, 4)
    slow, fast = torch.cos(2 * math.pi * time / 16), torch.cos(math.pi * time)
    gain = torch.full((1, 1, 4), 0.5).double()
    torch.testing.assert_close(module.enhance(slow + fast, gain), slow + 1.5 * fast)
