"""The guide: the features by which pixels are compared when similar ones share their classes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from s2fin_cli.core.images import Images

T = TypeVar("T", "NDArray[np.float64]", "Tensor")

#: Number of leading components of the passive image in the guide.
COMPONENTS = 6


def guide_parts(images: Images[T]) -> list[T]:
    """Parts of the guide, one for each image; the squared distance of two pixels is the sum over all channels.

    Args:
        images: the passive image's components (m, ...), and the second image's standardised bands (bands, ...).

    Returns:
        leading components and bands, scaled so that the squared distance of two pixels is the mean of the squared
        differences of their components, and that of their bands, added.
    """
    components = images.image[:COMPONENTS]
    parts = [components] if images.aux is None else [components, images.aux]
    return [part / math.sqrt(len(part)) for part in parts]
