"""Arrays of xarray as rasters: what georeferences them, and how they are written without loading them whole."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.errors import CRSError
from rasterio.windows import Window

from s2fin_cli.core.errors import GeoreferencingError, RasterError, reason
from s2fin_cli.geo.grid import GRID_TOLERANCE_PX, Grid
from s2fin_cli.raster.class_names import CLASSES_TAG
from s2fin_cli.raster.creation import RasterFormat
from s2fin_cli.raster.write import Encoding, as_os_error, create_raster

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from xarray import DataArray

#: Bytes of values that are held at a time, if the array is not made of larger chunks.
BLOCK_BYTES = 64 << 20
#: Names of dimensions that run along rows and columns, besides those that rioxarray knows.
_X, _Y = ("x", "lon", "long", "easting", "col", "column"), ("y", "lat", "northing", "row")
#: Coordinates may be off their even spacing by this share of it, as 32-bit numbers are.
_UNEVEN = 0.1
#: Data types without a raster's, and what their values become.
_STORED = {"bool": "uint8", "float16": "float32"}
#: Names of coordinates that are wavelengths.
_WAVELENGTHS = ("wave", "lambda")
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
        return cls(array, _grid(array, name), Encoding(dtype, _nodata(array, dtype)))

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
    with create_raster(
        dst_path, found.grid, _FORMAT, count=count, encoding=found.encoding, overviews=Resampling.nearest
    ) as dst:
        with as_os_error():
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


def _nodata(array: DataArray, dtype: str) -> float | None:
    """The declared nodata value; None where there is none, or where no value can be equal to it."""
    declared = next((array.attrs[key] for key in ("_FillValue", "missing_value", "nodata") if key in array.attrs), None)
    if declared is None:  # decoded values are NaN there
        return math.nan if array.rio.encoded_nodata is not None else None
    value = float(np.ravel(declared)[0])
    if np.dtype(dtype).kind == "f":
        return value
    limits = np.iinfo(dtype)
    return value if value == value // 1 and limits.min <= value <= limits.max else None


# ---- georeferencing --------------------------------------------------------------------------------------------------


def _grid(array: DataArray, name: str) -> Grid:
    """The grid of an array whose last dimensions are rows and columns."""
    try:
        crs = None if array.rio.crs is None else CRS.from_user_input(array.rio.crs)
    except (CRSError, ValueError) as error:
        raise GeoreferencingError(
            f"{name} has a CRS that PROJ cannot read ({reason(error)}); assign the right one: "
            'array.rio.write_crs("EPSG:CODE")'
        ) from error
    transform = _transform(array, name)
    if transform is None and crs is not None:
        raise GeoreferencingError(
            f"{name} has a CRS, but neither coordinates nor a transform; give it one: "
            "array.rio.write_transform(Affine(WIDTH, 0, LEFT, 0, -HEIGHT, TOP))"
        )
    height, width = array.shape[-2:]
    return Grid(crs, Affine.identity() if transform is None else transform, (height, width))


def _transform(array: DataArray, name: str) -> Affine | None:
    """The transform that the coordinates give, which are right where a part was cut out; else the declared one.

    A declared transform that agrees with them is kept, as it is exact.
    """
    declared = _declared_transform(array)
    axes = [_axis(array, dim, name) for dim in array.dims[:-3:-1]]  # columns, rows
    if declared is not None and (declared.b != 0 or declared.d != 0):
        return declared
    known = (None, None) if declared is None else ((declared.c, declared.a), (declared.f, declared.e))
    lines = [
        _line(axis, own, array.shape[-1 - number]) for number, (axis, own) in enumerate(zip(axes, known, strict=True))
    ]
    if lines[0] is None or lines[1] is None:
        return declared
    (left, width), (top, height) = lines[0], lines[1]
    return Affine(width, 0, left, 0, height, top)


def _declared_transform(array: DataArray) -> Affine | None:
    """The transform in the attributes, as GDAL or rasterio write it."""
    stored = array.coords[array.rio.grid_mapping].attrs if array.rio.grid_mapping in array.coords else {}
    if "GeoTransform" in stored:
        return Affine.from_gdal(*map(float, str(stored["GeoTransform"]).split()))
    return Affine(*array.attrs["transform"][:6]) if "transform" in array.attrs else None


def _axis(array: DataArray, dim: Hashable, name: str) -> NDArray[np.float64] | None:
    """The coordinates of pixels' middles along a dimension; None where it has none."""
    if dim not in array.coords:
        return None
    axis = array.coords[dim].values
    if axis.dtype.kind not in "iuf":
        raise GeoreferencingError(f"{name} has coordinates along {dim} that are no numbers; give those of its pixels")
    axis = np.asarray(axis, dtype=np.float64)
    steps = np.diff(axis)
    usual = (axis[-1] - axis[0]) / max(len(steps), 1)
    if len(steps) and not (usual != 0 and (np.abs(steps - usual) <= _UNEVEN * abs(usual)).all()):
        raise GeoreferencingError(
            f"{name} has coordinates along {dim} that are not evenly spaced, from {axis[0]:.10g} to {axis[-1]:.10g}; "
            "resample it to a regular grid first, e.g. array.rio.reproject(array.rio.crs)"
        )
    return axis


def _line(
    axis: NDArray[np.float64] | None, declared: tuple[float, float] | None, size: int
) -> tuple[float, float] | None:
    """Where pixels begin along a dimension, and their size; None where neither is known."""
    if axis is None or (size == 1 and declared is None):
        return declared
    step = declared[1] if size == 1 and declared is not None else (axis[-1] - axis[0]) / (size - 1)
    found = axis[0] - step / 2
    if declared is not None:
        ends = declared[0] - found, declared[0] + size * declared[1] - (found + size * step)
        if max(map(abs, ends)) <= GRID_TOLERANCE_PX * abs(step):
            return declared
    return float(found), float(step)


# ---- what an array says of its bands ---------------------------------------------------------------------------------


def _declare(dst: Any, array: DataArray, count: int) -> None:
    """Let a raster declare what an array's attributes and coordinates say of its bands."""
    attrs, dim = array.attrs, array.dims[0]
    for index, text in enumerate(_texts(_names(array), count), start=1):
        dst.set_band_description(index, text)
    if "units" in attrs:
        dst.units = _texts(attrs["units"], count) or dst.units
    dst.scales = _numbers(attrs.get("scales", attrs.get("scale_factor")), count, 1.0)
    dst.offsets = _numbers(attrs.get("offsets", attrs.get("add_offset")), count, 0.0)
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


def _numbers(given: Any, count: int, default: float) -> list[float]:
    """A number for each band, of one that holds for all or of as many."""
    numbers = [] if given is None else [float(number) for number in np.ravel(given)]
    return numbers if len(numbers) == count else numbers[:1] * count or [default] * count


def class_names_of(attrs: Mapping[Any, Any]) -> dict[int, str]:
    """Names by class id from attributes as `class_attributes` and the CF conventions have them; empty for none."""
    ids = np.ravel(attrs.get("flag_values", ())).tolist()
    meanings = attrs.get("flag_meanings", "")
    names = attrs.get("class_names") or (meanings.split() if isinstance(meanings, str) else meanings)
    names = [names] if isinstance(names, str) else list(names)
    return {int(i): str(name) for i, name in zip(ids, names, strict=True)} if len(ids) == len(names) else {}
