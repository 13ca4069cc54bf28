"""Rows of a table as features, placed by coordinates or geometries in its columns."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
from pyproj import CRS as ProjCRS
from pyproj.exceptions import CRSError

from s2fin_cli.core.errors import shortened
from s2fin_cli.core.names import is_dataset_name
from s2fin_cli.geo.crs import crs_name
from s2fin_cli.vector.degrees import check_no_degrees
from s2fin_cli.vector.frames import MENDED, features_of
from s2fin_cli.vector.geometry_texts import TextGeometries, geometries_in
from s2fin_cli.vector.numerals import coordinates_in, unclear_columns
from s2fin_cli.vector.place_columns import WANTED, Place, find_place

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd
    from numpy.typing import NDArray

    from s2fin_cli.core.errors import InputError
    from s2fin_cli.geo.grid import Grid

logger = logging.getLogger(__name__)


def features_of_table(
    table: pd.DataFrame, src_path: str | Path, *, grid: Grid | None, error: type[InputError], rows: str = "rows"
) -> gpd.GeoDataFrame:
    """The rows of a table as features, placed by its columns of coordinates or geometries.

    `lon` and `lat` are WGS 84; `x` and `y`, and geometries that name no CRS, are in that of a .prj file beside the
    table, else in the grid's, which is reported. Columns of coordinates are no fields of the features.

    Args:
        table: one row a feature.
        src_path: where it comes from, for messages.
        grid: the image's grid; None leaves the features without CRS where the table has none.
        error: the kind of error to raise.
        rows: what the index numbers, for messages.

    Raises:
        InputError: no column holds the places of the rows, or none of the rows can be placed.
    """
    place = _place_of(table, src_path, error=error)
    beside = None if place.kind == "lonlat" else _crs_beside(src_path)
    _check_commas(table, place, src_path=src_path, crs=beside or (grid and grid.crs), error=error)
    found = _placed(table, place, src_path=src_path, rows=rows, error=error)
    known = ~shapely.is_missing(found.geometries)
    if not known.any():
        if place.kind == "geometry" and place.others:  # a column of that name with other contents
            fields = table.drop(columns=[*place.columns])
            return features_of_table(fields, src_path, grid=grid, error=error, rows=rows)
        examples = ", ".join(str(value) for value in table.iloc[0][list(place.columns)])
        what = "geometries as WKT" if place.kind == "geometry" else "plain numbers"
        raise error(f"{src_path}: there are no {what} in {place}; the first row has {examples}; correct the table")
    if not known.all():
        lost = shortened(table.index[~known].tolist())
        logger.warning("%s: skipped %s whose coordinates cannot be read: %s", src_path, rows, lost)
    geometries = found.geometries[known]
    if (crs := found.crs or beside) is not None:
        logger.info("%s: placed by %s, in %s", src_path, place, ProjCRS.from_user_input(crs).name)
    else:
        crs = _images_crs(geometries, place, src_path=src_path, grid=grid, error=error)
    frame = features_of(table.drop(columns=[*place.columns, *place.others])[known], geometries, crs=crs)
    frame.attrs[MENDED] = found.mended
    return frame


def _place_of(table: pd.DataFrame, src_path: str | Path, *, error: type[InputError]) -> Place:
    """The columns that hold the positions of the rows of a table that has rows."""
    place = find_place([str(name) for name in table.columns])
    if place is None:
        raise error(
            f"{src_path} holds a table without geometries; its columns are {', '.join(map(str, table.columns))}, and "
            f"none holds the places of the rows: name them {WANTED}"
        )
    if table.empty:
        raise error(f"{src_path} holds a table without rows; give one with a row for each point")
    return place


def _check_commas(
    table: pd.DataFrame, place: Place, *, src_path: str | Path, crs: Any, error: type[InputError]
) -> None:
    """Refuse coordinates whose commas may separate thousands; in degrees they can only separate decimals."""
    if place.kind == "lonlat" or (crs is not None and ProjCRS.from_user_input(crs).is_geographic):
        return
    if unclear := unclear_columns(table, place):
        example = next(text for text in table[unclear[0]] if isinstance(text, str) and "," in text)
        raise error(
            f"{src_path}: column {unclear[0]!r} holds numbers such as {example.strip()}, whose comma may separate "
            "thousands or decimals; write them without separators of thousands, and decimals with a point"
        )


def _crs_beside(src_path: str | Path) -> str | None:
    """The CRS that GDAL writes beside a table, in x.prj of x.csv; not where that belongs to a Shapefile x.shp."""
    path = Path(src_path).with_suffix(".prj")
    if is_dataset_name(src_path) or not path.is_file() or path.with_suffix(".shp").exists():
        return None
    try:
        return ProjCRS.from_wkt(path.read_text(encoding="latin-1").strip()).to_wkt()
    except CRSError:
        logger.warning("%s holds no CRS that is known; it is ignored", path)
        return None


def _images_crs(
    geometries: NDArray[np.object_], place: Place, *, src_path: str | Path, grid: Grid | None, error: type[InputError]
) -> str | None:
    """The image's CRS, with a warning, for coordinates that may be in it; None if the image has none."""
    if grid is None or grid.crs is None:
        return None
    check_no_degrees(geometries, src_path, place=place, grid=grid, error=error)
    name = crs_name(grid.crs)
    logger.warning("%s names no CRS; the coordinates in %s are assumed to be in the image's, %s", src_path, place, name)
    return str(grid.crs.to_wkt())


def _placed(
    table: pd.DataFrame, place: Place, *, src_path: str | Path, rows: str, error: type[InputError]
) -> TextGeometries:
    """Geometries of a table's rows, None where a row has none."""
    if place.kind == "geometry":
        return geometries_in(table[place.columns[0]], src_path, rows=rows, error=error)
    x, y = (coordinates_in(table[column]) for column in place.columns)
    known = np.isfinite(x) & np.isfinite(y)
    geometries = np.full(len(table), None, dtype=object)
    geometries[known] = shapely.points(x[known], y[known])
    return TextGeometries(geometries, "EPSG:4326" if place.kind == "lonlat" else None, [])
