"""Options of the demonstration."""

from __future__ import annotations

from dataclasses import dataclass

from s2fin_cli.core.options import Options, StrPath


@dataclass(frozen=True, kw_only=True)
class DemoOptions(Options):
    """Options of `s2fin demo`.

    Attributes:
        output: folder for the results, created if missing.
        overwrite: whether existing results may be replaced.
    """

    output: StrPath = "demo"
    overwrite: bool = False
