"""What was found out about one part of an installation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

#: How a part may be: as it should be, usable with a drawback, or not usable.
GOOD, HINT, PROBLEM = "ok", "hint", "problem"


@dataclass(frozen=True)
class Finding:
    """What was found out about one part of an installation.

    Attributes:
        part: the part, e.g. "GDAL".
        status: `GOOD`, `HINT` or `PROBLEM`.
        found: what was found.
        remedy: what to do about it; None where nothing has to be done.
    """

    part: str
    status: str
    found: str
    remedy: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values for scripts."""
        return {"part": self.part, "status": self.status, "found": self.found, "remedy": self.remedy}
