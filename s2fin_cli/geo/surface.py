"""Areas and lengths on the ellipsoid of what is drawn on the grid of a projected CRS.

A projection stretches: a pixel of 30 m in Web Mercator at 60 degrees covers a quarter of 900 square metres. Its inverse
takes columns and rows to points of the ellipsoid in space, X(c, r), which neither a pole nor the 180th meridian
interrupts. The first fundamental form E = Xc Xc, F = Xc Xr, G = Xr Xr measures lengths, and m = sqrt(E G - F F)
measures areas (do Carmo, Differential Geometry of Curves and Surfaces, section 2-5). All four are smooth, so a few
Chebyshev polynomials over the grid hold them to eight digits. A polygon's area is an integral along its border, by
Green's theorem, and a pixel's area the integral of m over the pixel. Both agree, as it is the same m.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import shapely
from numpy.polynomial import chebyshev
from pyproj import Geod, Transformer
from pyproj.exceptions import ProjError

if TYPE_CHECKING:
    from affine import Affine
    from numpy.typing import NDArray
    from pyproj import CRS as ProjCRS
    from rasterio.windows import Window

#: Polynomials along each axis, tried one after the other.
DEGREES = (8, 16, 32, 64, 128)
#: How exactly the area of a pixel is to be known, and down to which share of it coefficients are kept.
ACCURACY, KEPT = 1e-8, 1e-11
#: A projection whose pixels are that equal is taken to keep areas.
EQUAL = 1e-7
#: As shares of the ellipsoid's radius: the longest part of an edge that is measured in one, a short one, whose middle
#: is enough, and the least extent that polynomials are fitted to.
LONGEST, SHORT, LEAST = 1 / 2000, 1 / 20_000, 1 / 1000
#: Edges that are measured at once, few enough for a processor's cache.
CHUNK = 1 << 13
#: Places along each axis at which a grid is looked at where no polynomial fits.
SAMPLE = 32


class Surface(Protocol):
    """What measures polygons and pixels of a grid."""

    def measure(self, polygons: NDArray[np.object_]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Areas (square metres) and perimeters (metres, holes' rings included) of polygons in the grid's CRS."""

    def pixel_areas(self, window: Window) -> NDArray[np.float64]:
        """Square metres of the pixels of a window, (height, width) or what broadcasts to it."""


@dataclass(frozen=True)
class Plane:
    """A grid whose CRS keeps areas, or has no relation to the Earth.

    Attributes:
        pixel: area of a pixel in square CRS units.
        unit: metres of a CRS unit; NaN where it is none of length.
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


@dataclass(frozen=True)
class Places:
    """Where the columns and rows of a grid lie in space.

    Attributes:
        transform: from (column, row) to the CRS.
        to_degrees: from the CRS to longitude and latitude on its own datum.
        radians: of a unit of these.
        axes: the ellipsoid's semi-axes in metres.
    """

    transform: Affine
    to_degrees: Transformer
    radians: float
    axes: tuple[float, float]

    @classmethod
    def of(cls, crs: ProjCRS, base: ProjCRS, transform: Affine) -> Places | None:
        """Those of a grid in a CRS over a geodetic one; None where PROJ has no way between the two."""
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
            lon, lat = self.to_degrees.transform(x, y)
        except ProjError:
            return np.full(x.shape, np.inf), np.full(x.shape, np.inf)
        factor = math.degrees(self.radians)
        return (lon, lat) if abs(factor - 1) < 1e-12 else (lon * factor, lat * factor)

    def points(self, cols: NDArray[np.float64], rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Points in space (..., 3), in metres, of columns and rows of one shape; NaN outside the projection."""
        a, b, c, d, e, f = self.transform[:6]
        with np.errstate(invalid="ignore"):
            lon, lat = (np.radians(v) for v in self.degrees(a * cols + b * rows + c, d * cols + e * rows + f))
            major, minor = self.axes
            normal = major**2 / np.hypot(major * np.cos(lat), minor * np.sin(lat))
            across = normal * np.cos(lat)
            points = [across * np.cos(lon), across * np.sin(lon), normal * (minor / major) ** 2 * np.sin(lat)]
        return np.stack(points, axis=-1)


def surface_of(
    crs: ProjCRS, base: ProjCRS, transform: Affine, bounds: tuple[float, float, float, float], *, unit: float
) -> Surface:
    """What measures on a grid.

    Args:
        crs: the grid's CRS, horizontal: a projected one, or a derived geographic one.
        base: the geodetic CRS that it is made of.
        transform: from (column, row) to the CRS.
        bounds: first and last column, first and last row (outer borders) of what is to be measured.
        unit: metres of a CRS unit, about.
    """
    a, b, _, d, e, _ = transform[:6]
    plane = Plane(abs(a * e - b * d), unit)
    places = Places.of(crs, base, transform)
    if places is None:
        return plane
    smooth = SmoothSurface.fit(places, bounds)
    if smooth is None:
        return plane if _keeps_areas(places, bounds, plane) else RoughSurface(places, unit)
    return plane if smooth.spread(plane.pixel * unit**2) < EQUAL else smooth


def _keeps_areas(places: Places, bounds: tuple[float, float, float, float], plane: Plane) -> bool:
    """Whether pixels are equal where the projection reaches, from small squares all over the grid."""
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


@dataclass(frozen=True)
class SmoothSurface:
    """A grid whose fundamental form is held by polynomials.

    Attributes:
        places: where its pixels lie.
        bounds: first and last column, first and last row of what the polynomials hold on.
        forms: coefficients (degrees of columns, degrees of rows) of m, E, F and G, per pixel.
    """

    places: Places
    bounds: tuple[float, float, float, float]
    forms: tuple[NDArray[np.float64], ...]

    @classmethod
    def fit(cls, places: Places, bounds: tuple[float, float, float, float]) -> SmoothSurface | None:
        """One for a grid; None where no polynomial is exact enough."""
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
        rings = _Rings.of(polygons, ~self.places.transform)
        longest = LONGEST * self.places.axes[0]
        if np.abs(rings.edges).max(initial=0.0) * self._size > longest:
            a, b, _, d, e, _ = self.places.transform[:6]
            step = longest / self._size * min(math.hypot(a, d), math.hypot(b, e))
            rings = _Rings.of(shapely.segmentize(polygons, step), ~self.places.transform)
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
    """Coefficients of m, E, F and G over columns and rows, from so many places along each axis.

    Returns:
        those places from -1 to 1 with m at them (columns, rows), and the coefficients; None where a place lies outside
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
    """Coefficients without the last rows and columns of such as are smaller than the least."""
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


@dataclass(frozen=True)
class RoughSurface:
    """A grid that reaches beyond its projection, or to where that has no bounds: measured place by place.

    Attributes:
        places: where its pixels lie.
        unit: metres of a CRS unit, about.
    """

    places: Places
    unit: float

    def pixel_areas(self, window: Window) -> NDArray[np.float64]:
        """See `Surface`; the area between the diagonals, and 0 where a corner lies outside the projection."""
        cols = np.arange(window.col_off, window.col_off + window.width + 1, dtype=np.float64)
        areas = []
        for row in range(window.row_off, window.row_off + window.height):
            points = self.places.points(*np.meshgrid(cols, np.array([row, row + 1.0])))
            diagonals = points[1, 1:] - points[0, :-1], points[0, 1:] - points[1, :-1]
            areas.append(np.linalg.norm(np.cross(*diagonals), axis=-1) / 2)
        return np.asarray(np.nan_to_num(np.stack(areas), nan=0.0))

    def measure(self, polygons: NDArray[np.object_]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """See `Surface`; NaN for a polygon that lies partly outside the projection."""
        a, b, _, d, e, _ = self.places.transform[:6]
        longest = LONGEST * self.places.axes[0] / self.unit
        dense = shapely.segmentize(polygons, min(math.hypot(a, d), math.hypot(b, e), longest))
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


@dataclass(frozen=True)
class _Rings:
    """The edges of polygons in columns and rows, one after the other.

    Attributes:
        middles, edges: (n, 2), columns and rows of the edges' middles, and of their ends less their starts.
        ring: number of the ring of each edge.
        polygon: number of the polygon of each ring.
        is_shell: whether a ring is the outer one of its part.
        count: number of polygons.
    """

    middles: NDArray[np.float64]
    edges: NDArray[np.float64]
    ring: NDArray[np.int64]
    polygon: NDArray[np.int64]
    is_shell: NDArray[np.bool_]
    count: int

    @classmethod
    def of(cls, polygons: NDArray[np.object_], to_pixels: Affine) -> _Rings:
        """Those of polygons, or of polygons of several parts, in the CRS."""
        parts, polygon = polygons, np.arange(len(polygons))
        if (shapely.get_type_id(polygons) != shapely.GeometryType.POLYGON).any():
            parts, polygon = shapely.get_parts(polygons, return_index=True)
        rings, part = shapely.get_rings(parts, return_index=True)
        a, b, c, d, e, f = to_pixels[:6]
        x, y = shapely.get_coordinates(rings).T
        cols, rows = a * x + b * y + c, d * x + e * y + f
        ring = np.repeat(np.arange(len(rings)), shapely.get_num_coordinates(rings))
        within = np.flatnonzero(ring[1:] == ring[:-1])
        middles, edges = np.empty((len(within), 2)), np.empty((len(within), 2))
        for axis, values in enumerate((cols, rows)):
            starts, ends = values[within], values[within + 1]
            middles[:, axis], edges[:, axis] = (starts + ends) / 2, ends - starts
        is_shell = np.diff(part, prepend=-1) != 0
        return cls(middles, edges, ring[within], polygon[part], is_shell, len(polygons))

    def areas(self, signed: NDArray[np.float64]) -> NDArray[np.float64]:
        """Areas of the polygons from what each edge adds to those of the rings."""
        of_rings = np.abs(_sums(self.ring, signed, len(self.polygon)))
        return np.asarray(
            np.bincount(self.polygon, np.where(self.is_shell, of_rings, -of_rings), self.count), np.float64
        )

    def sums(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sums by polygon of what each edge has."""
        return _sums(self.polygon[self.ring], values, self.count)


def _sums(numbers: NDArray[np.int64], values: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """Sums of values by number, of so many numbers."""
    return np.asarray(np.bincount(numbers, values, count), dtype=np.float64)
