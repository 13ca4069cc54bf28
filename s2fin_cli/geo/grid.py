"""A raster's grid: coordinate reference system, transform and shape, without any pixel."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from pyproj import CRS as ProjCRS
from pyproj import Geod
from rasterio.coords import BoundingBox
from rasterio.crs import CRS
from rasterio.warp import transform_geom
from rasterio.windows import Window

from s2fin_cli.core.errors import UsageError, describe_bounds
from s2fin_cli.core.gdal import GDAL_ERRORS
from s2fin_cli.geo.crs import base_crs, crs_name, horizontal, metres_of_unit
from s2fin_cli.geo.pixels import res_of
from s2fin_cli.geo.places import Places
from s2fin_cli.geo.surface import Plane, Surface, surface_of

if TYPE_CHECKING:
    from collections.abc import Sequence


#: A longer distance in a geographic CRS was meant in another unit; and the approximate length of a degree of latitude.
LARGEST_DEGREES, METRES_OF_DEGREE = 1.0, 111_320
#: Vertices along each side of an outline in another CRS, about.
SIDE_VERTICES = 8
#: How far two transforms may differ, in pixels over the whole raster, and still be one grid.
GRID_TOLERANCE_PX = 0.01


@dataclass(frozen=True)
class Grid:
    """Where a raster's pixels are.

    Attributes:
        crs: the coordinate reference system, or None where the raster has none.
        transform: from (column, row) to (x, y); the upper left pixel's outer corner is (0, 0).
        shape: (height, width) in pixels.
    """

    crs: CRS | None
    transform: Affine
    shape: tuple[int, int]

    def __post_init__(self) -> None:
        if min(self.shape) < 1:
            raise ValueError(f"a grid needs at least one pixel, got shape {self.shape}")

    @property
    def height(self) -> int:
        """Number of rows."""
        return self.shape[0]

    @property
    def width(self) -> int:
        """Number of columns."""
        return self.shape[1]

    @property
    def window(self) -> Window:
        """The window of the whole grid."""
        return Window(0, 0, self.width, self.height)

    def window_of(self, bounds: Sequence[float]) -> Window | None:
        """The window of the pixels that bounds (left, bottom, right, top) touch, or None where they are outside."""
        left, bottom, right, top = bounds
        if not np.isfinite([left, bottom, right, top]).all():
            return None
        (col_a, row_a), (col_b, row_b) = (~self.transform * corner for corner in ((left, top), (right, bottom)))
        col_off, row_off = max(math.floor(min(col_a, col_b)), 0), max(math.floor(min(row_a, row_b)), 0)
        col_end, row_end = min(math.ceil(max(col_a, col_b)), self.width), min(math.ceil(max(row_a, row_b)), self.height)
        if col_end <= col_off or row_end <= row_off:
            return None
        return Window(col_off, row_off, col_end - col_off, row_end - row_off)

    def crop(self, window: Window) -> Grid:
        """The grid of a window."""
        offset = Affine.translation(window.col_off, window.row_off)
        return Grid(self.crs, self.transform * offset, (window.height, window.width))

    def moved(self, cols: float, rows: float) -> Grid:
        """The same grid, moved by pixels to the right and downwards."""
        return Grid(self.crs, self.transform * Affine.translation(cols, rows), self.shape)

    @property
    def res(self) -> tuple[float, float]:
        """Pixel width and height in CRS units, both positive."""
        return res_of(self.transform)

    @property
    def bounds(self) -> BoundingBox:
        """Left, bottom, right and top in CRS units, whatever the grid's orientation."""
        corners = [self.transform * (c, r) for c in (0, self.width) for r in (0, self.height)]
        xs, ys = zip(*corners, strict=True)
        return BoundingBox(min(xs), min(ys), max(xs), max(ys))

    @property
    def is_rotated(self) -> bool:
        """Whether rows or columns run oblique to the CRS axes."""
        scale = max(self.res)
        return abs(self.transform.b) > 1e-9 * scale or abs(self.transform.d) > 1e-9 * scale

    @property
    def is_georeferenced(self) -> bool:
        """Whether a CRS or a transform other than the identity is known."""
        return self.crs is not None or self.transform != Affine.identity()

    def footprint(self) -> dict[str, Any] | None:
        """Its outline as GeoJSON in longitude and latitude (WGS 84), or None where it has no place on the Earth.

        Its sides have more vertices than their ends, as a straight line is not straight in another CRS; an
        outline across the 180th meridian is cut there.
        """
        if self.crs is None:
            return None
        corners = [(0, 0), (self.width, 0), (self.width, self.height), (0, self.height)]
        outline = shapely.Polygon([self.transform * corner for corner in corners])
        outline = shapely.segmentize(outline, outline.length / (4 * SIDE_VERTICES))
        if self.full_turn is not None and self.bounds.right - self.bounds.left <= self.full_turn:
            outline = _in_one_turn(outline, self.full_turn)
        try:
            found = transform_geom(
                self.crs, "EPSG:4326", shapely.geometry.mapping(outline), antimeridian_cutting=True, precision=7
            )
        except GDAL_ERRORS:
            return None
        oriented = shapely.orient_polygons(shapely.geometry.shape(found), exterior_cw=False)
        return dict(json.loads(shapely.to_geojson(oriented)))

    def matches(self, other: Grid) -> bool:
        """Whether both grids have the same CRS, shape and, within a hundredth of a pixel, the same corners."""
        return self.crs == other.crs and self.same_pixels(other)

    def same_pixels(self, other: Grid) -> bool:
        """Whether shape and corners agree, whatever the CRS."""
        if self.shape != other.shape:
            return False
        to_own_pixels = ~self.transform
        corners = ((0, 0), (self.width, 0), (0, self.height), (self.width, self.height))
        return all(
            math.dist(to_own_pixels * (other.transform * corner), corner) <= GRID_TOLERANCE_PX for corner in corners
        )

    @cached_property
    def _proj_crs(self) -> ProjCRS | None:
        return None if self.crs is None else horizontal(self.crs)

    @cached_property
    def full_turn(self) -> float | None:
        """CRS units after which a geographic CRS's first coordinate is at the same place again; None for another."""
        crs = self._proj_crs
        return 2 * math.pi / crs.axis_info[0].unit_conversion_factor if crs is not None and crs.is_geographic else None

    @cached_property
    def metres(self) -> float:
        """Side of a square as large as the pixel in the middle, in metres; NaN where it is unknown."""
        window = Window(self.width // 2, self.height // 2, 1, 1)
        return math.sqrt(float(self.pixel_areas(window)[0, 0]))

    def center_in_degrees(self) -> tuple[float, float] | None:
        """Longitude and latitude of its middle on its own datum; None where it has none."""
        crs = self._proj_crs
        places = None if crs is None else Places.of(crs, base_crs(crs), self.transform)
        if places is None:
            return None
        middle = self.transform * (self.width / 2, self.height / 2)
        lon, lat = (float(v[0]) for v in places.degrees(*(np.array([value]) for value in middle)))
        return (math.remainder(lon, 360), lat) if math.isfinite(lon) and math.isfinite(lat) else None

    @cached_property
    def _surface(self) -> Surface:
        return self._surface_on((0, self.width, 0, self.height))

    def _surface_on(self, bounds: tuple[float, float, float, float]) -> Surface:
        """The surface that measures areas between columns and rows; for a geographic CRS only a derived one."""
        crs = self._proj_crs
        assert crs is not None  # noqa: S101  the callers saw to it
        unit = metres_of_unit(crs)
        base = None if crs.is_engineering else base_crs(crs)
        if base is None or base.ellipsoid is None:
            return Plane(abs(self.transform.determinant), unit)
        if crs.is_geographic:
            unit *= base.ellipsoid.semi_major_metre
        return surface_of(crs, base, self.transform, bounds, unit=unit)

    def _is_geodesic(self) -> bool:
        """Whether coordinates are longitudes and latitudes on the ellipsoid, or on a sphere however it is turned."""
        crs = self._proj_crs
        if crs is None or not crs.is_geographic:
            return False
        return not crs.is_derived or crs.ellipsoid is None or crs.ellipsoid.inverse_flattening == 0

    def measure(self, geometries: Sequence[Any] | NDArray[np.object_]) -> tuple[NDArray[np.float64], ...]:
        """Areas and perimeters of geometries in this grid's CRS.

        Args:
            geometries: shapely polygons, coordinates in the grid's CRS.

        Returns:
            two float64 arrays, square metres and metres (holes' rings included), on the CRS's ellipsoid. They are
            planar, times the unit, where the projection keeps areas or an engineering CRS knows no ellipsoid; NaN where
            the size of anything is unknown without a CRS.
        """
        geometries = np.asarray(geometries, dtype=object)
        crs = self._proj_crs
        if crs is None or not len(geometries):
            return np.full(geometries.shape, np.nan), np.full(geometries.shape, np.nan)
        if self._is_geodesic():
            geod = crs.get_geod() or Geod(ellps="WGS84")
            degrees = 360 / (self.full_turn or 360)
            if not math.isclose(degrees, 1):  # of a CRS in grads
                geometries = np.asarray(shapely.transform(geometries, lambda places: places * degrees), dtype=object)
            # NOTE: orientation decides the area's sign in pyproj, holes are subtracted; the magnitude is the area. Its
            # perimeter leaves out the holes.
            areas = [abs(geod.geometry_area_perimeter(g)[0]) for g in shapely.normalize(geometries)]
            perimeters = [geod.geometry_length(rings) for rings in shapely.boundary(geometries)]
            return np.array(areas, dtype=np.float64), np.array(perimeters, dtype=np.float64)
        left, bottom, right, top = shapely.total_bounds(geometries)
        corners = [~self.transform * (x, y) for x in (left, right) for y in (bottom, top)]
        cols, rows = zip(*corners, strict=True)
        bounds = (min(0.0, *cols), max(self.width, *cols), min(0.0, *rows), max(self.height, *rows))
        is_within = bounds[0] > -1 and bounds[1] < self.width + 1 and bounds[2] > -1 and bounds[3] < self.height + 1
        return (self._surface if is_within else self._surface_on(bounds)).measure(geometries)

    def pixel_areas(self, window: Window) -> NDArray[np.float64]:
        """Square metres of the pixels of a window, as `measure` has them.

        Returns:
            float64 (height, width), or (height, 1) or (1, 1) where those of a row or of all pixels are the same.
        """
        if self._proj_crs is None:
            return np.full((1, 1), np.nan)
        if self._is_geodesic():
            rows = range(window.row_off, window.row_off + window.height)
            if self.is_rotated:
                cols = range(window.col_off, window.col_off + window.width)
                return np.array([self.measure([self._pixel(row, col) for col in cols])[0] for row in rows])
            return self.measure([self._pixel(row, 0) for row in rows])[0][:, None]
        return self._surface.pixel_areas(window)

    def _pixel(self, row: int, col: int) -> shapely.Polygon:
        corners = ((col, row), (col + 1, row), (col + 1, row + 1), (col, row + 1))
        return shapely.Polygon([self.transform * corner for corner in corners])

    def check_distance(self, distance: float, name: str) -> None:
        """Refuse a distance that was meant in metres if the CRS is in degrees.

        Args:
            distance: in CRS units.
            name: what it is, for the message.

        Raises:
            UsageError: the CRS is geographic, and the distance is more than a degree.
        """
        crs = self._proj_crs
        if self.crs is not None and crs is not None and crs.is_geographic and distance > LARGEST_DEGREES:
            raise UsageError(
                f"{name} is {distance:g} degrees, as {crs_name(self.crs)} is geographic; "
                f"{distance:g} metres are about {distance / METRES_OF_DEGREE:.3g} degrees here"
            )

    def describe(self) -> str:
        """One line for messages: size, resolution, CRS and extent."""
        crs = "no CRS" if self.crs is None else crs_name(self.crs)
        size = f"{self.width} x {self.height} px of {self.res[0]:.6g} x {self.res[1]:.6g}"
        return f"{size}, {crs}, {describe_bounds(self.bounds)}"


def _in_one_turn(outline: Any, turn: float) -> Any:
    """An outline between half a turn to the west and to the east, cut where it crosses that."""
    left, bottom, right, top = shapely.bounds(outline)
    if left >= -turn / 2 and right <= turn / 2:
        return outline
    parts = []
    for number in (-2, -1, 0, 1, 2):
        middle = number * turn
        part = shapely.intersection(outline, shapely.box(middle - turn / 2, bottom, middle + turn / 2, top))
        if shapely.area(part) > 0:
            parts.append(shapely.transform(part, lambda coords, middle=middle: coords - np.array([middle, 0.0])))
    return parts[0] if len(parts) == 1 else shapely.MultiPolygon(parts)
