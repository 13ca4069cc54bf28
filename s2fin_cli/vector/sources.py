"""The kind of file that a source of features is, by its name, its first bytes and GDAL's drivers."""

from __future__ import annotations

import re
from pathlib import Path

from s2fin_cli.core.errors import RasterError
from s2fin_cli.core.formats import VECTOR_SUFFIXES, suffixes_of
from s2fin_cli.core.names import is_dataset_name
from s2fin_cli.raster.opening import open_raster
from s2fin_cli.vector.text_tables import names_places

#: Suffixes of text tables; other text files are tables if their first line names coordinates.
TEXT_SUFFIXES = suffixes_of("CSV")
PARQUET_SUFFIXES = suffixes_of("Parquet")
#: Text formats of rasters that may have the suffix of a text table.
_TEXT_RASTERS = {"AAIGrid", "GRASSASCIIGrid", "GSAG"}


def names_table(src_path: str | Path) -> bool:
    """Whether a name is one of a table in a GeoPackage, "GPKG:x.gpkg:table"."""
    return re.fullmatch(r"gpkg:.+:(?!.*\.gpkg$)[^/\\:]+", str(src_path), re.IGNORECASE) is not None


def is_text_table(src_path: str | Path) -> bool:
    """Whether a file is a text table: by its suffix, or because its first line names columns of coordinates."""
    if is_dataset_name(src_path) or not Path(src_path).is_file():
        return False
    suffix = Path(src_path).suffix.lower()
    return suffix in TEXT_SUFFIXES or (suffix not in VECTOR_SUFFIXES and names_places(Path(src_path)))


def is_parquet(src_path: str | Path) -> bool:
    """Whether a file is Parquet, which few builds of GDAL can read."""
    if is_dataset_name(src_path):
        return False
    path = Path(src_path)
    if not path.is_file():
        return path.suffix.lower() in PARQUET_SUFFIXES
    with path.open("rb") as file:
        return file.read(4) == b"PAR1"


def raster_driver(src_path: str | Path) -> str | None:
    """GDAL's name of the raster format that a file is in, or None where it is no raster.

    Raises:
        RasterError: a container that holds several rasters and nothing else.
    """
    try:
        with open_raster(src_path) as src:
            driver = str(src.driver)
    except RasterError as error:
        if error.__cause__ is None:  # it can be opened, but a raster in it must be chosen
            raise
        return None
    suffix = Path(src_path).suffix.lower()
    if driver == "XYZ" and suffix != ".xyz":
        return None
    return None if suffix == ".txt" and driver not in _TEXT_RASTERS else driver
