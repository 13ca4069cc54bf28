"""What a warp needs to know about two grids: the size of its kernel, and by how many full turns longitudes differ."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from affine import Affine
from pyproj.exceptions import CRSError
from rasterio.warp import transform

from s2fin_cli.geo.crs import TRANSFORM_ERRORS, horizontal, is_engineering
from s2fin_cli.geo.extents import bounds_on
from s2fin_cli.geo.grid import Grid
from s2fin_cli.geo.pixels import transformed

if TYPE_CHECKING:
    from rasterio.crs import CRS


#: Source pixels beside a window that the kernel of a warp reaches, about.
KERNEL_PX = 2


def kernel_scale(own_grid: Grid, grid: Grid) -> dict[str, float]:
    """GDAL's options for the size of the kernel: pixels of the grid per pixel of the raster, along columns and rows.

    GDAL itself measures it again for each window, so values would depend on the window that they are read with.
    """
    covered, wanted = bounds_on(own_grid, grid), grid.bounds
    x = (max(covered.left, wanted.left) + min(covered.right, wanted.right)) / 2
    y = (max(covered.bottom, wanted.bottom) + min(covered.top, wanted.top)) / 2
    width, height = grid.res
    places = ([x, x + width, x], [y, y, y + height])
    try:
        is_one_plane = is_engineering(own_grid.crs) and own_grid.crs == grid.crs  # PROJ has no operation for it
        xs, ys = (np.array(v) for v in (places if is_one_plane else transform(grid.crs, own_grid.crs, *places)))
    except TRANSFORM_ERRORS:
        return {}
    with np.errstate(all="ignore"):  # places that the raster's CRS does not reach are infinite
        if own_grid.full_turn is not None:
            xs = xs[0] + np.mod(xs - xs[0] + own_grid.full_turn / 2, own_grid.full_turn) - own_grid.full_turn / 2
        scales = [1 / np.hypot(*(axis[1:] - axis[0])) for axis in transformed(~own_grid.transform, xs, ys)]
    return dict(zip(("XSCALE", "YSCALE"), scales, strict=True)) if np.isfinite(scales).all() else {}


@dataclass(frozen=True)
class Wrapping:
    """How a warp finds a raster's pixels by longitudes that differ by full turns from the raster's own.

    Attributes:
        transform: transform of the grid that it is warped onto, as the warp has to take it.
        center: longitude, in degrees, around which the warp has to look for the raster's own; None for 0.
        turn_px: columns of a full turn, where the raster is needed on both sides of the meridian at which it begins and
            has to be repeated there; else None.
    """

    transform: Affine
    center: float | None = None
    turn_px: int | None = None

    @classmethod
    def of(cls, own_grid: Grid, grid: Grid) -> Wrapping:
        """What is needed to warp a raster on its own grid onto another."""
        turn, scale = own_grid.full_turn, own_grid.transform.a
        if turn is None or own_grid.is_rotated or scale <= 0:
            return cls(grid.transform)
        same_crs = own_grid.crs == grid.crs
        own, wanted = own_grid.bounds, grid.bounds if same_crs else bounds_on(grid, own_grid)
        reach = KERNEL_PX * scale
        turns = [
            n for n in range(-2, 3)
            if own.left + n * turn < wanted.right + reach and own.right + n * turn > wanted.left - reach
        ]  # fmt: skip
        if not turns:
            return cls(grid.transform)
        goes_round = wanted.right - wanted.left > turn - reach
        is_twice = len(turns) > 1 and (same_crs or not goes_round)
        turn_px = round(turn / scale) if is_twice else None
        moved = turns[0] * turn if is_twice or len(turns) == 1 else 0.0
        if same_crs:
            return cls(Affine.translation(-moved, 0) * grid.transform, None, turn_px)
        if not is_twice and own.left >= -turn / 2 - reach and own.right <= turn / 2 + reach:
            return cls(grid.transform)  # as PROJ itself has longitudes
        middle = (own.left + own.right) / 2 if goes_round else (wanted.left + wanted.right) / 2 - moved
        return cls(grid.transform, middle * 360 / turn, turn_px)

    def crs_of(self, crs: CRS) -> CRS:
        """A raster's CRS as the warp needs it."""
        if self.center is None:
            return crs
        # NOTE: GDAL's own keyword, as rasterio does not expose the option. GDAL keeps transformations by all of the
        # CRS but this word, so the unit's name holds it too; the datum is named as it was, for its operations.
        center = f"{self.center:.10g}"
        try:
            known = horizontal(crs).to_wkt("WKT1_GDAL")
        except CRSError:  # of a derived CRS, which WKT 1 does not know
            return crs
        wkt = re.sub(r',AUTHORITY\["[^"]*","[^"]*"\]\]$', "]", known)
        wkt = re.sub(r'UNIT\["([^"]*)",([^],]*)(,AUTHORITY\[[^]]*\])?\]', rf'UNIT["\1 around {center}",\2]', wkt)
        return type(crs).from_wkt(f'{wkt[:-1]},EXTENSION["CENTER_LONG","{center}"]]')
