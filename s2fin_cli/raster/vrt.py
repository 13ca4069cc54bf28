"""Virtual rasters made of open ones, which rasterio cannot describe: some of their bands, or twice side by side."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

import rasterio
import rasterio.shutil
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.io import MemoryFile

from s2fin_cli.raster.styles import xml_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from affine import Affine
    from rasterio.crs import CRS

#: GDAL's names of data types by rasterio's.
TYPES = {
    "uint8": "Byte", "int8": "Int8", "uint16": "UInt16", "int16": "Int16", "uint32": "UInt32", "int32": "Int32",
    "uint64": "UInt64", "int64": "Int64", "float16": "Float16", "float32": "Float32", "float64": "Float64",
}  # fmt: skip


def as_vrt(src: rasterio.DatasetReader) -> ET.Element:
    """GDAL's own description of a raster as a virtual one; of a virtual one, its text."""
    with MemoryFile(ext=".vrt") as file:
        rasterio.shutil.copy(src, file.name, driver="VRT")
        with file.open() as vrt:
            # NOTE: texts of a sidecar may hold characters that GDAL takes and XML does not
            return ET.fromstring(xml_text(vrt.tags(ns="xml:VRT")["xml:VRT"]))  # noqa: S314  GDAL wrote it just now


def part_of(
    src: rasterio.DatasetReader,
    indexes: Sequence[int],
    *,
    alphas: Sequence[int] = (),
    extra: float | None = None,
    nodata: float | None = None,
    again_at: int | None = None,
) -> bytes:
    """A virtual raster of some bands of another raster of any kind, with its mask.

    Args:
        src: the other one.
        indexes: 1-based numbers of its bands, in their new order.
        alphas: those of them that are marked as alpha; no others are.
        extra: value that becomes the nodata value, besides what has that value already.
        nodata: nodata value of the bands where an extra value becomes it; else they keep their own.
        again_at: columns to the right at which everything is repeated; None for no repetition.
    """
    name, columns = name_of(src), [0] if again_at is None else [0, again_at]
    root = new_vrt((src.height, src.width + columns[-1]), src.transform, src.crs)
    dtypes, nodatavals = src.dtypes, src.nodatavals
    for index in indexes:
        is_alpha = index in alphas
        value = nodatavals[index - 1] if extra is None or is_alpha else nodata
        band = add_band(root, dtypes[index - 1], nodata=value)
        ET.SubElement(band, "ColorInterp").text = "Alpha" if is_alpha else "Gray"
        for column in columns:
            source = add_source(band, name, index, src.shape, at=(0, column))
            if extra is not None and not is_alpha:
                leave_out(source, extra)
    if MaskFlags.per_dataset in src.mask_flag_enums[0] and ColorInterp.alpha not in src.colorinterp:
        mask = add_band(ET.SubElement(root, "MaskBand"), "uint8")
        for column in columns:
            add_source(mask, name, "mask,1", src.shape, at=(0, column))
    return ET.tostring(root)


def new_vrt(shape: tuple[int, int], transform: Affine, crs: CRS | None) -> ET.Element:
    """A virtual raster of a shape (height, width) without bands."""
    root = ET.Element("VRTDataset", rasterXSize=str(shape[1]), rasterYSize=str(shape[0]))
    if crs is not None:
        ET.SubElement(root, "SRS").text = crs.to_wkt()
    ET.SubElement(root, "GeoTransform").text = ", ".join(repr(float(part)) for part in transform.to_gdal())
    return root


def add_band(root: ET.Element, dtype: str, *, nodata: float | None = None) -> ET.Element:
    """Add a band to a virtual raster, or to its mask."""
    number = len(root.findall("VRTRasterBand")) + 1
    band = ET.SubElement(root, "VRTRasterBand", dataType=TYPES[dtype])
    if root.tag != "MaskBand":
        band.set("band", str(number))
    if nodata is not None:
        ET.SubElement(band, "NoDataValue").text = repr(nodata)
    return band


def add_source(
    band: ET.Element, name: str, index: int | str, shape: tuple[int, int], *, at: tuple[int, int] = (0, 0)
) -> ET.Element:
    """Add a source to a band of a virtual raster.

    Args:
        band: the band.
        name: GDAL's name of the source.
        index: the source's band, or "mask,1".
        shape: the source's (height, width).
        at: row and column where it begins.
    """
    source = ET.SubElement(band, "SimpleSource")
    ET.SubElement(source, "SourceFilename", relativeToVRT="0").text = name
    ET.SubElement(source, "SourceBand").text = str(index)
    for tag, (row, col) in (("SrcRect", (0, 0)), ("DstRect", at)):
        ET.SubElement(source, tag, xOff=str(col), yOff=str(row), xSize=str(shape[1]), ySize=str(shape[0]))
    return source


def leave_out(source: ET.Element, value: float | None) -> None:
    """Ignore a source where it holds a value or, for None, where it is masked."""
    source.tag = "ComplexSource"
    if value is None:
        ET.SubElement(source, "UseMaskBand").text = "true"
    else:
        ET.SubElement(source, "NODATA").text = repr(float(value))


def name_of(src: rasterio.DatasetReader) -> str:
    """The name by which GDAL itself opens a raster again."""
    if src.driver == "VRT":
        return str(src.files[0]) if src.files else str(src.name)
    return as_vrt(src).findtext(".//SourceFilename") or str(src.name)
