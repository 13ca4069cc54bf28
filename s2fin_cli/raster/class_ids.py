"""Class ids in a class map of any data type."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import MaskFlags
from rasterio.errors import RasterioError

from s2fin_cli.core.copies import copy_at
from s2fin_cli.core.errors import RasterError, edit_info, quoted
from s2fin_cli.core.formats import BLOCK_SIZE
from s2fin_cli.geo.windows import iter_tiles
from s2fin_cli.raster.info import check_placed, grid_of
from s2fin_cli.raster.nodata import is_ignored_by_mask, is_nodata
from s2fin_cli.raster.opening import cannot_read, open_raster

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rasterio.windows import Window

    from s2fin_cli.core.errors import InputError
    from s2fin_cli.raster.raster_info import RasterInfo


#: Pixels of a class map that are read at a time at most.
STRIP_PIXELS = 1 << 20
#: A larger floating-point number is no class number; 64-bit integers hold this one.
LARGEST_NUMBER = 1 << 53


def check_class_raster(info: RasterInfo, *, kind: str, error: type[InputError]) -> None:
    """Refuse a raster that cannot hold class numbers on pixels with a place.

    Args:
        info: what the raster says about itself.
        kind: what it is to be, "map" or "labels", for messages.
        error: the kind of error to raise.

    Raises:
        GeoreferencingError: its pixels have to be rectified first.
        InputError: it is compressed in a way that changes values, or has several bands.
    """
    check_placed(info, info.src_path)
    if info.is_lossy:
        raise error(
            f"{info.src_path} is compressed by JPEG, which changes class numbers; give the {kind} that it was made "
            "from, in a format that keeps them"
        )
    if info.count != 1:
        raise error(
            f"{info.src_path} holds {info.count} bands of {info.dtype}; give a raster with one band of class numbers"
        )


def iter_class_strips(
    map_path: str | Path, nothing: int, *, strip_pixels: int = STRIP_PIXELS
) -> Iterator[tuple[Window, NDArray[np.int64]]]:
    """Full-width windows of a class map with their class ids, from top to bottom.

    Args:
        map_path: the map, of any whole numbers.
        nothing: what stands for nodata.
        strip_pixels: pixels of a window at most, if not a single row has more.

    Raises:
        RasterError: it cannot be read, or holds fractions.
    """
    with open_raster(map_path) as src:
        for window in strip_windows(src, strip_pixels):
            yield window, read_class_ids(src, window, nothing)


def strip_windows(src: rasterio.DatasetReader, strip_pixels: int = STRIP_PIXELS) -> Iterator[Window]:
    """Full-width windows of an open class map, from top to bottom; arguments as of `iter_class_strips`."""
    # NOTE: rows of blocks, and less of a wide map, so that memory does not grow with its width
    rows = min(max(strip_pixels // src.width, 1), BLOCK_SIZE)
    return iter_tiles(src.shape, (rows, src.width))


def read_class_ids(src: rasterio.DatasetReader, window: Window, nothing: int) -> NDArray[np.int64]:
    """Class ids (height, width) in a window of an open class map, as they are stored.

    Args:
        src: the map, whose first band is of any whole numbers, in floating point too.
        window: the window.
        nothing: the value for nodata, NaN, infinities and masked pixels.

    Raises:
        RasterError: it cannot be read, or holds fractions.
    """
    try:
        values = src.read(1, window=window)
        void = _is_void(src, values, window)
    except RasterioError as error:
        raise cannot_read(src.name, grid_of(src), window, error, band=1) from error
    if np.issubdtype(values.dtype, np.floating):
        void |= ~np.isfinite(values)
        values = np.where(void, 0, values)
        broken = np.argwhere((values != np.rint(values)) | (np.abs(values) > LARGEST_NUMBER))
        if len(broken):
            row, col = broken[0].tolist()
            place = f"row {row + window.row_off}, column {col + window.col_off}"
            raise RasterError(no_class_number(src.name, values[row, col], place))
    return np.where(void, nothing, values.astype(np.int64))


def _is_void(src: rasterio.DatasetReader, values: NDArray[Any], window: Window) -> NDArray[np.bool_]:
    """Where GDAL's masks say that there is no data, and where there is the nodata value that a mask leaves aside."""
    flags = src.mask_flag_enums[0]
    if flags == [MaskFlags.all_valid]:
        return np.zeros(values.shape, dtype=bool)
    void = np.asarray(src.read_masks(1, window=window) == 0)
    if src.nodata is not None and is_ignored_by_mask(flags):
        void |= is_nodata(values, src.nodata, values.dtype.name)
    return void


def no_class_number(src_path: str | Path, value: float, place: str) -> str:
    """The message about a value that is not a class number, with its position."""
    if abs(value) > LARGEST_NUMBER:
        return (
            f"{src_path} holds {value:.9g} at {place}, which is no class number; if it means no data, declare it with: "
            + edit_info(src_path, "nodata", f"{value:.17g}")
        )
    command = f"gdal_calc.py -A {quoted(src_path)} --calc='rint(A)' --type=UInt16 --outfile=CLASSES.tif"
    if copy_at(src_path) is not None:
        command = "array.round()"
    return (
        f"{src_path} holds {value:.9g} at {place}; class numbers must be whole numbers: if these are classes, round "
        f"them with: {command}"
    )
