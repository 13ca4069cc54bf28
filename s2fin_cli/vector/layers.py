"""Whether a file holds features; the layers of a vector file, and the choice of the one to read."""

from __future__ import annotations

import logging
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyogrio
import pyogrio.errors
import pyogrio.raw

from s2fin_cli.core.errors import RasterError, quoted, shortened
from s2fin_cli.core.formats import FORMATS, VECTOR_SUFFIXES
from s2fin_cli.core.names import is_dataset_name, vector_name
from s2fin_cli.vector.place_columns import WANTED, find_place
from s2fin_cli.vector.sources import is_parquet, is_text_table, names_table, raster_driver
from s2fin_cli.vector.text_tables import first_columns
from s2fin_cli.vector.views import check_views

if TYPE_CHECKING:
    from s2fin_cli.core.errors import InputError

logger = logging.getLogger(__name__)

#: Drivers of formats whose files hold a count of features, which may be wrong, and a condition that holds for all
#: features: with any, GDAL counts them.
COUNTED = frozenset(each.driver for each in FORMATS if each.is_sqlite)
ALL = "1=1"
#: Drivers that count the features up to where a damaged file can be parsed, and say nothing.
PARSED = ("GML",)
#: GDAL's names of formats with sheets, whose first row has the names of the columns.
SHEETS = ("XLSX", "ODS")


@dataclass(frozen=True)
class Layer:
    """A layer of a vector file.

    Attributes:
        name: GDAL's name of it.
        has_geometries: whether it is more than a table.
        count: number of its features that the file declares; 0 only if there are none.
        driver: GDAL's short name of the format.
    """

    name: str
    has_geometries: bool
    count: int
    driver: str


def layers_of(src_path: str | Path) -> list[Layer]:
    """The layers of a vector file; of "GPKG:x.gpkg:layer", that one alone.

    Raises:
        InputError: as `check_views`.
        Exception: any error of pyogrio's, if GDAL cannot open it.
    """
    check_views(src_path)
    with warnings.catch_warnings(), vector_name(src_path) as path:
        warnings.simplefilter("ignore")  # readers report themselves what is odd about a file
        found = [(str(name), kind is not None) for name, kind in pyogrio.list_layers(path)]
        # NOTE: GDAL lists all layers of "GPKG:x.gpkg:layer" too.
        named = [(name, kind) for name, kind in found if str(src_path).endswith(f":{name}")][:1]
        if named or names_table(src_path):
            found = named
        layers = []
        for name, has_geometries in found:
            info = pyogrio.read_info(path, layer=name, force_feature_count=True)
            # NOTE: a GeoPackage's own count may be too low, but it is enough to know whether there are any features.
            count, driver = int(info["features"]), str(info["driver"])
            if not count and driver in COUNTED:
                count = _count(path, name, most=1)
            elif driver in PARSED:
                count = _count(path, name)
            layers.append(Layer(name, has_geometries, count, driver))
        return layers


def _count(src_path: str | Path, layer: str, *, most: int | None = None) -> int:
    """How many features a layer has, counted one by one up to a number."""
    _, fids, _, _ = pyogrio.raw.read(
        src_path, layer=layer, columns=[], read_geometry=False, max_features=most, where=ALL, return_fids=True
    )
    return len(fids)


def is_vector(src_path: str | Path) -> bool:
    """Whether a file of labels is one of features or a table of points, and not a raster.

    A file with features is one of features, even if a raster driver accepts it too.

    Raises:
        RasterError: a container that holds several rasters and nothing else.
    """
    if not is_dataset_name(src_path):
        path = Path(src_path)
        if not path.exists() or path.suffix.lower() in VECTOR_SUFFIXES or is_parquet(path) or is_text_table(path):
            return True
    try:
        layers = layers_of(src_path)
    except Exception:  # noqa: BLE001 - pyogrio's, or a decoding error
        layers = []
    if any(layer.has_geometries and layer.count for layer in layers):
        return True
    driver = raster_driver(src_path)
    return driver is None or (bool(layers) and driver != layers[0].driver)


def holds_raster_too(src_path: str | Path, layers: list[Layer]) -> bool:
    """Whether a container of layers, such as a GeoPackage, holds rasters in the same format."""
    if not is_dataset_name(src_path) and Path(src_path).suffix.lower() in VECTOR_SUFFIXES:
        return False
    try:
        return raster_driver(src_path) in {layer.driver for layer in layers}
    except RasterError:
        return True


# ---- the one to read -------------------------------------------------------------------------------------------------


def filled_layers(src_path: str | Path, *, error: type[InputError]) -> list[Layer]:
    """The layers of a vector file; a text file that is no vector file is refused because of its first line."""
    try:
        return layers_of(src_path)
    except pyogrio.errors.DataSourceError:
        columns = [] if is_dataset_name(src_path) or not Path(src_path).is_file() else first_columns(Path(src_path))
        if Path(src_path).suffix.lower() == ".txt" and len(columns) > 1:
            raise error(
                f"{src_path} is a table whose first line names no coordinates ({shortened(columns)}); name its columns "
                f"{WANTED} there"
            ) from None
        raise


def layer_to_read(src_path: str | Path, layers: list[Layer], *, error: type[InputError]) -> Layer:
    """The layer to read: the only one with features, else the only table."""
    filled = [layer for layer in layers if layer.count]
    spatial = [layer for layer in filled if layer.has_geometries]
    chosen = spatial if spatial or any(layer.has_geometries for layer in layers) else filled
    if len(chosen) > 1 and not spatial:
        chosen = [layer for layer in chosen if _names_places(src_path, layer)] or chosen
    has_raster = bool(chosen) and holds_raster_too(src_path, layers)
    if len(chosen) > 1:
        names = ", ".join(layer.name for layer in chosen)
        also = " and a raster" if has_raster else ""
        raise error(f"{src_path} holds several layers ({names}){also}; choose one and {_how_to_name(src_path, chosen)}")
    if not chosen:
        if names_table(src_path) and not layers:
            with vector_name(src_path, error=error) as path:
                names = ", ".join(str(name) for name, _ in pyogrio.list_layers(path))
            raise error(f"{src_path} names no layer of features; the file's layers are: {names}")
        if layers and not any(layer.has_geometries for layer in layers):
            raise error(f"{src_path} holds a table without rows; give a layer of polygons or points")
        raise error(f"{src_path} holds no features; draw some polygons or points first")
    layer = chosen[0]
    if has_raster:
        logger.warning(
            "%s holds a raster and features; the features of its layer %r are read; for the raster, give the name of "
            "its table (%s)",
            src_path, layer.name, quoted(f"GPKG:{src_path}:TABLE"),
        )  # fmt: skip
    empty = [other.name for other in layers if other.has_geometries and not other.count]
    if empty:
        logger.info("%s: layer %r is read; without features: %s", src_path, layer.name, shortened(empty))
    return layer


def _names_places(src_path: str | Path, layer: Layer) -> bool:
    """Whether a table has columns of coordinates."""
    options = {"HEADERS": "FORCE"} if layer.driver in SHEETS else {}
    with vector_name(src_path) as path:
        fields = pyogrio.read_info(path, layer=layer.name, **options)["fields"].tolist()
    return find_place(fields) is not None


def _how_to_name(src_path: str | Path, layers: list[Layer]) -> str:
    """How to name one of several layers, for messages."""
    if str(src_path).lower().endswith(".gpkg"):
        return f"give it as {quoted(f'GPKG:{src_path}:LAYER')}"
    if layers[0].driver == "ESRI Shapefile" and not is_dataset_name(src_path):
        folder = src_path if Path(src_path).is_dir() else f"/vsizip/{src_path}"
        return f"give its file, such as {quoted(f'{folder}/{layers[0].name}.shp')}"
    name = layers[0].name
    command = " ".join(quoted(word) for word in ("ogr2ogr", f"{name}.gpkg", str(src_path), name))
    return f"export it to a file of its own, e.g. with: {command}"
