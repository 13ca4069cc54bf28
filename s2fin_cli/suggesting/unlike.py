"""Unlike anything labelled: pixels farther from every label than labels are from each other.

The dissimilarity index and its threshold are those of Meyer and Pebesma (2021), "Predicting into unknown space?
Estimating the area of applicability of spatial prediction models", Methods in Ecology and Evolution 12(9), 1620-1633.
Forests cannot tell this: whatever is beyond the labels shares a leaf with the outermost of them. Ours: the space in
which pixels are compared.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from sklearn.neighbors import KDTree

from s2fin_cli.stack.guide import FEW_BANDS
from s2fin_cli.teaching.features import SCALES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from s2fin_cli.teaching.features import Features

#: Whiskers of a box plot, in interquartile ranges beyond the quartiles (Tukey 1977): what is farther is an outlier.
WHISKER = 1.5


def are_unlike(features: Features, known: Features, units: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Mask over pixels (n,) of those that are unlike anything labelled.

    Args:
        features: features of the pixels.
        known: those of labelled pixels.
        units: (l,), the polygon or point that each labelled pixel is of. How far labels are from each other is found
            between units; with a single unit no pixel is unlike.
    """
    values, others = _compared(features), _compared(known)
    apart = np.full(len(others), np.nan)
    for unit in np.unique(units):
        inside = units == unit
        if not inside.all():
            apart[inside] = _nearest(others[inside], others[~inside])
    if not np.isfinite(apart).any():
        return np.zeros(len(values), dtype=bool)
    low, high = np.quantile(apart, [0.25, 0.75])
    threshold = apart[apart <= high + WHISKER * (high - low)].max()
    return np.asarray(_nearest(values, others) > threshold)


def _compared(features: Features) -> NDArray[np.float32]:
    """The values (n, k) by which pixels are compared: means of both images around them, which count the same."""
    kind = "bands" if features["bands"].shape[1] <= FEW_BANDS else "components"
    parts = [features[f"{name} mean {SCALES[0]}"] for name in (kind, "aux") if name in features]
    return np.concatenate([part / math.sqrt(part.shape[1]) for part in parts], axis=1)


def _nearest(values: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.float64]:
    return np.asarray(KDTree(others).query(values)[0][:, 0])
