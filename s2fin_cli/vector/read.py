"""Features of a vector file, in the CRS of a grid: labels and areas of interest."""

from __future__ import annotations

import importlib.util
import json
import logging
import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import pyogrio.errors
import pyogrio.raw
import shapely
from pyproj.exceptions import ProjError
from rasterio.crs import CRS

from s2fin_cli.core.classes import plain_name
from s2fin_cli.core.errors import GeoreferencingError, S2finError, quoted, shortened
from s2fin_cli.core.names import is_dataset_name, vector_name
from s2fin_cli.core.virtual import check_sources
from s2fin_cli.geo.grid import crs_name
from s2fin_cli.geo.segments import densified
from s2fin_cli.geo.transformation import Placed, check_transformable, tell_of_accuracy
from s2fin_cli.vector.dbf import declared_encoding, decode, is_archived, is_bytes, right_encoding
from s2fin_cli.vector.geometries import LARGEST_COORDINATE, are_finite, from_wkb, without_collections
from s2fin_cli.vector.shapefiles import check_parts
from s2fin_cli.vector.sources import (
    ALL,
    COUNTED,
    Layer,
    holds_raster_too,
    is_parquet,
    is_text_table,
    layers_of,
    names_table,
)
from s2fin_cli.vector.tables import (
    WANTED,
    distinct,
    features_of,
    find_place,
    first_columns,
    points_of,
    read_text_table,
    typed,
)
from s2fin_cli.vector.texts import plain_texts
from s2fin_cli.vector.unreadable import what_is_wrong

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from s2fin_cli.core.errors import InputError
    from s2fin_cli.geo.grid import Grid

logger = logging.getLogger(__name__)

#: Degrees beyond which there is nothing, with what rounding adds; longitudes from 0 to 360 are in use too.
LARGEST_LONGITUDE, LARGEST_LATITUDE = 360.01, 90.01

#: Under which attributes of a frame the numbers of those features stand whose rings were closed, of those without a
#: geometry that can be used, and the fields of the latter.
MENDED, LOST, LOST_FIELDS = "mended", "lost", "lost fields"
#: GDAL's names of formats with sheets, whose first row has the names of the columns.
SHEETS = ("XLSX", "ODS")

POLYGON_TYPES = {"Polygon", "MultiPolygon"}
#: Places along each side of what lies across the 180th meridian, at least, at which its longitudes are looked at.
PLACES = 32
#: What reaches less far over a grid's left or right edge, in pixels, only touches it but for rounding.
EDGE_PX = 1e-6


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
        InputError: there is nothing to be read, there are several layers, or a geographic CRS with coordinates that
            cannot be its.
    """
    if not is_dataset_name(src_path) and not os.path.exists(src_path):
        raise error(f"{src_path} does not exist (looked in {Path(src_path).absolute().parent}); check the path")
    with vector_name(src_path, error=error):  # which refuses a name that GDAL cannot open
        pass
    check_sources(src_path, why_not=lambda _: None, error=error)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what matters of a file's oddities is checked below
            frame = _read(src_path, grid=grid, error=error)
    except S2finError:
        raise
    except Exception as cause:
        raise error(f"{src_path} {what_is_wrong(cause, src_path, wanted)}") from cause
    frame = _usable(frame, src_path, error=error)
    check_coordinates(frame, src_path, error=error, grid=grid)
    return plain_texts(frame)


def _read(src_path: str | Path, *, grid: Grid | None, error: type[InputError]) -> gpd.GeoDataFrame:
    """All features of a file, as they are."""
    if is_parquet(src_path):
        return _read_parquet(Path(src_path), grid=grid, error=error)
    if is_text_table(src_path):
        table = read_text_table(Path(src_path), error=error)
        return points_of(table, src_path, grid=grid, error=error, rows="lines")
    layers = _layers(src_path, error=error)
    layer = _only_layer(src_path, layers, error=error)
    fields, binary, crs = _read_layer(src_path, layer)
    if layer.has_geometries:
        return _features_of(fields, binary, crs, src_path, error=error)
    fields = typed(fields) if layer.driver == "CSV" else fields
    return points_of(fields, src_path, grid=grid, error=error)


def _layers(src_path: str | Path, *, error: type[InputError]) -> list[Layer]:
    """The layers of a vector file; a text file that is none is refused by what its first line says."""
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


def _only_layer(src_path: str | Path, layers: list[Layer], *, error: type[InputError]) -> Layer:
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
        raise error(
            f"{src_path} holds several layers ({names}){also}; choose one, and {_how_to_name(src_path, chosen)}"
        )
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
            "%s holds a raster and features; the features of its layer %r are taken; for the raster, give the name of "
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
    """For messages: how to give one of several layers."""
    if str(src_path).lower().endswith(".gpkg"):
        return f"give it as {quoted(f'GPKG:{src_path}:LAYER')}"
    if layers[0].driver == "ESRI Shapefile" and not is_dataset_name(src_path):
        folder = src_path if Path(src_path).is_dir() else f"/vsizip/{src_path}"
        return f"give its file, such as {quoted(f'{folder}/{layers[0].name}.shp')}"
    name = layers[0].name
    command = " ".join(quoted(word) for word in ("ogr2ogr", f"{name}.gpkg", str(src_path), name))
    return f"export it to a file of its own, e.g. with: {command}"


def _features_of(
    fields: pd.DataFrame, binary: NDArray[np.object_], crs: Any, src_path: str | Path, *, error: type[InputError]
) -> gpd.GeoDataFrame:
    """Features with geometries from well-known binary; `frame.attrs` lists those that were mended and those lost."""
    geometries, mended, lost = from_wkb(binary, fields.index.to_numpy(), src_path, error=error)
    frame = features_of(fields, geometries, crs)
    frame.attrs |= {MENDED: mended, LOST: lost}
    return frame


def _read_layer(src_path: str | Path, layer: Layer) -> tuple[pd.DataFrame, NDArray[np.object_], Any]:
    """Fields, with the features' numbers (FID) as index, geometries as well-known binary, and CRS of a layer."""
    options: dict[str, Any] = {}
    is_dbase = layer.driver == "ESRI Shapefile"
    if is_dbase and not is_archived(src_path):
        options["ENCODING"] = ""  # by which each byte becomes a character (ISO 8859-1)
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
        names, columns = _recoded(names, columns, src_path, layer)
    fields = pd.DataFrame(dict(zip(distinct(names, src_path), columns, strict=True)), index=fids)
    if geometries is None:
        geometries = np.full(len(fields), None, dtype=object)
    return fields, geometries, meta["crs"]


def _as_declared(column: NDArray[Any], kind: str) -> NDArray[Any]:
    """Values of a field, those of a Boolean one with missing values not as 0 and 1 but as what they are."""
    if kind != "bool" or column.dtype == bool:
        return column
    return np.array([None, *(None if np.isnan(value) else bool(value) for value in column)], dtype=object)[1:]


def _recoded(
    names: list[str], columns: Sequence[NDArray[Any]], src_path: str | Path, layer: Layer
) -> tuple[list[str], list[NDArray[Any]]]:
    """Names and values of fields of a Shapefile in the right encoding.

    Each byte of its texts is a character; in an archive, GDAL has read them by what is declared there.
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


def _read_parquet(path: Path, *, grid: Grid | None, error: type[InputError]) -> gpd.GeoDataFrame:
    """Features of a GeoParquet file, or of a Parquet table by its coordinates."""
    if importlib.util.find_spec("pyarrow") is None:
        raise error(f"{path} cannot be read: Parquet needs pyarrow; pip install 's2fin[parquet]', or give a .gpkg")
    try:
        with path.open("rb") as file:  # pyarrow takes some names for addresses
            frame = gpd.read_parquet(file)
    except shapely.errors.ShapelyError:  # a broken geometry
        table, name, crs = _read_raw_parquet(path)
        return _features_of(table.drop(columns=name), table[name].to_numpy(dtype=object), crs, path, error=error)
    except ValueError as cause:
        if "geo metadata" not in str(cause):
            raise
        with path.open("rb") as file:
            return points_of(_plain_table(pd.read_parquet(file)), path, grid=grid, error=error)
    table = _plain_table(pd.DataFrame(frame.drop(columns=frame.geometry.name)))
    return features_of(table, frame.geometry.to_numpy(), frame.crs)


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
    """A table whose index is a column if it has a name, with its categories as what they are."""
    table = table.reset_index(drop=table.index.name is None)
    for name in table.select_dtypes("category"):
        table[name] = table[name].astype(table[name].cat.categories.dtype)
    return table


def _usable(frame: gpd.GeoDataFrame, src_path: str | Path, *, error: type[InputError]) -> gpd.GeoDataFrame:
    """The features that have a geometry, collections taken apart, and the CRS None where it is "undefined"."""
    flat = shapely.force_2d(frame.geometry.to_numpy())  # as heights that are no numbers spoil what is made of them
    geometries = without_collections(flat, frame.index.to_numpy(), src_path)
    frame[frame.geometry.name] = gpd.GeoSeries(geometries, index=frame.index, crs=frame.crs)
    usable = ~(shapely.is_missing(geometries) | shapely.is_empty(geometries))
    if not usable.all():
        logger.warning("%s: %d features without a geometry are left out", src_path, (~usable).sum())
    finite = are_finite(geometries)
    if not finite.all():
        logger.warning(
            "%s: features %s (FID) have coordinates that are no numbers; skipped",
            src_path, shortened(frame.index[~finite].tolist()),
        )  # fmt: skip
    possible = ~finite | are_finite(geometries, LARGEST_COORDINATE)
    if not possible.all():
        logger.warning(
            "%s: features %s (FID) have coordinates beyond %g, where nothing is; skipped",
            src_path, shortened(frame.index[~possible].tolist()), LARGEST_COORDINATE,
        )  # fmt: skip
    is_lost = frame.index.isin(frame.attrs.get(LOST, [])) | ~finite | ~possible
    fields = frame[is_lost].drop(columns=frame.geometry.name)
    frame = frame[usable & finite & possible]
    frame.attrs |= {LOST: fields.index.tolist(), LOST_FIELDS: fields.to_dict("list")}
    if frame.empty:
        raise error(f"{src_path} holds no features; draw some polygons or points first")
    if frame.crs is not None and frame.crs.name.startswith("Undefined"):  # a GeoPackage's word for none
        frame = frame.set_crs(None, allow_override=True)
    return frame


def rare_types(frame: gpd.GeoDataFrame) -> str:
    """For messages: which features are of the types that are not the most frequent one, or how many are of one type."""
    types = frame.geom_type.str.removeprefix("Multi")
    counts = types.value_counts()
    rare = [f"{kind}: {shortened(types.index[types == kind].tolist())} (FID)" for kind in counts.index[1:]]
    return f"{counts.index[0]}: {counts.iloc[0]} features" + "".join(f"; {text}" for text in rare)


def tell_of_lost(frame: gpd.GeoDataFrame, field: str, src_path: str | Path) -> None:
    """Warn of the classes of those features that have no geometry that can be used.

    Args:
        frame: as `read_features` gives it.
        field: the one that holds the class.
        src_path: where they come from, for messages.
    """
    values = pd.Series(frame.attrs.get(LOST_FIELDS, {}).get(field, []), dtype=object).fillna("none")
    if values.empty:
        return
    names = values.map(lambda value: f"{value:g}" if isinstance(value, float) else plain_name(str(value)))
    counts = names.value_counts()
    logger.warning(
        "%s: classes of the features that are skipped for their geometry: %s",
        src_path, shortened([f"{name} ({count})" for name, count in counts.items()]),
    )  # fmt: skip


def check_coordinates(
    frame: gpd.GeoDataFrame, src_path: str | Path, *, error: type[InputError], grid: Grid | None = None
) -> None:
    """Refuse features in degrees whose coordinates are no longitudes and latitudes.

    Args:
        frame: the features.
        src_path: where they come from, for messages.
        error: the kind of error to raise.
        grid: the image's, whose CRS the message proposes.

    Raises:
        InputError: some x is beyond 360 degrees, or some y beyond 90.
    """
    if frame.crs is None or not frame.crs.is_geographic or frame.crs.axis_info[0].unit_name != "degree":
        return
    coordinates = shapely.get_coordinates(frame.geometry.to_numpy())
    impossible = (np.abs(coordinates) > np.array([LARGEST_LONGITUDE, LARGEST_LATITUDE])).any(axis=1)
    if not impossible.any():
        return
    x, y = coordinates[impossible][0]
    code = "EPSG:CODE"
    if grid is not None and grid.crs is not None and not grid.crs.is_geographic:
        code = f"EPSG:{found}" if (found := grid.crs.to_epsg()) else code
    remedy = (
        "if they are in the image's CRS, name the columns x and y; if lon and lat are swapped, swap the names"
        if is_text_table(src_path)
        else f"if they are in {code}, write that into it with: ogr2ogr -a_srs {code} assigned.gpkg {quoted(src_path)}"
    )
    raise error(
        f"{src_path} is in {frame.crs.name} (degrees), but has coordinates such as {x:.10g}, {y:.10g}, which are no "
        f"longitude and latitude; {remedy}"
    )


def on_grid_crs(frame: gpd.GeoDataFrame, grid: Grid, src_path: str | Path, *, name: str = "labels") -> gpd.GeoSeries:
    """Geometries of features in a grid's CRS.

    Args:
        frame: the features.
        grid: the grid.
        src_path: where they come from, for messages.
        name: what they are, for messages.

    Raises:
        GeoreferencingError: only one of both has a CRS, or the features cannot be reprojected.
    """
    if (frame.crs is None) != (grid.crs is None):
        lacking, having = (
            (f"the {name}", "the image's pixels") if frame.crs is None else ("the image's pixels", f"the {name}")
        )
        raise GeoreferencingError(
            f"{src_path}: {having} have a CRS but {lacking} have none; assign it first (e.g. in QGIS)"
        )
    if grid.crs is None:
        logger.warning("%s has no CRS; its coordinates are taken to be the image's", src_path)
        return frame.geometry
    own, target = CRS.from_wkt(frame.crs.to_wkt()), grid.crs.to_wkt()
    placed = Placed(str(src_path), str(src_path), own, is_vector=True)
    if frame.crs == target:
        return _on_longitudes(frame.geometry, grid)
    check_transformable(placed, Placed("the image", "IMAGE", grid.crs))
    if own == grid.crs:
        return _on_longitudes(frame.geometry, grid)
    tell_of_accuracy(placed, grid)
    own_name, grid_name = frame.crs.to_string()[:60], crs_name(grid.crs)
    try:
        dense = densified(frame.geometry, grid)
        geometries = _joined(dense, dense.to_crs(target), grid)
    except ProjError as error:
        raise GeoreferencingError(
            f"{src_path} cannot be reprojected from {own_name} to {grid_name}; check that both CRS are the right ones"
        ) from error
    logger.info("%s: reprojected from %s to %s", name, own_name, grid_name)
    return _on_longitudes(geometries, grid)


def _joined(own: gpd.GeoSeries, geometries: gpd.GeoSeries, grid: Grid) -> gpd.GeoSeries:
    """Geometries in a geographic CRS, those whole that lie across the 180th meridian.

    Their vertices come out near 180 and near -180, as if they went round the globe. Which way an edge goes is seen from
    places along it, which lie near each other.

    Args:
        own: the same geometries before they were reprojected.
        geometries: them in the grid's CRS.
        grid: the grid.
    """
    turn = grid.full_turn
    if turn is None:
        return geometries
    bounds = geometries.bounds
    torn = np.flatnonzero(bounds.maxx - bounds.minx > turn / 2)
    found = geometries.to_numpy().copy()
    for place in torn:
        left, bottom, right, top = shapely.bounds(own.iloc[place])
        dense = own.iloc[[place]].segmentize(max(right - left, top - bottom) / PLACES).to_crs(geometries.crs)
        parts = [_unwrapped(part, turn) for part in shapely.get_parts(dense.iloc[0])]
        found[place] = _together(parts)
    return gpd.GeoSeries(found, index=geometries.index, crs=geometries.crs)


def _unwrapped(part: Any, turn: float) -> Any:
    """A geometry of one part whose longitudes go on where they jumped; itself where it goes round a pole."""
    if part.geom_type not in ("Polygon", "LineString"):
        return part
    lines: list[Any] = []
    for line in (part.exterior, *part.interiors) if part.geom_type == "Polygon" else (part,):
        coords = shapely.get_coordinates(line)
        coords[:, 0] = np.unwrap(coords[:, 0], period=turn)
        if part.geom_type == "Polygon" and abs(coords[-1, 0] - coords[0, 0]) > turn / 2:
            return part
        if lines:  # a hole lies where its shell does
            coords[:, 0] += turn * round((lines[0][:, 0].mean() - coords[:, 0].mean()) / turn)
        lines.append(coords)
    return shapely.Polygon(lines[0], lines[1:]) if part.geom_type == "Polygon" else shapely.LineString(lines[0])


def _on_longitudes(geometries: gpd.GeoSeries, grid: Grid) -> gpd.GeoSeries:
    """Geometries in a grid's CRS, moved by full turns to all places at which they lie on the grid's longitudes.

    What lies on them nowhere stays where it is. Lines and polygons that only touch them from outside do not lie on
    them: one that goes round the globe would share an edge with its copy.
    """
    turn = grid.full_turn
    if turn is None:
        return geometries
    found = geometries.to_numpy().copy()
    bounds, (left, _, right, _) = shapely.bounds(found), grid.bounds
    moves = turn * np.arange(-2, 3)

    edge = EDGE_PX * grid.res[0]

    def touched(low: Any, high: Any) -> Any:
        return (low + moves < right) & (high + moves >= left)

    def lies_on(part: Any) -> Any:
        low, high = shapely.bounds(part)[[0, 2]]
        # NOTE: what has no width, as a point, shares nothing with its copies but lies on the left edge.
        return touched(low, high) if low == high else touched(low + edge, high - edge)

    is_moved = touched(bounds[:, :1], bounds[:, 2:3])[:, moves != 0].any(axis=1)
    for place in np.flatnonzero(is_moved):
        moved = [
            shapely.transform(part, lambda coords, move=move: coords + np.array([move, 0.0]))
            for part in shapely.get_parts(found[place])
            for move in moves[lies_on(part)]
        ]
        found[place] = _together(moved) if moved else found[place]
    return gpd.GeoSeries(found, index=geometries.index, crs=geometries.crs)


def _together(parts: list[Any]) -> Any:
    """One geometry of several, which are of one type."""
    if len(parts) == 1:
        return parts[0]
    kinds = {"Point": shapely.multipoints, "LineString": shapely.multilinestrings, "Polygon": shapely.multipolygons}
    return kinds.get(parts[0].geom_type, shapely.geometrycollections)(parts)
