"""Areas and lengths on a grid whose projection is smooth, by Chebyshev polynomials.

The inverse of the projection takes columns and rows to points of the ellipsoid in space, X(c, r), which neither a pole
nor the 180th meridian interrupts. The first fundamental form E = Xc Xc, F = Xc Xr, G = Xr Xr measures lengths, and
m = sqrt(E G - F F) measures areas (do Carmo, Differential Geometry of Curves and Surfaces, section 2-5). All four are
smooth, so a few Chebyshev polynomials over the grid hold them to eight digits. A polygon's area is an integral along
its border, by Green's theorem, and a pixel's area the integral of m over the pixel. Both agree, as it is the same m.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import shapely
from numpy.polynomial import chebyshev

from s2fin_cli.geo.pixels import res_of
from s2fin_cli.geo.places import LEAST, LONGEST, SAMPLE, Places
from s2fin_cli.geo.rings import Rings

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from rasterio.windows import Window


#: Polynomials along each axis, tried one after the other.
DEGREES = (8, 16, 32, 64, 128)
#: How exactly the area of a pixel is to be known, and down to which share of it coefficients are kept.
ACCURACY, KEPT = 1e-8, 1e-11
#: Longest edge of which the middle is enough, as a share of the ellipsoid's radius.
SHORT = 1 / 20_000
#: Edges that are measured at once, few enough for a processor's cache.
CHUNK = 1 << 13


@dataclass(frozen=True)
class SmoothSurface:
    """A grid whose fundamental form is held by polynomials.

    Attributes:
        places: where its pixels are.
        bounds: first and last column, first and last row of where the polynomials hold.
        forms: coefficients (degrees of columns, degrees of rows) of m, E, F and G, per pixel.
    """

    places: Places
    bounds: tuple[float, float, float, float]
    forms: tuple[NDArray[np.float64], ...]

    @classmethod
    def fit(cls, places: Places, bounds: tuple[float, float, float, float]) -> SmoothSurface | None:
        """The surface of a grid; None where no polynomial is exact enough."""
        middle = [(bounds[0] + bounds[1]) / 2, (bounds[2] + bounds[3]) / 2]
        around = places.points(*(np.array([v, v + (i == 0), v + (i == 1)]) for i, v in enumerate(middle)))
        # a small grid is fitted with its surroundings, as its own differences would be too small to be exact
        sizes = [max(float(np.linalg.norm(around[i] - around[0])), 1e-9) for i in (1, 2)]
        if not np.isfinite(around).all():
            sizes = [math.inf, math.inf]
        least = [LEAST * places.axes[0] / size / 2 for size in sizes]
        half = [max((bounds[1] - bounds[0]) / 2, least[0]), max((bounds[3] - bounds[2]) / 2, least[1])]
        domain = (middle[0] - half[0], middle[0] + half[0], middle[1] - half[1], middle[1] + half[1])
        last: SmoothSurface | None = None
        for degree in DEGREES:
            found = _fundamental_forms(places, domain, degree)
            if found is None:
                return None
            (u, values), forms = found
            if last is not None:
                error = np.abs(_on_lattice(last.forms[0], u, u) / values - 1).max()
                if error < ACCURACY:
                    return cls(places, domain, forms)
            last = cls(places, domain, forms)
        return None

    def spread(self, expected: float) -> float:
        """By how much pixels differ from an area at most, relative to it."""
        u = np.linspace(-1, 1, SAMPLE)
        return float(np.abs(_on_lattice(self.forms[0], u, u) / expected - 1).max())

    def _scaled(self, values: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
        """Columns (axis 0) or rows (axis 1) on the range from -1 to 1."""
        first, last = self.bounds[2 * axis : 2 * axis + 2]
        return (2 * values - (first + last)) / (last - first)

    def _half(self, axis: int) -> float:
        return (self.bounds[2 * axis + 1] - self.bounds[2 * axis]) / 2

    @property
    def _size(self) -> float:
        """Metres of a pixel's side, about."""
        return math.sqrt(abs(self.forms[0][0, 0]))

    def pixel_areas(self, window: Window) -> NDArray[np.float64]:
        """See `Surface`; exact integrals of the polynomials over each pixel."""
        sides = []
        for axis, start, size in ((0, window.col_off, window.width), (1, window.row_off, window.height)):
            degrees = self.forms[0].shape[axis]
            borders = self._scaled(np.arange(start, start + size + 1, dtype=np.float64), axis)
            integrals = chebyshev.chebvander(borders, degrees) @ chebyshev.chebint(np.eye(degrees))
            sides.append(np.diff(integrals, axis=0) * self._half(axis))
        cols, rows = sides
        areas = np.zeros((window.height, window.width))
        # NOTE: products of so few columns are slower by a matrix library, whose threads wait for each other.
        for of_rows, of_cols in zip(np.einsum("rj,ij->ir", rows, self.forms[0]), cols.T, strict=True):
            areas += of_rows[:, None] * of_cols
        return areas

    def measure(self, polygons: NDArray[np.object_]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """See `Surface`."""
        if not len(polygons):
            return np.empty(0), np.empty(0)
        rings = Rings.of(polygons, ~self.places.transform)
        longest = LONGEST * self.places.axes[0]
        if np.abs(rings.edges).max(initial=0.0) * self._size > longest:
            step = longest / self._size * min(res_of(self.places.transform))
            rings = Rings.of(shapely.segmentize(polygons, step), ~self.places.transform)
        areas, lengths = np.empty(len(rings.edges)), np.empty(len(rings.edges))
        for start in range(0, len(areas), CHUNK):
            part = slice(start, start + CHUNK)
            areas[part], lengths[part] = self._along(rings.middles[part], rings.edges[part])
        return rings.areas(areas), rings.sums(lengths)

    def _along(
        self, middles: NDArray[np.float64], edges: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """What each edge adds to a ring's signed area and to its length.

        Args:
            middles: columns and rows (n, 2) of the edges' middles.
            edges: their lengths (n, 2) along columns and rows.
        """
        m, *form = self.forms
        u, v = self._scaled(middles[:, 0], 0), self._scaled(middles[:, 1], 1)
        dc, dr = edges.T
        across, down = dc != 0, dr != 0
        oblique = across & down
        areas, squares = np.zeros(len(edges)), np.zeros(len(edges))
        primitive = np.asarray(chebyshev.chebint(m, axis=0) * self._half(0), dtype=np.float64)
        # the integrand bends along an oblique edge, and of a long one (Gauss, Legendre: exact for cubic polynomials)
        bent = down & (across | (np.abs(dr) * self._size > SHORT * self.places.axes[0]))
        areas[down & ~bent] = _at(primitive, u[down & ~bent], v[down & ~bent]) * dr[down & ~bent]
        for step in (-0.5 / math.sqrt(3), 0.5 / math.sqrt(3)):
            places = (self._scaled(middles[bent, axis] + step * edges[bent, axis], axis) for axis in (0, 1))
            areas[bent] += _at(primitive, *places) * dr[bent] / 2
        squares[across] = _at(form[0], u[across], v[across]) * dc[across] ** 2
        squares[down] += _at(form[2], u[down], v[down]) * dr[down] ** 2
        if oblique.any():
            squares[oblique] += 2 * _at(form[1], u[oblique], v[oblique]) * (dc * dr)[oblique]
        return areas, np.sqrt(squares)


def _fundamental_forms(
    places: Places, bounds: tuple[float, float, float, float], degree: int
) -> tuple[tuple[NDArray[np.float64], NDArray[np.float64]], tuple[NDArray[np.float64], ...]] | None:
    """Coefficients of m, E, F and G over columns and rows, from `degree` places along each axis.

    Returns:
        those places from -1 to 1 with m at them (columns, rows), and the coefficients; None where a place is outside
        the projection.
    """
    u = chebyshev.chebpts1(degree)
    halves = [(bounds[1] - bounds[0]) / 2, (bounds[3] - bounds[2]) / 2]
    cols, rows = np.meshgrid(bounds[0] + halves[0] * (u + 1), bounds[2] + halves[1] * (u + 1), indexing="ij")
    points = places.points(cols, rows)
    if not np.isfinite(points).all():
        return None
    to_coefficients = chebyshev.chebvander(u, degree - 1).T * (2 / degree)
    to_coefficients[0] /= 2

    def coefficients(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(np.einsum("ki,ij...,lj->kl...", to_coefficients, values, to_coefficients, optimize=True))

    position = coefficients(points - points.mean(axis=(0, 1)))
    slopes = [
        np.stack([_on_lattice(slope[..., k], u, u) for k in range(3)]) / halves[axis]
        for axis, slope in enumerate(_slope(position, axis) for axis in (0, 1))
    ]
    e, f, g = (np.sum(slopes[i] * slopes[j], axis=0) for i, j in ((0, 0), (0, 1), (1, 1)))
    area = np.sqrt(np.maximum(e * g - f**2, 0))
    if not (area > 0).all():
        return None
    scale = float(area.max())
    return (u, area), tuple(_trimmed(coefficients(values), KEPT * scale) for values in (area, e, f, g))


def _slope(coefficients: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    """Coefficients of a polynomial's derivative along an axis."""
    return np.asarray(chebyshev.chebder(coefficients, axis=axis), dtype=np.float64)


def _trimmed(coefficients: NDArray[np.float64], least: float) -> NDArray[np.float64]:
    """Coefficients without the last rows and columns in which all are smaller than the least."""
    large = np.abs(coefficients) > least
    rows, cols = (np.flatnonzero(large.any(axis=axis)) for axis in (1, 0))
    return coefficients[: rows.max(initial=0) + 1, : cols.max(initial=0) + 1]


def _on_lattice(
    coefficients: NDArray[np.float64], u: NDArray[np.float64], v: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Values (len(u), len(v)) of a polynomial."""
    left, right = (chebyshev.chebvander(w, n - 1) for w, n in zip((u, v), coefficients.shape, strict=True))
    return np.asarray(left @ coefficients @ right.T)


def _at(coefficients: NDArray[np.float64], u: NDArray[np.float64], v: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values (n,) of a polynomial at n places."""
    return np.asarray(chebyshev.chebval2d(u, v, coefficients))
