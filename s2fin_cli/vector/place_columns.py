"""Columns of a table that hold the positions of its rows, found by their names."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


#: Names of columns without blanks, case and signs: longitude and latitude, coordinates in the image's CRS, geometries.
LON_LAT = (
    ("lon", "lat"), ("longitude", "latitude"), ("long", "lat"), ("lng", "lat"), ("lon", "latitude"),
    ("decimallongitude", "decimallatitude"), ("londd", "latdd"), ("lonwgs84", "latwgs84"), ("gpslon", "gpslat"),
    ("gpslongitude", "gpslatitude"), ("longitud", "latitud"), ("laengengrad", "breitengrad"),
)  # fmt: skip
X_Y = (
    ("x", "y"), ("easting", "northing"), ("east", "north"), ("eastings", "northings"), ("xcoord", "ycoord"),
    ("coordx", "coordy"), ("xcoordinate", "ycoordinate"), ("pointx", "pointy"), ("utmx", "utmy"), ("utme", "utmn"),
    ("utmeasting", "utmnorthing"), ("xutm", "yutm"), ("rechtswert", "hochwert"), ("este", "norte"), ("est", "nord"),
)  # fmt: skip
GEOMETRY = ("wkt", "ewkt", "geometry", "geom", "thegeom", "wktgeom", "geomwkt", "wktgeometry", "geometrywkt", "geo")
WANTED = "x and y (in the image's CRS), lon and lat (in degrees) or wkt"


@dataclass(frozen=True)
class Place:
    """The columns of a table that hold the positions of its rows.

    Attributes:
        columns: one of geometries, or two of coordinates.
        kind: "geometry", "lonlat" or "xy".
        others: further columns of coordinates, which are not used.
    """

    columns: tuple[str, ...]
    kind: str
    others: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"column{'s' if len(self.columns) > 1 else ''} {' and '.join(map(repr, self.columns))}"


def find_place(columns: Sequence[str]) -> Place | None:
    """The columns that hold the positions of the rows; None if there are none.

    Geometries come before longitude and latitude, and these before coordinates in the image's CRS.
    """
    plain: dict[str, list[str]] = {}
    for column in columns:
        plain.setdefault(bare(column), []).append(column)
    kinds: list[tuple[str, Sequence[tuple[str, ...]]]] = [
        ("geometry", [(name,) for name in GEOMETRY]), ("lonlat", LON_LAT), ("xy", X_Y)
    ]  # fmt: skip
    found = [
        (kind, _in_one_case([plain[name] for name in names]))
        for kind, groups in kinds
        for names in groups
        if all(name in plain for name in names)
    ]
    if not found:
        return None
    kind, chosen = found[0]
    others = dict.fromkeys(column for _, names in found[1:] for column in names if column not in chosen)
    return Place(chosen, kind, tuple(others))


def _in_one_case(groups: list[list[str]]) -> tuple[str, ...]:
    """One column of each group, in the same case if possible, because R numbers rows in a column X beside x and y."""
    choices = list(itertools.product(*groups))
    return next((names for names in choices if len({name.isupper() for name in names}) == 1), choices[0])


def bare(column: str) -> str:
    """A column's name in lower case, without brackets and their contents, blanks and signs."""
    return re.sub(r"[\W_]", "", re.sub(r"\(.*?\)|\[.*?\]", "", str(column))).casefold()
