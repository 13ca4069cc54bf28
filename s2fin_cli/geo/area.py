"""Areas of interest: the pixels of a grid whose centres are in polygons."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import rasterio.features
import rasterio.windows
import shapely
from affine import Affine
from rasterio.windows import Window

from s2fin_cli.geo.windows import iter_tiles

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from s2fin_cli.geo.grid import Grid

#: Rows whose mask is held at a time while an area's pixels are counted.
ROWS = 256


class _Polygons:
    """Polygons on a grid, with an index: burning all of them again for each tile would take longer than classifying it.

    Args:
        geometries: valid polygons in the grid's CRS.
        grid: the grid.
    """

    def __init__(self, geometries: tuple[Any, ...], grid: Grid) -> None:
        self.geometries, self._grid = geometries, grid
        self._array, self._tree = np.array(geometries, dtype=object), shapely.STRtree(geometries)
        shapely.prepare(self._array)

    def mask(self, window: Window) -> NDArray[np.bool_]:
        """Mask (height, width) over a window of the grid: True where a pixel's centre is in a polygon."""
        box = shapely.box(*self._grid.crop(window).bounds)
        near = self._array[np.sort(self._tree.query(box))]
        # NOTE: a window outside or inside a polygon is half a pixel away from where rounding decides
        near = near[shapely.intersects(near, box)]
        if not len(near) or shapely.covers(near, box).any():
            return np.full((window.height, window.width), bool(len(near)))
        return pixels_inside(near, self._grid, window)


@dataclass(frozen=True)
class Area:
    """An area of interest on a grid.

    Attributes:
        grid: the grid.
        geometries: shapely polygons in the grid's CRS.
        window: the smallest one that holds all pixels whose centres are in them.
        count: how many pixels these are.
    """

    grid: Grid
    geometries: tuple[Any, ...]
    window: Window
    count: int

    @classmethod
    def within(cls, window: Window, geometries: Iterable[Any], grid: Grid) -> Area | None:
        """The area of the pixels of a window of a grid whose centres are in polygons, or None if there are none.

        The window is read in strips, so that memory does not grow with its height.
        """
        polygons = _Polygons(tuple(geometries), grid)
        in_rows, in_cols = np.zeros(window.height, np.int64), np.zeros(window.width, bool)
        shape, offset = (window.height, window.width), (window.row_off, window.col_off)
        for strip in iter_tiles(shape, (ROWS, window.width), offset=offset):
            mask, start = polygons.mask(strip), strip.row_off - window.row_off
            in_rows[start : start + strip.height] = np.count_nonzero(mask, axis=1)
            in_cols |= mask.any(axis=0)
        rows, cols = np.flatnonzero(in_rows), np.flatnonzero(in_cols)
        if not len(rows):
            return None
        (top, bottom), (left, right) = ((int(found[0]), int(found[-1]) + 1) for found in (rows, cols))
        tight = Window(window.col_off + left, window.row_off + top, right - left, bottom - top)
        return cls(grid, polygons.geometries, tight, int(in_rows.sum()))

    def mask(self, window: Window) -> NDArray[np.bool_]:
        """Mask (height, width) over a window of the grid: True where a pixel's centre is in a geometry."""
        return self._polygons.mask(window)

    @functools.cached_property
    def _polygons(self) -> _Polygons:
        return _Polygons(self.geometries, self.grid)

    def touched(self, size: int) -> NDArray[np.bool_]:
        """Mask over squares of a number of pixels a side, aligned to the grid: True where a geometry touches one."""
        shape = (-(-self.grid.height // size), -(-self.grid.width // size))
        return _burnt(self.geometries, self.grid.transform * Affine.scale(size), shape, all_touched=True)


def pixels_inside(geometries: Iterable[Any], grid: Grid, window: Window) -> NDArray[np.bool_]:
    """Mask (height, width) of the pixels of a window of a grid whose centres are in polygons, as GDAL finds them."""
    transform = rasterio.windows.transform(window, grid.transform)
    return _burnt(geometries, transform, (window.height, window.width))


def _burnt(
    geometries: Iterable[Any], transform: Affine, shape: tuple[int, int], *, all_touched: bool = False
) -> NDArray[np.bool_]:
    burnt = rasterio.features.rasterize(
        ((geometry, 1) for geometry in geometries),
        out_shape=shape,
        transform=transform,
        all_touched=all_touched,
        dtype="uint8",
    )
    return np.asarray(burnt, dtype=bool)
