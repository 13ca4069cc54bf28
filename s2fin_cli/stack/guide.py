"""The features by which pixels are compared: the guide, by which similar ones share their classes, and others."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypeVar

from s2fin_cli.core.images import Images

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

T = TypeVar("T", "NDArray[np.float64]", "Tensor")

#: Number of leading components of the passive image in the guide.
COMPONENTS = 6
#: An image with at most this many bands is described band by band; one with more, by its components.
FEW_BANDS = 16
#: Pixels on each side of a pixel whose mean is compared with the training data, see `compared_parts`.
AROUND = 1


def guide_parts(images: Images[T]) -> list[T]:
    """Parts of the guide, one for each image; the squared distance of two pixels is the sum over all channels.

    Args:
        images: the passive image's components (m, ...), and the second image's standardised bands (bands, ...).

    Returns:
        leading components and bands, scaled so that the squared distance of two pixels is the mean of the squared
        differences of their components, and that of their bands, added.
    """
    return _balanced(Images(images.image[:COMPONENTS], images.aux))


def compared_parts(images: Images[T]) -> list[T]:
    """Parts of the features by which pixels are compared with the training data, see `s2fin_cli.model.reference`.

    Args:
        images: means over the 2 `AROUND` + 1 pixels a side around each pixel: of the passive image's standardised bands
            (m, ...), if there are few, else of its components; and of the second image's standardised bands.

    Returns:
        the same, scaled so that both images count as much, however many bands they have.
    """
    return _balanced(images)


def compared_count(bands: int, components: int, second: int | None) -> int:
    """How many features `compared_parts` has.

    Args:
        bands: bands of the passive image.
        components: its components.
        second: bands of the second image, None without one.
    """
    return (bands if bands <= FEW_BANDS else components) + (second or 0)


def _balanced(images: Images[T]) -> list[T]:
    """The images that there are, scaled so that a squared distance is the mean of the squares of each, added."""
    return [part / math.sqrt(len(part)) for part in images.parts()]
