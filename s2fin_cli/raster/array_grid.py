"""Where the pixels of an array of xarray are, by its coordinates and its transform."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from affine import Affine
from pyproj.exceptions import CRSError as ProjError
from rasterio.crs import CRS
from rasterio.errors import CRSError

from s2fin_cli.core.errors import GeoreferencingError, reason
from s2fin_cli.geo.grid import GRID_TOLERANCE_PX, Grid

if TYPE_CHECKING:
    from collections.abc import Hashable

    from numpy.typing import NDArray
    from xarray import DataArray

#: Coordinates may be off their places in an even grid by this share of a pixel, as 32-bit numbers are.
_UNEVEN = 0.1
#: How to give an array a place.
_WRITE_TRANSFORM = "array.rio.write_transform(Affine(WIDTH, 0, LEFT, 0, -HEIGHT, TOP))"


def grid_of(array: DataArray, name: str) -> Grid:
    """The grid of an array whose last dimensions are rows and columns.

    Args:
        array: with the accessor `rio` of rioxarray, which must be imported.
        name: the array's, for messages.

    Raises:
        GeoreferencingError: its place or its CRS is unknown, or its pixels are not evenly spaced.
    """
    try:
        crs = None if array.rio.crs is None else CRS.from_user_input(array.rio.crs)
    except (CRSError, ProjError, ValueError) as error:
        raise GeoreferencingError(
            f"{name} has a CRS that PROJ cannot read ({reason(error)}); assign the right one: "
            'array.rio.write_crs("EPSG:CODE")'
        ) from error
    transform = _transform(array, name)
    if transform is None and crs is not None:
        raise GeoreferencingError(
            f"{name} has a CRS, but neither coordinates nor a transform; give it one: {_WRITE_TRANSFORM}"
        )
    height, width = array.shape[-2:]
    return Grid(crs, Affine.identity() if transform is None else transform, (height, width))


def _transform(array: DataArray, name: str) -> Affine | None:
    """The transform that the coordinates give, which are right where a part was cut out; else the declared one.

    A declared transform that agrees with them is kept, as it is exact.
    """
    declared = _declared_transform(array, name)
    axes = [_axis(array, dim, name) for dim in array.dims[:-3:-1]]  # columns, rows
    if declared is not None and (declared.b != 0 or declared.d != 0):
        _check_rotated(array, declared, name)
        return declared
    known = (None, None) if declared is None else ((declared.c, declared.a), (declared.f, declared.e))
    lines = [
        _line(axis, own, array.shape[-1 - number]) for number, (axis, own) in enumerate(zip(axes, known, strict=True))
    ]
    if lines[0] is None or lines[1] is None:
        return declared
    (left, width), (top, height) = lines[0], lines[1]
    return Affine(width, 0, left, 0, height, top)


def _declared_transform(array: DataArray, name: str) -> Affine | None:
    """The transform in the attributes, as GDAL or rasterio write it."""
    stored = array.coords[array.rio.grid_mapping].attrs if array.rio.grid_mapping in array.coords else {}
    try:
        if "GeoTransform" in stored:
            return Affine.from_gdal(*map(float, str(stored["GeoTransform"]).split()))
        return Affine(*map(float, array.attrs["transform"][:6])) if "transform" in array.attrs else None
    except (TypeError, ValueError) as error:
        raise GeoreferencingError(
            f"{name} has a transform that cannot be read ({reason(error)}); give it one: {_WRITE_TRANSFORM}"
        ) from error


def _check_rotated(array: DataArray, declared: Affine, name: str) -> None:
    """Refuse a part that was cut out of a rotated array, whose declared transform is that of the whole."""
    if not {"xc", "yc"} <= {*array.coords}:  # as rioxarray calls the places of pixels
        return
    height, width = array.shape[-2:]
    for row, col in ((0, 0), (height - 1, width - 1)):
        place = (float(array.coords[key].transpose(*array.dims[-2:])[row, col]) for key in ("xc", "yc"))
        off = np.subtract(~declared * tuple(place), (col + 0.5, row + 0.5))
        if np.abs(off).max() > _UNEVEN:
            raise GeoreferencingError(
                f"{name} is a part of a rotated array, and its transform is that of the whole; make the whole north-up "
                "first: array.rio.reproject(array.rio.crs)"
            )


def _axis(array: DataArray, dim: Hashable, name: str) -> NDArray[np.float64] | None:
    """The coordinates of pixels' middles along a dimension; None where it has none."""
    if dim not in array.coords:
        return None
    axis = array.coords[dim].values
    if axis.dtype.kind not in "iuf":
        raise GeoreferencingError(f"{name} has coordinates along {dim} that are no numbers; give those of its pixels")
    axis = np.asarray(axis, dtype=np.float64)
    step = (axis[-1] - axis[0]) / max(len(axis) - 1, 1)
    # NOTE: places count and not steps, whose small differences can add up to many pixels
    off = np.abs(axis - (axis[0] + step * np.arange(len(axis))))
    if len(axis) > 1 and not (step != 0 and (off <= _UNEVEN * abs(step)).all()):
        first, last = f"{axis[0]:.10g}", f"{axis[-1]:.10g}"
        raise GeoreferencingError(
            f"{name} has coordinates along {dim} that are not evenly spaced, from {first} to {last}; resample it to a "
            f"regular grid first: array.interp({dim}=numpy.linspace({first}, {last}, {len(axis)}))"
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
