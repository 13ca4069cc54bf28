"""MATLAB arrays, in which benchmark scenes are often distributed, converted to GeoTIFFs."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from affine import Affine
from rasterio.crs import CRS
from rasterio.errors import CRSError

from s2fin_cli.core.classes import map_encoding, read_class_table
from s2fin_cli.core.errors import LabelError, RasterError, UsageError
from s2fin_cli.core.files import check_outputs, staged
from s2fin_cli.geo.grid import Grid
from s2fin_cli.raster.class_map import create_class_map
from s2fin_cli.raster.creation import check_raster_path
from s2fin_cli.raster.matlab import read_arrays
from s2fin_cli.raster.write import Encoding, create_image
from s2fin_cli.workflows.input_files import input_files

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from s2fin_cli.workflows.options.convert import ConvertOptions


#: An array with fewer rows or columns is not an image.
LEAST_SIDE = 8
#: Data types that are kept; other values become int32 if that holds them, else float32.
KEPT_DTYPES = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "float32")


@dataclass(frozen=True)
class ConvertResult:
    """The result of a conversion.

    Attributes:
        output: path of the GeoTIFF.
        shape: the array's shape: rows, columns and, of an image, bands.
    """

    output: Path
    shape: tuple[int, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values for scripts."""
        return {"output": str(self.output), "shape": list(self.shape)}


def run(options: ConvertOptions) -> ConvertResult:
    """Write an array of a MATLAB file as a GeoTIFF.

    Args:
        options: the options.

    Returns:
        where the GeoTIFF is, and the array's shape.

    Raises:
        S2finError: something is wrong with the file, the options or the output; nothing is written.
    """
    dst_path = Path(options.output)
    check_raster_path(dst_path)
    inputs = input_files([options.src, options.classes, options.wavelengths])
    check_outputs([dst_path], overwrite=options.overwrite, inputs=inputs)
    arrays = read_arrays(options.src)
    values = _plain(_chosen(arrays, options), options)
    grid = Grid(_crs(options.crs), Affine(*options.transform or Affine.identity()[:6]), values.shape[:2])
    with staged([dst_path], overwrite=options.overwrite) as (tmp_path,):
        if options.classes is not None:
            _write_labels(tmp_path, values, grid, options)
        else:
            _write_image(tmp_path, values, grid, _wavelengths(arrays, values, options))
    return ConvertResult(dst_path, values.shape)


def _chosen(arrays: Mapping[str, NDArray[Any]], options: ConvertOptions) -> NDArray[Any]:
    """The array that is named, or the only one that can be an image."""
    possible = {
        name: array for name, array in arrays.items() if array.ndim in (2, 3) and min(array.shape[:2]) >= LEAST_SIDE
    }
    listed = "\n".join(
        f"  {name}: {' x '.join(map(str, array.shape))} {array.dtype}" for name, array in (possible or arrays).items()
    )
    if not possible:
        raise UsageError(
            f"{options.src} holds no image, that is, an array of rows, columns and bands with at least {LEAST_SIDE} "
            f"rows and columns; it holds:\n{listed}"
        )
    if options.variable is not None:
        if options.variable not in possible:
            raise UsageError(f"{options.src} holds no image {options.variable!r}; it holds:\n{listed}")
        return possible[options.variable]
    if len(possible) != 1:
        raise UsageError(
            f"{options.src} holds {len(possible)} arrays that could be images; choose one with `variable`:\n{listed}"
        )
    return next(iter(possible.values()))


def _plain(values: NDArray[Any], options: ConvertOptions) -> NDArray[Any]:
    """Values in a data type that a GeoTIFF holds."""
    if values.dtype.kind == "c":
        raise RasterError(f"{options.src} holds complex values; convert them to amplitude or intensity first")
    if values.dtype.kind == "b":
        return values.astype("uint8")
    if values.dtype.name in KEPT_DTYPES:
        return values
    whole = (
        values.dtype.kind in "iu" and np.iinfo("int32").min <= values.min() and values.max() <= np.iinfo("int32").max
    )
    return values.astype("int32" if whole else "float32")


def _crs(given: str | None) -> CRS | None:
    if given is None:
        return None
    try:
        return CRS.from_user_input(given)
    except CRSError as error:
        raise UsageError(f"`crs` is {given!r}, which is not a CRS ({error}); give a code like EPSG:32615") from error


def _wavelengths(
    arrays: Mapping[str, NDArray[Any]], values: NDArray[Any], options: ConvertOptions
) -> list[float] | None:
    if options.wavelengths is None:
        return None
    path, bands = Path(options.wavelengths), values.shape[2] if values.ndim == 3 else 1
    name = path.name  # in a project file, the file's folder was prepended to a variable's name
    if name in arrays and not os.path.isfile(path):
        found = arrays[name].astype(float).ravel().tolist()
    else:
        try:
            found = [float(part) for part in path.read_text(encoding="utf-8").replace(",", " ").split()]
        except (OSError, ValueError) as error:
            raise UsageError(
                f"`wavelengths` is {name!r}, neither a variable of {options.src} nor a file of numbers ({error})"
            ) from error
    if len(found) != bands or not all(place > 0 for place in found):
        raise UsageError(
            f"{name} holds {len(found)} wavelengths, but there are {bands} bands; give a positive number for each"
        )
    return found


def _write_image(dst_path: Path, values: NDArray[Any], grid: Grid, wavelengths: Sequence[float] | None) -> None:
    bands = values[..., None] if values.ndim == 2 else values
    names = [f"{place:g} nm" for place in wavelengths] if wavelengths else [""] * bands.shape[2]
    encoding = Encoding(values.dtype.name, np.nan if values.dtype.kind == "f" else None)
    with create_image(dst_path, grid, names, encoding=encoding, wavelengths=wavelengths) as writer:
        writer.write(np.moveaxis(bands, 2, 0), grid.window)


def _write_labels(dst_path: Path, values: NDArray[Any], grid: Grid, options: ConvertOptions) -> None:
    classes = read_class_table(options.classes or "")
    if values.ndim != 2 or (values != np.round(values)).any():
        raise LabelError(
            f"{options.src}: labels are whole numbers in two dimensions; choose another array with `variable`"
        )
    dtype, nodata = map_encoding([c.id for c in classes])
    known = np.isin(values, [c.id for c in classes])
    strange = np.unique(values[~known & (values > 0)]).tolist()
    if strange:
        raise LabelError(f"{options.src} holds class {strange[0]:g}, which is not in the class table; add it there")
    with create_class_map(dst_path, grid, classes) as writer:
        writer.write(np.where(known, values, nodata).astype(dtype)[None], grid.window)
