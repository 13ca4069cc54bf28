"""Statistics of bands from an even sample of the pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

import s2fin_cli.geo.statistics as module
from s2fin_cli.geo.stack import build_stack
from s2fin_cli.geo.statistics import band_statistics, principal_components, sample_pixels

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import WriteRaster


def test_a_small_raster_is_sampled_whole(tmp_path: Path, write_raster: WriteRaster) -> None:
    values = np.random.default_rng(0).random((3, 300, 270)).astype("float32")
    heights = np.random.default_rng(1).random((1, 300, 270)).astype("float32")
    stack = build_stack(
        {"hsi": str(write_raster(tmp_path / "a.tif", values)), "dsm": str(write_raster(tmp_path / "b.tif", heights))}
    )
    sample = sample_pixels(stack)
    whole = np.concatenate([values, heights]).reshape(4, -1).T
    assert sample.dtype == np.float32
    assert np.array_equal(sample[np.lexsort(sample.T)], whole[np.lexsort(whole.T)])


def test_a_large_raster_is_sampled_evenly(
    tmp_path: Path, write_raster: WriteRaster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_PIXELS", 2000)
    monkeypatch.setattr(module, "MAX_TILES", 4)
    rows, cols = np.indices((700, 600))
    values = np.stack([rows, cols]).astype("float32")
    sample = sample_pixels(build_stack({"hsi": str(write_raster(tmp_path / "a.tif", values))}))
    assert 1000 < len(sample) <= 2000 + 4
    share = np.bincount((sample[:, 0] // 256).astype(int)) / len(sample)
    assert share[0] > share[2]  # full tiles weigh more than those that the lower edge cuts
    assert np.unique(sample[:, 1] % 256).size > 150  # not the same few columns of each tile
    assert sample[:, 0].max() > 600
    assert sample[:, 0].min() < 50


def test_statistics_agree_with_numpy() -> None:
    pixels = np.random.default_rng(0).normal([5, -1e4, 1e-3], [2, 300, 1e-4], (5000, 3)).astype("float32")
    statistics = band_statistics(pixels)
    np.testing.assert_allclose(statistics.mean, pixels.astype("float64").mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(statistics.std, pixels.astype("float64").std(axis=0), rtol=1e-5)
    np.testing.assert_allclose([statistics.low, statistics.high], np.percentile(pixels, [2, 98], axis=0), rtol=1e-5)
    assert not statistics.is_empty.any()
    assert not statistics.is_constant.any()


def test_missing_pixels_do_not_count() -> None:
    pixels = np.arange(12, dtype="float32").reshape(6, 2)
    pixels[::2, 0] = np.nan
    statistics = band_statistics(pixels)
    assert statistics.mean.tolist() == [6, 6]
    assert statistics.std[0] == pytest.approx(np.std([2, 6, 10]))


def test_bands_without_data_and_constant_bands() -> None:
    pixels = np.full((1000, 3), 0.1, dtype="float32")
    pixels[:, 0] = np.nan
    pixels[0, 2] = np.nan
    statistics = band_statistics(pixels)
    assert statistics.is_empty.tolist() == [True, False, False]
    assert statistics.is_constant.tolist() == [False, True, True]
    assert statistics.std[1:].tolist() == [0, 0]


def test_principal_components_are_uncorrelated_and_of_unit_variance() -> None:
    generator = np.random.default_rng(0)
    hidden = generator.normal(size=(4000, 2))
    bands = (hidden @ generator.normal(size=(2, 6)) + 0.1 * generator.normal(size=(4000, 6))) * 50 + 300
    pixels = bands.astype("float32")
    pixels[7, 3] = np.nan
    statistics = band_statistics(pixels)
    projection = principal_components(pixels, statistics, 2)
    assert projection.shape == (2, 6)
    complete = pixels[np.isfinite(pixels).all(axis=1)]
    scores = ((complete - statistics.mean) / statistics.std) @ projection.T
    np.testing.assert_allclose(np.cov(scores.T), np.eye(2), atol=5e-3)
    # the two components hold what two hidden sources put into six bands
    _, singular, _ = np.linalg.svd((complete - complete.mean(axis=0)) / complete.std(axis=0), full_matrices=False)
    assert (singular[:2] ** 2).sum() / (singular**2).sum() > 0.95
    assert (projection.sum(axis=1) > 0).all()


def test_principal_components_with_a_constant_band() -> None:
    pixels = np.random.default_rng(0).normal(size=(500, 3)).astype("float32")
    pixels[:, 1] = 4
    projection = principal_components(pixels, band_statistics(pixels), 2)
    assert np.isfinite(projection).all()
    np.testing.assert_allclose(projection[:, 1], 0, atol=1e-9)
