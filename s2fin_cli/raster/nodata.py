"""Which stored values stand for no data: decided as GDAL's masks do, however the values are read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from rasterio.enums import MaskFlags

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

#: Data types whose values float32 holds exactly.
EXACT_DTYPES = ("uint8", "int8", "uint16", "int16", "float32")


def is_nodata(values: NDArray[Any], nodata: float | np.float32, dtype: str) -> NDArray[np.bool_]:
    """Mask of the values that GDAL takes for a nodata value.

    Many files declare one of float32 rounded. The comparison is that of `ARE_REAL_EQUAL` in GDAL's gdal_priv.h, in the
    same precision: where the sum of two huge values overflows, they are equal.

    Args:
        values: array of any shape; float32 if that is the data type.
        nodata: the nodata value.
        dtype: the data type in which the values are stored.
    """
    with np.errstate(over="ignore", invalid="ignore"):  # even if the data type cannot hold the nodata value
        if dtype != "float32":
            return np.asarray(values == nodata)
        nodata = np.float32(nodata)
        tolerance = np.finfo(np.float32).eps * np.abs(values + nodata) * np.float32(2)
        return np.asarray((values == nodata) | (np.abs(values - nodata) < tolerance))


def is_compared(nodata: float, dtype: str, flags: Sequence[MaskFlags]) -> bool:
    """Whether values read as float32 are compared with a nodata value, instead of reading GDAL's mask.

    This is done if a mask exists, because GDAL's masks then ignore the nodata value, or if float32 holds all values of
    the data type exactly, because GDAL takes much longer to make a mask.

    Args:
        nodata: the nodata value of a band, not NaN.
        dtype: the band's data type.
        flags: GDAL's mask flags of the band.
    """
    is_exact = dtype in EXACT_DTYPES and (is_float(dtype) or nodata == round(nodata))
    return is_exact or is_ignored_by_mask(flags)


def is_ignored_by_mask(flags: Sequence[MaskFlags]) -> bool:
    """Whether GDAL's mask of a band, with these flags, ignores its nodata value, as a mask in the file does."""
    return MaskFlags.nodata not in flags


def nodata_of_warp(nodata: float | None, dtype: str, extra: float | None) -> float | None:
    """The nodata value that GDAL's warp is given for a band.

    Args:
        nodata: the declared one.
        dtype: the band's data type.
        extra: the one that was given besides.
    """
    if nodata is None or np.isnan(nodata):  # one object, as NaN equals no other
        # NOTE: undeclared NaNs must be kept out of the kernel's weights, or each would spread to its neighbours.
        return np.nan if nodata is not None or is_float(dtype) else extra
    return nodata if is_float(dtype) else float(int(nodata))  # as in GDAL's masks


def is_float(dtype: str) -> bool:
    """Whether a data type is one of floating point."""
    return bool(np.issubdtype(np.dtype(dtype), np.floating))
