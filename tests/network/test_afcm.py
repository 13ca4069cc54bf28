"""AFCM and its context against a plain reference in float64."""

import math

import numpy as np
import pytest
import torch
from numpy.lib.stride_tricks import sliding_window_view

from s2fin.afcm import AFCM, MOST_DEVIATIONS, SMALLEST, context_of, local_statistics
from tests.network.small import randn, shaken


@pytest.mark.parametrize("scales", [(3,), (3, 7), (3, 7, 15), (3, 7, 15, 31)])
def test_the_context_is_mean_and_deviation_of_squares_around_the_pixel(scales: tuple[int, ...]) -> None:
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


def test_afcm_scales_by_given_statistics_and_leaves_constants_as_they_are() -> None:
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


def test_afcm_does_not_depend_on_the_unit_of_its_inputs() -> None:
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


def test_values_beyond_the_limit_count_as_the_limit() -> None:
    """By how far out they are as they are scaled, of values and of context."""
    module = shaken(AFCM(3, 4, num_classes=2))
    assert isinstance(module, AFCM)
    module.mean.fill_(10.0)
    module.std.fill_(2.0)
    for part in (0, 1):
        given = torch.full((1, 1), 11.0).double(), torch.full((1, 2), 12.0).double()
        given[part][0, 0] = 10 + 2 * MOST_DEVIATIONS
        limit = module(*given)
        for value, at_limit in (
            (MOST_DEVIATIONS + 1, True),
            (1e6, True),
            (MOST_DEVIATIONS - 1, False),
            (-MOST_DEVIATIONS, False),
        ):
            given[part][0, 0] = 10 + 2 * value
            assert torch.equal(module(*given), limit) == at_limit


def test_values_and_all_of_the_context_count() -> None:
    module = shaken(AFCM(27, 4, num_classes=2))
    assert isinstance(module, AFCM)
    given = randn(1, 1, 1, 3).requires_grad_(), randn(1, 1, 1, 24).requires_grad_()
    fused = module(*given)
    for result in (fused, module.classify(fused)):
        for gradient in torch.autograd.grad(result.square().sum(), given, retain_graph=True):
            assert (gradient.abs() > 1e-6).all()


def test_afcm_distinguishes_high_frequencies_from_low_ones() -> None:
    rows = torch.arange(16).double()[:, None, None].expand(16, 16, 1)
    slow, fast = torch.cos(2 * math.pi * rows / 1000), torch.cos(math.pi * rows)
    for signal, is_low in ((slow, True), (fast, False)):
        low, high = local_statistics(signal[None], 11)
        assert ((low.abs() > 0.9) == is_low).all()
        assert ((high > 0.9) != is_low).all()


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
