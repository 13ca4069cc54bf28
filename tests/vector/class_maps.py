"""Small class maps, cut into strips, and the polygons expected of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import rasterio.features
import shapely
from affine import Affine
from hypothesis import strategies as st
from numpy.typing import NDArray
from rasterio.crs import CRS

from s2fin_cli.core.classes import make_classes
from s2fin_cli.geo.grid import Grid
from s2fin_cli.vector.coverage import BLOCK_PX
from s2fin_cli.vector.polygons import map_regions, write_polygons

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from s2fin_cli.raster.strips import Strip

ClassMap = NDArray[np.uint8]
Confidence = NDArray[np.float32]
NODATA = 0
NAMES = {1: "water", 2: "trees", 3: "grass", 4: "roofs"}
CLASSES = make_classes(NAMES)
UTM = CRS.from_epsg(32632)
EQUAL_AREA = CRS.from_epsg(3035)
NORTH_UP = Affine(2, 0, 500_000, 0, -2, 5_000_000)
SOUTH_UP = Affine(2, 0, 500_000, 0, 2, 5_000_000)
ROTATED = Affine(1.7, 0.3, 500_000.1, 0.3, -1.7, 5_000_000.7)


def class_map(*rows: str) -> ClassMap:
    """A map from digits; a dot is nodata."""
    return np.array([[NODATA if c == "." else int(c) for c in row] for row in rows], dtype=np.uint8)


def cut(classes: ClassMap, confidence: Confidence | None, heights: list[int]) -> Iterator[Strip]:
    """Strips of the given heights, over and over until the map ends; in arrays that are overwritten afterwards."""
    start = turn = 0
    while start < len(classes):
        rows = slice(start, start + heights[turn % len(heights)])
        strip = classes[rows].copy(), None if confidence is None else confidence[rows].copy()
        yield strip
        strip[0][:] = 99
        start, turn = rows.stop, turn + 1


def noise(height: int = 30, width: int = 20) -> tuple[ClassMap, Confidence]:
    rng = np.random.default_rng(3)
    return rng.integers(0, 5, (height, width), dtype=np.uint8), rng.random((height, width), dtype=np.float32)


def oracle(classes: ClassMap) -> list[Any]:
    """The polygons according to GDAL, without the nodes at which neighbours meet."""
    shapes = rasterio.features.shapes(classes, mask=classes != NODATA, connectivity=4)
    return [shapely.geometry.shape(geometry) for geometry, _ in shapes]


@st.composite
def maps(draw: st.DrawFn) -> ClassMap:
    """Small maps of one to three classes and nodata."""
    height, width = draw(st.integers(1, 12)), draw(st.integers(1, 12))
    values = st.integers(draw(st.integers(0, 1)), draw(st.integers(1, 3)))
    cells = draw(st.lists(values, min_size=height * width, max_size=height * width))
    return np.array(cells, dtype=np.uint8).reshape(height, width)


def write(
    dst_path: Path,
    classes: ClassMap,
    confidence: Confidence | None = None,
    *,
    crs: CRS | None = UTM,
    transform: Affine = NORTH_UP,
    heights: list[int] | None = None,
    simplify: float | None = None,
    block_px: int = BLOCK_PX,
) -> int:
    grid = Grid(crs, transform, (classes.shape[0], classes.shape[1]))
    strips = cut(classes, confidence, heights or [7])
    regions = map_regions(strips, grid, nodata=NODATA, block_px=block_px)
    return write_polygons(dst_path, regions, grid=grid, classes=CLASSES, simplify=simplify)
