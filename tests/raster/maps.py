"""Class maps that several tests share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from affine import Affine
from rasterio.crs import CRS

from s2fin_cli.core.classes import LandCoverClass, make_classes, map_encoding
from s2fin_cli.geo.grid import Grid
from s2fin_cli.geo.windows import iter_tiles
from s2fin_cli.raster.class_map import create_class_map
from s2fin_cli.raster.creation import RasterFormat

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


GRID = Grid(CRS.from_epsg(32632), Affine(10, 0, 500_000, 0, -10, 5_000_000), (300, 520))
NAMES = {1: "water", 2: "Wald & Wiese <alt>", 5: "Ödland “中文” 'x' \"y\"", 9: "two words"}


def ids_of(classes: tuple[LandCoverClass, ...], grid: Grid = GRID) -> NDArray[Any]:
    dtype, nodata = map_encoding([c.id for c in classes])
    return np.random.default_rng(0).choice([nodata, *(c.id for c in classes)], grid.shape).astype(dtype)


def write(path: Path, names: dict[int, str], grid: Grid = GRID) -> NDArray[Any]:
    classes = make_classes(names)
    values = ids_of(classes, grid)
    with create_class_map(path, grid, classes, tags={"S2FIN_MODEL": "é.s2fin"}) as dst:
        for window in iter_tiles(grid.shape, (100, 100)):
            dst.write(values[window.toslices()][None], window)
    return values


LARGE = Grid(CRS.from_epsg(32632), Affine(10, 0, 500_000, 0, -10, 5_000_000), (700, 1100))


def write_as(path: Path, fmt: RasterFormat, grid: Grid = LARGE) -> NDArray[Any]:
    classes = make_classes(NAMES)
    values = ids_of(classes, grid)
    with create_class_map(path, grid, classes, tags={"S2FIN_MODEL": "m"}, fmt=fmt) as dst:
        for window in iter_tiles(grid.shape, (100, 300)):
            dst.write(values[window.toslices()][None], window)
    return values
