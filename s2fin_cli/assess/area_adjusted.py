"""Accuracies and class areas weighted by the mapped area of each class.

In a sample stratified by the map's classes, rare classes are over-represented, so its plain accuracy is that of the
sample only. Here accuracies and class areas are estimated for the whole map, with standard errors.

Source: Olofsson, Foody, Herold, Stehman, Woodcock and Wulder 2014, "Good practices for estimating area and assessing
accuracy of land change", Remote Sensing of Environment 148, 42-57; equations by their numbers there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from s2fin_cli.core.figures import known

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from s2fin_cli.assess.metrics import Accuracy

#: Standard errors on each side of a 95 % confidence interval.
Z_95 = 1.96


# NOTE: eq=False because arrays do not compare to one truth value.
@dataclass(frozen=True, eq=False)
class Estimate:
    """Estimates and their standard errors, float64 of one shape, NaN where undefined."""

    value: NDArray[np.float64]
    standard_error: NDArray[np.float64]

    @property
    def margin(self) -> NDArray[np.float64]:
        """Half the width of the 95 % confidence intervals."""
        return Z_95 * self.standard_error

    def to_list(self) -> list[dict[str, float | None]]:
        """Plain JSON values, one object for each estimate."""
        pairs = zip(self.value.ravel().tolist(), self.margin.ravel().tolist(), strict=True)
        return [{"estimate": known(value), "margin_95": known(margin)} for value, margin in pairs]


@dataclass(frozen=True, eq=False)
class AreaAdjusted:
    """Estimates from a sample that is stratified by the map's classes, simple random within each.

    Attributes:
        sample: the sample's confusion matrix; in it the equations' n_ij is `matrix[j, i]`, as rows are the reference.
        map_areas: float64 (C,), mapped area of each class in square metres, or in pixels where the map has no CRS.
        unit: "m2" or "pixels".
    """

    sample: Accuracy
    map_areas: NDArray[np.float64]
    unit: str

    @property
    def weights(self) -> NDArray[np.float64]:
        """W_i: mapped share of each class, (C,)."""
        return np.asarray(self.map_areas / self.map_areas.sum())

    @cached_property
    def _counts(self) -> NDArray[np.float64]:
        """n_i.: sampled pixels of each map class, (C,)."""
        return np.asarray(self.sample.matrix.sum(axis=0), dtype=np.float64)

    @cached_property
    def _shares(self) -> NDArray[np.float64]:
        """n_ij / n_i.: (C, C), rows are the map; 0 for a class that the map does not have."""
        counts = self._counts[:, None]
        return np.divide(self.sample.matrix.T, counts, out=np.zeros(self.sample.matrix.shape), where=counts > 0)

    def _variances(self, shares: NDArray[np.float64]) -> NDArray[np.float64]:
        """Variances of shares (C,) or (C, any) within the map classes; NaN for a class with a single pixel."""
        counts = self._counts if shares.ndim == 1 else self._counts[:, None]
        spread = shares * (1 - shares)
        return np.divide(
            spread, counts - 1, out=np.where(counts == 1, math.nan, np.zeros_like(spread)), where=counts > 1
        )

    @cached_property
    def proportions(self) -> NDArray[np.float64]:
        """p_ij: estimated share of the area by map class (rows) and true class (columns), (C, C); equation 4."""
        return np.asarray(self.weights[:, None] * self._shares)

    @cached_property
    def overall_accuracy(self) -> Estimate:
        """Share of the area that is mapped correctly, (); equations 1 and 5."""
        variance = (self.weights**2 * self._variances(self._shares.diagonal())).sum()
        return Estimate(np.asarray(self.proportions.trace()), np.sqrt(variance))

    @cached_property
    def users_accuracy(self) -> Estimate:
        """Share of each map class that is mapped correctly, (C,), NaN for one not in the map; equations 2 and 6."""
        share = np.where(self._counts > 0, self._shares.diagonal(), math.nan)
        return Estimate(share, np.sqrt(np.where(self._counts > 0, self._variances(self._shares.diagonal()), math.nan)))

    @cached_property
    def producers_accuracy(self) -> Estimate:
        """Share of each true class that is mapped correctly, (C,), NaN for one not found; equations 3 and 7."""
        totals = self.proportions.sum(axis=0)
        found = totals > 0
        right = np.divide(self.proportions.diagonal(), totals, out=np.full(totals.shape, math.nan), where=found)
        variances = self.weights[:, None] ** 2 * self._variances(self._shares)
        own = variances.diagonal()
        others = variances.sum(axis=0) - own
        variance = (1 - right) ** 2 * own + right**2 * others
        errors = np.divide(np.sqrt(variance), totals, out=np.full(totals.shape, math.nan), where=found)
        return Estimate(right, errors)

    @cached_property
    def area_shares(self) -> Estimate:
        """True share of the area of each class, (C,); equations 8 to 10."""
        variance = (self.weights[:, None] ** 2 * self._variances(self._shares)).sum(axis=0)
        return Estimate(self.proportions.sum(axis=0), np.sqrt(variance))

    @property
    def areas(self) -> Estimate:
        """True area of each class, (C,), in `unit`; equation 11."""
        whole = self.map_areas.sum()
        return Estimate(self.area_shares.value * whole, self.area_shares.standard_error * whole)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values: each estimate with half the width of its 95 % confidence interval, or None."""
        columns = {
            "users_accuracy": self.users_accuracy.to_list(),
            "producers_accuracy": self.producers_accuracy.to_list(),
            "area": self.areas.to_list(),
        }
        names = zip(self.sample.class_ids, self.sample.class_names, self.map_areas.tolist(), strict=True)
        return {
            "overall_accuracy": self.overall_accuracy.to_list()[0],
            "area_unit": self.unit,
            "classes": [
                {"id": i, "name": name, "map_area": area, **{key: column[row] for key, column in columns.items()}}
                for row, (i, name, area) in enumerate(names)
            ],
        }
