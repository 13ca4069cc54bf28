"""Coordinate reference systems: their names, kinds and units."""

from __future__ import annotations

import functools
import math
import re

from pyproj import CRS as ProjCRS
from pyproj.exceptions import ProjError
from rasterio.crs import CRS

from s2fin_cli.core.gdal import GDAL_ERRORS

#: GDAL's confidence, in percent, that a code is that of a CRS, above which it is.
CERTAIN = 90
#: What GDAL and PROJ call a CRS without a name.
NO_NAMES = ("", "unknown", "unnamed")
#: What transforming places from one CRS to another raises.
TRANSFORM_ERRORS = (*GDAL_ERRORS, ProjError, ValueError)


@functools.lru_cache(maxsize=32)
def horizontal(crs: CRS) -> ProjCRS:
    """A CRS as pyproj knows it, without heights."""
    found = ProjCRS.from_user_input(crs.to_wkt())
    while found.is_compound and found.sub_crs_list:
        found = found.sub_crs_list[0]
    return found.to_2d() if len(found.axis_info) > 2 and not found.is_geocentric else found


def base_crs(crs: ProjCRS) -> ProjCRS:
    """The geodetic CRS with a datum that a horizontal CRS is made of."""
    while crs.source_crs is not None:
        crs = crs.source_crs
    return crs.geodetic_crs or crs


def metres_of_unit(crs: ProjCRS) -> float:
    """Metres of a CRS unit, or radians where it is one of angles; NaN where an engineering CRS has another."""
    axis = crs.axis_info[0] if crs.axis_info else None
    if axis is None:
        return 1.0
    if crs.is_engineering and re.search(r"deg|rad|grad|gon", axis.unit_name or "", re.IGNORECASE):
        return math.nan
    return float(axis.unit_conversion_factor)


@functools.lru_cache(maxsize=32)
def crs_code(crs: CRS) -> str | None:
    """The authority code of a CRS, e.g. "EPSG:32633"; None where it has none.

    GDAL also gives the code of a similar CRS, for example on another datum, where the CRS itself has none.
    """
    sure, likely = crs.to_authority(CERTAIN), crs.to_authority()
    if sure is not None or likely is None:
        return None if sure is None else ":".join(sure)
    own = ProjCRS.from_user_input(crs.to_wkt())
    datum = base_crs(own).datum
    if datum is None or datum.name.casefold().startswith("unknown"):  # which PROJ takes for any datum
        return None
    try:
        is_same = ProjCRS.from_authority(*likely).equals(own, ignore_axis_order=True)
    except ProjError:
        return None
    return ":".join(likely) if is_same else None


def crs_name(crs: CRS) -> str:
    """A short name of a CRS: its authority code where it has one, else the name in its WKT."""
    code = crs_code(crs)
    if code is not None:
        return code
    name = ProjCRS.from_user_input(crs.to_wkt()).name
    if is_engineering(crs):
        return name
    return f"{'an unnamed CRS' if name.casefold() in NO_NAMES else name} (no EPSG code)"


def is_engineering(crs: CRS) -> bool:
    """Whether a CRS has no relation to the Earth, as that of a CAD drawing or of an image whose own was lost."""
    return bool(horizontal(crs).is_engineering)


def describe_crs(crs: CRS) -> str:
    """A CRS's name for messages, marked where it is an engineering CRS."""
    return f"the engineering CRS {crs_name(crs)!r}" if is_engineering(crs) else crs_name(crs)
