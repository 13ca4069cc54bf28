"""Unlike anything labelled: pixels that are farther from every label than labels are from each other.

Forests cannot tell this: whatever is beyond the labels shares a leaf with the outermost of them. The measure is that of
`s2fin_cli.model.reference`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from s2fin_cli.model.reference import ReferencePixels
from s2fin_cli.teaching.features import compared_features
from s2fin_cli.teaching.folds import assign_folds

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from s2fin_cli.teaching.features import Features

#: Parts of the labels that are held out in turn, to find how far labels are from those of other parts.
FOLDS = 4


def reference_of(
    features: Features, targets: NDArray[np.int64], units: NDArray[np.int64], *, seed: int
) -> ReferencePixels:
    """Reference pixels of labels.

    Args:
        features: features of the labelled pixels.
        targets: (l,), their classes by position.
        units: (l,), the polygon, point or block that each is of.
        seed: seed of the folds.
    """
    folds = assign_folds(targets, units, np.random.default_rng(seed), count=FOLDS)
    return ReferencePixels.of(compared_features(features), targets, folds)


def are_unlike(features: Features, reference: ReferencePixels) -> NDArray[np.bool_]:
    """Mask over pixels (n,), by their features, of those that are unlike all reference pixels."""
    values = torch.from_numpy(compared_features(features))
    return np.asarray((reference.dissimilarity(values) > reference.threshold).numpy())
