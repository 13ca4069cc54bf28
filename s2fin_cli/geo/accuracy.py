"""How accurately coordinates can be transformed from one coordinate reference system to another."""

from __future__ import annotations

import logging
import math
import re
import warnings
from typing import TYPE_CHECKING

from pyproj import CRS as ProjCRS
from pyproj.aoi import AreaOfInterest
from pyproj.exceptions import ProjError
from pyproj.transformer import TransformerGroup

from s2fin_cli.geo.crs import base_crs, crs_name, horizontal
from s2fin_cli.geo.grid import Grid
from s2fin_cli.geo.places import on_meridian
from s2fin_cli.geo.transformation import Placed

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger(__name__)


#: A position error smaller than this, in pixels, causes no warning.
SMALL_SHIFT_PX = 0.1
#: How many times as accurate a missing operation has to be to cause a warning if it is not accurate to a pixel either.
MUCH_BETTER = 5
#: Degrees around a place for which an operation is looked up.
AROUND = 0.01
#: Semi-major axes and inverse flattenings of the ellipsoids of all geocentric datums, WGS 84 and GRS 80.
GEOCENTRIC = (6378137.0, (298.257222101, 298.257223563))


def operations_around(own: ProjCRS, target: ProjCRS, place: tuple[float, float]) -> TransformerGroup | None:
    """PROJ's operations between two CRS around a place (longitude and latitude in degrees), the best first."""
    lon, lat = place
    south, north = max(lat - AROUND, -90), min(lat + AROUND, 90)
    area = AreaOfInterest(max(lon - AROUND, -180), south, min(lon + AROUND, 180), north)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # about operations whose files are missing, which are checked here
        try:
            return TransformerGroup(own, target, always_xy=True, area_of_interest=area)  # type: ignore[arg-type]
        except ProjError:
            return None


def warn_of_inaccuracy(
    other: Placed,
    grid: Grid,
    *,
    find_operations: Callable[[ProjCRS, ProjCRS, tuple[float, float]], TransformerGroup | None] = operations_around,
) -> None:
    """Warn if a file can only be transformed to a grid's CRS approximately, or much better than with what is installed.

    PROJ takes longitudes and latitudes for those of another datum where it knows no operation between the two, or lacks
    the file of the operation; it calls that a ballpark transformation. Where both ellipsoids agree to a tenth of a
    pixel and are those of geocentric datums, or nothing is known of one of the datums, that is most likely right, and
    is said at a lower level; so is a better operation that is neither good to a pixel nor much better.

    Args:
        other: the file, which has a CRS and can be transformed.
        grid: the grid, with a CRS.
        find_operations: PROJ's operations between two CRS around a place, the best first, see `operations_around`.
    """
    assert grid.crs is not None and other.crs is not None  # noqa: S101, PT018  the caller saw to it
    own, target = horizontal(other.crs), horizontal(grid.crs)
    if own == target or (not own.is_bound and not target.is_bound and base_crs(own) == base_crs(target)):
        return
    place = grid.center_in_degrees()
    if place is None:
        return
    operations = find_operations(own, target, place)
    if operations is None or not operations.transformers:
        return
    best = operations.transformers[0]
    better = [op for op in operations.unavailable_operations if op.accuracy > 0 and "Ballpark" not in op.name]
    better.sort(key=lambda op: op.accuracy)
    files = sorted({file.short_name for op in better[:1] for file in op.grids if not file.available})
    get = " && ".join(f"pyproj sync --file {file}" for file in files)
    names = f"{other.name} is transformed from {crs_name(other.crs)} to {crs_name(grid.crs)}"
    if "Ballpark" in best.description:
        _warn_of_ballpark(other, grid, names=names, place=place, get=get)
    elif files and best.accuracy > max(better[0].accuracy, grid.metres):
        helps = better[0].accuracy <= grid.metres or best.accuracy >= MUCH_BETTER * better[0].accuracy
        logger.log(
            logging.WARNING if helps else logging.INFO,
            "%s to within %g m, which is more than a pixel; it would be %g m with what is not installed: %s",
            names, best.accuracy, better[0].accuracy, get,
        )  # fmt: skip


def _warn_of_ballpark(other: Placed, grid: Grid, *, names: str, place: tuple[float, float], get: str) -> None:
    """Say by how much a ballpark transformation may be wrong.

    Args:
        other: the file.
        grid: the grid to whose CRS it is transformed.
        names: what is transformed to what, for the message.
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
        "%s by a ballpark transformation (longitudes and latitudes are kept, as PROJ has no transformation between the "
        "two datums%s), so it may be misplaced %s; %s",
        names, " that is installed" if get else "", size,
        f"get the right one with: {get}" if get
        else f"if it is in another CRS, assign that with: {other.assign('EPSG:CODE')}",
    )  # fmt: skip


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
        points.append(on_meridian(lat, (crs.ellipsoid.semi_major_metre, crs.ellipsoid.semi_minor_metre)))
    return math.dist(*points)
