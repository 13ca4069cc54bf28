"""Figures as JSON and messages have them."""

from __future__ import annotations

import math


def known(value: float) -> float | None:
    """A number for JSON, which has neither NaN nor infinity: None in their place."""
    return float(value) if math.isfinite(value) else None


def number_of(number: int, noun: str) -> str:
    """A number of things for messages: "1 pixel", "2 pixels"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
