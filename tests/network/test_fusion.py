"""SSAF and HFRM against a plain reference in float64."""

import pytest
import torch
from torch import Tensor

from s2fin.hfrm import HFRM, phase_cosine
from s2fin.ssaf import SSAF
from tests.network.small import randn, shaken


def plane_mask(theta: Tensor, side: int, temperature: float) -> Tensor:
    """The high-pass mask (side, side // 2 + 1, C), written out."""
    u = torch.fft.rfftfreq(side, dtype=torch.float64)
    v = torch.fft.fftfreq(side, dtype=torch.float64)
    radius = torch.sqrt(u**2 + v[:, None] ** 2)
    radius = radius / radius.max()
    return torch.sigmoid((radius[:, :, None] - torch.sigmoid(theta)) / temperature)


def test_ssaf() -> None:
    module = shaken(SSAF(6, 4))
    assert isinstance(module, SSAF)
    tokens, maps = randn(2, 5, 6), [randn(2, 9, 4), randn(2, 9, 4)]
    results = module(tokens, *maps)
    for b in range(2):
        gates = torch.split(torch.sigmoid(module.channel_gate(module.norm(tokens[b]).mean(0))), 4)
        means = []
        for m in range(2):
            total, weight = torch.zeros(4).double(), torch.zeros(()).double()
            for p in range(9):
                score = module.position_gate[0](maps[0][b, p])[m] + module.position_gate[1](maps[1][b, p])[m]
                gated = maps[m][b, p] * gates[m] * torch.sigmoid(score)
                torch.testing.assert_close(results[1 + m][b, p], maps[m][b, p] + module.out[m](gated))
                total, weight = total + gated, weight + torch.sigmoid(score)
            means.append(total / weight)
        torch.testing.assert_close(results[0][b], tokens[b] + module.to_tokens(torch.cat(means)))


def test_phase_cosine() -> None:
    one, two = randn(2, 2, 7, 3), randn(2, 2, 7, 3)
    angle = torch.atan2(one[:, 1], one[:, 0]) - torch.atan2(two[:, 1], two[:, 0])
    torch.testing.assert_close(phase_cosine(10 * one, 10 * two), torch.cos(angle), rtol=0, atol=1e-4)
    zero = torch.zeros_like(one, requires_grad=True)
    cosine = phase_cosine(zero, two)
    torch.autograd.backward(cosine.sum())
    assert (cosine == 0).all()
    assert zero.grad is not None
    assert zero.grad.isfinite().all()


@pytest.mark.parametrize("side", [3, 6, 11])
def test_hfrm_by_frequency(side: int) -> None:
    module = shaken(HFRM(4, temperature=0.05, hard=False, spatial=False))
    assert isinstance(module, HFRM)
    maps = [randn(2, side * side, 4) for _ in range(2)]
    one, two = (torch.fft.rfft2(x.view(2, side, side, 4), dim=(1, 2), norm="ortho") for x in maps)
    cosine = (one * two.conj()).real / torch.sqrt(one.abs() ** 2 * two.abs() ** 2 + 1e-6)
    resonance = torch.sigmoid(module.kappa * (cosine - module.delta)) * plane_mask(module.high_pass.theta, side, 0.05)
    results = module(maps[0], maps[1], (side, side))
    for m, spectrum in enumerate((one, two)):
        strength = torch.log1p(torch.exp(module.gamma[m]))
        amplified = torch.fft.irfft2(spectrum * (1 + strength * resonance), s=(side, side), dim=(1, 2), norm="ortho")
        torch.testing.assert_close(results[m], amplified.view(2, -1, 4))


def test_hfrm_by_position() -> None:
    module = shaken(HFRM(4, temperature=0.05, hard=False, spatial=True))
    assert isinstance(module, HFRM)
    maps = [randn(2, 36, 4) for _ in range(2)]
    mask = plane_mask(module.high_pass.theta, 6, 0.05)
    one, two = (
        torch.fft.irfft2(torch.fft.rfft2(x.view(2, 6, 6, 4), dim=(1, 2)) * mask, s=(6, 6), dim=(1, 2)).view(2, 36, 4)
        for x in maps
    )
    cosine = (one * two).sum(2) / torch.sqrt(one.norm(dim=2) ** 2 * two.norm(dim=2) ** 2 + 1e-6)
    resonance = torch.sigmoid(module.kappa * (cosine - module.delta))[:, :, None]
    results = module(maps[0], maps[1], (6, 6))
    for m, high in enumerate((one, two)):
        strength = torch.log1p(torch.exp(module.gamma[m]))
        torch.testing.assert_close(results[m], maps[m] + strength * resonance * high)


def test_hfrm_amplifies_agreement_more_than_contradiction() -> None:
    module = HFRM(1, temperature=0.05, hard=False, spatial=False).double()
    edges = randn(1, 36, 1)
    edges = edges - edges.mean()
    same, _ = module(edges, edges, (6, 6))
    opposed, _ = module(edges, -edges, (6, 6))
    assert same.norm() > opposed.norm() > edges.norm() * 0.999
