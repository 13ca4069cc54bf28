"""Per-band statistics of a stack, from an even sample of its pixels."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from rasterio.windows import Window

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from s2fin_cli.stack.stack import Stack, Tile

#: Size of the sample: so many values (pixels times bands), at most so many pixels, from at most so many tiles.
MAX_VALUES = 30_000_000
#: Values that suffice to tell a unit, or what fills a border; few, as they are held beside all else.
FEW_VALUES = 2_000_000
MAX_PIXELS = 200_000
MAX_TILES = 64
#: Tiles that suffice to tell a unit: a tile has to be decoded as a whole, however few of its pixels are taken.
FEW_TILES = 5
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


def sample_pixels(stack: Stack, *, values: int = MAX_VALUES, few_tiles: bool = False) -> NDArray[np.float32]:
    """An even sample of a stack's pixels in the area of interest, whether they have data or not.

    Args:
        stack: the stack.
        values: to take at most, pixels times bands.
        few_tiles: take them from `FEW_TILES` tiles at most, not from `MAX_TILES`.

    Returns:
        float32 (n, bands of all layers), NaN where a band has no data.
    """
    chosen = (
        _scattered_tiles(stack.extent, most=FEW_TILES) if few_tiles else _spread_tiles(stack.extent, most=MAX_TILES)
    )
    bands = sum(len(layer.numbers) for layer in stack.layers)
    pixels = sum(window.height * window.width for window in chosen)
    wanted = max(min(MAX_PIXELS, values // bands), 1)
    # NOTE: an odd step does not fall into line with the rows of an even-sized tile.
    step = -(-pixels // wanted) | 1 if pixels > wanted else 1

    def some_of(tile: Tile) -> NDArray[np.float32]:
        some = np.concatenate([part.reshape(len(part), -1)[:, ::step] for part in tile.images.parts()]).T
        # NOTE: pixel by pixel in memory, as sums over the pixels, and with them a model, depend on the order
        return np.ascontiguousarray(some if tile.inside is None else some[tile.inside.ravel()[::step]])

    return np.concatenate(stack.read_scattered(chosen, some_of))


def _spread_tiles(extent: Window, *, most: int) -> list[Window]:
    """At most so many tiles of a window, spread evenly over its height and over its width: a grid of them."""
    rows, cols = (-(-length // TILE_SIZE) for length in (extent.height, extent.width))
    chosen_rows = _spread(rows, max(math.isqrt(most), most // cols))
    chosen_cols = _spread(cols, most // len(chosen_rows))
    return [_tile(extent, int(row), int(col)) for row in chosen_rows for col in chosen_cols]


def _scattered_tiles(extent: Window, *, most: int) -> list[Window]:
    """At most so many tiles of a window, likewise, but each in a row and in a column of its own as far as possible."""
    rows, cols = (-(-length // TILE_SIZE) for length in (extent.height, extent.width))
    count = min(most, max(rows, cols))
    places = np.arange(count)
    crossed = np.concatenate([places[::2], places[1::2]])  # not on a diagonal, which a swath may follow
    chosen = {
        (row * (rows - 1) // max(count - 1, 1), col * (cols - 1) // max(count - 1, 1))
        for row, col in zip(places.tolist(), crossed.tolist(), strict=True)
    }
    return [_tile(extent, row, col) for row, col in sorted(chosen)]


def _tile(extent: Window, row: int, col: int) -> Window:
    """One of the tiles that cover a window."""
    top, left = row * TILE_SIZE, col * TILE_SIZE
    height, width = min(TILE_SIZE, extent.height - top), min(TILE_SIZE, extent.width - left)
    return Window(extent.col_off + left, extent.row_off + top, width, height)


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
        for band in np.flatnonzero(np.isinf(std)):  # whose squares are beyond float32
            std[band] = np.nanstd(pixels[:, band].astype(np.float64))
        spread = np.asarray(np.nanmax(pixels, axis=0) - np.nanmin(pixels, axis=0))
    # NOTE: rounding can give a constant band a tiny standard deviation, which would blow up its noise.
    return BandStatistics(mean, np.where(spread == 0, 0.0, std), low.astype(np.float64), high.astype(np.float64))


#: Share of the neighbour differences, the smallest ones, that count as noise and not as edges.
QUIET_SHARE = 0.5
#: Part of the mean noise variance that each band has at least, so that no direction counts as free of noise.
NOISE_FLOOR = 0.01
#: Below this variance, in units of the noise's, a combination of bands has no values: it is none.
LEAST_RATIO = 1e-9


def noise_adjusted_components(
    tiles: NDArray[np.float32], statistics: BandStatistics, count: int
) -> NDArray[np.float64]:
    """Projection of standardised bands onto those combinations of them that hold most signal for their noise.

    The minimum noise fraction transform (Green, Berman, Switzer and Craig 1988, IEEE TGRS 26(1), 65-74), with the noise
    estimated from the differences between neighbouring pixels, the smaller half of them. Ours: each component is
    scaled to the deviation sqrt(log(1 + ratio)), the ratio of its variance, noise included, to its noise's, so that
    components of little but noise stay small.

    Args:
        tiles: (n, bands, height, width) parts of one image, NaN where there is no data.
        statistics: of the same bands.
        count: number of components.

    Returns:
        float64 (count, bands), at most as many rows as bands; zeros for a combination that is constant, as that of
        constant bands is. Where no two neighbours have data, nothing is known of the noise, and these are principal
        components.
    """
    scale = np.where(statistics.std > 0, statistics.std, 1)[:, None, None]
    values = (tiles - statistics.mean[:, None, None]) / scale
    noise = _noise_covariance(values)
    signal = _covariance(_by_pixel(values))
    # whiten the noise, then find the directions of most variance
    whitening = np.linalg.inv(np.linalg.cholesky(noise))
    ratios, vectors = np.linalg.eigh(whitening @ signal @ whitening.T)
    leading = np.argsort(ratios)[::-1][:count]
    ratios = np.maximum(ratios[leading], LEAST_RATIO)
    projection = vectors[:, leading].T @ whitening
    projection *= np.where(projection.sum(axis=1, keepdims=True) < 0, -1, 1)  # an eigenvector's sign is arbitrary
    # NOTE: whitening blows up what is constant here, which would swamp all else in an image where it is not constant.
    size = np.where(ratios > LEAST_RATIO, np.sqrt(np.log1p(ratios) / ratios), 0)
    return np.asarray(projection * size[:, None])


def _noise_covariance(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Covariance (bands, bands) of the noise in (n, bands, height, width), never singular."""
    differences = np.concatenate([_by_pixel(np.diff(values, axis=axis)) for axis in (2, 3)])
    if not len(differences):
        return np.eye(values.shape[1])
    sizes = np.square(differences).sum(axis=1)
    quiet = differences[sizes <= np.quantile(sizes, QUIET_SHARE)]
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
