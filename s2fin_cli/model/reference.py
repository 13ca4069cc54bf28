"""Reference pixels: what a model keeps of its training data, so that a map knows where it leaves them.

The dissimilarity index (DI) and the area of applicability are those of Meyer and Pebesma (2021), "Predicting into
unknown space? Estimating the area of applicability of spatial prediction models", Methods in Ecology and Evolution
12(9), 1620-1633. Ours: the space in which pixels are compared, and that a few pixels of each class stand for all of its
labels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from torch import Tensor

from s2fin_cli.geo.windows import evenly_spread

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

#: Pixels that a model keeps at most, and numbers that they may consist of.
MOST_PIXELS, MOST_NUMBERS = 512, 1 << 14
#: Numbers in all that are read from a model file, at most.
MOST_KEPT = 1 << 16
#: Training pixels between which the mean distance is taken, at most.
MOST_COMPARED = 1024
#: Smaller mean distances and thresholds count as this one: labels may all look the same.
SMALLEST = 1e-6
#: Larger features, mean distances and thresholds count as this one, so that no distance exceeds a float32.
LARGEST = 1e6
#: Squared distances are at least this, where they are divided by.
NEAREST = 1e-3
#: Pixels that are compared at a time: more take four times as long on a CPU, whose cache the distances then leave.
AT_ONCE = 1600
#: Whiskers of a box plot, in interquartile ranges beyond the quartiles (Tukey 1977): what is farther is an outlier.
WHISKER = 1.5


@dataclass(frozen=True, eq=False)
class Prototypes:
    """Pixels that stand for those of the scene without a label.

    Attributes:
        values: float32 (m, k), their features.
        disagreement: float32 (m,), how much the teacher's members disagree about such pixels, 0 to 1.
    """

    values: Tensor
    disagreement: Tensor


@dataclass(frozen=True, eq=False)
class ReferencePixels:
    """Pixels that stand for the training data of a model.

    Attributes:
        values: float32 (n, k), the features by which pixels are compared, see `s2fin_cli.stack.guide`.
        mean_distance: mean distance between two training pixels.
        threshold: the largest DI inside the area of applicability.
        prototypes: what the disagreement of the teacher's members is known of; None without members.
    """

    values: Tensor
    mean_distance: float
    threshold: float
    prototypes: Prototypes | None = None

    @classmethod
    def of(
        cls,
        values: NDArray[np.float32],
        targets: NDArray[np.int64],
        folds: NDArray[np.int64],
        *,
        prototypes: Prototypes | None = None,
    ) -> Self:
        """Choose reference pixels, and find the threshold by cross-validation.

        The threshold is the largest DI of a training pixel to the reference pixels of the other folds, outliers left
        out: it shows how far labels are from other labels of the classes that are known.

        Args:
            values: (m, k), the features of the training pixels.
            targets: (m,), their classes.
            folds: (m,), which of them are held out together.
            prototypes: to keep with them.
        """
        values = values.clip(-LARGEST, LARGEST)
        some = torch.from_numpy(values[evenly_spread(len(values) - 1, most=MOST_COMPARED)].astype(np.float64))
        mean_distance = _within_limits(float(torch.pdist(some).mean()) if len(some) > 1 else 0.0)
        held_out = [torch.empty(0)]
        for fold in np.unique(folds):
            outside = folds != fold
            if outside.any():
                kept = values[outside][_spread(values[outside], targets[outside])]
                held_out.append(nearest(torch.from_numpy(values[~outside]), torch.from_numpy(kept))[0])
        threshold = _within_limits(upper_whisker(torch.cat(held_out).numpy()) / mean_distance)
        chosen = torch.from_numpy(values[_spread(values, targets)])
        if prototypes is not None:
            prototypes = replace(prototypes, values=prototypes.values.clamp(-LARGEST, LARGEST))
        return cls(chosen, mean_distance, threshold, prototypes)

    def dissimilarity(self, values: Tensor) -> Tensor:
        """The DI (n,) of pixels by their features (n, k): above `threshold` they are outside of what was learnt."""
        values = values.clamp(-LARGEST, LARGEST)
        return nearest(values, self.values.to(values.device))[0] / self.mean_distance

    def disagreement(self, values: Tensor) -> Tensor:
        """How much the teacher's members would disagree about pixels (n,), by their features (n, k); NaN if unknown.

        It is the mean of the prototypes', weighted by d^-4, d their distances (inverse distance weighting, Shepard
        1968).
        """
        if self.prototypes is None:
            return values.new_full((len(values),), math.nan)
        values = values.clamp(-LARGEST, LARGEST)
        weights = _squared_distances(values, self.prototypes.values.to(values.device))
        weights = weights.clamp_min_(NEAREST).reciprocal_().square_()
        return weights @ self.prototypes.disagreement.to(values.device) / weights.sum(dim=1)

    def to_dict(self) -> dict[str, Any]:
        """What they are, in plain JSON values."""
        prototypes = 0 if self.prototypes is None else len(self.prototypes.values)
        scale = {"mean_distance": self.mean_distance, "threshold": self.threshold}
        return {"pixels": len(self.values), "prototypes": prototypes, **scale}

    def to_tensors(self) -> dict[str, Tensor]:
        """Plain tensors for a model file."""
        scale = torch.tensor([self.mean_distance, self.threshold], dtype=torch.float64)
        found = {"values": self.values.contiguous(), "scale": scale}
        if self.prototypes is not None:
            found |= {"prototypes": self.prototypes.values, "disagreement": self.prototypes.disagreement}
        return found

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor], *, features: int) -> Self:
        """Build from what `to_tensors` gave.

        Args:
            tensors: by name.
            features: how many features the model's images give a pixel.

        Raises:
            ValueError: they are no reference pixels of such images; the message names the first such value.
        """
        if tensors.keys() not in ({"values", "scale"}, {"values", "scale", "prototypes", "disagreement"}):
            raise ValueError(f"reference pixels: {sorted(tensors)!r:.100}")
        for name in ("values", "prototypes"):
            if name in tensors:
                _check(name, tensors[name], torch.float32, (None, features))
                if tensors[name].abs().max() > LARGEST:
                    raise ValueError(f"{name} of reference pixels: beyond {LARGEST:.0e}")
        _check("scale", tensors["scale"], torch.float64, (2,))
        if not ((tensors["scale"] >= SMALLEST) & (tensors["scale"] <= LARGEST)).all():
            raise ValueError(f"scale of reference pixels: {tensors['scale'].tolist()}")
        prototypes = None
        if "prototypes" in tensors:
            prototypes = Prototypes(tensors["prototypes"], tensors["disagreement"])
            _check("disagreement", prototypes.disagreement, torch.float32, (len(prototypes.values),))
            if not ((prototypes.disagreement >= 0) & (prototypes.disagreement <= 1)).all():
                raise ValueError("disagreement of reference pixels: not from 0 to 1")
        mean_distance, threshold = tensors["scale"].tolist()
        return cls(tensors["values"], mean_distance, threshold, prototypes)


def _within_limits(value: float) -> float:
    return min(max(value, SMALLEST), LARGEST)


def _check(name: str, tensor: Tensor, dtype: torch.dtype, shape: tuple[int | None, ...]) -> None:
    """Refuse a tensor of another kind or shape, of which None is any length but 0, or that is not finite."""
    fits = len(shape) == tensor.ndim and all(
        found > 0 if wanted is None else found == wanted for found, wanted in zip(tensor.shape, shape, strict=True)
    )
    if tensor.dtype != dtype or not fits or not tensor.isfinite().all():
        raise ValueError(f"{name} of reference pixels: {tensor.dtype} {tuple(tensor.shape)}")


def nearest(values: Tensor, kept: Tensor) -> tuple[Tensor, Tensor]:
    """Distances and positions (n,) of the nearest of some points (m, k) to others (n, k).

    A matrix product finds which one is the nearest. Its rounding would show in small distances, which are therefore
    computed again from differences.
    """
    position = torch.cat([_squared_distances(part, kept).argmin(dim=1) for part in torch.split(values, AT_ONCE)])
    return (values - kept[position]).square().sum(dim=1).sqrt(), position


def _squared_distances(values: Tensor, kept: Tensor) -> Tensor:
    """Squared distances (n, m) of points (n, k) to others (m, k), with the rounding of a matrix product."""
    centre = kept.mean(dim=0)  # about it, as rounding grows with the numbers
    values, kept = values - centre, kept - centre
    squares = values.square().sum(dim=1, keepdim=True) + kept.square().sum(dim=1)
    return torch.addmm(squares, values, kept.T, alpha=-2)


def upper_whisker(values: NDArray[np.floating]) -> float:
    """The largest of some values that is no outlier, as a box plot has it; 0 where there are none."""
    if not len(values):
        return 0.0
    low, high = np.quantile(values, [0.25, 0.75])
    return float(values[values <= high + WHISKER * (high - low)].max())


def _spread(values: NDArray[np.float32], targets: NDArray[np.int64]) -> NDArray[np.int64]:
    """Positions of reference pixels among training pixels (m, k): of each class as many, spread as far as possible."""
    most = min(MOST_PIXELS, MOST_NUMBERS // values.shape[1])
    classes = np.unique(targets)[:most]
    chosen = []
    for number in classes:
        own = np.flatnonzero(targets == number)
        chosen.append(own[farthest_points(values[own], most=most // len(classes))])
    return np.concatenate(chosen)


def farthest_points(values: NDArray[np.float32], *, most: int) -> NDArray[np.int64]:
    """Positions of at most some of the points (n, k), each the farthest from those before.

    The first one is the nearest to the mean. A greedy solution of the k-centre problem (Gonzalez 1985, Theoretical
    Computer Science 38, 293-306): no point is more than twice as far from one of them as with the best choice.
    """
    chosen = [int(((values - values.mean(axis=0)) ** 2).sum(axis=1).argmin())]
    distances = ((values - values[chosen[0]]) ** 2).sum(axis=1)
    while len(chosen) < min(most, len(values)):
        chosen.append(int(distances.argmax()))
        distances = np.minimum(distances, ((values - values[chosen[-1]]) ** 2).sum(axis=1))
    return np.array(chosen)
