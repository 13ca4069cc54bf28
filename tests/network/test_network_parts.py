"""Each part's formula against a plain reference in float64."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from numpy.lib.stride_tricks import sliding_window_view
from torch import Tensor, nn

from s2fin.afcm import AFCM, MOST_DEVIATIONS, SMALLEST, context_of, local_statistics
from s2fin.config import S2FinConfig
from s2fin.head import CentredPooling
from s2fin.hfrm import HFRM, phase_cosine
from s2fin.hfset import HFSET, SparseGain, sparse_softmax
from s2fin.pointwise import Linear, apply_matrix
from s2fin.scan import SelectiveScan, scan_kernel
from s2fin.selection import nth_largest
from s2fin.ssaf import SSAF
from s2fin.stages import ConvBlock
from s2fin.stem import MapStem


def randn(*shape: int) -> Tensor:
    return torch.randn(shape, dtype=torch.float64)


def shaken(module: nn.Module) -> nn.Module:
    """Move every parameter off its initial value, so that none hides behind a zero or a one."""
    module.double()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return module.eval()


def plane_mask(theta: Tensor, side: int, temperature: float) -> Tensor:
    """The high-pass mask (side, side // 2 + 1, C), written out."""
    u = torch.fft.rfftfreq(side, dtype=torch.float64)
    v = torch.fft.fftfreq(side, dtype=torch.float64)
    radius = torch.sqrt(u**2 + v[:, None] ** 2)
    radius = radius / radius.max()
    return torch.sigmoid((radius[:, :, None] - torch.sigmoid(theta)) / temperature)


@pytest.mark.parametrize("shape", [(3, 8), (3, 5, 8), (1, 5, 8), (2, 4, 3, 8)])
def test_linear_is_that_of_torch(shape: tuple[int, ...]) -> None:
    one, two = Linear(8, 6), nn.Linear(8, 6)
    two.load_state_dict(one.state_dict())
    x = torch.randn(shape)
    torch.testing.assert_close(one(x), two(x))
    torch.testing.assert_close(one(x.mT.contiguous().mT), two(x))
    for layer in (one, two):
        torch.autograd.backward(layer(x).square().sum())
    assert one.weight.grad is not None
    assert one.bias.grad is not None
    torch.testing.assert_close(one.weight.grad, two.weight.grad)
    torch.testing.assert_close(one.bias.grad, two.bias.grad)


def test_apply_matrix_is_a_product() -> None:
    matrix, signal = torch.randn(6, 9), torch.randn(4, 9, 5)
    torch.testing.assert_close(apply_matrix(matrix, signal), matrix @ signal)
    torch.testing.assert_close(apply_matrix(matrix.double(), signal.double()), matrix.double() @ signal.double())


@pytest.mark.parametrize("length", [1, 2, 3, 7, 16, 20, 33, 70])
def test_the_nth_largest_is_that_of_sorted_rows(length: int) -> None:
    values = torch.randn(4, 3, length, generator=torch.Generator().manual_seed(length)).round(decimals=1)
    in_order = values.sort(dim=-1, descending=True).values
    for n in range(1, length + 1):
        assert torch.equal(nth_largest(values, n), in_order[..., n - 1 : n])


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


@pytest.mark.parametrize("scales", [(3,), (3, 7), (3, 7, 15), (3, 7, 15, 31)])
def test_the_context_is_what_squares_around_the_pixel_are_like(scales: tuple[int, ...]) -> None:
    margin = scales[-1] // 2
    maps = 5 + 3 * randn(2, 2 + 2 * margin, 3 + 2 * margin, 4)
    context = context_of(maps, scales)
    assert context.shape == (2, 2, 3, 4 * 2 * len(scales))
    for row in range(2):
        for col in range(3):
            r, c = row + margin, col + margin
            parts = []
            for half in (scale // 2 for scale in scales):
                values = maps[:, r - half : r + half + 1, c - half : c + half + 1].flatten(1, 2)
                mean = values.mean(1)
                parts += [mean, torch.sqrt((values - mean[:, None]).square().mean(1) + 1e-4)]
            torch.testing.assert_close(context[:, row, col], torch.cat(parts, dim=1), rtol=0, atol=1e-11)


def test_all_scales_have_the_same_pixel_in_their_middle() -> None:
    """A single bright pixel is in the squares of those around it, as many as a square has, at each scale."""
    maps = torch.zeros(1, 63, 63, 1, dtype=torch.float64)
    maps[0, 31, 31] = 1
    context = context_of(maps, (3, 7, 15, 31))[0]
    assert context.shape == (33, 33, 8)
    for number, scale in enumerate((3, 7, 15, 31)):
        mean = torch.zeros(33, 33, dtype=torch.float64)
        inside = slice(16 - scale // 2, 17 + scale // 2)
        mean[inside, inside] = 1 / scale**2
        torch.testing.assert_close(context[..., 2 * number], mean, rtol=0, atol=1e-12)
        deviation = torch.sqrt(mean - mean**2 + 1e-4)
        torch.testing.assert_close(context[..., 2 * number + 1], deviation, rtol=0, atol=1e-12)


def test_afcm() -> None:
    """Two linear layers with a GELU each of scaled values and context, and logits by a third; far out is far out."""
    module = shaken(AFCM(5, 4, num_classes=3))
    assert isinstance(module, AFCM)
    mean, std = torch.tensor([1.0, -2.0, 0.0, 30.0, 5.0]), torch.tensor([2.0, 0.5, 1.0, 10.0, 0.01])
    module.mean.copy_(mean)
    module.std.copy_(std)
    scaled = 3 * randn(2, 2, 3, 5)
    scaled[0, 0, 0, 0], scaled[0, 0, 1, 1], scaled[1, 1, 2, 2], scaled[1, 0, 0, 4] = 1e6, -8.5, 7.9, -1e6
    assert (scaled.abs() > MOST_DEVIATIONS).sum() >= 3
    given = scaled * std.double() + mean.double()
    fused = module(given[..., :2], given[..., 2:])
    logits = module.classify(fused)
    weights = {name: value.detach().numpy() for name, value in module.named_parameters()}
    shapes = {"fuse.0": (4, 5), "fuse.2": (4, 4), "classify": (3, 4)}
    assert {name: value.shape for name, value in weights.items() if value.ndim == 2} == {
        f"{name}.weight": shape for name, shape in shapes.items()
    }
    erf = np.vectorize(math.erf)
    means, deviations = mean.double().numpy(), std.double().numpy()
    for b, row, col in np.ndindex(2, 2, 3):
        values = np.clip((given[b, row, col].numpy() - means) / deviations, -8, 8)
        for name in ("fuse.0", "fuse.2"):
            values = weights[f"{name}.weight"] @ values + weights[f"{name}.bias"]
            values = values * (1 + erf(values / math.sqrt(2))) / 2
        np.testing.assert_allclose(fused[b, row, col].detach().numpy(), values, rtol=0, atol=1e-11)
        expected = weights["classify.weight"] @ values + weights["classify.bias"]
        np.testing.assert_allclose(logits[b, row, col].detach().numpy(), expected, rtol=0, atol=1e-11)


def test_afcm_scales_by_what_it_is_given_and_leaves_alone_what_is_the_same_everywhere() -> None:
    """Until then it takes things as they are."""
    module = AFCM(7, 4, num_classes=2).double()
    assert torch.equal(module.mean, torch.zeros(7).double())
    assert torch.equal(module.std, torch.ones(7).double())
    values, context = 100 + 7 * randn(50, 3), 1e-3 * randn(50, 4)
    values[:, 1], context[:, 0] = 12.0, 0.0
    context[:, 2] = SMALLEST / 2 * torch.arange(50).remainder(2)  # hardly deviates
    context[:, 3] = 4 * SMALLEST * torch.arange(50).remainder(2)  # deviates twice as much as it must
    module.set_statistics(values, context)
    together = np.concatenate([values.numpy(), context.numpy()], axis=1)
    deviations = together.std(axis=0)
    deviations[[1, 3, 5]] = 1
    np.testing.assert_allclose(module.mean.numpy(), together.mean(axis=0), rtol=0, atol=1e-12)
    np.testing.assert_allclose(module.std.numpy(), deviations, rtol=1e-9, atol=0)
    assert deviations[6] == pytest.approx(2 * SMALLEST)
    assert {"mean", "std"} <= set(module.state_dict()), "a model file holds them"
    assert not {"mean", "std"} & {name for name, _ in module.named_parameters()}


def test_afcm_gives_the_same_of_values_in_any_unit() -> None:
    module = shaken(AFCM(6, 4, num_classes=2))
    assert isinstance(module, AFCM)
    values, context = randn(40, 2), randn(40, 4)
    results = []
    for factor, offset in ((1, 0), (1e3, -500), (0.01, 7)):
        given = factor * values + offset, factor * context + offset
        module.set_statistics(*given)
        results.append(module(*given))
    for result in results[1:]:
        torch.testing.assert_close(result, results[0], rtol=0, atol=1e-9)


def test_afcm_looks_at_each_pixel_alone() -> None:
    """Of any number of axes; single pixels are what is learnt from at first."""
    module = shaken(AFCM(10, 4, num_classes=5))
    values, context = randn(2, 3, 4, 2), randn(2, 3, 4, 8)
    together = module(values, context)
    assert together.shape == (2, 3, 4, 4)
    flat = module(values.view(24, 2), context.view(24, 8))
    torch.testing.assert_close(flat, together.view(24, 4), rtol=0, atol=1e-12)
    torch.testing.assert_close(module(values[1, 2, 3], context[1, 2, 3]), together[1, 2, 3], rtol=0, atol=1e-12)


def test_values_that_are_far_out_are_all_alike() -> None:
    """By how far out they are as they are scaled, of values and of context."""
    module = shaken(AFCM(3, 4, num_classes=2))
    assert isinstance(module, AFCM)
    module.mean.fill_(10.0)
    module.std.fill_(2.0)
    for part in (0, 1):
        given = torch.full((1, 1), 11.0).double(), torch.full((1, 2), 12.0).double()
        given[part][0, 0] = 10 + 2 * MOST_DEVIATIONS
        limit = module(*given)
        for value, alike in (
            (MOST_DEVIATIONS + 1, True),
            (1e6, True),
            (MOST_DEVIATIONS - 1, False),
            (-MOST_DEVIATIONS, False),
        ):
            given[part][0, 0] = 10 + 2 * value
            assert torch.equal(module(*given), limit) == alike


def test_values_and_all_of_the_context_count() -> None:
    module = shaken(AFCM(27, 4, num_classes=2))
    assert isinstance(module, AFCM)
    given = randn(1, 1, 1, 3).requires_grad_(), randn(1, 1, 1, 24).requires_grad_()
    fused = module(*given)
    for result in (fused, module.classify(fused)):
        for gradient in torch.autograd.grad(result.square().sum(), given, retain_graph=True):
            assert (gradient.abs() > 1e-6).all()


def test_the_context_under_autocast_keeps_small_deviations() -> None:
    """Values that differ little from each other, far from 0: in half precision all would be alike."""
    maps = 4 + 0.01 * torch.randn(2, 35, 34, 3)
    exact = context_of(maps, (3, 7, 15, 31))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = context_of(maps, (3, 7, 15, 31))
    assert half.dtype == torch.float32
    assert torch.equal(half, exact)
    torch.testing.assert_close(exact.double(), context_of(maps.double(), (3, 7, 15, 31)), rtol=0, atol=1e-3)


def test_afcm_tells_high_frequencies_from_low_ones() -> None:
    rows = torch.arange(16).double()[:, None, None].expand(16, 16, 1)
    slow, fast = torch.cos(2 * math.pi * rows / 1000), torch.cos(math.pi * rows)
    for signal, is_low in ((slow, True), (fast, False)):
        low, high = local_statistics(signal[None], 11)
        assert ((low.abs() > 0.9) == is_low).all()
        assert ((high > 0.9) != is_low).all()


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


def test_scan_kernel_decays_and_never_overflows() -> None:
    step = torch.full((2, 1, 1, 30), 50.0)
    kernel = scan_kernel(-step, step)
    assert kernel.isfinite().all()
    torch.testing.assert_close(kernel[0, 0], torch.eye(30) * 100)


@pytest.mark.parametrize("length", [1, 2, 24])
def test_selective_scan_is_the_sequential_one(length: int) -> None:
    module = shaken(SelectiveScan(8, state_size=3, heads=2))
    assert isinstance(module, SelectiveScan)
    x, dt, key, query = randn(2, length, 16), randn(2, length, 4), randn(2, length, 3), randn(2, length, 3)
    expected = torch.zeros(2, length, 16).double()
    for b in range(2):
        for direction in range(2):
            for h in range(2):
                state = torch.zeros(3, 8).double()
                order = range(length) if direction == 0 else range(length - 1, -1, -1)
                for t in order:
                    bias, rate = module.step_bias[direction, h], torch.exp(module.log_decay[direction, h])
                    step = torch.log1p(torch.exp(dt[b, t, 2 * direction + h] + bias))
                    taken = torch.outer(key[b, t], x[b, t, 8 * h : 8 * h + 8])
                    state = torch.exp(-rate * step) * state + step * taken
                    expected[b, t, 8 * h : 8 * h + 8] += query[b, t] @ state
    torch.testing.assert_close(module.scan(x, dt, key=key, query=query), expected + module.skip * x)


def test_centred_pooling_weighs_by_distance() -> None:
    pool = CentredPooling(5, 2).double()
    with torch.no_grad():
        pool.log_sigma.copy_(torch.tensor([0.05, 1e4]).log())
    maps = randn(1, 25, 3)
    torch.testing.assert_close(pool(maps), torch.stack([maps[:, 12], maps.mean(1)], dim=1), rtol=0, atol=1e-6)


@pytest.mark.parametrize("size", [1, 3, 7])
def test_local_statistics_are_those_of_numpy(size: int) -> None:
    maps = 5 + 3 * randn(2, 9, 7, 4)
    squares = sliding_window_view(maps.numpy(), (size, size), axis=(1, 2))
    mean, deviation = local_statistics(maps, size)
    assert mean.shape == deviation.shape == (2, 10 - size, 8 - size, 4)
    np.testing.assert_allclose(mean.numpy(), squares.mean(axis=(4, 5)), rtol=0, atol=1e-12)
    np.testing.assert_allclose(deviation.numpy(), np.sqrt(squares.var(axis=(4, 5)) + 1e-4), rtol=0, atol=1e-11)


def test_local_statistics_differentiate() -> None:
    maps = randn(1, 5, 6, 2).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: local_statistics(x, 3), (maps,))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("value", [0.0, 0.1, -7.3, 1e3])
def test_local_statistics_of_flat_surroundings(value: float, dtype: torch.dtype) -> None:
    maps = torch.full((1, 13, 12, 2), value, dtype=dtype, requires_grad=True)
    mean, deviation = local_statistics(maps, 11)
    torch.autograd.backward(deviation.sum())
    torch.testing.assert_close(mean, torch.full_like(mean, value))
    # the difference of two squares keeps half of the digits
    assert (deviation >= 0.01 - 1e-6).all()
    assert (deviation <= 0.01 + 2 * abs(value) * torch.finfo(dtype).eps ** 0.5).all()
    assert maps.grad is not None
    assert maps.grad.isfinite().all()


def test_local_statistics_under_autocast_are_in_float32() -> None:
    maps = (10 + torch.randn(1, 9, 9, 3)).bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        results = local_statistics(maps, 5)
    for result, exact in zip(results, local_statistics(maps.double(), 5), strict=True):
        assert result.dtype == torch.float32
        torch.testing.assert_close(result.double(), exact, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("options", [{"context_size": 3}, {"context_size": 31}, {"afcm": False}])
def test_map_stem(options: dict[str, Any]) -> None:
    sizes = {"components": 1, "map_width": 4, "context_width": 6}
    cfg = S2FinConfig.from_dict({"in_channels": 3, "aux_channels": 2, "num_classes": 5, **sizes, **options})
    module = shaken(MapStem(cfg))
    assert isinstance(module, MapStem)
    images = [randn(2, channels, 4, 5) for channels in (4, 2)]
    context = randn(2, 2, 3, 2 * len(cfg.context_scales) * 3)
    values = torch.cat(images, dim=1)[..., 1:-1, 1:-1].permute(0, 2, 3, 1)
    if module.afcm is not None:
        module.afcm.set_statistics(2 * values.flatten(0, 2) + 1, context.flatten(0, 2) - 3)
    mixed = [mix(x.permute(0, 2, 3, 1)) for mix, x in zip(module.mix, images, strict=True)]
    *results, logits = module(*images, context)
    assert logits.shape == (2, 5, 2, 3)
    assert logits.is_contiguous(memory_format=torch.channels_last)
    if module.afcm is None:
        assert len(module.add) == 0
        assert (logits == 0).all()
    else:
        expected = module.afcm.classify(module.afcm(values, context)).permute(0, 3, 1, 2)
        torch.testing.assert_close(logits, expected, rtol=0, atol=1e-12)
    assert len(results) == 2
    for m, result in enumerate(results):
        assert result.shape == (2, 4, 2, 3)
        assert result.is_contiguous(memory_format=torch.channels_last)
        conv = module.conv[m]
        assert isinstance(conv, nn.Conv2d)
        assert conv.bias is not None
        for i in range(2):
            for j in range(3):
                near = mixed[m][:, i : i + 3, j : j + 3]
                features = module.narrow[m](torch.einsum("dcuv,buvc->bd", conv.weight, near) + conv.bias)
                if module.afcm is not None:
                    add = module.add[m]
                    assert isinstance(add, Linear)
                    assert add.weight.shape == (4, 6)
                    features = features + module.afcm(values, context)[:, i, j] @ add.weight.T + add.bias
                torch.testing.assert_close(result[:, :, i, j], module.norm[m](features))


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
