"""A grid for reports."""

from __future__ import annotations

from affine import Affine
from rasterio.crs import CRS

from s2fin_cli.geo.grid import Grid

GRID = Grid(CRS.from_epsg(32632), Affine(10, 0, 500_000, 0, -10, 5_000_000), (30, 40))
