"""Requests to end that come at a known step of a job."""

from __future__ import annotations

from s2fin_cli.core.progress import Stop


class AtCheck(Stop):
    """A request that comes just before a job looks for it for the nth time.

    Attributes:
        checks: how often the job has looked.
    """

    def __init__(self, number: int) -> None:
        super().__init__()
        self.checks, self._number = 0, number

    def check(self) -> None:
        self.checks += 1
        if self.checks == self._number:
            self.set()
        super().check()
