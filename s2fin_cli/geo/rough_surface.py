"""Areas and lengths on a grid that no polynomial describes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import shapely

from s2fin_cli.geo.pixels import res_of
from s2fin_cli.geo.places import LONGEST, Places

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from rasterio.windows import Window


@dataclass(frozen=True)
class RoughSurface:
    """A grid that reaches beyond its projection, or to where the projection is unbounded: measured point by point.

    Attributes:
        places: where its pixels are.
        unit: metres of a CRS unit, about.
    """

    places: Places
    unit: float

    def pixel_areas(self, window: Window) -> NDArray[np.float64]:
        """See `Surface`; the area between the diagonals, and 0 where a corner is outside the projection."""
        cols = np.arange(window.col_off, window.col_off + window.width + 1, dtype=np.float64)
        areas = []
        for row in range(window.row_off, window.row_off + window.height):
            points = self.places.points(*np.meshgrid(cols, np.array([row, row + 1.0])))
            diagonals = points[1, 1:] - points[0, :-1], points[0, 1:] - points[1, :-1]
            areas.append(np.linalg.norm(np.cross(*diagonals), axis=-1) / 2)
        return np.asarray(np.nan_to_num(np.stack(areas), nan=0.0))

    def measure(self, polygons: NDArray[np.object_]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """See `Surface`; NaN for a polygon that is partly outside the projection."""
        longest = LONGEST * self.places.axes[0] / self.unit
        dense = shapely.segmentize(polygons, min(*res_of(self.places.transform), longest))
        geod = self.places.geod
        areas, perimeters = np.full(len(polygons), np.nan), np.full(len(polygons), np.nan)
        for number, polygon in enumerate(dense):
            area = perimeter = 0.0
            for part in shapely.get_parts(polygon):
                for sign, ring in zip([1] + [-1] * len(part.interiors), (part.exterior, *part.interiors), strict=True):
                    lon, lat = self.places.degrees(*shapely.get_coordinates(ring).T)
                    if not (np.isfinite(lon).all() and np.isfinite(lat).all()):
                        area = perimeter = math.nan
                        continue
                    within, around = geod.polygon_area_perimeter(lon[:-1], lat[:-1])
                    area, perimeter = area + sign * abs(within), perimeter + around
            areas[number], perimeters[number] = area, perimeter
        return areas, perimeters
