"""Options of sampling a map."""

from __future__ import annotations

from dataclasses import dataclass

from s2fin_cli.core.checks import check_whole
from s2fin_cli.core.options import Options, StrPath


@dataclass(frozen=True, kw_only=True)
class SampleOptions(Options):
    """Options of `s2fin sample`.

    Attributes:
        map: class map to sample.
        output: points to write, in the format of the suffix, see `VECTOR_OUTPUT_SUFFIXES`.
        size: number of points in all; more if `least` requires more.
        least: fewest points per class; a class with fewer pixels has all of them sampled.
        seed: seed of the random draw.
        overwrite: whether an existing `output` may be replaced.
    """

    map: StrPath
    output: StrPath
    size: int = 500
    least: int = 50
    seed: int = 0
    overwrite: bool = False

    def __post_init__(self) -> None:
        for name, least in (("size", 1), ("least", 1), ("seed", 0)):
            check_whole(name, getattr(self, name), least=least)
