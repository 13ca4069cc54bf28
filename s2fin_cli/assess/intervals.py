"""Intervals of confidence of shares."""

from __future__ import annotations

import math

from s2fin_cli.assess.area_adjusted import Z_95


def wilson_interval(part: int, whole: int) -> tuple[float, float] | None:
    """The 95 % interval of a share, of independent observations (Wilson 1927); None without any.

    Args:
        part: observations that count.
        whole: all observations.
    """
    if not whole:
        return None
    share, square = part / whole, Z_95**2
    middle = (share + square / (2 * whole)) / (1 + square / whole)
    half = Z_95 / (1 + square / whole) * math.sqrt(share * (1 - share) / whole + square / (4 * whole**2))
    return max(middle - half, 0.0), min(middle + half, 1.0)
