"""The names of the fields of a vector file, read without its features."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import pyogrio

from s2fin_cli.core.formats import format_of
from s2fin_cli.core.names import is_dataset_name, vector_name
from s2fin_cli.vector.views import check_views

if TYPE_CHECKING:
    from s2fin_cli.core.options import StrPath

#: Formats that name their fields in a header; the others have to be read as a whole.
_WITH_HEADER = ("GPKG", "SQLite", "ESRI Shapefile", "FlatGeobuf", "MapInfo File")
#: Bytes of a file without a header, and steps that a view may take, at most: a fraction of a second.
_MOST_BYTES, _MOST_STEPS = 16 << 20, 1_000_000


def field_names(src_path: StrPath) -> list[str]:
    """The names of the fields of all layers, in their order; none of a virtual file or of a large one without header.

    Raises:
        InputError: as `check_views`.
        Exception: any error of pyogrio's or pyarrow's, if the file cannot be read.
    """
    if Path(src_path).suffix.lower() == ".vrt":
        return []  # it may have its features from a server
    known = None if is_dataset_name(src_path) else format_of(Path(src_path))
    if known is not None and known.driver == "Parquet":
        return _parquet_fields(Path(src_path))
    if known is not None and known.driver not in _WITH_HEADER and Path(src_path).stat().st_size > _MOST_BYTES:
        return []
    check_views(src_path, most=_MOST_STEPS)
    names: dict[str, None] = {}
    with warnings.catch_warnings(), vector_name(src_path) as path:
        warnings.simplefilter("ignore")
        for layer, _ in pyogrio.list_layers(path):
            names |= dict.fromkeys(str(name) for name in pyogrio.read_info(path, layer=str(layer))["fields"])
    return list(names)


def _parquet_fields(path: Path) -> list[str]:
    """The columns of a Parquet file but that of the geometries."""
    from pyarrow import parquet  # type: ignore[import-untyped]  # noqa: PLC0415  an extra

    with path.open("rb") as file:
        schema = parquet.read_schema(file)
    geometries = json.loads((schema.metadata or {}).get(b"geo", b"{}")).get("columns", {})
    return [name for name in schema.names if name not in geometries]
