"""Areas and lengths on the ellipsoid of polygons and pixels on the grid of a projected CRS.

A projection stretches: a pixel of 30 m in Web Mercator at 60 degrees covers a quarter of 900 square metres.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import shapely

from s2fin_cli.geo.places import LEAST, SAMPLE, Places
from s2fin_cli.geo.rough_surface import RoughSurface
from s2fin_cli.geo.smooth_surface import SmoothSurface

if TYPE_CHECKING:
    from affine import Affine
    from numpy.typing import NDArray
    from pyproj import CRS as ProjCRS
    from rasterio.windows import Window


#: A projection preserves areas if those of its pixels differ by no more than this, as a share.
EQUAL = 1e-7


class Surface(Protocol):
    """Measures polygons and pixels of a grid."""

    def measure(self, polygons: NDArray[np.object_]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Areas (square metres) and perimeters (metres, holes' rings included) of polygons in the grid's CRS."""

    def pixel_areas(self, window: Window) -> NDArray[np.float64]:
        """Square metres of the pixels of a window, (height, width) or what broadcasts to it."""


@dataclass(frozen=True)
class Plane:
    """A grid whose CRS preserves areas, or has no relation to the Earth.

    Attributes:
        pixel: area of a pixel in square CRS units.
        unit: metres of a CRS unit; NaN if it is not a unit of length.
    """

    pixel: float
    unit: float

    def measure(self, polygons: NDArray[np.object_]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """See `Surface`."""
        return shapely.area(polygons) * self.unit**2, shapely.length(polygons) * self.unit

    def pixel_areas(self, window: Window) -> NDArray[np.float64]:
        """See `Surface`; they are all the same."""
        del window
        return np.full((1, 1), self.pixel * self.unit**2)


def surface_of(
    crs: ProjCRS, base: ProjCRS, transform: Affine, bounds: tuple[float, float, float, float], *, unit: float
) -> Surface:
    """The surface of a grid.

    Args:
        crs: the grid's CRS, horizontal: a projected one, or a derived geographic one.
        base: the geodetic CRS that it is made of.
        transform: from (column, row) to the CRS.
        bounds: first and last column, first and last row (outer borders) of what is to be measured.
        unit: metres of a CRS unit, about.
    """
    plane = Plane(abs(transform.determinant), unit)
    places = Places.of(crs, base, transform)
    if places is None:
        return plane
    smooth = SmoothSurface.fit(places, bounds)
    if smooth is None:
        return plane if _keeps_areas(places, bounds, plane) else RoughSurface(places, unit)
    return plane if smooth.spread(plane.pixel * unit**2) < EQUAL else smooth


def _keeps_areas(places: Places, bounds: tuple[float, float, float, float], plane: Plane) -> bool:
    """Whether all pixels that the projection reaches cover equal areas, by small squares all over the grid."""
    c0, c1, r0, r1 = bounds
    cols, rows = np.meshgrid(np.linspace(c0, c1, SAMPLE + 2)[1:-1], np.linspace(r0, r1, SAMPLE + 2)[1:-1])
    half = LEAST * places.axes[0] / (8 * plane.unit * math.sqrt(plane.pixel))
    east, west, south, north = (
        places.points(cols + dc, rows + dr) for dc, dr in ((half, 0), (-half, 0), (0, half), (0, -half))
    )
    areas = np.linalg.norm(np.cross(east - west, south - north), axis=-1) / (2 * half) ** 2
    known = areas[np.isfinite(areas)]
    # nine in ten, as squares on the seam of an interrupted projection are torn; their sides are chords of 1.6 km
    return len(known) > 0 and bool(np.quantile(np.abs(known / (plane.pixel * plane.unit**2) - 1), 0.9) < 1e-6)
