"""Label rasters finer than an image, prepared so that a warp by the commonest value counts unlabelled pixels."""

from __future__ import annotations

import contextlib
import math
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

from affine import Affine
from rasterio.io import MemoryFile

from s2fin_cli.errors import RasterError
from s2fin_cli.geo.names import gdal_name
from s2fin_cli.geo.rasters import RasterInfo, open_raster
from s2fin_cli.geo.snapshots import readable
from s2fin_cli.geo.transformation import resolution_on
from s2fin_cli.geo.vrt import as_vrt

if TYPE_CHECKING:
    from collections.abc import Iterator

    from s2fin_cli.geo.grid import Grid

#: Stands for unlabelled where 0 may be a class: no class has it, and float32 holds it exactly.
NO_CLASS = -(2.0**100)


@contextlib.contextmanager
def with_unlabelled(info: RasterInfo, grid: Grid, *, number: float) -> Iterator[str]:
    """Give the name of a virtual raster of labels in which a number stands for all that is unlabelled.

    GDAL's mode leaves nodata and masked pixels out, so that a single label would fill a pixel of the image. The virtual
    raster has neither, and reaches beyond the labels by a pixel of the image, so that at the edge too all of a pixel is
    counted.

    Args:
        info: of the label raster.
        grid: the image's.
        number: what stands for nodata, masked pixels and NaN.

    Raises:
        RasterError: the raster cannot be read.
    """
    with contextlib.ExitStack() as opened:
        with open_raster(info.src_path) as src:
            root, is_virtual = as_vrt(src), src.driver == "VRT"
        if is_virtual:  # whose description may be of a kind of its own
            name = str(gdal_name(readable(info.src_path), error=RasterError))
        else:
            name = opened.enter_context(MemoryFile(ET.tostring(root), ext=".vrt")).name
        if info.alpha_indexes:  # which GDAL makes no mask of where there is a nodata value, or of other data types
            name = opened.enter_context(MemoryFile(_with_mask(info, name), ext=".vrt")).name
        # NOTE: a source is compared with its mask or with one number, so there is a virtual raster for each
        text = _filled(info, name, root.find("SRS"), number=number, margin=_margin(info.grid, grid))
        name = opened.enter_context(MemoryFile(text, ext=".vrt")).name
        for nodata in _numbers_for_nothing(info):
            name = opened.enter_context(MemoryFile(_without(text, name, nodata), ext=".vrt")).name
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
    height, width = info.grid.shape
    root = ET.Element("VRTDataset", rasterXSize=str(width), rasterYSize=str(height))
    dtype = {"int8": "Int8", "uint8": "Byte"}.get(info.dtype, info.dtype.title().replace("Ui", "UI"))
    values = ET.SubElement(root, "VRTRasterBand", dataType=dtype, band="1")
    mask = ET.SubElement(ET.SubElement(root, "MaskBand"), "VRTRasterBand", dataType="Byte")
    for band, index in ((values, info.indexes[0]), (mask, info.alpha_indexes[0])):
        source = ET.SubElement(band, "SimpleSource")
        ET.SubElement(source, "SourceFilename", relativeToVRT="0").text = name
        ET.SubElement(source, "SourceBand").text = str(index)
    return ET.tostring(root)


def _numbers_for_nothing(info: RasterInfo) -> list[float]:
    """What GDAL's mask of a raster does not know: its nodata value beside a mask, and what is not finite."""
    beside = [] if info.nodata is None or not info.has_mask else [info.nodata]
    return beside + ([math.nan, math.inf, -math.inf] if info.dtype.startswith("float") else [])


def _filled(info: RasterInfo, name: str, srs: ET.Element | None, *, number: float, margin: int) -> bytes:
    """A virtual raster that holds a number where its source is masked, and in a margin of so many pixels."""
    height, width = info.grid.shape
    root = ET.Element("VRTDataset", rasterXSize=str(width + 2 * margin), rasterYSize=str(height + 2 * margin))
    if srs is not None:
        root.append(srs)
    transform = info.grid.transform @ Affine.translation(-margin, -margin)
    ET.SubElement(root, "GeoTransform").text = ", ".join(repr(float(part)) for part in transform.to_gdal())
    band = ET.SubElement(root, "VRTRasterBand", dataType="Float32", band="1")
    ET.SubElement(band, "NoDataValue").text = repr(float(number))
    ET.SubElement(band, "HideNoDataValue").text = "1"
    source = ET.SubElement(band, "ComplexSource")
    ET.SubElement(source, "SourceFilename", relativeToVRT="0").text = name
    ET.SubElement(source, "SourceBand").text = "1" if info.alpha_indexes else str(info.indexes[0])
    for tag, offset in (("SrcRect", 0), ("DstRect", margin)):
        ET.SubElement(source, tag, xOff=str(offset), yOff=str(offset), xSize=str(width), ySize=str(height))
    ET.SubElement(source, "UseMaskBand").text = "true"
    return ET.tostring(root)


def _without(filled: bytes, name: str, nodata: float) -> bytes:
    """A virtual raster like that of `_filled`, of which another one is the source, for pixels of one value."""
    root = ET.fromstring(filled)  # noqa: S314  made above
    source = root.find("VRTRasterBand/ComplexSource")
    assert source is not None  # noqa: S101
    for child in list(source):
        source.remove(child)
    ET.SubElement(source, "SourceFilename", relativeToVRT="0").text = name
    ET.SubElement(source, "SourceBand").text = "1"
    ET.SubElement(source, "NODATA").text = repr(float(nodata))
    return ET.tostring(root)
