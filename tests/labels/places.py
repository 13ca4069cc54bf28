"""Shapes at places of a grid, and what labels made of them hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import geopandas as gpd
from affine import Affine
from rasterio.crs import CRS
from shapely import Point, Polygon, box

from s2fin_cli.core.classes import LandCoverClass, read_class_table
from s2fin_cli.geo.grid import Grid

if TYPE_CHECKING:
    from pathlib import Path

    from s2fin_cli.labels.pixels import LabelledPixels


LEFT, TOP = 500_000, 5_000_000
GRID = Grid(CRS.from_epsg(32632), Affine(10, 0, LEFT, 0, -10, TOP), (40, 50))
SOUTH_UP = Grid(GRID.crs, Affine(10, 0, LEFT, 0, 10, TOP - 400), (40, 50))


def at(col: float, row: float, width: float = 3, height: float = 2) -> Polygon:
    """A rectangle in pixels of the grid."""
    return box(LEFT + 10 * col, TOP - 10 * (row + height), LEFT + 10 * (col + width), TOP - 10 * row)


def point(col: float, row: float) -> Point:
    return Point(LEFT + 10 * col, TOP - 10 * row)


def frame(**fields: list[Any]) -> gpd.GeoDataFrame:
    size = len(next(iter(fields.values())))
    return gpd.GeoDataFrame(fields, geometry=[at(3 * i, 0) for i in range(size)], crs=GRID.crs)


def counts(labels: LabelledPixels) -> dict[str, int]:
    return {c.name: labels.counts()[c.id] for c in labels.classes}


def pixels(labels: LabelledPixels) -> set[tuple[int, int, int]]:
    return set(zip(labels.rows.tolist(), labels.cols.tolist(), labels.class_ids.tolist(), strict=True))


def write_table(path: Path, text: str) -> tuple[LandCoverClass, ...]:
    path.write_text(text, encoding="utf-8")
    return read_class_table(path)
