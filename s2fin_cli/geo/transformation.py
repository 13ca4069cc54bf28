"""Between two grids' coordinate reference systems: what can be transformed, how exactly, and across the 180th meridian.

Longitudes begin anew after a full turn, and files differ in where: from -180 to 180, from 0 to 360, or across the 180th
meridian without a break. All functions here take places that differ by full turns for the same.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import math
import re
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from affine import Affine
from pyproj import CRS as ProjCRS
from pyproj import Transformer
from pyproj.aoi import AreaOfInterest
from pyproj.exceptions import CRSError, ProjError
from pyproj.transformer import TransformerGroup
from rasterio._err import CPLE_BaseError  # what it lets through of GDAL's own errors
from rasterio.coords import BoundingBox
from rasterio.enums import ColorInterp
from rasterio.errors import RasterioError
from rasterio.io import MemoryFile
from rasterio.warp import transform, transform_bounds

from s2fin_cli.core.errors import GeoreferencingError, quoted
from s2fin_cli.geo.grid import Grid, base_crs, crs_name, horizontal
from s2fin_cli.geo.vrt import part_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from rasterio.crs import CRS

logger = logging.getLogger(__name__)

_ERRORS = (RasterioError, CPLE_BaseError, ProjError, ValueError)
#: Source pixels beside a window that the kernel of a warp reaches, about.
KERNEL_PX = 2
#: An error of places that is smaller than this, in pixels, is no cause for warning.
SMALL_SHIFT_PX = 0.1
#: How many times as accurate an operation has to be that is worth a warning though it is good to no pixel either.
MUCH_BETTER = 5
#: Degrees around a place for which an operation is looked up.
AROUND = 0.01
#: Semi-major axes and inverse flattenings of the ellipsoids of all geocentric datums, WGS 84 and GRS 80.
GEOCENTRIC = (6378137.0, (298.257222101, 298.257223563))


@dataclass(frozen=True)
class Placed:
    """A file with a CRS, for messages.

    Attributes:
        name: of the file, with its option where it has one.
        src_path: the file alone, for commands.
        crs: its CRS.
        is_vector: whether it holds features.
    """

    name: str
    src_path: str
    crs: CRS
    is_vector: bool = False

    def assign(self, crs: str) -> str:
        """The command that assigns a CRS to it."""
        if self.is_vector:
            return f"ogr2ogr -a_srs {crs} OUT.gpkg {quoted(self.src_path)}"
        return f"gdal_edit.py -a_srs {crs} {quoted(self.src_path)}"


# ---- what can be transformed -----------------------------------------------------------------------------------------


def check_transformable(other: Placed, image: Placed) -> None:
    """Refuse two files of which one cannot be brought to the other's CRS.

    Raises:
        GeoreferencingError: one has an engineering CRS, another celestial body's, or one that PROJ has no operation
            for.
    """
    if other.crs == image.crs:
        _tell_of_planes(other, image)
        return
    reason = why_not(other.crs, image.crs)
    if reason is None:
        return
    local = [placed for placed in (other, image) if is_engineering(placed.crs)]
    names = f"{other.name} has {describe_crs(other.crs)} and {image.name} has {describe_crs(image.crs)}"
    if len(local) == 1:
        (with_local,) = local
        known = image if with_local is other else other
        code = crs_name(known.crs) if known.crs.to_authority() else "EPSG:CODE"
        raise GeoreferencingError(
            f"{names}; an engineering CRS has no place on the Earth, so neither can be brought to the other: if "
            f"{with_local.src_path} is really in {crs_name(known.crs)}, assign it with: {with_local.assign(code)}"
        )
    raise GeoreferencingError(
        f"{names}, and nothing can be transformed between them ({reason}); assign both their right CRS, with: "
        f"{other.assign('EPSG:CODE')}"
    )


def _tell_of_planes(other: Placed, image: Placed) -> None:
    """Warn of two engineering CRS with two names, which GDAL takes for the same."""
    names = [crs_name(placed.crs) for placed in (other, image)]
    if is_engineering(other.crs) and names[0].casefold() != names[1].casefold():
        logger.warning(
            "%s has the engineering CRS %r and %s has %r; both are taken to be the same plane",
            other.name, names[0], image.name, names[1],
        )  # fmt: skip


@functools.lru_cache(maxsize=32)
def why_not(crs: CRS, other: CRS) -> str | None:
    """Why nothing can be transformed from one CRS to another; None where it can."""
    if is_engineering(crs) or is_engineering(other):
        return "one is an engineering CRS"
    try:
        for a, b in ((crs, other), (other, crs)):
            Transformer.from_crs(horizontal(a), horizontal(b), always_xy=True)
            transform(a, b, [0.0], [0.0])
    except _ERRORS as error:
        found = re.search(r"Internal Proj Error: (?:\w+: )?(.*?)\)?$", str(error))
        return found[1] if found else "PROJ has no operation for it"
    return None


def is_engineering(crs: CRS) -> bool:
    """Whether a CRS has no relation to the Earth, as that of a CAD drawing or of an image whose own was lost."""
    return bool(horizontal(crs).is_engineering)


def describe_crs(crs: CRS) -> str:
    """A CRS's name for messages, marked where it is an engineering CRS."""
    return f"the engineering CRS {crs_name(crs)!r}" if is_engineering(crs) else crs_name(crs)


# ---- how exactly -----------------------------------------------------------------------------------------------------


def tell_of_accuracy(other: Placed, grid: Grid) -> None:
    """Warn where a file can be brought to a grid's CRS by guess only, or much better than with what is installed.

    PROJ takes longitudes and latitudes for those of another datum where it knows no operation between the two, or lacks
    the file of the operation; it calls that a ballpark transformation. Where both ellipsoids agree to a tenth of a
    pixel and are those of geocentric datums, or nothing is known of one of the datums, that is most likely right, and
    is said at a lower level; so is a better operation that is neither good to a pixel nor much better.

    Args:
        other: the file, which can be transformed.
        grid: the grid, with a CRS.
    """
    assert grid.crs is not None  # noqa: S101  the caller saw to it
    own, target = horizontal(other.crs), horizontal(grid.crs)
    if own == target or (not own.is_bound and not target.is_bound and base_crs(own) == base_crs(target)):
        return
    place = grid.center_in_degrees()
    if place is None:
        return
    operations = _operations(own, target, place)
    if operations is None or not operations.transformers:
        return
    best = operations.transformers[0]
    better = [op for op in operations.unavailable_operations if op.accuracy > 0 and "Ballpark" not in op.name]
    better.sort(key=lambda op: op.accuracy)
    files = sorted({file.short_name for op in better[:1] for file in op.grids if not file.available})
    get = " && ".join(f"pyproj sync --file {file}" for file in files)
    names = f"{other.name} is brought from {crs_name(other.crs)} to {crs_name(grid.crs)}"
    if "Ballpark" in best.description:
        _tell_of_ballpark(other, grid, names=names, place=place, get=get)
    elif files and best.accuracy > max(better[0].accuracy, grid.metres):
        helps = better[0].accuracy <= grid.metres or best.accuracy >= MUCH_BETTER * better[0].accuracy
        logger.log(
            logging.WARNING if helps else logging.INFO,
            "%s to within %g m, which is more than a pixel; it would be %g m with what is not installed: %s",
            names, best.accuracy, better[0].accuracy, get,
        )  # fmt: skip


def _tell_of_ballpark(other: Placed, grid: Grid, *, names: str, place: tuple[float, float], get: str) -> None:
    """Say what a ballpark transformation may be wrong by.

    Args:
        other: the file.
        grid: the grid that it is brought to.
        names: what is brought where, for the message.
        place: longitude and latitude of the grid's middle.
        get: commands that install the right transformation, or nothing where there is none.
    """
    own, target = (base_crs(horizontal(crs)) for crs in (other.crs, grid.crs) if crs is not None)
    distance = _between_ellipsoids(own, target, place)
    is_small = distance < SMALL_SHIFT_PX * grid.metres
    is_unknown = any(_is_unknown(crs) for crs in (own, target))
    if is_small and (_is_geocentric(own) or (is_unknown and not get)):
        reason = f"installed (get it with: {get})" if get else "known"
        logger.info("%s without a datum transformation, as none is %s; both ellipsoids are the same", names, reason)
        return
    size = "by an unknown distance" if is_small else f"by some {distance:.0f} m, the distance between both ellipsoids"
    logger.warning(
        "%s by a ballpark transformation (longitudes and latitudes are taken as they are, as PROJ has none between the "
        "two datums%s), so it may be misplaced %s; %s",
        names, " at hand" if get else "", size,
        f"get the right one with: {get}" if get
        else f"if it is in another CRS, assign that with: {other.assign('EPSG:CODE')}",
    )  # fmt: skip


def _operations(own: ProjCRS, target: ProjCRS, place: tuple[float, float]) -> TransformerGroup | None:
    """PROJ's operations between two CRS around a place (longitude and latitude in degrees), the best first."""
    lon, lat = place
    south, north = max(lat - AROUND, -90), min(lat + AROUND, 90)
    area = AreaOfInterest(max(lon - AROUND, -180), south, min(lon + AROUND, 180), north)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of operations whose files are not there, which we look at
        try:
            return TransformerGroup(own, target, always_xy=True, area_of_interest=area)  # type: ignore[arg-type]
        except ProjError:
            return None


def _is_unknown(crs: ProjCRS) -> bool:
    name = crs.datum.name if crs.datum is not None else "unknown"
    return re.search(r"unknown|not.specified|unnamed|undefined", name, re.IGNORECASE) is not None


def _is_geocentric(crs: ProjCRS) -> bool:
    axis, flattenings = GEOCENTRIC
    ellipsoid = crs.ellipsoid
    return (
        ellipsoid is not None
        and ellipsoid.semi_major_metre == axis
        and any(abs(ellipsoid.inverse_flattening - flattening) < 1e-6 for flattening in flattenings)
    )


def _between_ellipsoids(own: ProjCRS, target: ProjCRS, place: tuple[float, float]) -> float:
    """Metres between the points of one longitude and latitude on the ellipsoids of two CRS with one centre."""
    lat = math.radians(place[1])
    points = []
    for crs in (own, target):
        if crs.ellipsoid is None:
            return math.inf
        a, b = crs.ellipsoid.semi_major_metre, crs.ellipsoid.semi_minor_metre
        normal = a**2 / math.hypot(a * math.cos(lat), b * math.sin(lat))
        points.append((normal * math.cos(lat), normal * (b / a) ** 2 * math.sin(lat)))
    return math.dist(*points)


# ---- extents ---------------------------------------------------------------------------------------------------------


def resolution_on(grid: Grid, other: Grid) -> tuple[float, float]:
    """Mean pixel width and height of a grid in the CRS units of another."""
    left, bottom, right, top = bounds_on(grid, other)
    return (right - left) / grid.width, (top - bottom) / grid.height


def bounds_on(grid: Grid, other: Grid) -> BoundingBox:
    """Bounds (left, bottom, right, top) of a grid in the CRS of another.

    Longitudes are those nearest to the other grid, and the right bound is the larger one across the 180th meridian too.

    Raises:
        GeoreferencingError: the bounds cannot be expressed there.
    """
    if grid.crs is None or other.crs is None:
        return grid.bounds
    if grid.crs == other.crs:
        return _nearest(grid.bounds, other)
    try:
        bounds = BoundingBox(*transform_bounds(grid.crs, other.crs, *grid.bounds, densify_pts=21))
        if np.isfinite(bounds).all():
            return _nearest(bounds, other)
        cause: Exception | None = None
    except _ERRORS as error:
        cause = error
    raise GeoreferencingError(
        f"the extent of {grid.describe()} cannot be expressed in the CRS of {other.describe()}; "
        "check that both CRS are the right ones, and assign another with: gdal_edit.py -a_srs EPSG:CODE FILE"
    ) from cause


def _nearest(bounds: BoundingBox, other: Grid) -> BoundingBox:
    """Bounds moved by full turns to where they are nearest to a grid, which may be none."""
    turn = other.full_turn
    if turn is None:
        return bounds
    left, bottom, right, top = bounds
    if right < left:
        right += turn
    middle = (other.bounds.left + other.bounds.right) / 2
    moved = turn * round((middle - (left + right) / 2) / turn)
    return BoundingBox(left + moved, bottom, right + moved, top)


def share_covered(grid: Grid, other: Grid) -> float:
    """The share of a grid's pixels whose centres lie on another grid, from an even sample of them.

    Both have a CRS. Centres that the other CRS cannot express lie outside.
    """
    rows, cols = (np.unique(np.linspace(0, size - 1, min(size, 512)).round()) for size in grid.shape)
    a, b, c, d, e, f = grid.transform[:6]
    x, y = np.meshgrid(cols + 0.5, rows + 0.5)
    x, y = (a * x + b * y + c).ravel(), (d * x + e * y + f).ravel()
    if grid.crs != other.crs:
        x, y = (np.asarray(values) for values in transform(grid.crs, other.crs, x, y))
    a, b, c, d, e, f = (~other.transform)[:6]
    with np.errstate(invalid="ignore"):  # infinite where a place cannot be expressed
        x = _onto(x, other)
        col, row = a * x + b * y + c, d * x + e * y + f
        inside = (col >= 0) & (col <= other.width) & (row >= 0) & (row <= other.height)
    return float(inside.mean())


def _onto(x: NDArray[np.float64], grid: Grid) -> NDArray[np.float64]:
    """Coordinates in a grid's CRS, moved by full turns to where they lie between its left and right bounds."""
    turn, (left, _, right, _) = grid.full_turn, grid.bounds
    if turn is None:
        return x
    return np.where((x < left) | (x > right), left + np.mod(x - left, turn), x)


def check_without_crs(image: Grid, other: Grid, *, names: tuple[str, str]) -> None:
    """Refuse two grids without a CRS that cannot be the same pixels; warn of those that are taken to be.

    Args:
        image: the passive image's grid.
        other: the grid of what goes with it.
        names: both, for messages.

    Raises:
        GeoreferencingError: their sizes or extents differ.
    """
    if image.shape != other.shape:
        raise GeoreferencingError(
            f"neither {names[0]} nor {names[1]} has a CRS, and their sizes differ ({image.width} x {image.height} "
            f"and {other.width} x {other.height} px); give both a CRS, or crop them alike"
        )
    if image.is_georeferenced and other.is_georeferenced and not image.same_pixels(other):
        raise GeoreferencingError(
            f"neither {names[0]} nor {names[1]} has a CRS, and their extents differ "
            f"({image.describe()}; {other.describe()}); give both their CRS"
        )
    logger.warning("%s has no CRS either; it is taken to match the image pixel by pixel", names[1])


# ---- warps -----------------------------------------------------------------------------------------------------------


def kernel_scale(own_grid: Grid, grid: Grid) -> dict[str, float]:
    """GDAL's options for the size of the kernel: pixels of the grid per pixel of the raster, along columns and rows.

    GDAL by itself measures it for each window anew, and values would depend on the window that they are read with.
    """
    covered, wanted = bounds_on(own_grid, grid), grid.bounds
    x = (max(covered.left, wanted.left) + min(covered.right, wanted.right)) / 2
    y = (max(covered.bottom, wanted.bottom) + min(covered.top, wanted.top)) / 2
    width, height = grid.res
    places = ([x, x + width, x], [y, y, y + height])
    try:
        is_one_plane = is_engineering(own_grid.crs) and own_grid.crs == grid.crs  # of which PROJ knows no operation
        xs, ys = (np.array(v) for v in (places if is_one_plane else transform(grid.crs, own_grid.crs, *places)))
    except _ERRORS:
        return {}
    a, b, c, d, e, f = (~own_grid.transform)[:6]
    with np.errstate(all="ignore"):  # places that the raster's CRS does not reach are infinite
        if own_grid.full_turn is not None:
            xs = xs[0] + np.mod(xs - xs[0] + own_grid.full_turn / 2, own_grid.full_turn) - own_grid.full_turn / 2
        cols, rows = a * xs + b * ys + c, d * xs + e * ys + f
        scales = [1 / np.hypot(*(axis[1:] - axis[0])) for axis in (cols, rows)]
    return dict(zip(("XSCALE", "YSCALE"), scales, strict=True)) if np.isfinite(scales).all() else {}


@dataclass(frozen=True)
class Wrapping:
    """How a warp finds a raster's pixels by longitudes that differ by full turns from the raster's own.

    Attributes:
        transform: of the grid that it is warped onto, as the warp has to take it.
        center: longitude, in degrees, around which the warp has to look for the raster's own; None for 0.
        turn_px: columns of a full turn, where the raster is needed on both sides of the meridian at which it begins and
            has to be repeated there; else None.
    """

    transform: Affine
    center: float | None = None
    turn_px: int | None = None

    @classmethod
    def of(cls, own_grid: Grid, grid: Grid) -> Wrapping:
        """What a raster on its own grid needs to be warped onto another."""
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
        """A raster's CRS as the warp has to take it."""
        if self.center is None:
            return crs
        # NOTE: GDAL's own word for it, as rasterio lets nobody set the option. GDAL keeps transformations by all of the
        # CRS but this word, so the unit's name holds it too; the datum is named as it was, for its operations.
        center = f"{self.center:.10g}"
        try:
            known = horizontal(crs).to_wkt("WKT1_GDAL")
        except CRSError:  # of a derived CRS, which WKT 1 does not know
            return crs
        wkt = re.sub(r',AUTHORITY\["[^"]*","[^"]*"\]\]$', "]", known)
        wkt = re.sub(r'UNIT\["([^"]*)",([^],]*)(,AUTHORITY\[[^]]*\])?\]', rf'UNIT["\1 around {center}",\2]', wkt)
        return type(crs).from_wkt(f'{wkt[:-1]},EXTENSION["CENTER_LONG","{center}"]]')

    @contextlib.contextmanager
    def source(self, src: Any) -> Iterator[Any]:
        """A raster, repeated after a full turn where that is needed."""
        if self.turn_px is None:
            yield src
            return
        alphas = [index for index, role in zip(src.indexes, src.colorinterp, strict=True) if role == ColorInterp.alpha]
        part = part_of(src, src.indexes, alphas=alphas, again_at=self.turn_px)
        with MemoryFile(part, ext=".vrt") as file, file.open() as repeated:
            yield repeated
