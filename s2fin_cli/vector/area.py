"""Areas of interest: the pixels of a grid whose centres lie in a rectangle or in polygons."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import rasterio.features
import rasterio.windows
import shapely
from affine import Affine
from rasterio.windows import Window

from s2fin_cli.core.errors import AreaError
from s2fin_cli.vector.geometries import mended_polygons
from s2fin_cli.vector.read import MENDED, POLYGON_TYPES, on_grid_crs, rare_types, read_features

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from s2fin_cli.geo.grid import Grid


@dataclass(frozen=True)
class Area:
    """An area of interest on a grid.

    Attributes:
        grid: the grid.
        geometries: shapely polygons in the grid's CRS.
        window: the smallest one that holds all pixels whose centres lie in them.
    """

    grid: Grid
    geometries: tuple[Any, ...]
    window: Window

    def mask(self, window: Window) -> NDArray[np.bool_]:
        """Mask (height, width) over a window of the grid: True where a pixel's centre lies in a geometry."""
        return self._burn(rasterio.windows.transform(window, self.grid.transform), (window.height, window.width))

    def touched(self, size: int) -> NDArray[np.bool_]:
        """Mask over squares of so many pixels a side, aligned to the grid: True where a geometry touches one."""
        shape = (-(-self.grid.height // size), -(-self.grid.width // size))
        return self._burn(self.grid.transform * Affine.scale(size), shape, all_touched=True)

    def _burn(self, transform: Affine, shape: tuple[int, int], *, all_touched: bool = False) -> NDArray[np.bool_]:
        burnt = rasterio.features.rasterize(
            ((geometry, 1) for geometry in self.geometries),
            out_shape=shape,
            transform=transform,
            all_touched=all_touched,
            dtype="uint8",
        )
        return np.asarray(burnt, dtype=bool)


def read_area(grid: Grid, *, bounds: Sequence[float] | None = None, src_path: str | Path | None = None) -> Area | None:
    """The area of interest on a grid, or None where there is none.

    Args:
        grid: the grid.
        bounds: left, bottom, right and top in the grid's CRS.
        src_path: a vector file of polygons, in any CRS; with bounds too, the part of them inside these.

    Raises:
        AreaError: it holds no pixel's centre, or the file holds something else than polygons.
        GeoreferencingError: the file cannot be brought to the grid's CRS.
    """
    if bounds is None and src_path is None:
        return None
    geometries = [shapely.box(*bounds)] if bounds is not None else []
    if src_path is not None:
        polygons = _read_polygons(src_path, grid)
        geometries = _parts(shapely.intersection(polygons, geometries[0])) if geometries else polygons
    touched = grid.window_of(shapely.total_bounds(geometries)) if geometries else None
    area = None if touched is None else _tight(Area(grid, tuple(geometries), touched))
    if area is None:
        name = "--aoi and --bounds" if bounds and src_path else "--bounds" if bounds else f"--aoi {src_path}"
        where = "nothing in common" if not geometries else _describe(shapely.total_bounds(geometries))
        raise AreaError(f"{name}: no pixel's centre lies inside ({where}); the image is {grid.describe()}")
    return area


def _tight(area: Area) -> Area | None:
    """The area with its window cut to the pixels inside, or None where there are none."""
    mask = area.mask(area.window)
    rows, cols = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return None
    row_off, col_off = area.window.row_off + int(rows[0]), area.window.col_off + int(cols[0])
    return replace(area, window=Window(col_off, row_off, int(cols[-1] - cols[0]) + 1, int(rows[-1] - rows[0]) + 1))


def _read_polygons(src_path: str | Path, grid: Grid) -> list[Any]:
    frame = read_features(src_path, error=AreaError, grid=grid)
    types = set(frame.geom_type)
    if not types <= POLYGON_TYPES:
        raise AreaError(f"--aoi {src_path} holds {', '.join(sorted(types))}; give polygons ({rare_types(frame)})")
    polygons = on_grid_crs(frame, grid, src_path, name="polygons").to_numpy()
    return _parts(mended_polygons(polygons, frame.index.to_numpy(), grid, src_path, closed=frame.attrs.get(MENDED, ())))


def _parts(geometries: NDArray[np.object_]) -> list[Any]:
    """The polygons in geometries; lines and points, which may be left of a border, hold no pixel's centre."""
    parts = shapely.get_parts(shapely.get_parts(geometries))
    return list(parts[(shapely.get_type_id(parts) == shapely.GeometryType.POLYGON) & ~shapely.is_empty(parts)])


def _describe(bounds: Sequence[float]) -> str:
    left, bottom, right, top = (f"{value:.10g}" for value in bounds)
    return f"in the image's CRS x {left} to {right}, y {bottom} to {top}"
