"""Label rasters finer than an image, prepared so that a warp by mode counts unlabelled pixels."""

from __future__ import annotations

import contextlib
import math
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

from affine import Affine
from rasterio.io import MemoryFile

from s2fin_cli.core.errors import RasterError
from s2fin_cli.geo.extents import resolution_on
from s2fin_cli.raster.opening import open_raster
from s2fin_cli.raster.raster_info import RasterInfo
from s2fin_cli.raster.vrt import add_band, add_source, leave_out, name_of, new_vrt

if TYPE_CHECKING:
    from collections.abc import Iterator

    from s2fin_cli.geo.grid import Grid

#: Stands for unlabelled, as 0 may be a class: no class has this number, and float32 holds it exactly.
UNLABELLED = -(2.0**100)


@contextlib.contextmanager
def with_unlabelled(info: RasterInfo, grid: Grid, *, number: float) -> Iterator[str]:
    """Give the name of a virtual raster of labels in which a number stands for all that is unlabelled.

    GDAL's mode leaves nodata and masked pixels out, so that a single label would fill a pixel of the image. The virtual
    raster has neither, and reaches beyond the labels by a pixel of the image, so that at the edge too all of a pixel is
    counted.

    Args:
        info: description of the label raster.
        grid: the image's.
        number: what stands for nodata, masked pixels and NaN.

    Raises:
        RasterError: the raster cannot be read.
    """
    margin = _margin(info.grid, grid)
    height, width = info.grid.shape
    shape = height + 2 * margin, width + 2 * margin
    transform = info.grid.transform @ Affine.translation(-margin, -margin)

    def filled(name: str, index: int, inner: tuple[int, int], value: float | None, *, at: int = 0) -> bytes:
        """Labels with the number where a source has a value, or for None where it is masked, and around it."""
        root = new_vrt(shape, transform, info.grid.crs)
        band = add_band(root, "float32", nodata=float(number))
        ET.SubElement(band, "HideNoDataValue").text = "1"
        leave_out(add_source(band, name, index, inner, at=(at, at)), value)
        return ET.tostring(root)

    with contextlib.ExitStack() as opened:

        def made(text: bytes) -> str:
            return str(opened.enter_context(MemoryFile(text, ext=".vrt")).name)

        with open_raster(info.src_path) as src:
            name, index = name_of(src), info.indexes[0]
        if info.alpha_indexes:  # for which GDAL makes no mask if there is a nodata value, or the data type is another
            name, index = made(_with_mask(info, name)), 1
        # NOTE: a source is compared with its mask or with one number, so there is a virtual raster for each
        name = made(filled(name, index, info.grid.shape, None, at=margin))
        for nodata in _numbers_for_nothing(info):
            name = made(filled(name, 1, shape, nodata))
        try:
            yield name
        except RasterError as error:
            raise RasterError(str(error).replace(name, info.src_path)) from error.__cause__


def _margin(own_grid: Grid, grid: Grid) -> int:
    """Pixels of a raster in a pixel of the image; 0 in degrees, where a raster may go all the way round."""
    if own_grid.full_turn is not None:
        return 0
    return math.ceil(max(grid.res) / min(resolution_on(own_grid, grid))) + 1


def _with_mask(info: RasterInfo, name: str) -> bytes:
    """A virtual raster of the labels with their alpha band for a mask."""
    root = new_vrt(info.grid.shape, info.grid.transform, info.grid.crs)
    add_source(add_band(root, info.dtype), name, info.indexes[0], info.grid.shape)
    add_source(add_band(ET.SubElement(root, "MaskBand"), "uint8"), name, info.alpha_indexes[0], info.grid.shape)
    return ET.tostring(root)


def _numbers_for_nothing(info: RasterInfo) -> list[float]:
    """Values that GDAL's mask of a raster leaves out: the nodata value beside a mask, and non-finite ones."""
    beside = [] if info.nodata is None or not info.has_mask else [info.nodata]
    return beside + ([math.nan, math.inf, -math.inf] if info.dtype.startswith("float") else [])
