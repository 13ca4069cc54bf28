"""Write a class map's polygons to a vector file, strip by strip where the format allows it."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import sqlite3
import warnings
from typing import TYPE_CHECKING, Any

import geopandas as gpd
import numpy as np
import pyogrio
import pyogrio.errors
import pyogrio.raw
import shapely
from rasterio.crs import CRS

from s2fin_cli.core.errors import GeoreferencingError, InputError, OutputError, UsageError
from s2fin_cli.core.names import vector_output_name
from s2fin_cli.geo.transformation import describe_crs, why_not
from s2fin_cli.raster.styles import polygon_style
from s2fin_cli.vector.coverage import Regions, polygonize

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from s2fin_cli.core.classes import LandCoverClass
    from s2fin_cli.geo.grid import Grid
    from s2fin_cli.raster.classmap import Strip

    #: Polygons in the grid's CRS, and fields by name.
    Features = tuple[NDArray[np.object_], dict[str, NDArray[Any]]]

logger = logging.getLogger(__name__)

#: Name of the layer that holds the polygons.
LAYER = "landcover"

#: GDAL's drivers by the suffix of the file; GeoParquet is written by geopandas, as few builds of GDAL have it.
DRIVERS = {
    ".gpkg": "GPKG", ".shp": "ESRI Shapefile", ".fgb": "FlatGeobuf", ".geojson": "GeoJSON", ".parquet": "Parquet",
}  # fmt: skip
#: Those that can be added to, so that polygons need not be held in memory.
_APPENDABLE = ("GPKG", "ESRI Shapefile")

#: The GeoPackage standard's number for a Cartesian reference system that is not known.
_UNDEFINED_CARTESIAN = "-1"

_WRITE_ERRORS = (
    OSError,
    sqlite3.Error,
    pyogrio.errors.DataSourceError,
    pyogrio.errors.DataLayerError,
    pyogrio.errors.FeatureError,
    pyogrio.errors.FieldError,
    pyogrio.errors.GeometryError,
)

#: The table in which QGIS keeps the styles of a GeoPackage's layers.
_STYLE_TABLE = """
CREATE TABLE layer_styles (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, f_table_catalog TEXT(256), f_table_schema TEXT(256),
    f_table_name TEXT(256), f_geometry_column TEXT(256), styleName TEXT(30), styleQML TEXT, styleSLD TEXT,
    useAsDefault BOOLEAN, description TEXT, owner TEXT(30), ui TEXT(30),
    update_time DATETIME DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
)
"""


def check_vector_path(dst_path: Path) -> None:
    """Refuse a file that features cannot be written to.

    Raises:
        UsageError: its suffix is that of no known format, or what writes the format is not installed.
    """
    if dst_path.suffix.lower() not in DRIVERS:
        raise UsageError(f"{dst_path} cannot be written: give features a name that ends in {', '.join(DRIVERS)}")
    if _driver_of(dst_path) == "Parquet" and importlib.util.find_spec("pyarrow") is None:
        raise UsageError(f"{dst_path} cannot be written: GeoParquet needs pyarrow; pip install pyarrow, or take .gpkg")


def check_vector_crs(dst_path: Path, grid: Grid) -> None:
    """Refuse a file that features of a grid cannot be written to, as they have no longitudes and latitudes.

    Raises:
        GeoreferencingError: the file is GeoJSON, and the grid's CRS has no relation to the Earth.
    """
    if grid.crs is None or _driver_of(dst_path) != "GeoJSON":
        return
    reason = why_not(grid.crs, CRS.from_epsg(4326))
    if reason is not None:
        raise GeoreferencingError(
            f"{dst_path} cannot be written: GeoJSON is in longitude and latitude, and nothing can be transformed to "
            f"them from {describe_crs(grid.crs)} ({reason}); give a name that ends in .gpkg"
        )


def _driver_of(dst_path: Path) -> str:
    return DRIVERS[dst_path.suffix.lower()]


def write_polygons(
    dst_path: Path,
    strips: Iterable[Strip],
    *,
    grid: Grid,
    classes: Sequence[LandCoverClass],
    nodata: int,
    simplify: float | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> int:
    """Write the polygons of a class map's regions to a new vector file, while the map is being read.

    The layer has one polygon for each 4-connected area of one class, in the order in which they end on the map, which
    does not depend on the strips' heights; and the fields class_id (integer), class_name (text), area_m2 and perim_m
    (real, as `Grid.measure` has them) and, where the strips have a confidence, confidence and conf_min (real, mean and
    least of the pixels). A map without any valid pixel gives an empty layer with the same fields. A GeoPackage also
    holds QGIS's style of the layer. GeoJSON is in longitude and latitude, as its standard wants it.

    Polygons of a GeoPackage or Shapefile are written as they end on the map; those of other formats, and simplified
    ones, are held in memory first.

    Args:
        dst_path: the file, see `check_vector_path`; one that is there is replaced. Nothing is removed on failure: write
            to a temporary name.
        strips: the map from top to bottom, as `polygonize` takes it; together of the grid's shape.
        grid: where the map lies. Without a CRS a GeoPackage's reference system is "undefined Cartesian".
        classes: those that occur, and maybe more.
        nodata: the class id that is no class.
        simplify: how far borders may move, about, in CRS units; neighbours stay joined, and the map's outer border
            stays where it is. None keeps the pixels' borders.
        on_progress: called with the number of rows of each strip that has been dealt with.

    Returns:
        The number of polygons.

    Raises:
        ValueError: the strips are not of the grid's shape.
        InputError: a class of the map has no name.
        OutputError: the file cannot be written.
    """
    names = {c.id: c.name for c in classes}
    batches: Iterator[Features] = (
        _features(regions, grid, names) for regions in polygonize(_watched(strips, grid, on_progress), nodata=nodata)
    )
    if simplify is not None or _driver_of(dst_path) not in _APPENDABLE:
        batches = iter([_all_together(batches, grid, simplify)])
    file = _LayerFile(dst_path, grid)
    count = 0
    for polygons, fields in batches:
        if len(polygons) or file.is_new:
            file.write(polygons, fields)
        count += len(polygons)
    if _driver_of(dst_path) == "GPKG":
        file.add_style(polygon_style(classes, "class_id"))
    return count


def _all_together(batches: Iterable[Features], grid: Grid, simplify: float | None) -> Features:
    """Batches joined, and simplified as one coverage."""
    parts = list(batches)
    polygons = np.concatenate([part for part, _ in parts])
    fields = {name: np.concatenate([values[name] for _, values in parts]) for name in parts[0][1]}
    if simplify is not None and len(polygons):
        polygons = shapely.coverage_simplify(polygons, simplify, simplify_boundary=False)
        fields["area_m2"], fields["perim_m"] = grid.measure(polygons)
    return polygons, fields


def _watched(strips: Iterable[Strip], grid: Grid, on_progress: Callable[[int], None] | None) -> Iterator[Strip]:
    """The same strips; checks their shapes against the grid and reports each one that has been dealt with."""
    rows = 0
    for classes, confidence in strips:
        rows += len(classes)
        if classes.shape[1] != grid.width or rows > grid.height:
            raise ValueError(f"strip of shape {classes.shape} up to row {rows} in a grid of shape {grid.shape}")
        yield classes, confidence
        if on_progress is not None:
            on_progress(len(classes))
    if rows != grid.height:
        raise ValueError(f"the strips end after {rows} of {grid.height} rows")


def _features(regions: Regions, grid: Grid, class_names: dict[int, str]) -> Features:
    """Features of n regions."""
    ids = np.unique(regions.class_id).tolist()
    unnamed = [class_id for class_id in ids if class_id not in class_names]
    if unnamed:
        raise InputError(
            f"the class map holds class {', '.join(map(str, unnamed))}, but there are names only for "
            f"{', '.join(map(str, sorted(class_names))) or 'no class'}; give every class of the map a name"
        )
    polygons = _to_crs(regions.polygons, grid)
    areas, perimeters = grid.measure(polygons)
    fields: dict[str, NDArray[Any]] = {
        "class_id": regions.class_id.astype(np.int32),
        "class_name": np.array([class_names[class_id] for class_id in regions.class_id.tolist()], dtype=object),
        "area_m2": areas,
        "perim_m": perimeters,
    }
    if regions.confidence_mean is not None and regions.confidence_min is not None:
        fields |= {"confidence": regions.confidence_mean, "conf_min": regions.confidence_min}
    return polygons, fields


def _to_crs(polygons: NDArray[np.object_], grid: Grid) -> NDArray[np.object_]:
    """Polygons in pixel coordinates, moved to the grid's CRS.

    A lattice point's coordinates come from the same operations wherever it occurs, so neighbours still share their
    vertices to the last bit.
    """
    a, b, c, d, e, f = grid.transform[:6]

    def place(coords: NDArray[np.float64]) -> NDArray[np.float64]:
        x, y = coords.T
        return np.column_stack([a * x + b * y + c, d * x + e * y + f])

    return np.asarray(shapely.transform(polygons, place), dtype=object)


def write_features(dst_path: Path, frame: gpd.GeoDataFrame, *, layer: str) -> None:
    """Write features to a new vector file.

    Args:
        dst_path: the file, see `check_vector_path`; one that is there is replaced.
        frame: the features, in their CRS if they have one.
        layer: the layer's name, in formats that have names.

    Raises:
        OutputError: the file cannot be written.
    """
    driver = _driver_of(dst_path)
    with _writing(dst_path), _without_crs_warning():
        dst_path.unlink(missing_ok=True)
        if driver == "Parquet":
            _write_parquet(dst_path, frame)
            return
        with vector_output_name(dst_path) as name:
            frame.to_file(
                name,
                driver=driver,
                layer=_layer_name(driver, layer),
                layer_options=_layer_options(driver, has_crs=frame.crs is not None),
                dataset_options=_dataset_options(driver),
            )


def _write_parquet(dst_path: Path, frame: gpd.GeoDataFrame) -> None:
    with dst_path.open("wb") as file:  # as pyarrow takes some names for those of a protocol
        frame.to_parquet(file)


def _layer_name(driver: str, layer: str) -> str | None:
    return None if driver == "ESRI Shapefile" else layer  # a Shapefile's layer is named as the file


def _layer_options(driver: str, *, has_crs: bool) -> dict[str, str]:
    if driver == "GeoJSON" and not has_crs:
        logger.warning("GeoJSON is read as longitude and latitude, which a map without CRS cannot give; take .gpkg")
    if driver == "GPKG" and not has_crs:
        return {"SRID": _UNDEFINED_CARTESIAN}
    if driver == "GeoJSON" and has_crs:
        return {"RFC7946": "YES"}
    return {"ENCODING": "UTF-8"} if driver == "ESRI Shapefile" else {}


def _dataset_options(driver: str) -> dict[str, str] | None:
    # GDAL 3.6, which Debian's QGIS 3.22 has, warns of newer ones
    return {"VERSION": "1.3"} if driver == "GPKG" else None


@contextlib.contextmanager
def _without_crs_warning() -> Iterator[None]:
    """A map without CRS is a case of its own here, not an oversight."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "'crs' was not provided", UserWarning)
        yield


@contextlib.contextmanager
def _writing(dst_path: Path) -> Iterator[None]:
    try:
        yield
    except _WRITE_ERRORS as error:
        raise OutputError(f"cannot write features to {dst_path}: {error}") from error


class _LayerFile:
    """A file with one layer of polygons that is written in batches, where its format allows more than one."""

    def __init__(self, dst_path: Path, grid: Grid) -> None:
        self._dst_path, self._driver = dst_path, _driver_of(dst_path)
        self._crs = None if grid.crs is None else grid.crs.to_wkt()
        self.is_new = True

    def write(self, polygons: NDArray[np.object_], fields: dict[str, NDArray[Any]]) -> None:
        """Add features; the first call makes the file and the layer."""
        with _writing(self._dst_path):
            if self.is_new:
                self._dst_path.unlink(missing_ok=True)
            if self._driver == "Parquet":
                _write_parquet(self._dst_path, gpd.GeoDataFrame(fields, geometry=polygons, crs=self._crs))
            else:
                self._write_by_gdal(polygons, fields)
        self.is_new = False

    def _write_by_gdal(self, polygons: NDArray[np.object_], fields: dict[str, NDArray[Any]]) -> None:
        with _without_crs_warning(), vector_output_name(self._dst_path) as name:
            pyogrio.raw.write(
                name,
                shapely.to_wkb(polygons),
                list(fields.values()),
                list(fields),
                layer=_layer_name(self._driver, LAYER),
                driver=self._driver,
                geometry_type="Polygon",
                crs=self._crs,
                append=not self.is_new,
                layer_options=_layer_options(self._driver, has_crs=self._crs is not None) if self.is_new else {},
                dataset_options=_dataset_options(self._driver) if self.is_new else None,
            )

    def add_style(self, qml: bytes) -> None:
        """Add QGIS's style of the layer to a GeoPackage, where QGIS itself keeps it."""
        row = {
            "f_table_catalog": "", "f_table_schema": "", "f_table_name": LAYER, "f_geometry_column": "geom",
            "styleName": LAYER, "styleQML": qml.decode(), "styleSLD": "", "useAsDefault": 1, "description": "",
            "owner": "",
        }  # fmt: skip
        with _writing(self._dst_path), contextlib.closing(sqlite3.connect(self._dst_path)) as database, database:
            database.execute(_STYLE_TABLE)
            database.execute(
                "INSERT INTO gpkg_contents (table_name, data_type, identifier) "
                "VALUES ('layer_styles', 'attributes', 'layer_styles')"
            )
            names, places = ", ".join(row), ", ".join("?" * len(row))
            database.execute(f"INSERT INTO layer_styles ({names}) VALUES ({places})", tuple(row.values()))  # noqa: S608
