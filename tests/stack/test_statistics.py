"""Statistics of bands from an even sample of the pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from s2fin_cli.stack.statistics import band_statistics, noise_adjusted_components

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from s2fin_cli.stack.statistics import BandStatistics


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


# ---- components ----------------------------------------------------------------------------------------------------


def statistics_of(tiles: NDArray[np.float32]) -> BandStatistics:
    return band_statistics(np.moveaxis(tiles, 1, 3).reshape(-1, tiles.shape[1]))


def components_of(tiles: NDArray[np.float32], count: int) -> NDArray[np.float64]:
    return noise_adjusted_components(tiles, statistics_of(tiles), count)


def standardised(tiles: NDArray[np.float32]) -> NDArray[np.float64]:
    statistics = statistics_of(tiles)
    scale = np.where(statistics.std == 0, 1, statistics.std)
    return np.asarray((tiles - statistics.mean[:, None, None]) / scale[:, None, None])


def by_pixel(values: NDArray[np.float64]) -> NDArray[np.float64]:
    pixels = np.moveaxis(values, 1, 3).reshape(-1, values.shape[1])
    return np.asarray(pixels[np.isfinite(pixels).all(axis=1)])


def wave(shape: tuple[int, int]) -> NDArray[np.float64]:
    rows, cols = np.indices(shape)
    return np.asarray(np.sin(2 * np.pi * rows / 32) + np.cos(2 * np.pi * cols / 32))


def mixed_tiles(bands: int = 6, side: int = 24, count: int = 3) -> NDArray[np.float32]:
    """Tiles of a few smooth sources in noise that differs by band."""
    generator = np.random.default_rng(5)
    sources = np.cumsum(np.cumsum(generator.normal(size=(count, 3, side, side)), axis=2), axis=3)
    values = np.einsum("bk,nkhw->nbhw", generator.normal(size=(bands, 3)), sources)
    noise = generator.normal(size=values.shape) * generator.uniform(0.5, 5, (bands, 1, 1))
    return np.asarray(300 + 50 * (values + noise), dtype="float32")


def correlation(one: NDArray[np.float64], two: NDArray[np.float64]) -> float:
    return float(abs(np.corrcoef(one.ravel(), two.ravel())[0, 1]))


def test_components_find_what_is_smooth_and_weak_in_strong_noise() -> None:
    generator = np.random.default_rng(0)
    hidden = wave((64, 64))
    # three strong sources of noise that several bands share, and a little that is each band's own
    directions = np.array([[1, 1, 1, 1, 0, 0, 0, 0], [0, 0, 1, 1, 1, 1, 0, 0], [0, 0, 0, 0, 1, 1, 1, 1.0]])
    pattern = np.array([1, -1, 1, -1, 1, -1, 1, 0.0])
    shared = np.einsum("kb,khw->bhw", directions, generator.normal(size=(3, 64, 64)))
    own = 0.2 * generator.normal(size=(8, 64, 64))
    signal = 0.3 * pattern[:, None, None] * hidden
    tiles = (1000 + 200 * (signal + shared + own))[None].astype("float32")
    projection = components_of(tiles, 3)
    pixels = by_pixel(standardised(tiles))
    assert correlation(pixels @ projection[0], hidden) > 0.95
    # the direction that separates them best, by the noise that is known here, in standardised bands
    best = np.linalg.solve(directions.T @ directions + 0.04 * np.eye(8), pattern) * statistics_of(tiles).std
    assert projection[0] @ best / np.linalg.norm(projection[0]) / np.linalg.norm(best) > 0.99
    # as many principal components are those of the noise
    _, vectors = np.linalg.eigh(pixels.T @ pixels)
    assert max(correlation(pixels @ vector, hidden) for vector in vectors.T[-3:]) < 0.3


def test_edges_are_no_noise() -> None:
    generator = np.random.default_rng(0)
    fields: NDArray[np.float64] = np.kron(generator.normal(size=(16, 16)), np.ones((4, 4))).astype(np.float64)
    noise = 0.1 * generator.normal(size=(4, 64, 64))
    sources = np.stack([fields, 0.3 * wave((64, 64)), np.zeros((64, 64)), np.zeros((64, 64))])
    tiles = np.einsum("bk,khw->bhw", generator.normal(size=(4, 4)), sources + noise)[None].astype("float32")
    pixels = by_pixel(standardised(tiles))
    assert correlation(pixels @ components_of(tiles, 1)[0], fields) > 0.95
    # were all differences noise, the fields would come after the wave
    components = noise_adjusted_components(tiles, statistics_of(tiles), 1, quiet_share=1.0)
    assert correlation(pixels @ components[0], fields) < 0.5


def test_components_are_uncorrelated_and_scaled_by_their_ratio_to_the_noise() -> None:
    tiles = mixed_tiles()
    projection = components_of(tiles, 5)
    assert projection.shape == (5, 6)
    values = standardised(tiles)
    across = by_pixel(values[..., 1:] - values[..., :-1])
    differences = np.concatenate([by_pixel(values[:, :, 1:] - values[:, :, :-1]), across])
    sizes = np.linalg.norm(differences, axis=1)
    quiet = differences[sizes <= np.median(sizes)]
    noise = np.einsum("ni,nj->ij", quiet, quiet) / len(quiet) / 2
    noise += 0.01 * np.diag(noise).mean() * np.eye(6)
    scores = by_pixel(values) @ projection.T
    ratios = np.mean(scores**2, axis=0) / np.einsum("ki,ij,kj->k", projection, noise, projection)
    np.testing.assert_allclose(scores.T @ scores / len(scores), np.diag(np.log1p(ratios)), rtol=1e-9, atol=1e-9)
    assert (np.diff(ratios) < 0).all()
    assert ratios[0] > 10 * ratios[-1]  # else there would be little to order


@pytest.mark.parametrize("missing", ["columns", "tile"])
def test_components_ignore_pixels_without_data(missing: str) -> None:
    tiles = mixed_tiles()
    tiles[0, 2, 7, 9] = np.nan
    statistics = statistics_of(tiles)
    spoilt = tiles.copy()
    if missing == "columns":
        kept = tiles[..., :15]
        spoilt[..., 15:] = 1e6
        spoilt[:, 1, :, 15:] = np.nan  # one band without data makes the pixel one without
    else:
        kept = tiles[:2]
        spoilt[2] = np.nan
    result = noise_adjusted_components(spoilt, statistics, 4)
    assert np.isfinite(result).all()
    np.testing.assert_array_equal(result, noise_adjusted_components(kept, statistics, 4))


def test_components_with_a_constant_band() -> None:
    tiles = mixed_tiles()
    tiles[:, 3] = 0.1
    projection = components_of(tiles, 6)
    assert np.isfinite(projection).all()
    np.testing.assert_allclose(projection[:5, 3], 0, atol=1e-9)
    # what is left is the constant band alone, of which another image must not make a huge value
    assert (projection[5] == 0).all()
    others = np.delete(tiles, 3, axis=1)
    assert (np.abs(projection[:5]).max(axis=1) > 0.01).all()
    correlations = [
        correlation(by_pixel(standardised(tiles)) @ one, by_pixel(standardised(others)) @ two)
        for one, two in zip(projection, components_of(others, 3), strict=False)
    ]
    np.testing.assert_allclose(correlations, 1, atol=1e-3)  # the floor of the noise is a mean over the bands


def test_components_of_an_image_that_is_constant_are_none() -> None:
    assert (components_of(np.full((1, 3, 8, 8), 7, dtype="float32"), 3) == 0).all()


def test_components_of_an_image_without_noise() -> None:
    """A class raster, or an image of pixels repeated: more than half of the neighbours are the same."""
    generator = np.random.default_rng(0)
    tiles = np.kron(generator.normal(size=(1, 3, 8, 8)), np.ones((4, 4))).astype("float32")
    projection = components_of(tiles, 3)
    scores = by_pixel(standardised(tiles)) @ projection.T
    covariance = scores.T @ scores / len(scores)
    np.testing.assert_allclose(covariance, np.diag(np.diag(covariance)), atol=1e-5)
    assert ((np.diag(covariance) > 15) & (np.diag(covariance) < 25)).all()  # log(1e9), the least noise that counts


def test_signs_of_components_do_not_depend_on_chance() -> None:
    tiles = mixed_tiles()
    projection = components_of(tiles, 6)
    assert (projection.sum(axis=1) > 0).all()
    # the same pixels and neighbours in another order: eigenvectors may come out with another sign
    for other in (tiles[::-1], tiles[..., ::-1], tiles.swapaxes(2, 3)):
        np.testing.assert_allclose(components_of(other, 6), projection, rtol=1e-6, atol=1e-8)
    # bands in another order are the same components, and so is the negative image but for all signs
    order = np.array([3, 0, 5, 1, 4, 2])
    np.testing.assert_allclose(components_of(tiles[:, order], 6), projection[:, order], rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(components_of(-tiles, 6), projection, rtol=1e-6, atol=1e-8)


def test_there_are_at_most_as_many_components_as_bands() -> None:
    assert components_of(mixed_tiles(bands=2), 12).shape == (2, 2)
    assert components_of(mixed_tiles(bands=1), 12).shape == (1, 1)


def test_components_without_neighbours_are_principal_ones() -> None:
    """Every second pixel has data, as on a chessboard: nothing is known of the noise."""
    tiles = mixed_tiles()
    tiles[:, :, np.indices(tiles.shape[2:]).sum(axis=0) % 2 == 0] = np.nan
    projection = components_of(tiles, 3)
    pixels = by_pixel(standardised(tiles))
    eigenvalues, vectors = np.linalg.eigh(pixels.T @ pixels / len(pixels))
    cosines = np.abs(np.sum(projection * vectors.T[:-4:-1], axis=1)) / np.linalg.norm(projection, axis=1)
    np.testing.assert_allclose(cosines, 1, atol=1e-9)
    variances = np.square(pixels @ projection.T).mean(axis=0)
    np.testing.assert_allclose(variances, np.log1p(eigenvalues[:-4:-1]), rtol=1e-9)
    assert (projection.sum(axis=1) > 0).all()


@pytest.mark.parametrize("shape", [(2, 3, 8, 8), (0, 3, 8, 8), (4, 3, 1, 1)])
def test_components_of_pixels_none_of_which_has_all_bands_are_single_bands(shape: tuple[int, ...]) -> None:
    generator = np.random.default_rng(0)
    statistics = band_statistics(generator.normal(size=(50, 3)).astype("float32"))
    projection = noise_adjusted_components(np.full(shape, np.nan, dtype="float32"), statistics, 2)
    assert projection.shape == (2, 3)
    np.testing.assert_allclose(projection @ projection.T, np.log(2) * np.eye(2), atol=1e-12)
