"""The usable features of a file of any format, with cleaned texts."""

from __future__ import annotations

import logging
import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import geopandas as gpd
import pandas as pd
import shapely

from s2fin_cli.core.classes import normalized
from s2fin_cli.core.errors import S2finError, describe_missing, shortened
from s2fin_cli.core.figures import number_of
from s2fin_cli.core.names import is_dataset_name, vector_name
from s2fin_cli.core.virtual import check_sources
from s2fin_cli.vector.degrees import check_coordinates
from s2fin_cli.vector.frames import LOST, LOST_FIELDS, features_of_wkb
from s2fin_cli.vector.geometries import LARGEST_COORDINATE, are_finite, without_collections
from s2fin_cli.vector.layers import filled_layers, layer_to_read
from s2fin_cli.vector.numerals import typed
from s2fin_cli.vector.parquet import read_parquet
from s2fin_cli.vector.records import read_layer
from s2fin_cli.vector.sources import is_parquet, is_text_table
from s2fin_cli.vector.tables import features_of_table
from s2fin_cli.vector.text_tables import read_text_table
from s2fin_cli.vector.texts import plain_texts
from s2fin_cli.vector.unreadable import what_is_wrong

if TYPE_CHECKING:
    from s2fin_cli.core.errors import InputError
    from s2fin_cli.geo.grid import Grid

logger = logging.getLogger(__name__)

POLYGON_TYPES = {"Polygon", "MultiPolygon"}


def read_features(
    src_path: str | Path, *, error: type[InputError], grid: Grid | None = None, wanted: str = "a vector file"
) -> gpd.GeoDataFrame:
    """Features with a geometry, texts without blanks at their ends; the index has their numbers in the file (FID).

    Layers without features do not count. Rows of a table are points at the coordinates that its columns hold.

    Args:
        src_path: a vector file with one layer that has features, a name of a layer that GDAL knows, or a table.
        error: the kind of error to raise.
        grid: the image's, whose CRS the coordinates of a table that names none are in.
        wanted: what it may be, for messages.

    Raises:
        InputError: there is nothing to be read, there are several layers, or coordinates that are impossible in the
            file's geographic CRS.
    """
    if not is_dataset_name(src_path) and not os.path.exists(src_path):
        raise error(describe_missing(src_path))
    with vector_name(src_path, error=error):  # which refuses a name that GDAL cannot open
        pass
    check_sources(src_path, why_not=lambda _: None, error=error)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # oddities of a file are checked below
            frame = _read(src_path, grid=grid, error=error)
    except S2finError:
        raise
    except Exception as cause:
        raise error(f"{src_path} {what_is_wrong(cause, src_path, wanted=wanted)}") from cause
    frame = _usable(frame, src_path, error=error)
    check_coordinates(frame, src_path, error=error, grid=grid)
    return plain_texts(frame)


def _read(src_path: str | Path, *, grid: Grid | None, error: type[InputError]) -> gpd.GeoDataFrame:
    """All features of a file, unchanged."""
    if is_parquet(src_path):
        return read_parquet(Path(src_path), grid=grid, error=error)
    if is_text_table(src_path):
        table = read_text_table(Path(src_path), error=error)
        return features_of_table(table, src_path, grid=grid, error=error, rows="lines")
    layers = filled_layers(src_path, error=error)
    layer = layer_to_read(src_path, layers, error=error)
    fields, binary, crs = read_layer(src_path, layer)
    if layer.has_geometries:
        return features_of_wkb(fields, binary, crs=crs, src_path=src_path, error=error)
    fields = typed(fields) if layer.driver == "CSV" else fields
    return features_of_table(fields, src_path, grid=grid, error=error)


def _usable(frame: gpd.GeoDataFrame, src_path: str | Path, *, error: type[InputError]) -> gpd.GeoDataFrame:
    """The features that have a geometry, collections taken apart, and the CRS None where it is "undefined"."""
    flat = shapely.force_2d(frame.geometry.to_numpy())  # heights that are not numbers would spoil the parts
    geometries = without_collections(flat, frame.index.to_numpy(), src_path=src_path)
    frame[frame.geometry.name] = gpd.GeoSeries(geometries, index=frame.index, crs=frame.crs)
    usable = ~(shapely.is_missing(geometries) | shapely.is_empty(geometries))
    if not usable.all():
        logger.warning("%s: skipped %s without a geometry", src_path, number_of(int((~usable).sum()), "feature"))
    finite = are_finite(geometries)
    if not finite.all():
        logger.warning(
            "%s: skipped features %s (FID), which have coordinates that are not numbers",
            src_path, shortened(frame.index[~finite].tolist()),
        )  # fmt: skip
    possible = ~finite | are_finite(geometries, LARGEST_COORDINATE)
    if not possible.all():
        logger.warning(
            "%s: skipped features %s (FID), which have impossible coordinates, beyond %g",
            src_path, shortened(frame.index[~possible].tolist()), LARGEST_COORDINATE,
        )  # fmt: skip
    is_lost = frame.index.isin(frame.attrs.get(LOST, [])) | ~finite | ~possible
    fields = frame[is_lost].drop(columns=frame.geometry.name)
    frame = frame[usable & finite & possible]
    frame.attrs |= {LOST: fields.index.tolist(), LOST_FIELDS: fields.to_dict("list")}
    if frame.empty:
        raise error(f"{src_path} holds no features; draw some polygons or points first")
    if frame.crs is not None and frame.crs.name.startswith("Undefined"):  # what a GeoPackage stores for none
        frame = frame.set_crs(None, allow_override=True)
    return frame


def rare_types(frame: gpd.GeoDataFrame) -> str:
    """The features that are not of the most frequent type, or how many there are of a single type, for messages."""
    types = frame.geom_type.str.removeprefix("Multi")
    counts = types.value_counts()
    rare = [f"{kind}: {shortened(types.index[types == kind].tolist())} (FID)" for kind in counts.index[1:]]
    return f"{counts.index[0]}: {counts.iloc[0]} features" + "".join(f"; {text}" for text in rare)


def warn_of_lost(frame: gpd.GeoDataFrame, field: str, *, src_path: str | Path) -> None:
    """Warn of the classes of the features without a usable geometry.

    Args:
        frame: as `read_features` gives it.
        field: the one that holds the class.
        src_path: where they come from, for messages.
    """
    values = pd.Series(frame.attrs.get(LOST_FIELDS, {}).get(field, []), dtype=object).fillna("none")
    if values.empty:
        return
    names = values.map(lambda value: f"{value:g}" if isinstance(value, float) else normalized(str(value)))
    counts = names.value_counts()
    logger.warning(
        "%s: classes of the features that are skipped for their geometry: %s",
        src_path, shortened([f"{name} ({count})" for name, count in counts.items()]),
    )  # fmt: skip
