"""Reliability of confidence: how often the class is right among pixels of about the same confidence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from s2fin_cli.core.figures import known

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

#: Intervals of confidence of equal width, from 0 to 1.
INTERVALS = 10


# NOTE: eq=False because arrays do not compare to one truth value.
@dataclass(frozen=True, eq=False)
class Reliability:
    """Pixels by interval of their confidence, `INTERVALS` from 0 to 1.

    Attributes:
        counts: int64 (intervals,), pixels.
        right: int64 (intervals,), those of them whose class is right.
        confidence: float64 (intervals,), sum of their confidence.
    """

    counts: NDArray[np.int64]
    right: NDArray[np.int64]
    confidence: NDArray[np.float64]

    @classmethod
    def of(cls, confidence: NDArray[np.floating], is_right: NDArray[np.bool_]) -> Self:
        """From the confidence (n,), 0 to 1, of pixels, and whether their class is right; NaN does not count."""
        is_known = np.isfinite(confidence)
        values, hits = confidence[is_known].astype(np.float64), is_right[is_known]
        interval = np.clip((values * INTERVALS).astype(np.int64), 0, INTERVALS - 1)
        counts, right = (np.bincount(part, minlength=INTERVALS) for part in (interval, interval[hits]))
        sums = np.bincount(interval, values, INTERVALS).astype(np.float64)
        return cls(counts, right, sums)

    @property
    def n(self) -> int:
        """Number of pixels."""
        return int(self.counts.sum())

    @property
    def accuracy(self) -> NDArray[np.float64]:
        """float64 (intervals,): share of the pixels whose class is right, NaN where there are none."""
        return _ratio(self.right, self.counts)

    @property
    def mean_confidence(self) -> NDArray[np.float64]:
        """float64 (intervals,): mean confidence of the pixels, NaN where there are none."""
        return _ratio(self.confidence, self.counts)

    @property
    def bias(self) -> float:
        """Mean confidence minus accuracy: above 0 where the map is too confident; NaN without pixels."""
        return float((self.confidence.sum() - self.right.sum()) / self.n) if self.n else float("nan")

    @property
    def expected_error(self) -> float:
        """Expected calibration error (Guo et al. 2017, equation 3), 0 to 1; NaN without pixels."""
        gaps = np.abs(self.confidence - self.right).sum()
        return float(gaps / self.n) if self.n else float("nan")

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; an undefined ratio is None."""
        columns = (self.counts.tolist(), self.right.tolist(), self.mean_confidence.tolist(), self.accuracy.tolist())
        return {
            "n": self.n,
            "bias": known(self.bias),
            "expected_calibration_error": known(self.expected_error),
            "intervals": [
                {
                    "from": i / INTERVALS, "to": (i + 1) / INTERVALS, "pixels": count, "right": right,
                    "mean_confidence": known(mean), "accuracy": known(accuracy),
                }
                for i, (count, right, mean, accuracy) in enumerate(zip(*columns, strict=True))
            ],
        }  # fmt: skip

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Build from what `to_dict` gave.

        Raises:
            KeyError, TypeError, ValueError: something is missing or impossible.
        """
        intervals = values["intervals"]
        if len(intervals) != INTERVALS:
            raise ValueError(f"there are {len(intervals)} intervals of confidence, not {INTERVALS}")
        counts, right = (np.array([int(i[key]) for i in intervals], np.int64) for key in ("pixels", "right"))
        means = np.array([float(i["mean_confidence"] or 0) for i in intervals])
        return cls(counts, right, means * counts)


def _ratio(part: NDArray[Any], whole: NDArray[np.int64]) -> NDArray[np.float64]:
    ratio: NDArray[np.float64] = np.divide(part, whole, out=np.full(whole.shape, np.nan), where=whole > 0)
    return ratio
