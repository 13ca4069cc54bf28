"""Options of the assembly of a map from its shards."""

from __future__ import annotations

from dataclasses import dataclass

from s2fin_cli.core.checks import check_folder
from s2fin_cli.core.map_options import OutputOptions
from s2fin_cli.core.options import StrPath


@dataclass(frozen=True, kw_only=True)
class AssembleOptions(OutputOptions):
    """Options of `s2fin assemble`, besides what is written.

    Attributes:
        work: folder of the shards, which `s2fin classify` was given as `work`.
        mixed: whether shards of different processors, devices or versions of software may be combined, in which case
            the last bits of the confidence may differ.
    """

    work: StrPath
    mixed: bool = False

    def __post_init__(self) -> None:
        self.check_output()
        check_folder("work", self.work)
