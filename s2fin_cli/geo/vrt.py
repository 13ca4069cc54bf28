"""Open rasters described as virtual ones: what rasterio has no words for, some of their bands, twice side by side."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

import rasterio.shutil
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.io import MemoryFile

if TYPE_CHECKING:
    from collections.abc import Sequence

    import rasterio

#: GDAL's names of data types by rasterio's.
_TYPES = {
    "uint8": "Byte", "int8": "Int8", "uint16": "UInt16", "int16": "Int16", "uint32": "UInt32", "int32": "Int32",
    "uint64": "UInt64", "int64": "Int64", "float16": "Float16", "float32": "Float32", "float64": "Float64",
}  # fmt: skip


def as_vrt(src: rasterio.DatasetReader) -> ET.Element:
    """GDAL's own description of a raster as a virtual one; of a virtual one, its text."""
    with MemoryFile(ext=".vrt") as file:
        rasterio.shutil.copy(src, file.name, driver="VRT")
        with file.open() as vrt:
            return ET.fromstring(vrt.tags(ns="xml:VRT")["xml:VRT"])  # noqa: S314  GDAL wrote it just now


def part_of(
    src: rasterio.DatasetReader,
    indexes: Sequence[int],
    *,
    alphas: Sequence[int] = (),
    extra: float | None = None,
    nodata: float | None = None,
    again_at: int | None = None,
) -> bytes:
    """A virtual raster of some bands of another one, whatever kind that is, with its mask.

    Args:
        src: the other one.
        indexes: 1-based numbers of its bands, in their new order.
        alphas: those of them that are marked as alpha; the others are no more.
        extra: value that becomes the nodata value, besides what has that value already.
        nodata: nodata value of the bands where an extra value becomes it; else they keep their own.
        again_at: columns to the right at which everything comes once more; None for nowhere.
    """
    width = src.width + (again_at or 0)
    root = ET.Element("VRTDataset", rasterXSize=str(width), rasterYSize=str(src.height))
    if src.crs is not None:
        ET.SubElement(root, "SRS").text = src.crs.to_wkt()
    ET.SubElement(root, "GeoTransform").text = ", ".join(map(repr, src.transform.to_gdal()))
    name = _gdal_name(src)
    columns = [0] if again_at is None else [0, again_at]
    dtypes, nodatavals = src.dtypes, src.nodatavals
    for number, index in enumerate(indexes, start=1):
        band = ET.SubElement(root, "VRTRasterBand", dataType=_TYPES[dtypes[index - 1]], band=str(number))
        is_alpha = index in alphas
        ET.SubElement(band, "ColorInterp").text = "Alpha" if is_alpha else "Gray"
        value = nodatavals[index - 1] if extra is None or is_alpha else nodata
        if value is not None:
            ET.SubElement(band, "NoDataValue").text = repr(value)
        for column in columns:
            _add_source(band, (name, str(index)), src.shape, column=column, left_out=None if is_alpha else extra)
    if MaskFlags.per_dataset in src.mask_flag_enums[0] and ColorInterp.alpha not in src.colorinterp:
        mask = ET.SubElement(ET.SubElement(root, "MaskBand"), "VRTRasterBand", dataType="Byte")
        for column in columns:
            _add_source(mask, (name, "mask,1"), src.shape, column=column)
    return ET.tostring(root)


def _add_source(
    band: ET.Element,
    origin: tuple[str, str],
    shape: tuple[int, int],
    *,
    column: int = 0,
    left_out: float | None = None,
) -> None:
    """Add a source to a band of a virtual raster.

    Args:
        band: the band.
        origin: GDAL's name of a raster, and which of its bands.
        shape: its (height, width).
        column: at which it begins.
        left_out: value of it that is not taken.
    """
    source = ET.SubElement(band, "SimpleSource" if left_out is None else "ComplexSource")
    ET.SubElement(source, "SourceFilename", relativeToVRT="0").text = origin[0]
    ET.SubElement(source, "SourceBand").text = origin[1]
    for tag, start in (("SrcRect", 0), ("DstRect", column)):
        ET.SubElement(source, tag, xOff=str(start), yOff="0", xSize=str(shape[1]), ySize=str(shape[0]))
    if left_out is not None:
        ET.SubElement(source, "NODATA").text = repr(left_out)


def _gdal_name(src: rasterio.DatasetReader) -> str:
    """The name by which GDAL itself opens a raster again."""
    if src.driver == "VRT":
        return str(src.files[0]) if src.files else str(src.name)
    return as_vrt(src).findtext(".//SourceFilename") or str(src.name)
