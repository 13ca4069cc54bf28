"""Names of bands that are steps of a time dimension, in netCDF and Zarr."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import rasterio

#: How GDAL calls the place of a band along a dimension: of netCDF, and of Zarr with the unit.
_NETCDF, _ZARR = re.compile(r"NETCDF_DIM_(.+)"), re.compile(r"DIM_(.+)_VALUE")
_SINCE = re.compile(
    r"\s*(day|hour|hr|minute|min|second|sec)s?\s+since\s+([^\sT]+)(?:[ T]([\d:.]+)\s*(\S*))?\s*", re.IGNORECASE
)
#: Calendars in which days are those of dates; models of the climate have years of 360 and 365 days too.
_CALENDARS = ("", "standard", "gregorian", "proleptic_gregorian")
_SECONDS = {"day": 86_400, "hour": 3600, "hr": 3600, "minute": 60, "min": 60, "second": 1, "sec": 1}


def names_by_time(src: rasterio.DatasetReader, indexes: Sequence[int]) -> tuple[str, ...] | None:
    """Names of bands with their dates, e.g. "ndvi 2024-06-01"; None if they are not of several dates.

    Args:
        src: the open raster.
        indexes: 1-based numbers of the bands.
    """
    tags = src.tags()
    places = [_place(src.tags(index), tags) for index in indexes]
    moments = {moment for moment, _ in places}
    return tuple(name for _, name in places) if None not in moments and len(moments) > 1 else None


def _place(band: Mapping[str, str], whole: Mapping[str, str]) -> tuple[str | None, str]:
    """The time of a band, None where it has none, and its name."""
    parts, when = [band.get("NETCDF_VARNAME", "")], None
    for key, value in band.items():
        if (match := _NETCDF.fullmatch(key)) is not None:
            unit, calendar = (whole.get(f"{match[1]}#{name}", "") for name in ("units", "calendar"))
        elif (match := _ZARR.fullmatch(key)) is not None:
            unit, calendar = band.get(f"DIM_{match[1]}_UNIT", ""), ""
        else:
            continue
        moment = _moment(value, unit) if calendar.lower() in _CALENDARS else None
        when = when or moment or (value if " since " in unit else None)
        parts.append(f"{match[1]} {value}" if moment is None else moment)
    return when, " ".join(filter(None, parts))


def _moment(value: str, unit: str) -> str | None:
    """A time as CF has it, a number and "days since 2024-01-01", as a date in UTC, with the time unless midnight."""
    found = _SINCE.fullmatch(unit)
    if found is None:
        return None
    try:
        zone = "Z" if (found[4] or "").upper() in ("", "UTC", "GMT") else found[4]
        start = datetime.fromisoformat(f"{found[2]}T{found[3] or '00:00:00'}{zone}").astimezone(UTC)
        moment = start + timedelta(seconds=float(value) * _SECONDS[found[1].lower()])
    except (ValueError, OverflowError):
        return None
    return moment.strftime("%Y-%m-%d" if moment.time() == datetime.min.time() else "%Y-%m-%dT%H:%M:%S")
