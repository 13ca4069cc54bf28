"""Write features to a vector file, in batches where its format allows it."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import math
import sqlite3
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import geopandas as gpd
import numpy as np
import pyogrio
import pyogrio.errors
import pyogrio.raw
import shapely
from rasterio.crs import CRS
from rasterio.warp import transform

from s2fin_cli.core.errors import GeoreferencingError, InputError, OutputError, UsageError, describe_missing
from s2fin_cli.core.formats import VECTOR_OUTPUT_SUFFIXES, listed, vector_format
from s2fin_cli.core.names import vector_name, vector_output_name
from s2fin_cli.geo.accuracy import SMALL_SHIFT_PX
from s2fin_cli.geo.crs import describe_crs, is_engineering
from s2fin_cli.geo.pixels import transformed
from s2fin_cli.geo.transformation import why_not

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from s2fin_cli.core.formats import Format, VectorOutput
    from s2fin_cli.geo.grid import Grid

logger = logging.getLogger(__name__)

#: The share of a layer's width by which its bounds are widened on each side, in formats that round to them.
_MARGIN = 0.01

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


# ---- checks before anything is computed ------------------------------------------------------------------------------


def check_vector_path(dst_path: Path) -> None:
    """Refuse a file that features cannot be written to.

    Raises:
        UsageError: its suffix is not that of a known format, or the package that writes the format is not installed.
    """
    form, output = _format_of(dst_path)
    if output.package is not None and importlib.util.find_spec(output.package) is None:
        raise UsageError(
            f"{dst_path} cannot be written: {form.name} needs {output.package}; pip install {output.package}, or take "
            ".gpkg"
        )


def _format_of(dst_path: Path) -> tuple[Format, VectorOutput]:
    found = vector_format(dst_path)
    if found is None:
        raise UsageError(
            f"{dst_path} cannot be written: give features a name that ends in {listed(VECTOR_OUTPUT_SUFFIXES)}"
        )
    return found


def check_vector_crs(dst_path: Path, grid: Grid) -> None:
    """Refuse a file that features of a grid cannot be written to because its format cannot hold their CRS.

    Raises:
        GeoreferencingError: the format is in longitude and latitude, and the grid's CRS has no relation to the Earth;
            or it would store another CRS, which would misplace the features.
    """
    form, output = _format_of(dst_path)
    if grid.crs is None:
        return
    if output.is_geographic:
        reason = why_not(grid.crs, CRS.from_epsg(4326))
        if reason is not None:
            raise GeoreferencingError(
                f"{dst_path} cannot be written: {form.name} is in longitude and latitude, and nothing can be "
                f"transformed to them from {describe_crs(grid.crs)} ({reason}); give a name that ends in .gpkg"
            )
    if not output.holds_any_crs and (shift := _shift_px(dst_path, grid)) > SMALL_SHIFT_PX:
        how_far = f"{shift:.1f} pixels away" if math.isfinite(shift) else "nowhere on the Earth"
        raise GeoreferencingError(
            f"{dst_path} cannot be written: {form.name} cannot store {describe_crs(grid.crs)}, and what it would store "
            f"instead places the features {how_far}; give a name that ends in .gpkg"
        )


def _shift_px(dst_path: Path, grid: Grid) -> float:
    """How many pixels a grid's corners move in the CRS that is read back from a file; infinite if it has none."""
    left, bottom, right, top = grid.bounds
    with tempfile.TemporaryDirectory(prefix="s2fin-") as folder:
        path = Path(folder) / f"crs{dst_path.suffix.lower()}"
        file = LayerFile(path, "crs", crs=grid.crs, bounds=grid.bounds)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # GDAL's warnings are replaced by the numbers below
            file.write(np.array([shapely.box(left, bottom, right, top)], dtype=object), {"id": np.array([1])})
        found = pyogrio.read_info(path)["crs"]
    stored = None if found is None else CRS.from_user_input(found)
    if stored == grid.crs or (stored is not None and is_engineering(stored) and is_engineering(grid.crs)):
        return 0.0
    if stored is None or why_not(grid.crs, stored) is not None:
        return math.inf
    x, y = np.array([left, left, right, right]), np.array([bottom, top, bottom, top])
    new_x, new_y = transform(grid.crs, stored, x, y)
    shift = np.hypot(new_x - x, new_y - y).max() / min(grid.res)
    return float(shift) if math.isfinite(shift) else math.inf


# ---- writing ---------------------------------------------------------------------------------------------------------


class LayerFile:
    """A new vector file of one layer of polygons, written in batches where its format allows more than one.

    Attributes:
        is_new: whether nothing has been written yet.
        can_append: whether it takes more than one batch.
        holds_styles: whether QGIS keeps styles in it, see `add_style`.
    """

    def __init__(self, dst_path: Path, layer: str, *, crs: CRS | None, bounds: Sequence[float]) -> None:
        """Describe the file; nothing is written yet.

        Args:
            dst_path: the file, see `check_vector_path`; an existing one is replaced.
            layer: name of the layer, in formats that have names.
            crs: CRS of the features.
            bounds: left, bottom, right and top of all features.
        """
        self._dst_path, self._layer = dst_path, layer
        self._format, self._output = _format_of(dst_path)
        self._crs = None if crs is None else crs.to_wkt()
        self._bounds = bounds
        self.is_new = True
        self.can_append = self._output.can_append
        self.holds_styles = self._output.holds_styles

    def write(self, polygons: NDArray[np.object_], fields: dict[str, NDArray[Any]]) -> None:
        """Add features; the first call makes the file and the layer.

        Raises:
            OutputError: the file cannot be written.
        """
        with _writing(self._dst_path):
            if self.is_new:
                self._dst_path.unlink(missing_ok=True)
            if self._output.package is not None:
                _write_parquet(self._dst_path, gpd.GeoDataFrame(fields, geometry=polygons, crs=self._crs))
            else:
                self._write_by_gdal(polygons, fields)
        self.is_new = False

    def _write_by_gdal(self, polygons: NDArray[np.object_], fields: dict[str, NDArray[Any]]) -> None:
        options = _layer_options(self._format, self._output, has_crs=self._crs is not None, bounds=self._bounds)
        with _without_crs_warning(), vector_output_name(self._dst_path) as name:
            pyogrio.raw.write(
                name,
                shapely.to_wkb(polygons),
                list(fields.values()),
                list(fields),
                layer=self._layer if self._output.names_layer else None,
                driver=self._format.driver,
                geometry_type="Polygon",
                crs=self._crs,
                append=not self.is_new,
                layer_options=options if self.is_new else {},
                dataset_options=dict(self._output.dataset_options) if self.is_new else {},
            )

    def add_style(self, qml: bytes) -> None:
        """Add QGIS's style of the layer to a GeoPackage, where QGIS itself keeps it.

        Raises:
            OutputError: the file cannot be written.
        """
        _add_style(self._dst_path, self._layer, qml)


def _add_style(dst_path: Path, layer: str, qml: bytes) -> None:
    """Add QGIS's style of a layer to a GeoPackage that has no styles yet, where QGIS itself keeps them.

    Raises:
        OutputError: the file cannot be written.
    """
    row = {
        "f_table_catalog": "", "f_table_schema": "", "f_table_name": layer, "f_geometry_column": "geom",
        "styleName": layer, "styleQML": qml.decode(), "styleSLD": "", "useAsDefault": 1, "description": "",
        "owner": "",
    }  # fmt: skip
    with _writing(dst_path), contextlib.closing(sqlite3.connect(dst_path)) as database, database:
        database.execute(_STYLE_TABLE)
        database.execute(
            "INSERT INTO gpkg_contents (table_name, data_type, identifier) "
            "VALUES ('layer_styles', 'attributes', 'layer_styles')"
        )
        names, places = ", ".join(row), ", ".join("?" * len(row))
        database.execute(f"INSERT INTO layer_styles ({names}) VALUES ({places})", tuple(row.values()))  # noqa: S608


def pixel_points(
    rows: NDArray[np.int64], cols: NDArray[np.int64], grid: Grid, fields: dict[str, Any]
) -> gpd.GeoDataFrame:
    """Points in the middle of pixels of a grid, in its CRS.

    Args:
        rows: rows of the pixels (n,).
        cols: their columns (n,).
        grid: the grid.
        fields: the values (n,) of each field.
    """
    middles = shapely.points(*transformed(grid.transform, cols + 0.5, rows + 0.5))
    return gpd.GeoDataFrame(fields, geometry=middles, crs=None if grid.crs is None else grid.crs.to_wkt())


def write_features(dst_path: Path, frame: gpd.GeoDataFrame, *, layer: str, style: bytes | None = None) -> None:
    """Write features to a new vector file.

    Args:
        dst_path: the file, see `check_vector_path`; an existing one is replaced.
        frame: the features, in their CRS if they have one.
        layer: the layer's name, in formats that have names.
        style: QGIS's style of the layer, for formats in which QGIS keeps it.

    Raises:
        OutputError: the file cannot be written.
    """
    form, output = _format_of(dst_path)
    with _writing(dst_path), _without_crs_warning():
        dst_path.unlink(missing_ok=True)
        if output.package is not None:
            _write_parquet(dst_path, frame)
            return
        bounds = frame.total_bounds.tolist()
        with vector_output_name(dst_path) as name:
            frame.to_file(
                name,
                driver=form.driver,
                layer=layer if output.names_layer else None,
                layer_options=_layer_options(form, output, has_crs=frame.crs is not None, bounds=bounds),
                dataset_options=dict(output.dataset_options),
            )
    if style is not None and output.holds_styles:
        _add_style(dst_path, layer, style)


def read_written(src_path: Path, *, layer: str) -> gpd.GeoDataFrame:
    """Features of a file that was written, as it has them.

    Args:
        src_path: the file.
        layer: the layer's name, in formats that have names.

    Raises:
        InputError: it is not there any more.
    """
    if not src_path.exists():
        raise InputError(describe_missing(src_path))
    _, output = _format_of(src_path)
    if output.package is not None:
        return gpd.read_parquet(src_path)
    with vector_name(src_path) as name:
        return gpd.read_file(name, **({"layer": layer} if output.holds_styles else {}))


def _write_parquet(dst_path: Path, frame: gpd.GeoDataFrame) -> None:
    with dst_path.open("wb") as file:  # as pyarrow takes some names for those of a protocol
        frame.to_parquet(file)


def _layer_options(form: Format, output: VectorOutput, *, has_crs: bool, bounds: Sequence[float]) -> dict[str, str]:
    """GDAL's options of a new layer."""
    if output.is_geographic and not has_crs:
        logger.warning(
            "%s is read as longitude and latitude, which a map without CRS cannot give; take .gpkg", form.name
        )
    options = {**output.layer_options, **(output.options_with_crs if has_crs else output.options_without_crs)}
    if output.is_bounded and all(map(math.isfinite, bounds)):
        left, bottom, right, top = bounds
        margin = max(_MARGIN * max(right - left, top - bottom), _MARGIN)
        options["BOUNDS"] = f"{left - margin},{bottom - margin},{right + margin},{top + margin}"
    return options


@contextlib.contextmanager
def _without_crs_warning() -> Iterator[None]:
    """Silence the warning that a layer has no CRS, which a map without a CRS intends."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "'crs' was not provided", UserWarning)
        yield


@contextlib.contextmanager
def _writing(dst_path: Path) -> Iterator[None]:
    try:
        yield
    except _WRITE_ERRORS as error:
        raise OutputError(f"cannot write features to {dst_path}: {error}") from error
