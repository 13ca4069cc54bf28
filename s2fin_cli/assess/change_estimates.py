"""How much really changed, and how accurate a change map is, from a sample that is stratified by its transitions."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from s2fin_cli.assess.area_adjusted import Estimate

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from s2fin_cli.assess.area_adjusted import AreaAdjusted


@dataclass(frozen=True, eq=False)
class ChangeEstimates:
    """All changes together, against all that is unchanged.

    The strata are the transitions, and so finer than the two classes that are estimated here. The estimators are those
    of Stehman 2014, "Estimating area and map accuracy for stratified random sampling when the strata are different from
    the map classes", International Journal of Remote Sensing 35, 4923-4939, without the correction for finite strata,
    as Olofsson et al. 2014 have them.

    Attributes:
        transitions: the estimates of each transition.
        is_changed: bool (T,), which of the transitions are changes.
    """

    transitions: AreaAdjusted
    is_changed: NDArray[np.bool_]

    @cached_property
    def _counts(self) -> NDArray[np.float64]:
        """Sampled pixels of each stratum, (T,)."""
        return np.asarray(self.transitions.sample.matrix.sum(axis=0), dtype=np.float64)

    @cached_property
    def _shares(self) -> NDArray[np.float64]:
        """Share of each stratum that really changed, (T,); 0 for a transition that the map does not have."""
        changed = self.transitions.sample.matrix[self.is_changed].sum(axis=0)
        shares = np.zeros(len(self._counts))
        return np.asarray(np.divide(changed, self._counts, out=shares, where=self._counts > 0))

    @cached_property
    def _variances(self) -> NDArray[np.float64]:
        """Variances of these shares, times the squares of the strata's areas, (T,); NaN for a single pixel."""
        counts, spread = self._counts, self._shares * (1 - self._shares)
        unknown = np.where(counts == 1, math.nan, 0.0)
        return np.asarray(self.transitions.map_areas**2 * np.divide(spread, counts - 1, out=unknown, where=counts > 1))

    @property
    def area(self) -> Estimate:
        """Area that really changed, (), in the unit of the transitions."""
        found = (self.transitions.map_areas * self._shares).sum()
        return Estimate(np.asarray(found), np.sqrt(self._variances.sum()))

    @property
    def map_area(self) -> float:
        """Area of the changes in the map."""
        return float(self.transitions.map_areas[self.is_changed].sum())

    @property
    def users_accuracy(self) -> Estimate:
        """Share of the mapped changes where something really changed, (), NaN where the map has none."""
        right = (self.transitions.map_areas * self._shares)[self.is_changed].sum()
        return _ratio(right, self._variances[self.is_changed].sum(), whole=self.map_area)

    @property
    def producers_accuracy(self) -> Estimate:
        """Share of what really changed that is mapped as changed, (), NaN where nothing was found to have changed."""
        found = self.transitions.map_areas * self._shares
        right, whole = found[self.is_changed].sum(), found.sum()
        share = right / whole if whole else math.nan
        weights = np.where(self.is_changed, (1 - share) ** 2, share**2)
        return _ratio(right, (weights * self._variances).sum(), whole=whole)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values: each estimate with half the width of its 95 % confidence interval, or None."""
        found = {name: getattr(self, name) for name in ("area", "users_accuracy", "producers_accuracy")}
        return {"map_area": self.map_area, **{name: estimate.to_list()[0] for name, estimate in found.items()}}


def _ratio(part: float, variance: float, *, whole: float) -> Estimate:
    """A part of a whole, with the standard error from the variance of the part (linearised)."""
    if not whole:
        return Estimate(np.asarray(math.nan), np.asarray(math.nan))
    return Estimate(np.asarray(part / whole), np.asarray(math.sqrt(variance) / whole))
