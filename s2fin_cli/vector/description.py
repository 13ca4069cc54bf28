"""The description of a vector file: its layers with their features, CRS and fields, as plain JSON values."""

from __future__ import annotations

import importlib
import json
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyogrio
from rasterio.crs import CRS
from rasterio.errors import CRSError

from s2fin_cli.core.errors import InputError, S2finError, reason
from s2fin_cli.core.names import vector_name
from s2fin_cli.geo.crs import crs_name
from s2fin_cli.vector.layers import layers_of
from s2fin_cli.vector.parquet import check_parquet
from s2fin_cli.vector.place_columns import find_place
from s2fin_cli.vector.shapefiles import check_parts
from s2fin_cli.vector.sources import is_parquet, is_text_table
from s2fin_cli.vector.text_tables import read_text_table

if TYPE_CHECKING:
    from collections.abc import Iterable


def describe_vector(src_path: str) -> dict[str, Any]:
    """Describe a vector file.

    Returns:
        plain JSON values: `kind` is "vector", `driver` GDAL's name of the format, and `layers` a list with the `name`,
        number of `features`, `geometry` type, `crs`, `bounds` and `fields` of each layer, None where there is none.

    Raises:
        InputError: it cannot be read.
    """
    try:
        if is_parquet(src_path):
            driver, layers = "Parquet", [_parquet_layer(Path(src_path))]
        elif is_text_table(src_path):
            driver, layers = "CSV", [_text_layer(Path(src_path))]
        else:
            driver, layers = _layers(src_path)
    except S2finError:
        raise
    except Exception as error:
        raise InputError(f"{src_path} cannot be read as a vector file ({reason(error)})") from error
    return {"kind": "vector", "path": src_path, "driver": driver, "layers": layers}


def _layers(src_path: str) -> tuple[str, list[dict[str, Any]]]:
    found = layers_of(src_path)
    for layer in found:
        if layer.driver == "ESRI Shapefile":
            check_parts(src_path, layer.name)
    with warnings.catch_warnings(), vector_name(src_path) as path:
        warnings.simplefilter("ignore")  # training warns of a file's oddities if they matter
        infos = [
            pyogrio.read_info(path, layer=layer.name, force_feature_count=True, force_total_bounds=True)
            for layer in found
        ]
    if not infos:
        raise InputError(f"{src_path} has no layers, so there is nothing to describe")
    layers = [
        _layer(
            layer.name,
            features=max(int(info["features"]), layer.count),
            geometry=info["geometry_type"],
            crs=info["crs"],
            bounds=info["total_bounds"],
            fields=zip(info["fields"], info["dtypes"], strict=True),
        )
        for layer, info in zip(found, infos, strict=True)
    ]
    return found[0].driver, layers


def _layer(
    name: str, *, features: int, geometry: Any, crs: Any, bounds: Any, fields: Iterable[tuple[Any, Any]]
) -> dict[str, Any]:
    return {
        "name": name,
        "features": features,
        "geometry": None if geometry is None else str(geometry),
        "crs": None if crs is None else _crs(crs),
        "bounds": None if bounds is None or not features else [float(value) for value in bounds],
        "fields": [{"name": str(field), "type": str(kind)} for field, kind in fields],
    }


def _crs(given: Any) -> str:
    try:
        return crs_name(CRS.from_user_input(given))
    except CRSError:
        return str(given)


def _text_layer(path: Path) -> dict[str, Any]:
    """A text table whose coordinate columns make its rows points."""
    table = read_text_table(path, error=InputError)
    columns = [str(name) for name in table.columns]
    return _layer(
        path.stem,
        features=len(table),
        geometry=None if find_place(columns) is None else "Point",
        crs=None,
        bounds=None,
        fields=((name, table[name].dtype) for name in columns),
    )


def _parquet_layer(path: Path) -> dict[str, Any]:
    check_parquet(path, error=InputError)
    parquet = importlib.import_module("pyarrow.parquet")
    with parquet.ParquetFile(path) as file:
        schema, features = file.schema_arrow, file.metadata.num_rows
    geo = json.loads((schema.metadata or {}).get(b"geo", b"{}"))
    main = geo.get("primary_column")
    column = geo.get("columns", {}).get(main, {})
    crs = column.get("crs", "OGC:CRS84") if column else None
    return _layer(
        path.stem,
        features=features,
        geometry=", ".join(column.get("geometry_types", [])) or None,
        crs=json.dumps(crs) if isinstance(crs, dict) else crs,
        bounds=column.get("bbox"),
        fields=((field.name, field.type) for field in schema if field.name != main),
    )
