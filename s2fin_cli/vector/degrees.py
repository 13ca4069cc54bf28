"""Coordinates that cannot be degrees although they are declared so, or that can only be degrees."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import shapely

from s2fin_cli.core.errors import quoted
from s2fin_cli.geo.crs import crs_code, crs_name
from s2fin_cli.vector.sources import is_text_table

if TYPE_CHECKING:
    from pathlib import Path

    import geopandas as gpd
    from numpy.typing import NDArray

    from s2fin_cli.core.errors import InputError
    from s2fin_cli.geo.grid import Grid
    from s2fin_cli.vector.place_columns import Place

#: Largest absolute longitude and latitude in degrees, with room for rounding; longitudes may run from 0 to 360.
LARGEST_LONGITUDE, LARGEST_LATITUDE = 360.01, 90.01


def check_coordinates(
    frame: gpd.GeoDataFrame, src_path: str | Path, *, error: type[InputError], grid: Grid | None = None
) -> None:
    """Refuse features in degrees whose coordinates cannot be longitudes and latitudes.

    Args:
        frame: the features.
        src_path: where they come from, for messages.
        error: the kind of error to raise.
        grid: the image's, whose CRS the message proposes.

    Raises:
        InputError: some x is beyond 360 degrees, or some y beyond 90.
    """
    if frame.crs is None or not frame.crs.is_geographic or frame.crs.axis_info[0].unit_name != "degree":
        return
    coordinates = shapely.get_coordinates(frame.geometry.to_numpy())
    impossible = (np.abs(coordinates) > np.array([LARGEST_LONGITUDE, LARGEST_LATITUDE])).any(axis=1)
    if not impossible.any():
        return
    x, y = coordinates[impossible][0]
    code = "EPSG:CODE"
    if grid is not None and grid.crs is not None and not grid.crs.is_geographic:
        code = crs_code(grid.crs) or code
    remedy = (
        "if they are in the image's CRS, name the columns x and y; if lon and lat are swapped, swap the names"
        if is_text_table(src_path)
        else f"if they are in {code}, write that into it with: ogr2ogr -a_srs {code} assigned.gpkg {quoted(src_path)}"
    )
    raise error(
        f"{src_path} is in {frame.crs.name} (degrees), but has coordinates such as {x:.10g}, {y:.10g}, which are no "
        f"longitude and latitude; {remedy}"
    )


def check_no_degrees(
    geometries: NDArray[np.object_], src_path: str | Path, *, place: Place, grid: Grid, error: type[InputError]
) -> None:
    """Refuse coordinates that can only be degrees if the image's are not."""
    left, bottom, right, top = shapely.total_bounds(geometries)
    if grid.crs is None or grid.crs.is_geographic or not (-180 <= left <= right <= 180 and -90 <= bottom <= top <= 90):
        return
    if not shapely.box(*grid.bounds).intersects(shapely.box(left, bottom, right, top)):
        raise error(
            f"{src_path}: the values in {place} are {left:.6g} to {right:.6g} and {bottom:.6g} to {top:.6g}, which can "
            f"only be degrees, and the image is in {crs_name(grid.crs)}; if they are longitude and latitude, name them "
            "lon and lat"
        )
