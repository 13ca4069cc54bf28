"""JSON files that hold a checksum of themselves, so that no damage to them goes unnoticed."""

from __future__ import annotations

import hashlib
import json
import os
from typing import TYPE_CHECKING, Any

from s2fin_cli.core.leftovers import work_in_progress
from s2fin_cli.core.moves import flush

if TYPE_CHECKING:
    from pathlib import Path

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


def write_first(path: Path, text: str, *, replace: bool = False) -> None:
    """Write a file unless another process does so at the same time: the first one wins.

    On a disk without links the last one wins.

    Args:
        path: where to write it.
        text: what to write.
        replace: whether to replace a file that is there.

    Raises:
        OSError: it cannot be written.
    """
    with work_in_progress(path.parent) as scratch:
        new = scratch / path.name
        new.write_text(text, encoding="utf-8")
        flush(new)
        try:
            if not replace:
                os.link(new, path)  # unlike a renaming it replaces nothing
                return
        except FileExistsError:
            return
        except OSError:  # the disk knows no links
            pass
        os.replace(new, path)
