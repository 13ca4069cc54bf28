"""What a result depends on, as JSON values by what a message calls them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


def first_difference(kept: Mapping[str, Any], own: Mapping[str, Any]) -> tuple[str, str, str] | None:
    """The first fact that differs: its name, what it was, and what it is now; None if nothing does."""
    for name in dict.fromkeys((*own, *kept)):
        old, new = _shown(kept.get(name)), _shown(own.get(name))
        if old != new:
            return name, old, new
    return None


def _shown(value: Any) -> str:
    return "nothing" if value is None else str(value)
