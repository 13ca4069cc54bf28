"""Frames of geopandas, written as they are to a file that is read like any other vector file."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import geopandas as gpd
import pandas as pd
import pyogrio

from s2fin_cli.core.errors import InputError, reason
from s2fin_cli.core.names import vector_output_name

if TYPE_CHECKING:
    from pathlib import Path

#: Columns of GeoPackages beside the fields, which must not have the name of one.
_OWN_COLUMNS = {"FID": "s2fin_number", "GEOMETRY_NAME": "s2fin_geometry"}
#: Kinds of values, by pandas' names, that a file holds as they are.
_PLAIN = ("string", "integer", "floating", "boolean", "empty", "datetime64", "datetime")


def write_frame(dst_path: Path, frame: gpd.GeoDataFrame | gpd.GeoSeries, *, name: str) -> None:
    """Write a frame with its fields, its active geometry and its CRS, if it has one.

    Categories become their values, and values that no file holds, such as lists, become texts.

    Args:
        dst_path: a GeoPackage.
        frame: the frame.
        name: its name, for messages.

    Raises:
        InputError: it has no geometry, or cannot be written.
        OSError: the file cannot be written.
    """
    geometries = frame if isinstance(frame, gpd.GeoSeries) else _geometries(frame, name)
    others = pd.DataFrame(index=frame.index) if frame is geometries else _fields(frame)
    whole = gpd.GeoDataFrame(others.reset_index(drop=True), geometry=geometries.reset_index(drop=True))
    options = {**_OWN_COLUMNS, **({} if geometries.crs is not None else {"SRID": "-1"})}
    try:
        with warnings.catch_warnings(), vector_output_name(dst_path) as path:
            warnings.filterwarnings("ignore", "'crs' was not provided", UserWarning)
            pyogrio.write_dataframe(whole, path, layer="features", driver="GPKG", layer_options=options)
    except (
        ValueError,
        pyogrio.errors.DataLayerError,
        pyogrio.errors.FieldError,
        pyogrio.errors.GeometryError,
    ) as error:
        raise InputError(f"{name} cannot be read ({reason(error)}); keep only the fields that are needed") from error


def _geometries(frame: gpd.GeoDataFrame, name: str) -> gpd.GeoSeries:
    if frame.active_geometry_name is None:
        raise InputError(
            f'{name} has no active geometry; choose the column that holds it: frame.set_geometry("COLUMN")'
        )
    return frame.geometry


def _fields(frame: gpd.GeoDataFrame) -> pd.DataFrame:
    """All columns but geometries, in types that files have."""
    geometric = [column for column, dtype in frame.dtypes.items() if str(dtype) == "geometry"]
    fields = pd.DataFrame(frame.drop(columns=geometric))
    fields.columns = [str(column) for column in fields.columns]
    return fields.apply(_plain)


def _plain(column: pd.Series[Any]) -> pd.Series[Any]:
    values = column.astype(column.cat.categories.dtype) if isinstance(column.dtype, pd.CategoricalDtype) else column
    if pd.api.types.infer_dtype(values, skipna=True) in _PLAIN:
        return values
    return values.astype(object).where(values.isna(), values.astype(str)).where(values.notna(), None)
