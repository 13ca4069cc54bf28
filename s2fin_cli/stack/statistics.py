"""Statistics of bands, and the combinations of bands with the most signal."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class BandStatistics:
    """Statistics of the bands of one image; float64 (bands,) each, NaN for a band without data.

    Attributes:
        mean, std: arithmetic mean and standard deviation.
        low, high: 2nd and 98th percentile.
    """

    mean: NDArray[np.float64]
    std: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]

    @property
    def is_empty(self) -> NDArray[np.bool_]:
        """True for bands that have no data."""
        return np.asarray(np.isnan(self.mean))

    @property
    def is_constant(self) -> NDArray[np.bool_]:
        """True for bands with one value throughout."""
        return np.asarray(self.std == 0)

    def select(self, which: NDArray[np.bool_] | slice) -> BandStatistics:
        """The statistics of some of the bands."""
        return BandStatistics(self.mean[which], self.std[which], self.low[which], self.high[which])


def band_statistics(pixels: NDArray[np.float32]) -> BandStatistics:
    """Statistics of sampled pixels (n, bands), NaN where there is no data."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # bands without data become NaN
        low, high = np.nanpercentile(pixels, [2, 98], axis=0)
        mean = np.asarray(np.nanmean(pixels, axis=0, dtype=np.float64))
        std = np.asarray(np.nanstd(pixels, axis=0, dtype=np.float64))
        for band in np.flatnonzero(np.isinf(std)):  # whose squares are beyond float32
            std[band] = np.nanstd(pixels[:, band].astype(np.float64))
        spread = np.asarray(np.nanmax(pixels, axis=0) - np.nanmin(pixels, axis=0))
    # NOTE: rounding can give a constant band a tiny standard deviation, which would blow up its noise.
    return BandStatistics(mean, np.where(spread == 0, 0.0, std), low.astype(np.float64), high.astype(np.float64))


#: Share of the neighbour differences, the smallest ones, that count as noise and not as edges.
QUIET_SHARE = 0.5
#: Part of the mean noise variance that each band has at least, so that no direction counts as free of noise.
NOISE_FLOOR = 0.01
#: A combination of bands with less variance than this, in units of the noise's, is constant.
LEAST_RATIO = 1e-9


def noise_adjusted_components(
    tiles: NDArray[np.float32], statistics: BandStatistics, count: int, *, quiet_share: float = QUIET_SHARE
) -> NDArray[np.float64]:
    """Projection of standardised bands onto their combinations with the highest signal-to-noise ratio.

    The minimum noise fraction transform (Green, Berman, Switzer and Craig 1988, IEEE TGRS 26(1), 65-74), with the noise
    estimated from the differences between neighbouring pixels, the smaller half of them. Ours: each component is
    scaled to the deviation sqrt(log(1 + ratio)), the ratio of its variance, noise included, to its noise's, so that
    components of little but noise stay small.

    Args:
        tiles: (n, bands, height, width) parts of one image, NaN where there is no data.
        statistics: statistics of the same bands.
        count: number of components.
        quiet_share: share of the differences between neighbours, the smallest ones, that count as noise and not as
            edges.

    Returns:
        float64 (count, bands), at most as many rows as bands; zeros for a combination that is constant, as that of
        constant bands is. If no two neighbours have data, the noise is unknown, and these are principal components.
    """
    scale = np.where(statistics.std > 0, statistics.std, 1)[:, None, None]
    values = (tiles - statistics.mean[:, None, None]) / scale
    noise = _noise_covariance(values, quiet_share)
    signal = _covariance(_by_pixel(values))
    # whiten the noise, then find the directions of most variance
    whitening = np.linalg.inv(np.linalg.cholesky(noise))
    ratios, vectors = np.linalg.eigh(whitening @ signal @ whitening.T)
    leading = np.argsort(ratios)[::-1][:count]
    ratios = np.maximum(ratios[leading], LEAST_RATIO)
    projection = vectors[:, leading].T @ whitening
    projection *= np.where(projection.sum(axis=1, keepdims=True) < 0, -1, 1)  # an eigenvector's sign is arbitrary
    # NOTE: whitening amplifies what is constant here, which would swamp everything else in an image where it is not.
    size = np.where(ratios > LEAST_RATIO, np.sqrt(np.log1p(ratios) / ratios), 0)
    return np.asarray(projection * size[:, None])


def _noise_covariance(values: NDArray[np.float64], quiet_share: float) -> NDArray[np.float64]:
    """Covariance (bands, bands) of the noise in (n, bands, height, width), never singular."""
    differences = np.concatenate([_by_pixel(np.diff(values, axis=axis)) for axis in (2, 3)])
    if not len(differences):
        return np.eye(values.shape[1])
    sizes = np.square(differences).sum(axis=1)
    quiet = differences[sizes <= np.quantile(sizes, quiet_share)]
    noise = _covariance(quiet) / 2  # a difference has twice the variance of each of its parts
    bands = len(noise)
    return np.asarray(noise + np.eye(bands) * max(NOISE_FLOOR * np.trace(noise) / bands, 1e-9))


def _covariance(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Covariance (bands, bands) of values (n, bands) about 0; the identity where there are none."""
    return np.asarray(values.T @ values / len(values)) if len(values) else np.eye(values.shape[1])


def _by_pixel(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, bands, height, width) to (pixels that have data in all bands, bands)."""
    pixels = np.moveaxis(values, 1, 3).reshape(-1, values.shape[1])
    return np.asarray(pixels[np.isfinite(pixels).all(axis=1)])
