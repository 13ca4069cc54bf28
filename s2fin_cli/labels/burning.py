"""Geometries to pixels: the pixels of a grid that contain points or are in polygons, by windows or bands of rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
from rasterio.windows import Window

from s2fin_cli.geo.area import pixels_inside
from s2fin_cli.geo.pixels import transformed
from s2fin_cli.labels.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from s2fin_cli.geo.grid import Grid

#: Rows, columns and feature numbers of pixels; int64 (n,) each.
Burnt = tuple["NDArray[np.int64]", "NDArray[np.int64]", "NDArray[np.int64]"]


def burn_points(geometries: NDArray[np.object_], grid: Grid) -> Burnt:
    """Rows, columns and feature numbers of the pixels that points are in."""
    coordinates, groups = shapely.get_coordinates(geometries, return_index=True)
    x, y = coordinates.T
    cols, rows = (np.floor(places) for places in transformed(~grid.transform, x, y))
    inside = (rows >= 0) & (rows < grid.height) & (cols >= 0) & (cols < grid.width)
    return rows[inside].astype(np.int64), cols[inside].astype(np.int64), groups[inside].astype(np.int64)


def windows_of(geometries: NDArray[np.object_], grid: Grid) -> NDArray[np.int64]:
    """Row, column, height and width (n, 4) of the windows around geometries; 0 for those outside."""
    windows = np.zeros((len(geometries), 4), dtype=np.int64)
    for number, geometry in enumerate(geometries):
        window = grid.window_of(geometry.bounds)
        if window is not None:
            windows[number] = window.row_off, window.col_off, window.height, window.width
    return windows


class PolygonBurner:
    """Finds the pixels whose centres are in polygons, some rows of a grid at a time.

    Each polygon is burnt in its own window, so that memory does not grow with the raster, and a large one in bands of
    rows that are always the same ones, so that rounding does not depend on the rows that are asked for.

    Attributes:
        windows: row, column, height and width (n, 4) of the windows around the polygons.
    """

    def __init__(self, geometries: NDArray[np.object_], grid: Grid, *, limits: Limits) -> None:
        """Look up the polygons' windows.

        Args:
            geometries: polygons (n,) in the grid's CRS.
            grid: the grid.
            limits: which polygons are burnt in bands.
        """
        self._geometries, self._grid, self._limits = geometries, grid, limits
        self.windows = windows_of(geometries, grid)
        # what was burnt and reaches beyond the rows that were asked for last, as bits, by feature and first row
        self._kept: dict[tuple[int, int], NDArray[np.uint8]] = {}
        self._rings: dict[int, Rings] = {}

    def burn(self, start: int, stop: int) -> Burnt:
        """Rows, columns and feature numbers of the pixels in rows from a first to a last one (exclusive).

        They come polygon by polygon.
        """
        row_off, _, height, _ = self.windows.T
        before, self._kept = self._kept, {}
        found: list[Burnt] = []
        for number in np.flatnonzero((row_off < stop) & (row_off + height > start)).tolist():
            for window in self._bands(number, start, stop):
                burnt = self._mask(number, window, before)
                if window.row_off + window.height > stop:
                    self._kept[number, window.row_off] = np.packbits(burnt)
                first = max(start - window.row_off, 0)
                rows, cols = np.nonzero(burnt[first : max(stop - window.row_off, 0)])
                found.append((rows + (window.row_off + first), cols + window.col_off, np.full(len(rows), number)))
        if not found:
            return (np.empty(0, np.int64),) * 3
        rows, cols, groups = (np.concatenate(part, dtype=np.int64) for part in zip(*found, strict=True))
        return rows, cols, groups

    def _bands(self, number: int, start: int, stop: int) -> Iterator[Window]:
        """A polygon's window, or of a large one the bands that hold some rows, cut at multiples of their height."""
        row_off, col_off, height, width = self.windows[number].tolist()
        if height * width <= self._limits.window_pixels:
            yield Window(col_off, row_off, width, height)
            return
        band = self._limits.band_rows
        first, end = max(row_off, start) // band * band, min(row_off + height, stop)
        for row in range(first, end, band):
            top, bottom = max(row, row_off), min(row + band, row_off + height)
            yield Window(col_off, top, width, bottom - top)

    def _mask(self, number: int, window: Window, before: dict[tuple[int, int], NDArray[np.uint8]]) -> NDArray[np.bool_]:
        """Mask (height, width) of a polygon's pixels in a window, from what was burnt before where it is there."""
        shape = window.height, window.width
        if (number, window.row_off) in before:
            return np.unpackbits(before[number, window.row_off], count=shape[0] * shape[1]).reshape(shape).view(bool)
        geometry = self._geometries[number]
        if window.height < self.windows[number, 2]:
            if number not in self._rings:
                self._rings[number] = Rings.of(geometry, self._grid)
            geometry = self._rings[number].near(window)
        return burn(geometry, window, self._grid)


@dataclass(frozen=True)
class Rings:
    """The rings of a large polygon, so that a band of it is burnt from those that reach into it.

    Attributes:
        rings: shells and holes of all its parts.
        tops, bottoms: float64 (n,), the rows of the grid between which each is.
    """

    rings: NDArray[np.object_]
    tops: NDArray[np.float64]
    bottoms: NDArray[np.float64]

    @classmethod
    def of(cls, geometry: Any, grid: Grid) -> Rings:
        """The rings of a polygon in the grid's CRS."""
        rings = shapely.get_rings(shapely.get_parts(geometry))
        left, bottom, right, top = shapely.bounds(rings).T
        to_pixels = ~grid.transform
        rows = np.array([transformed(to_pixels, x, y)[1] for x in (left, right) for y in (bottom, top)])
        return cls(rings, rows.min(axis=0), rows.max(axis=0))

    def near(self, window: Window) -> Any:
        """A polygon that has the same pixels in a window; None if that has none."""
        # NOTE: GDAL treats all rings of a polygon the same, by the even-odd rule, regardless of which is the shell
        near = self.rings[(self.bottoms >= window.row_off - 1) & (self.tops <= window.row_off + window.height + 1)]
        return shapely.polygons(near[0], holes=near[1:]) if len(near) else None


def burn(geometry: Any, window: Window, grid: Grid) -> NDArray[np.bool_]:
    """Mask (height, width) of the pixels of a window whose centres are in a polygon, or in None, which holds none."""
    return (
        np.zeros((window.height, window.width), dtype=bool)
        if geometry is None
        else pixels_inside([geometry], grid, window)
    )
