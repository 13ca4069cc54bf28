"""Figures as JSON has them."""

from __future__ import annotations

import math


def known(value: float) -> float | None:
    """A number for JSON, which has neither NaN nor infinity: None in their place."""
    return float(value) if math.isfinite(value) else None
