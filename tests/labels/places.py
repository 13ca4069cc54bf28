"""Points of a grid, what labels hold, and class tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from affine import Affine
from shapely import Point

from s2fin_cli.core.classes import LandCoverClass, read_class_table
from s2fin_cli.geo.grid import Grid
from tests.rectangles import GRID, LEFT, TOP

if TYPE_CHECKING:
    from pathlib import Path

    from s2fin_cli.labels.pixels import LabelledPixels


SOUTH_UP = Grid(GRID.crs, Affine(10, 0, LEFT, 0, 10, TOP - 400), (40, 50))


def point(col: float, row: float) -> Point:
    return Point(LEFT + 10 * col, TOP - 10 * row)


def pixels(labels: LabelledPixels) -> set[tuple[int, int, int]]:
    return set(zip(labels.rows.tolist(), labels.cols.tolist(), labels.class_ids.tolist(), strict=True))


def write_table(path: Path, text: str) -> tuple[LandCoverClass, ...]:
    path.write_text(text, encoding="utf-8")
    return read_class_table(path)
