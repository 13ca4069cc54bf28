"""Bands that are marked as alpha: masks, or data."""

from __future__ import annotations

import numpy as np
import rasterio
from rasterio.enums import ColorInterp
from rasterio.errors import RasterioError

from s2fin_cli.geo.windows import spread_windows
from s2fin_cli.raster.opening import check_again

#: An alpha band holds data where it has more distinct values than this, and where a smaller share than this of its
#: values above 0 are the highest of them: a mask is opaque nearly everywhere, but for soft edges.
MASK_VALUES, OPAQUE_SHARE = 16, 0.5
#: Windows of an alpha band that are examined, and their pixels a side.
ALPHA_WINDOWS, ALPHA_SIDE = 9, 128


def alpha_roles(src: rasterio.DatasetReader) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """1-based numbers of the bands marked as alpha that are masks, and of those that hold data."""
    marked = [i for i, role in zip(src.indexes, src.colorinterp, strict=True) if role == ColorInterp.alpha]
    holds_data = {index: _holds_data(src, index) for index in marked}
    return tuple(i for i in marked if not holds_data[i]), tuple(i for i in marked if holds_data[i])


def _holds_data(src: rasterio.DatasetReader, index: int) -> bool:
    """Whether a band has too many values for a mask, like a fourth data band that GDAL takes for alpha."""
    try:
        parts = [src.read(index, window=w).ravel() for w in spread_windows(src.shape, ALPHA_SIDE, most=ALPHA_WINDOWS)]
    except RasterioError:  # reading the values reports the error
        check_again(src.name)
        return False
    values = np.concatenate(parts)
    values = values[values > 0]  # NaN is not
    if not len(values):
        return False
    return len(np.unique(values)) > MASK_VALUES and float((values == values.max()).mean()) < OPAQUE_SHARE
