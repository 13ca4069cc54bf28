"""Where the columns and rows of a grid are in space."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from pyproj import Geod, Transformer
from pyproj.exceptions import ProjError

from s2fin_cli.geo.pixels import transformed

if TYPE_CHECKING:
    from affine import Affine
    from numpy.typing import NDArray
    from pyproj import CRS as ProjCRS

T = TypeVar("T", float, "NDArray[np.float64]")

#: Longest part of an edge that is measured as one, as a share of the ellipsoid's radius.
LONGEST = 1 / 2000
#: Least extent in which differences between places are exact enough, as a share of the ellipsoid's radius.
LEAST = 1 / 1000
#: Places along each axis at which a grid is examined if no polynomial fits.
SAMPLE = 32


@dataclass(frozen=True)
class Places:
    """Where the columns and rows of a grid are in space.

    Attributes:
        transform: from (column, row) to the CRS.
        to_degrees: from the CRS to longitude and latitude on its own datum.
        radians: radians of a unit of these.
        axes: the ellipsoid's semi-axes in metres.
    """

    transform: Affine
    to_degrees: Transformer
    radians: float
    axes: tuple[float, float]

    @classmethod
    def of(cls, crs: ProjCRS, base: ProjCRS, transform: Affine) -> Places | None:
        """The places of a grid in a CRS over a geodetic one; None where PROJ cannot transform between the two."""
        try:
            to_degrees = Transformer.from_crs(crs, base, always_xy=True)
        except ProjError:
            return None
        ellipsoid = base.ellipsoid
        if ellipsoid is None or not base.axis_info:
            return None
        radians = base.axis_info[0].unit_conversion_factor
        return cls(transform, to_degrees, radians, (ellipsoid.semi_major_metre, ellipsoid.semi_minor_metre))

    @property
    def geod(self) -> Geod:
        """The ellipsoid."""
        return Geod(a=self.axes[0], b=self.axes[1])

    def degrees(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
        """Longitudes and latitudes in degrees, infinite outside the projection, of coordinates in the CRS."""
        try:
            if x.size == 1:  # pyproj takes a single place for numbers, and answers with numbers before NumPy 2.4
                lon, lat = (np.full(x.shape, v) for v in self.to_degrees.transform(x.item(), y.item()))
            else:
                lon, lat = self.to_degrees.transform(x, y)
        except ProjError:
            return np.full(x.shape, np.inf), np.full(x.shape, np.inf)
        factor = math.degrees(self.radians)
        return (lon, lat) if abs(factor - 1) < 1e-12 else (lon * factor, lat * factor)

    def points(self, cols: NDArray[np.float64], rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Points in space (..., 3), in metres, of columns and rows of one shape; NaN outside the projection."""
        with np.errstate(invalid="ignore"):
            lon, lat = (np.radians(v) for v in self.degrees(*transformed(self.transform, cols, rows)))
            across, up = on_meridian(lat, self.axes)
            return np.stack([across * np.cos(lon), across * np.sin(lon), up], axis=-1)


def on_meridian(lat: T, axes: tuple[float, float]) -> tuple[T, T]:
    """Metres from the axis, and from the plane of the equator, of points on an ellipsoid.

    Args:
        lat: their latitudes in radians.
        axes: the ellipsoid's semi-axes in metres, the major and the minor one.
    """
    major, minor = axes
    normal = major**2 / np.hypot(major * np.cos(lat), minor * np.sin(lat))
    return normal * np.cos(lat), normal * (minor / major) ** 2 * np.sin(lat)
