"""Labels on a grid as a file holds them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from s2fin_cli.labels.features import read_feature_labels
from s2fin_cli.labels.rasters import open_raster_labels
from s2fin_cli.labels.rules import LabelRules, check_no_buffer
from s2fin_cli.raster.info import read_info
from s2fin_cli.vector.layers import is_vector

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from s2fin_cli.core.classes import LandCoverClass
    from s2fin_cli.geo.grid import Grid
    from s2fin_cli.labels.limits import Limits
    from s2fin_cli.labels.pixels import Found


class LabelSource(Protocol):
    """Labels on a grid; warnings about them come after all rows were read."""

    @property
    def kind(self) -> str:
        """The kind, as of `LabelledPixels`."""

    @property
    def ids_are_given(self) -> bool:
        """Whether the numbers are the labels' own."""

    @property
    def group_count(self) -> int:
        """How many numbers groups have."""

    @property
    def strips(self) -> list[tuple[int, int]]:
        """First and last row (exclusive) of rows that hold few enough pixels to be read at a time."""

    def open(self) -> AbstractContextManager[Callable[[int, int], Found]]:
        """Reads the labelled pixels of rows from a first to a last one (exclusive)."""

    def conclude(self, totals: Counter[int]) -> tuple[LandCoverClass, ...]:
        """The classes of all rows, from pixels by class number; warns of problems in the labels, or refuses them."""


class FileLabels(LabelSource, Protocol):
    """Labels of one file."""

    @property
    def src_path(self) -> str | Path:
        """The file."""

    @property
    def field(self) -> str | None:
        """The class field, None for a raster."""

    @property
    def names(self) -> Mapping[int, str]:
        """Names by class number; of a raster those that it declares, whether or not they occur."""


def open_file(src_path: str | Path, grid: Grid, *, rules: LabelRules, limits: Limits) -> FileLabels:
    """The labels of a file; arguments and errors are those of `open_labels`."""
    if is_vector(src_path):
        return read_feature_labels(src_path, grid, rules=rules, limits=limits)
    check_no_buffer(rules, "a raster")
    return open_raster_labels(read_info(src_path), grid, rules=rules, limits=limits)
