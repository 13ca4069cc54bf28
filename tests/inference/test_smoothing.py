"""Smoothing: against the formula in float64, exactly the same however the raster is tiled, and only where it may."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.windows import Window

from s2fin_cli.geo.windows import clip
from s2fin_cli.inference.smoothing import RADIUS, VOTE_RANGE, Prediction, Smoother
from tests.smoothed import smooth_all

if TYPE_CHECKING:
    from numpy.typing import NDArray


def random_raster(shape: tuple[int, int], *, seed: int = 0, holes: float = 0.1) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(seed)
    probs = torch.rand(3, *shape, generator=generator).softmax(dim=0)
    guide = torch.rand(2, *shape, generator=generator)
    return probs, guide, torch.rand(shape, generator=generator) >= holes


def reference(probs: NDArray[Any], guide: NDArray[Any], valid: NDArray[Any]) -> NDArray[np.float64]:
    """Pixel by pixel, as the formula says."""
    result = np.zeros(probs.shape)
    for row, col in zip(*np.nonzero(valid), strict=True):
        weights, total = np.zeros(len(probs)), 0.0
        for i in range(max(row - RADIUS, 0), min(row + RADIUS + 1, valid.shape[0])):
            for j in range(max(col - RADIUS, 0), min(col + RADIUS + 1, valid.shape[1])):
                distance = ((guide[:, row, col] - guide[:, i, j]) ** 2).sum()
                weight = max(1 - distance / VOTE_RANGE**2, 0) ** 2 * valid[i, j]
                weights, total = weights + weight * probs[:, i, j], total + weight
        result[:, row, col] = weights / total
    return result


@pytest.mark.parametrize("shape", [(12, 15), (2, 9), (1, 1)])
def test_the_formula(shape: tuple[int, int]) -> None:
    parts = random_raster(shape)
    expected = reference(*(part.double().numpy() if part.is_floating_point() else part.numpy() for part in parts))
    found = smooth_all(*parts)
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-6)
    np.testing.assert_allclose(found.sum(dim=0).numpy(), parts[2].numpy(), atol=1e-5)


def in_tiles(parts: tuple[torch.Tensor, ...], tile_shape: tuple[int, int]) -> torch.Tensor:
    probs, guide, valid = parts
    height, width = valid.shape
    extent = Window(3, 5, width, height)
    smoother = Smoother(extent, guide=lambda images: images.image)
    result, times = torch.zeros_like(probs), torch.zeros(height, width)
    measures = torch.arange(2.0 * height * width).view(2, height, width)
    for row in range(0, height, tile_shape[0]):
        for col in range(0, width, tile_shape[1]):
            here = (slice(row, row + tile_shape[0]), slice(col, col + tile_shape[1]))
            window = Window(3 + col, 5 + row, valid[here].shape[1], valid[here].shape[0])
            added = Prediction(window, probs[:, *here], valid[here], measures[:, *here])
            smoothed = smoother.add(added, guide[:, *here]) if valid[here].any() else smoother.skip(window)
            for placed, done, inside, passed_on in smoothed:
                there = clip(placed, extent)[0].toslices()
                result[:, *there] = done
                times[there] += 1
                assert torch.equal(inside, valid[there])
                assert torch.equal(passed_on[:, inside], measures[:, *there][:, inside])
    assert (times[valid] == 1).all()
    assert (times <= 1).all()
    return result


@settings(max_examples=60)
@given(
    st.tuples(st.integers(1, 30), st.integers(1, 30)),
    st.tuples(st.integers(1, 33), st.integers(1, 33)),
    st.integers(0, 5),
    st.sampled_from([0.1, 0.9, 0.99]),
)
def test_tiles_do_not_matter(shape: tuple[int, int], tile_shape: tuple[int, int], seed: int, holes: float) -> None:
    parts = random_raster(shape, seed=seed, holes=holes)
    assert torch.equal(in_tiles(parts, tile_shape), smooth_all(*parts))


def test_edges_stay_and_speckle_goes() -> None:
    guide = torch.zeros(1, 20, 20)
    guide[:, :, 10:] = 1  # farther apart than `VOTE_RANGE`
    probs = torch.full((2, 20, 20), 0.5)
    probs[0, :, :10], probs[0, :, 10:] = 0.7, 0.2
    probs[0, 5, 4] = 0.4  # a pixel whose surroundings disagree
    probs[1] = 1 - probs[0]
    found = smooth_all(probs, guide, torch.ones(20, 20, dtype=torch.bool))[0]
    assert found[5, 4] > 0.65
    np.testing.assert_allclose(found[:, 10:].numpy(), 0.2, atol=1e-6)
    np.testing.assert_allclose(found[12:, :10].numpy(), 0.7, atol=1e-6)
