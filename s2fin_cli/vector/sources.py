"""What a file of labels or of an area is: layers of features, a table or a raster."""

from __future__ import annotations

import logging
import re
import warnings
from dataclasses import dataclass
from pathlib import Path

import pyogrio
import pyogrio.raw

from s2fin_cli.core.errors import RasterError
from s2fin_cli.core.formats import FORMATS, VECTOR_SUFFIXES, suffixes_of
from s2fin_cli.core.names import is_dataset_name, vector_name
from s2fin_cli.raster.read import open_raster
from s2fin_cli.vector.tables import names_places

logger = logging.getLogger(__name__)

#: Suffixes of text tables; other text files are tables if their first line names coordinates.
TEXT_SUFFIXES = suffixes_of("CSV")
PARQUET_SUFFIXES = suffixes_of("Parquet")
#: Drivers of formats whose files hold a count of features, which may be wrong, and a condition that holds for all
#: features: with any, GDAL counts them.
COUNTED = frozenset(each.driver for each in FORMATS if each.is_sqlite)
ALL = "1=1"
#: Text formats of rasters that a file named as a text may be.
_TEXT_RASTERS = {"AAIGrid", "GRASSASCIIGrid", "GSAG"}


@dataclass(frozen=True)
class Layer:
    """A layer of a vector file.

    Attributes:
        name: as GDAL has it.
        has_geometries: whether it is more than a table.
        count: number of its features as the file has it; 0 only where there are none.
        driver: GDAL's short name of the format.
    """

    name: str
    has_geometries: bool
    count: int
    driver: str


def names_table(src_path: str | Path) -> bool:
    """Whether a name is one of a table in a GeoPackage, "GPKG:x.gpkg:table"."""
    return re.fullmatch(r"gpkg:.+:(?!.*\.gpkg$)[^/\\:]+", str(src_path), re.IGNORECASE) is not None


def layers_of(src_path: str | Path) -> list[Layer]:
    """The layers of a vector file; of "GPKG:x.gpkg:layer", that one alone.

    Raises:
        Exception: of pyogrio's, where GDAL cannot open it.
    """
    with warnings.catch_warnings(), vector_name(src_path) as path:
        warnings.simplefilter("ignore")  # what matters of a file's oddities is checked by its readers
        found = [(str(name), kind is not None) for name, kind in pyogrio.list_layers(path)]
        # NOTE: GDAL lists all layers of "GPKG:x.gpkg:layer" too.
        named = [(name, kind) for name, kind in found if str(src_path).endswith(f":{name}")][:1]
        if named or names_table(src_path):
            found = named
        layers = []
        for name, has_geometries in found:
            info = pyogrio.read_info(path, layer=name, force_feature_count=True)
            # NOTE: a GeoPackage's own count may be too low; what matters is whether there are any.
            count, driver = int(info["features"]), str(info["driver"])
            if not count and driver in COUNTED:
                count = _count_some(path, name)
            layers.append(Layer(name, has_geometries, count, driver))
        return layers


def _count_some(src_path: str | Path, layer: str) -> int:
    """How many features a layer has, counted one by one up to the first."""
    _, fids, _, _ = pyogrio.raw.read(
        src_path, layer=layer, columns=[], read_geometry=False, max_features=1, where=ALL, return_fids=True
    )
    return len(fids)


def is_text_table(src_path: str | Path) -> bool:
    """Whether a file is a table of text: it is named so, or its first line names columns of coordinates."""
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


def is_vector(src_path: str | Path) -> bool:
    """Whether a file of labels is one of features or a table of points, and not a raster.

    A file with features is one of features, whatever raster driver takes it too.

    Raises:
        RasterError: a container of nothing but several rasters.
    """
    if not is_dataset_name(src_path):
        path = Path(src_path)
        if not path.exists() or path.suffix.lower() in VECTOR_SUFFIXES or is_parquet(path) or is_text_table(path):
            return True
    try:
        layers = layers_of(src_path)
    except Exception:  # noqa: BLE001 - pyogrio's, or of whatever GDAL takes for text
        layers = []
    if any(layer.has_geometries and layer.count for layer in layers):
        return True
    driver = raster_driver(src_path)
    return driver is None or (bool(layers) and driver != layers[0].driver)


def raster_driver(src_path: str | Path) -> str | None:
    """GDAL's name of the raster format that a file is in, or None where it is no raster.

    Raises:
        RasterError: a container of nothing but several rasters.
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


def holds_raster_too(src_path: str | Path, layers: list[Layer]) -> bool:
    """Whether a container of layers, such as a GeoPackage, holds rasters in the same format."""
    if not is_dataset_name(src_path) and Path(src_path).suffix.lower() in VECTOR_SUFFIXES:
        return False
    try:
        return raster_driver(src_path) in {layer.driver for layer in layers}
    except RasterError:
        return True
