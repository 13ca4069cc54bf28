"""Half precision: what stays in float32."""

import pytest
import torch
from torch import Tensor

from s2fin.afcm import context_of, local_statistics
from s2fin.hfrm import HFRM
from s2fin.hfset import HFSET
from tests.network.small import VARIANTS, config, inputs, seeded


def half(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(2)).bfloat16()


@pytest.mark.parametrize("spatial", [False, True])
@pytest.mark.parametrize("hard", [False, True])
def test_hfrm_under_autocast_computes_in_float32(*, hard: bool, spatial: bool) -> None:
    module = HFRM(4, temperature=0.05, hard=hard, spatial=spatial)
    maps = half(2, 49, 4), half(2, 49, 4).flip(1)
    exact = module(*(part.float() for part in maps), (7, 7))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        results = module(*maps, (7, 7))
    for result, expected in zip(results, exact, strict=True):
        assert result.dtype == torch.float32
        assert torch.equal(result, expected)


@pytest.mark.parametrize("hard", [False, True])
def test_the_filter_of_hfset_under_autocast_computes_in_float32(*, hard: bool) -> None:
    module = HFSET(8, num_tokens=7, heads=2, topk=0.5, temperature=0.05, hard=hard, dropout=0.0)
    tokens, gain = half(3, 7, 8), half(3, 1, 8).sigmoid()
    exact = module.enhance(tokens.float(), gain.float())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        result = module.enhance(tokens, gain)
    assert result.dtype == torch.float32
    assert torch.equal(result, exact)


@pytest.mark.parametrize("variant", ["default", "spatial", "hard"])
def test_logits_under_autocast_are_close(variant: str) -> None:
    model = seeded(config(**VARIANTS[variant]))
    exact = model(*inputs(model))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = model(*inputs(model))
    assert logits.isfinite().all()
    torch.testing.assert_close(logits.float(), exact, rtol=0.05, atol=0.05)


def test_autocast_keeps_the_components() -> None:
    model = seeded(config())
    # the difference of two bands that are almost the same
    components = torch.eye(12, 20) - torch.eye(12, 20).roll(1, dims=1)
    model.set_statistics([0.0] * 20, [1.0] * 20, [0.0] * 2, [1.0] * 2, components=components)
    image, aux = inputs(model)
    image = 100 + 0.01 * image
    exact, _ = model.standardize(image, aux)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        x, _ = model.standardize(image, aux)
    assert torch.equal(x, exact)


def test_autocast_keeps_the_context() -> None:
    """Values of one place differ little from each other, and far from the scene's mean."""
    model = seeded(config())
    image, aux = inputs(model)
    assert aux is not None
    image, aux = 4 + 0.01 * image, 4 + 0.01 * aux
    exact = model.context(*model.standardize(image, aux))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        context = model.context(*model.standardize(image, aux))
    assert context.dtype == torch.float32
    assert torch.equal(context, exact)


def test_the_context_under_autocast_keeps_small_deviations() -> None:
    """Values that differ little from each other, far from 0: in half precision all would be equal."""
    maps = 4 + 0.01 * torch.randn(2, 35, 34, 3)
    exact = context_of(maps, (3, 7, 15, 31))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = context_of(maps, (3, 7, 15, 31))
    assert half.dtype == torch.float32
    assert torch.equal(half, exact)
    torch.testing.assert_close(exact.double(), context_of(maps.double(), (3, 7, 15, 31)), rtol=0, atol=1e-3)


def test_local_statistics_under_autocast_are_in_float32() -> None:
    maps = (10 + torch.randn(1, 9, 9, 3)).bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        results = local_statistics(maps, 5)
    for result, exact in zip(results, local_statistics(maps.double(), 5), strict=True):
        assert result.dtype == torch.float32
        torch.testing.assert_close(result.double(), exact, rtol=1e-3, atol=1e-3)
