"""Geometries to pixels: which pixels of a grid lie in points and polygons, window by window and band by band."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import rasterio.features
import rasterio.windows
import shapely
from rasterio.windows import Window

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from s2fin_cli.geo.grid import Grid

#: A polygon whose window has more pixels is burnt in bands of so many rows.
WINDOW_PIXELS, BAND_ROWS = 1 << 20, 64

#: Rows, columns and feature numbers of pixels; int64 (n,) each.
Burnt = tuple["NDArray[np.int64]", "NDArray[np.int64]", "NDArray[np.int64]"]


def burn_points(geometries: NDArray[np.object_], grid: Grid) -> Burnt:
    """Rows, columns and feature numbers of the pixels that points lie in."""
    coordinates, groups = shapely.get_coordinates(geometries, return_index=True)
    a, b, c, d, e, f = (~grid.transform)[:6]
    x, y = coordinates.T
    cols, rows = np.floor(a * x + b * y + c), np.floor(d * x + e * y + f)
    inside = (rows >= 0) & (rows < grid.height) & (cols >= 0) & (cols < grid.width)
    return rows[inside].astype(np.int64), cols[inside].astype(np.int64), groups[inside].astype(np.int64)


def windows_of(geometries: NDArray[np.object_], grid: Grid) -> NDArray[np.int64]:
    """Row, column, height and width (n, 4) of the windows that geometries lie in; 0 for those outside."""
    windows = np.zeros((len(geometries), 4), dtype=np.int64)
    for number, geometry in enumerate(geometries):
        window = grid.window_of(geometry.bounds)
        if window is not None:
            windows[number] = window.row_off, window.col_off, window.height, window.width
    return windows


def burn_polygons(
    geometries: NDArray[np.object_],
    grid: Grid,
    *,
    windows: NDArray[np.int64] | None = None,
    within: tuple[int, int] | None = None,
    kept: dict[tuple[int, int], NDArray[np.uint8]] | None = None,
    rings: dict[int, Rings] | None = None,
) -> Burnt:
    """Rows, columns and feature numbers of the pixels whose centres lie in polygons, polygon by polygon.

    Each polygon is burnt in its own window, so that memory does not grow with the raster, and a large one in bands of
    rows that are always the same ones, so that rounding does not depend on the rows that are asked for.

    Args:
        geometries: polygons in the grid's CRS.
        grid: the grid.
        windows: theirs, as `windows_of` gives them, where they are known already.
        within: the first and the last row (exclusive) that are asked for; None for all.
        kept: what was burnt and reaches beyond the rows that were asked for last, for those asked for next.
        rings: those of polygons that are burnt in bands, for rows asked for next.
    """
    rings = {} if rings is None else rings
    windows = windows_of(geometries, grid) if windows is None else windows
    start, stop = within or (0, grid.height)
    row_off, _, height, _ = windows.T
    before, kept = dict(kept or {}), {} if kept is None else kept
    kept.clear()
    found: list[Burnt] = []
    for number in np.flatnonzero((row_off < stop) & (row_off + height > start)).tolist():
        for window in _bands(*windows[number].tolist(), start=start, stop=stop):
            key, shape = (number, window.row_off), (window.height, window.width)
            if key in before:
                burnt = np.unpackbits(before[key], count=shape[0] * shape[1]).reshape(shape)
            else:
                geometry = geometries[number]
                if shape[0] < height[number]:
                    geometry = _rings_of(geometry, grid, number=number, known=rings).near(window)
                burnt = _burn(geometry, window, grid)
            if window.row_off + window.height > stop:
                kept[key] = np.packbits(burnt)
            first = max(start - window.row_off, 0)
            rows, cols = np.nonzero(burnt[first : max(stop - window.row_off, 0)])
            found.append((rows + (window.row_off + first), cols + window.col_off, np.full(len(rows), number)))
    if not found:
        return (np.empty(0, np.int64),) * 3
    rows, cols, groups = (np.concatenate(part, dtype=np.int64) for part in zip(*found, strict=True))
    return rows, cols, groups


@dataclass(frozen=True)
class Rings:
    """The rings of a large polygon, so that a band of it is burnt from those that reach into it.

    Attributes:
        rings: shells and holes of all its parts.
        tops, bottoms: float64 (n,), the rows of the grid between which each lies.
    """

    rings: NDArray[np.object_]
    tops: NDArray[np.float64]
    bottoms: NDArray[np.float64]

    @classmethod
    def of(cls, geometry: Any, grid: Grid) -> Rings:
        """Those of a polygon in the grid's CRS."""
        rings = shapely.get_rings(shapely.get_parts(geometry))
        left, bottom, right, top = shapely.bounds(rings).T
        _, _, _, d, e, f = (~grid.transform)[:6]
        rows = np.array([d * x + e * y + f for x in (left, right) for y in (bottom, top)])
        return cls(rings, rows.min(axis=0), rows.max(axis=0))

    def near(self, window: Window) -> Any:
        """A polygon that has the same pixels in a window; None if that has none."""
        # NOTE: GDAL takes all rings of a polygon alike, by the even-odd rule, whichever of them is the shell
        near = self.rings[(self.bottoms >= window.row_off - 1) & (self.tops <= window.row_off + window.height + 1)]
        return shapely.polygons(near[0], holes=near[1:]) if len(near) else None


def _rings_of(geometry: Any, grid: Grid, *, number: int, known: dict[int, Rings]) -> Rings:
    if number not in known:
        known[number] = Rings.of(geometry, grid)
    return known[number]


def _burn(geometry: Any, window: Window, grid: Grid) -> NDArray[np.uint8]:
    """Mask (height, width) of those pixels of a window whose centres lie in a polygon."""
    if geometry is None:
        return np.zeros((window.height, window.width), dtype=np.uint8)
    burnt = rasterio.features.rasterize(
        [(geometry, 1)],
        out_shape=(window.height, window.width),
        transform=rasterio.windows.transform(window, grid.transform),
        dtype="uint8",
    )
    return np.asarray(burnt, dtype=np.uint8)


def _bands(row_off: int, col_off: int, height: int, width: int, *, start: int, stop: int) -> Iterator[Window]:
    """A window, or where it is large those of its bands that some rows lie in, cut at multiples of `BAND_ROWS`."""
    if height * width <= WINDOW_PIXELS:
        yield Window(col_off, row_off, width, height)
        return
    first, end = max(row_off, start) // BAND_ROWS * BAND_ROWS, min(row_off + height, stop)
    for row in range(first, end, BAND_ROWS):
        top, bottom = max(row, row_off), min(row + BAND_ROWS, row_off + height)
        yield Window(col_off, top, width, bottom - top)
