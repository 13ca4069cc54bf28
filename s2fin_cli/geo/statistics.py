"""Per-band statistics of a stack, from an even sample of its pixels."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from s2fin_cli.geo.windows import iter_tiles

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from rasterio.windows import Window

    from s2fin_cli.geo.stack import Stack

#: Size of the sample: so many values (pixels times bands), at most so many pixels, from at most so many tiles.
MAX_VALUES = 30_000_000
MAX_PIXELS = 200_000
MAX_TILES = 64
TILE_SIZE = 256


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


def sample_pixels(stack: Stack) -> NDArray[np.float32]:
    """An even sample of a stack's pixels, whether they have data or not.

    Returns:
        float32 (n, bands of all layers), NaN where a band has no data.
    """
    chosen = _spread_tiles(stack.grid.shape)
    bands = sum(len(layer.indexes) for layer in stack.layers)
    pixels = sum(window.height * window.width for window in chosen)
    wanted = max(min(MAX_PIXELS, MAX_VALUES // bands), 1)
    # NOTE: an odd step does not fall into line with the rows of an even-sized tile.
    step = -(-pixels // wanted) | 1 if pixels > wanted else 1
    parts = []
    with stack.open() as opened:
        for window in chosen:
            tile = opened.read(window)
            values = tile.image if tile.aux is None else np.concatenate([tile.image, tile.aux])
            parts.append(values.reshape(bands, -1)[:, ::step].T.copy())  # a view would keep the whole tile
    return np.concatenate(parts)


def _spread_tiles(shape: tuple[int, int]) -> list[Window]:
    """At most `MAX_TILES` tiles, spread evenly over the raster's height and over its width."""
    tiles = list(iter_tiles(shape, TILE_SIZE))
    columns = -(-shape[1] // TILE_SIZE)
    rows = len(tiles) // columns
    side = math.isqrt(MAX_TILES)
    chosen_rows = _spread(rows, max(side, MAX_TILES // columns))
    chosen_columns = _spread(columns, MAX_TILES // len(chosen_rows))
    return [tiles[row * columns + column] for row in chosen_rows for column in chosen_columns]


def _spread(count: int, most: int) -> NDArray[np.int64]:
    """At most so many of the numbers from 0 to `count` - 1, evenly spread, the first and the last among them."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(np.int64))


def band_statistics(pixels: NDArray[np.float32]) -> BandStatistics:
    """Statistics of sampled pixels (n, bands), NaN where there is no data."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # bands without data are told by NaN
        low, high = np.nanpercentile(pixels, [2, 98], axis=0)
        mean = np.asarray(np.nanmean(pixels, axis=0, dtype=np.float64))
        std = np.asarray(np.nanstd(pixels, axis=0, dtype=np.float64))
        spread = np.asarray(np.nanmax(pixels, axis=0) - np.nanmin(pixels, axis=0))
    # NOTE: rounding can give a constant band a tiny standard deviation, which would blow up its noise.
    return BandStatistics(mean, np.where(spread == 0, 0.0, std), low.astype(np.float64), high.astype(np.float64))


def principal_components(pixels: NDArray[np.float32], statistics: BandStatistics, count: int) -> NDArray[np.float64]:
    """Projection of standardised bands onto their leading principal components, each scaled to unit variance.

    Args:
        pixels: (n, bands) sample of one image.
        statistics: of the same bands.
        count: number of components.

    Returns:
        float64 (count, bands); from the eigenvectors of the bands' correlation matrix.
    """
    complete = pixels[np.isfinite(pixels).all(axis=1)].astype(np.float64)
    standardised = (complete - statistics.mean) / np.where(statistics.std > 0, statistics.std, 1)
    eigenvalues, eigenvectors = np.linalg.eigh(standardised.T @ standardised / max(len(standardised), 1))
    leading = np.argsort(eigenvalues)[::-1][:count]
    vectors = eigenvectors[:, leading]
    vectors *= np.where(vectors.sum(axis=0) < 0, -1, 1)  # an eigenvector's sign is arbitrary: fix it
    return np.asarray((vectors / np.sqrt(np.maximum(eigenvalues[leading], 1e-12))).T)
