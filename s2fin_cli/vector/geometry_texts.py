"""Geometries in a column of a table: well-known text or binary, or GeoJSON."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import geopandas as gpd
import numpy as np
import shapely

from s2fin_cli.core.errors import shortened
from s2fin_cli.vector.geometries import BROKEN

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
    from numpy.typing import NDArray

    from s2fin_cli.core.errors import InputError

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TextGeometries:
    """Geometries of a table's rows.

    Attributes:
        geometries: shapely geometries (n,), None where a row has none.
        crs: the CRS that they name, if they do.
        mended: index of the rows whose geometries were mended.
    """

    geometries: NDArray[np.object_]
    crs: str | None
    mended: list[int]


def geometries_in(values: pd.Series, src_path: str | Path, *, rows: str, error: type[InputError]) -> TextGeometries:
    """Geometries written as WKT, as hexadecimal WKB or as GeoJSON; broken rings are mended, with a warning.

    Args:
        values: the column.
        src_path: where it comes from, for messages.
        rows: what its index numbers, for messages.
        error: the kind of error to raise.

    Raises:
        InputError: there are curves, or geometries in several CRS.
    """
    if isinstance(values.dtype, gpd.array.GeometryDtype):
        return TextGeometries(values.to_numpy(), None, [])
    try:
        found = [_geometry(value, on_invalid="ignore") for value in values]
    except NotImplementedError as cause:
        raise error(f"{src_path}: column {values.name!r} holds curves; convert them to polygons first") from cause
    broken = [place for place, (geometry, _) in enumerate(found) if geometry is None]
    fixed = {place: _geometry(values.iloc[place], on_invalid="fix") for place in broken}
    fixed = {place: pair for place, pair in fixed.items() if pair[0] is not None}
    mended = values.index[list(fixed)].tolist()
    if mended:
        logger.warning("%s: the geometries of %s %s are %s; mended", src_path, rows, shortened(mended), BROKEN)
    found = [fixed.get(place, pair) for place, pair in enumerate(found)]
    srids = {srid for geometry, srid in found if geometry is not None}
    if len(srids) > 1:
        raise error(
            f"{src_path}: column {values.name!r} mixes geometries of several CRS "
            f"({', '.join(f'EPSG:{srid}' if srid else 'none' for srid in sorted(srids))}); give those of one"
        )
    geometries = np.array([None, *(geometry for geometry, _ in found)], dtype=object)[1:]
    srid = next(iter(srids), 0)
    return TextGeometries(geometries, f"EPSG:{srid}" if srid else None, mended)


def _geometry(value: Any, *, on_invalid: Literal["ignore", "fix"]) -> tuple[Any, int]:
    """One geometry and its SRID, 0 where there is none; None if the value is no geometry."""
    text = value if isinstance(value, bytes) else str(value).strip()
    if isinstance(text, bytes) or re.fullmatch(r"[0-9A-Fa-f]{18,}", text):
        found = shapely.from_wkb(text, on_invalid=on_invalid)
        return found, 0 if found is None else shapely.get_srid(found)
    if text.startswith("{"):
        return shapely.from_geojson(text, on_invalid="ignore"), 4326
    if (named := re.match(r"SRID=(\d+);", text, re.IGNORECASE)) is not None:
        return shapely.from_wkt(text[named.end() :], on_invalid=on_invalid), int(named[1])
    return shapely.from_wkt(text, on_invalid=on_invalid), 0
