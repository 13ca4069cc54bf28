"""Features of a vector file, in the CRS of a grid: labels and areas of interest."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import geopandas as gpd
import pyogrio
from pyproj.exceptions import ProjError

from s2fin_cli.errors import GeoreferencingError
from s2fin_cli.geo.classfield import strip_texts
from s2fin_cli.geo.grid import crs_name
from s2fin_cli.geo.rasters import is_dataset_name

if TYPE_CHECKING:
    from s2fin_cli.errors import InputError
    from s2fin_cli.geo.grid import Grid

logger = logging.getLogger(__name__)

POLYGON_TYPES = {"Polygon", "MultiPolygon"}


def read_features(src_path: str | Path, *, error: type[InputError], wanted: str = "a vector file") -> gpd.GeoDataFrame:
    """Features with a geometry, texts without blanks at their ends.

    Args:
        src_path: a vector file with one layer, or a name of a layer that GDAL knows.
        error: the kind of error to raise.
        wanted: what it may be, for messages.

    Raises:
        InputError: there is nothing to be read, or there are several layers.
    """
    if not is_dataset_name(src_path) and not Path(src_path).exists():
        raise error(f"{src_path} does not exist (looked in {Path(src_path).absolute().parent}); check the path")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what matters of a file's oddities is checked below
            layers = [name for name, geometry_type in pyogrio.list_layers(src_path) if geometry_type is not None]
            # NOTE: GDAL lists all layers of "GPKG:x.gpkg:layer" too.
            layers = [name for name in layers if str(src_path).endswith(f":{name}")][:1] or layers
            frame = gpd.read_file(src_path, layer=layers[0] if layers else None)
    except Exception as cause:
        reason = str(cause).split("; It might help")[0].rstrip(".")  # which is of no help on a command line
        raise error(f"{src_path} is not {wanted} that GDAL can read ({reason}); check the name and format") from cause
    if len(layers) > 1:
        is_geopackage = str(src_path).lower().endswith(".gpkg")
        how = f"give it as GPKG:{src_path}:LAYER" if is_geopackage else "export it to a file of its own"
        raise error(f"{src_path} holds several layers ({', '.join(layers)}); choose one, and {how}")
    if not isinstance(frame, gpd.GeoDataFrame):
        raise error(f"{src_path} holds a table without geometries; give a layer of polygons or points")
    usable = ~(frame.geometry.isna() | frame.geometry.is_empty)
    if not usable.all():
        logger.warning("%s: %d features without a geometry are left out", src_path, (~usable).sum())
    frame = frame[usable].reset_index(drop=True)
    if frame.empty:
        raise error(f"{src_path} holds no features; draw some polygons or points first")
    if frame.crs is not None and frame.crs.name.startswith("Undefined"):  # a GeoPackage's word for none
        frame = frame.set_crs(None, allow_override=True)
    return strip_texts(frame)


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
    target = grid.crs.to_wkt()
    if frame.crs == target:
        return frame.geometry
    own_name, grid_name = frame.crs.to_string()[:60], crs_name(grid.crs)
    try:
        geometries = frame.geometry.to_crs(target)
    except ProjError as error:
        raise GeoreferencingError(
            f"{src_path} cannot be reprojected from {own_name} to {grid_name}; check that both CRS are the right ones"
        ) from error
    logger.info("%s: reprojected from %s to %s", name, own_name, grid_name)
    return geometries
