"""Areas of interest: the pixels of a grid whose centres are in polygons."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import rasterio.features
import rasterio.windows
from affine import Affine
from rasterio.windows import Window

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from s2fin_cli.geo.grid import Grid


@dataclass(frozen=True)
class Area:
    """An area of interest on a grid.

    Attributes:
        grid: the grid.
        geometries: shapely polygons in the grid's CRS.
        window: the smallest one that holds all pixels whose centres are in them.
    """

    grid: Grid
    geometries: tuple[Any, ...]
    window: Window

    def mask(self, window: Window) -> NDArray[np.bool_]:
        """Mask (height, width) over a window of the grid: True where a pixel's centre is in a geometry."""
        return pixels_inside(self.geometries, self.grid, window)

    def touched(self, size: int) -> NDArray[np.bool_]:
        """Mask over squares of a number of pixels a side, aligned to the grid: True where a geometry touches one."""
        shape = (-(-self.grid.height // size), -(-self.grid.width // size))
        return _burnt(self.geometries, self.grid.transform * Affine.scale(size), shape, all_touched=True)

    def tightened(self) -> Area | None:
        """The same area with its window cut to the pixels inside, or None where there are none."""
        mask = self.mask(self.window)
        rows, cols = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
        if not len(rows):
            return None
        row_off, col_off = self.window.row_off + int(rows[0]), self.window.col_off + int(cols[0])
        window = Window(col_off, row_off, int(cols[-1] - cols[0]) + 1, int(rows[-1] - rows[0]) + 1)
        return replace(self, window=window)


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
