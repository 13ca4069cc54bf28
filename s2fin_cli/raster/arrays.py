"""Arrays of xarray as rasters: their bands, and how they are written without loading them whole."""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
import math
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.windows import Window

from s2fin_cli.core.errors import MALFORMED, RasterError, reason
from s2fin_cli.core.figures import number_of
from s2fin_cli.raster.array_grid import grid_of
from s2fin_cli.raster.class_names import CLASSES_TAG
from s2fin_cli.raster.creation import RasterFormat
from s2fin_cli.raster.write import Encoding, as_os_error, create_raster

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from xarray import DataArray

    from s2fin_cli.geo.grid import Grid

logger = logging.getLogger(__name__)

#: Bytes of values that are held at a time, if the array is not made of larger chunks.
BLOCK_BYTES = 64 << 20
#: Names of dimensions that run along rows and columns, besides those that rioxarray knows.
_X, _Y = ("x", "lon", "long", "easting", "col", "column"), ("y", "lat", "northing", "row")
#: Data types without a raster's, and what their values become.
_STORED = {"bool": "uint8", "float16": "float32", "float128": "float64"}
#: Names of coordinates that are wavelengths.
_WAVELENGTHS = ("wave", "lambda")
#: Attributes that declare the value for no data, scales and offsets; the first one that there is counts.
_NODATA = ("_FillValue", "missing_value", "nodata")
_SCALES, _OFFSETS = ("scales", "scale_factor"), ("offsets", "add_offset")
#: Nothing is gained by compressing or by overviews.
_FORMAT = RasterFormat(options={"compress": "none", "predictor": "1", "bigtiff": "if_safer"}, overviews=False)


@dataclass(frozen=True)
class Bands:
    """An array as the bands of a raster.

    Attributes:
        array: with the dimensions band, row and column.
        grid: where its pixels are.
        encoding: data type and nodata value.
    """

    array: DataArray
    grid: Grid
    encoding: Encoding

    @classmethod
    def of(cls, array: DataArray, name: str) -> Bands:
        """Bands of an array that has rows, columns and at most one further dimension of more than one step.

        Args:
            array: with the accessor `rio` of rioxarray, which must be imported.
            name: the array's, for messages.

        Raises:
            RasterError: it has other dimensions, no values, or values that no raster has.
            GeoreferencingError: its coordinates are not evenly spaced, or its CRS cannot be understood.
        """
        y_dim, x_dim = _spatial_dims(array, name)
        others = [dim for dim in array.dims if dim not in (y_dim, x_dim)]
        long = [dim for dim in others if array.sizes[dim] != 1]
        if len(long) > 1:
            found = ", ".join(f"{dim} ({array.sizes[dim]})" for dim in array.dims)
            raise RasterError(
                f"{name} has the dimensions {found}, and an image has rows, columns and bands; choose one step of the "
                f'others, e.g. array.isel({long[0]}=0), or stack them: array.stack(band=("{long[0]}", "{long[1]}"))'
            )
        band = (long or others or [None])[0]
        array = array.isel({dim: 0 for dim in others if dim != band})
        array = array.expand_dims("band") if band is None else array
        array = array.transpose("band" if band is None else band, y_dim, x_dim)
        if 0 in array.shape:
            raise RasterError(f"{name} has no values: its shape is {array.shape}; choose a part that has some")
        dtype = _stored_dtype(array, name)
        return cls(array, grid_of(array, name), Encoding(dtype, _nodata(array, dtype, name)))

    def blocks(self) -> Iterator[tuple[slice, Window]]:
        """Bands and windows that cover the array: chunks where it has some, else strips of full width."""
        if self.array.chunks is not None:
            bands, rows, cols = (_ranges(lengths) for lengths in self.array.chunks)
        else:
            count, height, width = self.array.shape
            strip = max(BLOCK_BYTES // (count * width * self.array.dtype.itemsize), 1)
            starts = range(0, height, strip)
            bands, cols = [(0, count)], [(0, width)]
            rows = [(start, min(start + strip, height)) for start in starts]
        for (row, row_end), (col, col_end), (first, last) in itertools.product(rows, cols, bands):
            yield slice(first, last), Window(col, row, col_end - col, row_end - row)


def write_array(dst_path: Path, array: DataArray, *, name: str, on_block: Callable[[], None]) -> None:
    """Write an array as a raster, block by block.

    Values are written as they are, with the nodata value, scale and offset that the attributes declare.

    Args:
        dst_path: a GeoTIFF.
        array: see `Bands`.
        name: the array's, for messages.
        on_block: called before each block.

    Raises:
        RasterError, GeoreferencingError: as `Bands.of`; or its values cannot be computed.
        OSError: it cannot be written.
    """
    found = Bands.of(array, name)
    count = found.array.shape[0]
    scaling = _scaling(found.array, name)
    with create_raster(
        dst_path, found.grid, _FORMAT, count=count, encoding=found.encoding, overviews=Resampling.nearest
    ) as dst:
        with as_os_error():
            dst.scales, dst.offsets = scaling
            _declare(dst, found.array, count)
        for bands, window in found.blocks():
            on_block()
            values = _computed(found, bands, window, name)
            with as_os_error():
                dst.write(values, indexes=list(range(bands.start + 1, bands.stop + 1)), window=window)


def _computed(found: Bands, bands: slice, window: Window, name: str) -> NDArray[Any]:
    rows, cols = window.toslices()
    try:
        values = found.array[bands, rows, cols].values
    except Exception as error:  # a lazy array may read files of any kind
        raise RasterError(f"{name} cannot be computed ({reason(error)}); try array.compute()") from error
    return np.asarray(values).astype(found.encoding.dtype, copy=False)


def _ranges(lengths: Sequence[int]) -> list[tuple[int, int]]:
    """Start and end of each of some chunks."""
    ends = list(itertools.accumulate(lengths))
    return list(zip([0, *ends[:-1]], ends, strict=True))


def _spatial_dims(array: DataArray, name: str) -> tuple[Hashable, Hashable]:
    """The dimensions of rows and of columns."""
    from rioxarray.exceptions import MissingSpatialDimensionError  # noqa: PLC0415  an extra

    try:
        return array.rio.y_dim, array.rio.x_dim
    except MissingSpatialDimensionError:
        rows = [dim for dim in array.dims if str(dim).lower() in _Y]
        cols = [dim for dim in array.dims if str(dim).lower() in _X]
    if len(rows) != 1 or len(cols) != 1:
        found = ", ".join(map(str, array.dims)) or "none"
        raise RasterError(
            f"{name} has the dimensions {found}, and which of them are rows and columns is unknown; name them y and x: "
            'array.rename({"ROWS": "y", "COLUMNS": "x"})'
        ) from None
    return rows[0], cols[0]


def _stored_dtype(array: DataArray, name: str) -> str:
    if array.dtype.kind == "c":
        raise RasterError(f"{name} holds complex values; convert them to amplitude or intensity first: abs(array)")
    if array.dtype.kind not in "buif":
        raise RasterError(
            f'{name} holds values of {array.dtype}, and an image holds numbers; try array.astype("float32")'
        )
    return _STORED.get(array.dtype.name, array.dtype.name)


def _nodata(array: DataArray, dtype: str, name: str) -> float | None:
    """The declared nodata value; None where there is none, or where no value can be equal to it."""
    declared = _numbers(array, _NODATA, name)
    if len(set(declared)) > 1:
        found = ", ".join(f"{value:g}" for value in declared)
        raise RasterError(
            f"{name} has the nodata values {found}, and an array can have one; open the file with masked=True"
        )
    is_float, encoded = np.dtype(dtype).kind == "f", array.rio.encoded_nodata
    if not declared and encoded is not None:  # decoded values are NaN there, and whole numbers cannot be decoded
        declared = [math.nan if is_float else float(encoded)]
    if not declared or is_float:
        return declared[0] if declared else None
    value, limits = declared[0], np.iinfo(dtype)
    return value if value == value // 1 and limits.min <= value <= limits.max else None


# ---- what an array says of its bands ---------------------------------------------------------------------------------


def _declare(dst: Any, array: DataArray, count: int) -> None:
    """Let a raster declare what an array's attributes and coordinates say of its bands."""
    attrs, dim = array.attrs, array.dims[0]
    for index, text in enumerate(_texts(_names(array), count), start=1):
        dst.set_band_description(index, text)
    units = attrs.get("units", ())
    dst.units = ([units] * count if isinstance(units, str) else _texts(units, count)) or dst.units
    for key, coord in array.coords.items():
        if coord.dims == (dim,) and any(word in str(key).lower() for word in _WAVELENGTHS):
            unit = coord.attrs.get("units", attrs.get("wavelength_units", ""))
            for index, place in enumerate(np.asarray(coord.values).tolist(), start=1):
                dst.update_tags(index, wavelength=str(place), wavelength_units=str(unit))
    if names := class_names_of(attrs):
        dst.update_tags(**{CLASSES_TAG: json.dumps(names, ensure_ascii=False)})


def _names(array: DataArray) -> Any:
    """Names of the bands: `long_name`, as rioxarray has it, or a coordinate of texts."""
    dim = array.dims[0]
    if dim in array.coords and array.coords[dim].dtype.kind in "UTO":
        return array.coords[dim].values.tolist()
    return array.attrs.get("long_name", ())


def _texts(given: Any, count: int) -> list[str]:
    """A text for each band; none where there are not as many."""
    texts = [given] if isinstance(given, str) else [str(text or "") for text in np.ravel(given).tolist()]
    return texts if len(texts) == count else []


def _scaling(array: DataArray, name: str) -> tuple[list[float], list[float]]:
    """Scale and offset of each band."""
    count = array.shape[0]
    found = []
    for keys, default in ((_SCALES, 1.0), (_OFFSETS, 0.0)):
        numbers = _numbers(array, keys, name) or [default]
        if len(numbers) not in (1, count):
            raise RasterError(
                f"{name} has {number_of(count, 'band')} and {len(numbers)} {keys[0]}; give one for each band: "
                f'array.attrs["{keys[0]}"] = [...]'
            )
        found.append(numbers if len(numbers) == count else numbers * count)
    if array.dtype.kind == "f" and found != [[1.0] * count, [0.0] * count]:
        declared = [key for key in (*_SCALES, *_OFFSETS) if key in array.attrs]
        logger.warning(
            "%s has floating-point values, which are scaled as its attribute %s says; if they are scaled already, "
            'delete it: del array.attrs["%s"]', name, declared[0], declared[0],
        )  # fmt: skip
    return found[0], found[1]


def _numbers(array: DataArray, keys: Sequence[str], name: str) -> list[float]:
    """The numbers in the first attribute of some that there is; empty where there is none."""
    key = next((key for key in keys if array.attrs.get(key) is not None), None)
    if key is None:
        return []
    try:
        return [float(number) for number in np.ravel(array.attrs[key])]
    except (TypeError, ValueError):
        raise RasterError(
            f"{name} has an attribute {key} that is no number, {array.attrs[key]!r:.50}; correct it, or delete it: "
            f'del array.attrs["{key}"]'
        ) from None


def class_names_of(attrs: Mapping[Any, Any]) -> dict[int, str]:
    """Names by class id from attributes; empty for none.

    They are those of `class_attributes` and the CF conventions, or those of a map of s2fin that rioxarray opened.
    """
    with contextlib.suppress(*MALFORMED):
        return {int(i): str(name) for i, name in json.loads(attrs[CLASSES_TAG]).items()}
    meanings = attrs.get("flag_meanings", "")
    names = attrs.get("class_names", meanings.split() if isinstance(meanings, str) else meanings)
    try:
        ids = [int(i) for i in np.ravel(attrs.get("flag_values", ()))]
    except (TypeError, ValueError):
        return {}
    texts = [str(name) for name in np.ravel(names)]
    return dict(zip(ids, texts, strict=True)) if len(ids) == len(texts) else {}
