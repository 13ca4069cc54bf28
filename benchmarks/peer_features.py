"""The input of the peers: features of a scene's pixels, and samples made of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import uniform_filter
from sklearn.decomposition import PCA

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from s2fin_cli.labels.pixels import LabelledPixels
    from scenes import LoadedScene

#: Pixels along one side of the window that context features and patches are taken from.
WINDOW = 11
#: Principal components that replace the second image's patches if there is only one image.
COMPONENTS = 3
#: Sides of the squares around a pixel that the ensemble of trees sees. Of an image with more bands than `MANY_BANDS` it
#: sees `SCALED_COMPONENTS` principal components there.
SCALES, MANY_BANDS, SCALED_COMPONENTS = (3, 7, 15, 31), 16, 10

#: From features (n, ...) to probabilities (n, classes).
Predict = Callable[["NDArray[np.float32]"], "NDArray[np.float64]"]


class SceneFeatures:
    """Features of a scene's pixels: computed once for the whole scene, then indexed.

    Args:
        loaded: the scene.
    """

    def __init__(self, loaded: LoadedScene) -> None:
        self.loaded = loaded

    def at(self, kind: str, pixels: LabelledPixels) -> NDArray[np.float32]:
        """Features of n pixels.

        Args:
            kind: "bands": (n, bands) of all images; "context": these with mean and standard deviation of the window
                around, (n, 3 * bands); "scales": these with mean and standard deviation of four squares around, of an
                image with many bands those of its components; "patches": standardised, (n, channels, 11, 11), the
                second image's at the end.
            pixels: which.
        """
        rows, cols = pixels.rows, pixels.cols
        if kind == "patches":
            return np.ascontiguousarray(self._windows[:, rows, cols].swapaxes(0, 1))
        bands = self.loaded.image[:, rows, cols].T
        if kind == "scales":
            return np.hstack([bands, self._scales[self._numbers[rows, cols]]])
        return np.hstack([bands, self._context[:, rows, cols].T]) if kind == "context" else bands

    @cached_property
    def _context(self) -> NDArray[np.float32]:
        """Mean and standard deviation of each pixel's window, (2 * bands, height, width)."""
        context = [surroundings(band, WINDOW) for band in self.loaded.image]
        return np.stack(context, axis=1).reshape(-1, *self.loaded.image.shape[1:])

    @cached_property
    def _numbers(self) -> NDArray[np.int64]:
        """The number of each labelled pixel, (height, width); surroundings of all pixels would not fit in memory."""
        labelled = np.zeros(self.loaded.image.shape[1:], dtype=bool)
        for pixels in (self.loaded.labels, *(self.loaded.fixed or ())):
            labelled[pixels.rows, pixels.cols] = True
        return np.where(labelled, labelled.cumsum().reshape(labelled.shape) - 1, -1)

    @cached_property
    def _scales(self) -> NDArray[np.float32]:
        """Mean and standard deviation of the squares around the labelled pixels, (labelled pixels, features)."""
        scene, labelled = self.loaded, self._numbers >= 0
        found = []
        for image in np.split(scene.image, [scene.image_bands]):
            for band in image if len(image) <= MANY_BANDS else components_of(image):
                found += [part[labelled] for scale in SCALES for part in surroundings(band, scale)]
        return np.stack(found, axis=1)

    @cached_property
    def _windows(self) -> NDArray[np.float32]:
        """View (channels, height, width, 11, 11) of the standardised images, mirrored at the edges."""
        scene = self.loaded
        values = standardised(scene.image)
        if scene.image_bands == len(values):  # one image alone: the second branch gets principal components, as s2fin's
            pixels = values.reshape(len(values), -1).T
            components = PCA(COMPONENTS, whiten=True, svd_solver="covariance_eigh").fit_transform(pixels)
            values = np.concatenate([values, components.T.reshape(-1, *values.shape[1:])])
        half = WINDOW // 2
        padded = np.pad(values.astype(np.float32), ((0, 0), (half, half), (half, half)), mode="symmetric")
        return np.lib.stride_tricks.sliding_window_view(padded, (WINDOW, WINDOW), axis=(1, 2))


def surroundings(band: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """Mean and standard deviation of the square around each pixel of a band (height, width), mirrored at the edges."""
    offset = band.mean(dtype=np.float64)
    values = band - offset  # float64, and near 0, so that the difference of squares is exact enough
    mean = uniform_filter(values, side, mode="mirror")
    variance = uniform_filter(values**2, side, mode="mirror") - mean**2
    return np.stack([mean + offset, np.sqrt(variance.clip(0))]).astype(np.float32)


def standardised(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """An image (bands, height, width) whose bands have mean 0 and deviation 1."""
    scale = image.std(axis=(1, 2), keepdims=True)
    return np.asarray((image - image.mean(axis=(1, 2), keepdims=True)) / np.where(scale > 0, scale, 1))


def components_of(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """The first principal components (10, height, width) of an image's standardised bands."""
    pixels = standardised(image).reshape(len(image), -1).T
    components = PCA(SCALED_COMPONENTS, svd_solver="covariance_eigh").fit_transform(pixels)
    return np.asarray(components.T.reshape(-1, *image.shape[1:]))


@dataclass(frozen=True)
class Samples:
    """The training samples of a peer.

    Attributes:
        features: (n, ...), of the kind that it asks for.
        targets: int64 (n,), positions of the classes, all of 0 to classes - 1.
        image_bands: how many of the channels of patches are the passive image's.
    """

    features: NDArray[np.float32]
    targets: NDArray[np.int64]
    image_bands: int

    @property
    def smallest(self) -> int:
        """Number of labels of the class with the fewest."""
        return int(np.bincount(self.targets).min())
