"""Uncertainty: how sure the class of each pixel is, and whether the training data can tell."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from s2fin_cli.raster.write import RasterWriter

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from rasterio.windows import Window

#: The measures of a pixel that its probabilities do not tell, see `s2fin_cli.inference.likeness.Likeness`.
MEASURES = ("disagreement", "dissimilarity")
#: Bands of the raster of uncertainty. The margin falls where a class is less sure, and all others rise.
BANDS = ("entropy", "margin", *MEASURES)
#: Dissimilarity up to which a pixel is inside the area of applicability.
INSIDE = 1.0


class UncertaintyWriter(RasterWriter):
    """An open raster of uncertainty, which counts the pixels outside of the area of applicability.

    Attributes:
        outside: how many of those written there are.
    """

    def __init__(self, dst: Any) -> None:
        super().__init__(dst)
        self.outside = 0

    def write(self, values: NDArray[Any], window: Window) -> None:
        """Write `BANDS` (4, height, width) into a window that nothing was written to before."""
        super().write(values, window)
        self.outside += int((values[BANDS.index("dissimilarity")] > INSIDE).sum())


def uncertainty_of(probs: NDArray[np.float32], measures: NDArray[np.float32]) -> NDArray[np.float32]:
    """The bands of the raster of uncertainty.

    Args:
        probs: (num_classes, height, width), the final probabilities.
        measures: (2, height, width), `MEASURES` of the same pixels.

    Returns:
        (4, height, width), `BANDS`: the entropy of the probabilities (Shannon 1948), divided by that of equal ones, 0
        to 1; the difference of the two largest probabilities, 0 to 1; and the measures.
    """
    from scipy.special import entr  # noqa: PLC0415  slow to import, and few maps need it

    # NOTE: class by class, and one pixel's logarithm like another's, so that a value does not depend on the part of the
    # raster that it is computed in.
    entropy, first, second = (np.zeros(probs.shape[1:], kind) for kind in (np.float64, np.float32, np.float32))
    for prob in probs:
        entropy += entr(prob.astype(np.float64))
        second = np.maximum(second, np.minimum(first, prob))
        first = np.maximum(first, prob)
    entropy /= math.log(len(probs))
    return np.concatenate([np.stack([entropy.astype(np.float32), first - second]), measures])
