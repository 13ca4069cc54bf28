"""Features of GeoParquet files and of Parquet tables."""

from __future__ import annotations

import importlib.util
import json
from typing import TYPE_CHECKING, Any

import geopandas as gpd
import pandas as pd
import shapely

from s2fin_cli.vector.frames import features_of, features_of_wkb
from s2fin_cli.vector.tables import features_of_table

if TYPE_CHECKING:
    from pathlib import Path

    from s2fin_cli.core.errors import InputError
    from s2fin_cli.geo.grid import Grid


def check_parquet(path: Path, *, error: type[InputError]) -> None:
    """Refuse a Parquet file where pyarrow, which reads it, is not installed."""
    if importlib.util.find_spec("pyarrow") is None:
        raise error(f"{path} cannot be read: Parquet needs pyarrow; pip install 's2fin[parquet]', or give a .gpkg")


def read_parquet(path: Path, *, grid: Grid | None, error: type[InputError]) -> gpd.GeoDataFrame:
    """Features of a GeoParquet file, or of a Parquet table by its coordinates."""
    check_parquet(path, error=error)
    try:
        with path.open("rb") as file:  # pyarrow takes some names for URLs
            frame = gpd.read_parquet(file)
    except shapely.errors.ShapelyError:  # a broken geometry
        table, name, crs = _read_raw_parquet(path)
        return features_of_wkb(
            table.drop(columns=name), table[name].to_numpy(dtype=object), crs=crs, src_path=path, error=error
        )
    except ValueError as cause:
        if "geo metadata" not in str(cause):
            raise
        with path.open("rb") as file:
            return features_of_table(_plain_table(pd.read_parquet(file)), path, grid=grid, error=error)
    table = _plain_table(pd.DataFrame(frame.drop(columns=frame.geometry.name)))
    return features_of(table, frame.geometry.to_numpy(), crs=frame.crs)


def _read_raw_parquet(path: Path) -> tuple[pd.DataFrame, str, Any]:
    """A GeoParquet file with its geometries as well-known binary, the name of their column, and the CRS."""
    from pyarrow import parquet  # type: ignore[import-untyped]  # noqa: PLC0415  an extra

    with path.open("rb") as file:
        table = parquet.read_table(file)
    geo = json.loads(table.schema.metadata[b"geo"])
    name = geo["primary_column"]
    crs = geo["columns"][name].get("crs", "OGC:CRS84")
    return _plain_table(table.to_pandas()), name, crs


def _plain_table(table: pd.DataFrame) -> pd.DataFrame:
    """A table whose named index becomes a column, and whose categories become plain values."""
    table = table.reset_index(drop=table.index.name is None)
    for name in table.select_dtypes("category"):
        table[name] = table[name].astype(table[name].cat.categories.dtype)
    for name in table.select_dtypes("string"):
        list(table[name].unique())  # which decodes texts here, where those in another encoding are reported
    return table
