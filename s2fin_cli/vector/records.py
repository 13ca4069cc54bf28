"""The records of a layer: fields in the right encoding, and geometries as well-known binary."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyogrio
import pyogrio.raw

from s2fin_cli.core.names import vector_name
from s2fin_cli.vector.dbf import declared_encoding, decode, is_archived, is_bytes, right_encoding
from s2fin_cli.vector.layers import ALL, COUNTED, SHEETS, Layer
from s2fin_cli.vector.shapefiles import check_parts
from s2fin_cli.vector.text_tables import distinct

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray


def read_layer(src_path: str | Path, layer: Layer) -> tuple[pd.DataFrame, NDArray[np.object_], Any]:
    """Fields, with the features' numbers (FID) as index, geometries as well-known binary, and CRS of a layer."""
    options: dict[str, Any] = {}
    is_dbase = layer.driver == "ESRI Shapefile"
    if is_dbase and not is_archived(src_path):
        options["ENCODING"] = ""  # so that each byte becomes a character (ISO 8859-1)
    elif layer.driver in SHEETS:
        options["HEADERS"] = "FORCE"
    if layer.driver in COUNTED:
        options["where"] = ALL
    if is_dbase:
        check_parts(src_path, layer.name)
    with vector_name(src_path) as path:
        meta, fids, geometries, columns = pyogrio.raw.read(path, layer=layer.name, return_fids=True, **options)
    names = [str(name) for name in meta["fields"]]
    columns = [_as_declared(column, kind) for column, kind in zip(columns, meta["dtypes"], strict=True)]
    if is_dbase:
        names, columns = _recoded(names, columns, src_path=src_path, layer=layer)
    fields = pd.DataFrame(dict(zip(distinct(names, src_path), columns, strict=True)), index=fids)
    if geometries is None:
        geometries = np.full(len(fields), None, dtype=object)
    return fields, geometries, meta["crs"]


def _as_declared(column: NDArray[Any], kind: str) -> NDArray[Any]:
    """Values of a field; a Boolean field with missing values keeps truth values instead of 0 and 1."""
    if kind != "bool" or column.dtype == bool:
        return column
    return np.array([None, *(None if np.isnan(value) else bool(value) for value in column)], dtype=object)[1:]


def _recoded(
    names: list[str], columns: Sequence[NDArray[Any]], *, src_path: str | Path, layer: Layer
) -> tuple[list[str], list[NDArray[Any]]]:
    """Names and values of fields of a Shapefile in the right encoding.

    Each byte of its texts is a character; in an archive, GDAL has already decoded them as declared there.
    """
    texts = {value for column in columns if column.dtype == object for value in column if isinstance(value, str)}
    texts |= set(names)
    if is_archived(src_path):
        if not all(is_bytes(text) for text in texts):
            return names, list(columns)
        encoding = right_encoding(texts, src_path, "iso8859-1", "the archive")
    else:
        encoding = right_encoding(texts, src_path, *declared_encoding(src_path, layer.name))

    def recode(column: NDArray[Any]) -> NDArray[Any]:
        if column.dtype != object:
            return column
        values = [decode(value, encoding) if isinstance(value, str) else value for value in column]
        return np.array([None, *values], dtype=object)[1:]

    return [decode(name, encoding) for name in names], [recode(column) for column in columns]
