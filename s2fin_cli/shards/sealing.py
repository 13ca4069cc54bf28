"""JSON files that hold a checksum of themselves, so that no damage to them goes unnoticed."""

from __future__ import annotations

import hashlib
import json
from typing import Any

#: The key of the checksum.
SEAL = "checksum"


def digest(values: Any) -> str:
    """SHA-256 of JSON values, whatever the order of their keys."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def sealed(values: dict[str, Any]) -> str:
    """The text of a file that holds JSON values."""
    return json.dumps({**values, SEAL: digest(json.loads(json.dumps(values)))}, indent=1) + "\n"


def unsealed(text: str) -> dict[str, Any]:
    """The values of a file.

    Raises:
        ValueError: it is damaged.
    """
    try:
        values = json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if not isinstance(values, dict) or values.pop(SEAL, None) != digest(values):
        raise ValueError("its checksum does not fit")
    return values
