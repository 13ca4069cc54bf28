"""Frames of geopandas, written as they are to a file that is read like any other vector file."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import geopandas as gpd
import pandas as pd
import pyogrio
import shapely

from s2fin_cli.core.errors import InputError, reason
from s2fin_cli.core.names import vector_output_name

if TYPE_CHECKING:
    from pathlib import Path

#: Columns of GeoPackages beside the fields, which must not have the name of one.
_OWN_COLUMNS = {"FID": "s2fin_number", "GEOMETRY_NAME": "s2fin_geometry"}
#: Kinds of values, by pandas' names, that a file holds as they are.
_PLAIN = ("string", "integer", "floating", "boolean", "empty", "datetime64", "datetime")
#: Errors about values of a frame.
_UNWRITABLE = (
    ValueError, OverflowError, NotImplementedError, pyogrio.errors.DataLayerError, pyogrio.errors.FieldError,
    pyogrio.errors.GeometryError,
)  # fmt: skip


def write_frame(dst_path: Path, frame: gpd.GeoDataFrame | gpd.GeoSeries, *, name: str) -> None:
    """Write a frame with its fields, its active geometry and its CRS, if it has one.

    Indexes that have names become fields, as in files that geopandas writes. Categories become their values, and values
    that no file holds, such as lists, become texts.

    Args:
        dst_path: a GeoPackage.
        frame: the frame.
        name: its name, for messages.

    Raises:
        InputError: it has no geometry, columns that no file can tell apart, or values that cannot be written.
        OSError: the file cannot be written.
    """
    geometries = frame if isinstance(frame, gpd.GeoSeries) else _geometries(frame, name)
    others = pd.DataFrame(index=frame.index) if frame is geometries else _fields(frame, name)
    whole = gpd.GeoDataFrame(others.reset_index(drop=True), geometry=_lines_of_rings(geometries))
    options = {**_OWN_COLUMNS, **({} if geometries.crs is not None else {"SRID": "-1"})}
    try:
        with warnings.catch_warnings(), vector_output_name(dst_path) as path:
            warnings.filterwarnings("ignore", "'crs' was not provided", UserWarning)
            pyogrio.write_dataframe(whole, path, layer="features", driver="GPKG", layer_options=options)
    except _UNWRITABLE as error:
        raise InputError(f"{name} cannot be read ({reason(error)}); keep only the fields that are needed") from error


def _geometries(frame: gpd.GeoDataFrame, name: str) -> gpd.GeoSeries:
    if frame.active_geometry_name is None:
        raise InputError(
            f'{name} has no active geometry; choose the column that holds it: frame.set_geometry("COLUMN")'
        )
    return frame.geometry


def _lines_of_rings(geometries: gpd.GeoSeries) -> gpd.GeoSeries:
    """Geometries without rings, which no file has and which GDAL crashes on; a closed line says the same."""
    values = geometries.to_numpy(copy=True)
    rings = shapely.get_type_id(values) == shapely.GeometryType.LINEARRING
    values[rings] = [shapely.LineString(ring.coords) for ring in values[rings]]
    return gpd.GeoSeries(values, crs=geometries.crs)


def _fields(frame: gpd.GeoDataFrame, name: str) -> pd.DataFrame:
    """All columns but geometries, and the indexes that have names, in types that files have."""
    fields = pd.DataFrame(frame).loc[:, [dtype.name != "geometry" for dtype in frame.dtypes]]
    fields = fields.reset_index([each for each in frame.index.names if each is not None and each not in fields])
    fields.columns = [str(column) for column in fields.columns]
    known: dict[str, str] = {}
    for column in fields.columns:
        if (other := known.get(column.lower())) is not None:
            raise InputError(
                f"{name} has the columns {other!r} and {column!r}, which are one field in a file; rename or drop one"
            )
        known[column.lower()] = column
    return fields.apply(_plain)


def _plain(column: pd.Series[Any]) -> pd.Series[Any]:
    is_loose = isinstance(column.dtype, pd.CategoricalDtype) or column.dtype == object
    values = column.astype(object).convert_dtypes() if is_loose else column
    if values.dtype == "float16":
        return values.astype("float32")
    if pd.api.types.infer_dtype(values, skipna=True) in _PLAIN:
        return values
    return values.astype(object).where(values.isna(), values.astype(str)).where(values.notna(), None)
