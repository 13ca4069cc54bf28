"""Reasons to doubt a raster: features of its header because of which its bands may not be plain values."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rasterio.enums import ColorInterp, MaskFlags

from s2fin_cli.core.errors import RasterError, edit_info, quoted
from s2fin_cli.raster.opening import images_in
from s2fin_cli.raster.vrt import as_vrt

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import rasterio

#: Compressions that change values, as GDAL names them.
_LOSSY = ("JPEG", "YCbCr JPEG")
#: Bytes of the header that an ENVI file begins with, and whether it is compressed, by key of its header.
_ENVI_OFFSET, _ENVI_COMPRESSION = "header_offset", "file_compression"


def find_doubts(
    src: rasterio.DatasetReader, indexes: Sequence[int], *, masks: Sequence[int] = (), alpha_data: Sequence[int] = ()
) -> tuple[str, ...]:
    """Sentences, without a full stop, about possible mistakes.

    Args:
        src: the open raster.
        indexes: 1-based numbers of its data bands.
        masks: those of the bands marked as alpha that are used as masks.
        alpha_data: those of the data bands that are marked as alpha.
    """
    return *_doubts_of_alpha(src, masks, alpha_data), *_doubts(src, indexes)


def _doubts_of_alpha(src: rasterio.DatasetReader, masks: Sequence[int], alpha_data: Sequence[int]) -> Iterator[str]:
    for index in masks:
        roles = ["undefined" if i == index else role.name for i, role in enumerate(src.colorinterp, start=1)]
        yield (
            f"{src.name} has band {index} marked as alpha, which is used as a mask; if it is data: "
            + edit_info(src.name, "colorinterp", ",".join(roles))
        )
    for index in alpha_data:
        yield (
            f"{src.name} has band {index} marked as alpha, which is used as data, as it holds too many values for a "
            "mask; to leave it out, choose the others with `bidx`"
        )


def _doubts(src: rasterio.DatasetReader, indexes: Sequence[int]) -> Iterator[str]:
    if len(images := images_in(src)) > 1:
        names = ", ".join(images[:3]) + (", ..." if len(images) > 3 else "")
        yield (
            f"{src.name} holds {len(images)} images, and the first is read; to read others too, give their "
            f"names ({names}), each with the option again"
        )
    if _is_indexed(src, indexes):
        yield (
            f"{src.name} holds colour-table indexes, not colours; if it is a picture, expand it first with: "
            f"gdal_translate -expand rgb {quoted(src.name)} OUT.tif"
        )
    if (said := _unread_nodata(src, indexes)) is not None:
        yield (
            f"{src.name} declares no-data values by {said}, which GDAL ignores; if such values occur, "
            "name one of them with `nodata`, or write them as its _FillValue"
        )
    if is_lossy(src) and any(MaskFlags.nodata in src.mask_flag_enums[index - 1] for index in indexes):
        yield (
            f"{src.name} is compressed by JPEG and declares the nodata value {src.nodata:g}: compression changes "
            "values, so some pixels without data may be taken for data; a mask would be exact"
        )


def _unread_nodata(src: rasterio.DatasetReader, indexes: Sequence[int]) -> str | None:
    """The netCDF attribute that says more of what is no data than the nodata value of its band, if there is one."""
    for index in indexes if src.driver == "netCDF" else ():
        tags, nodata = src.tags(index), src.nodatavals[index - 1]
        missing = tags.get("missing_value")
        if missing is not None and not _means(missing, nodata):
            return f"missing_value = {missing}"
        for name in ("valid_range", "valid_min", "valid_max"):
            if name in tags and nodata is None:
                return f"{name} = {tags[name]}"
    return None


def _means(text: str, nodata: float | None) -> bool:
    """Whether an attribute, printed by GDAL with six digits, only repeats the nodata value."""
    try:
        values = [float(part) for part in text.strip("{} ").split(",")]
    except ValueError:
        return False
    is_nan = nodata is not None and math.isnan(nodata)
    return nodata is not None and all(
        math.isnan(value) if is_nan else math.isclose(value, nodata, rel_tol=1e-5) for value in values
    )


def is_lossy(src: rasterio.DatasetReader) -> bool:
    """Whether a raster is compressed by JPEG, which changes values."""
    return src.driver == "JPEG" or src.tags(ns="IMAGE_STRUCTURE").get("COMPRESSION") in _LOSSY


def _is_indexed(src: rasterio.DatasetReader, indexes: Sequence[int]) -> bool:
    """Whether a raster is a picture by a colour table, and neither a map with class names nor in shades of grey."""
    if len(indexes) != 1 or src.colorinterp[indexes[0] - 1] != ColorInterp.palette:
        return False
    return as_vrt(src).find(".//CategoryNames") is None and not _is_grey(src, indexes[0])


def _is_grey(src: rasterio.DatasetReader, index: int) -> bool:
    """Whether the colour table of a band gives each number a grey in the order of the numbers."""
    colors = [color for _, color in sorted(src.colormap(index).items())]
    greys = np.array([red for red, green, blue, _ in colors if red == green == blue])
    return len(greys) == len(colors) and bool((np.diff(greys) >= 0).all())


def check_whole(src: rasterio.DatasetReader) -> None:
    """Refuse an ENVI file that is shorter than its header says; GDAL reads zeros where it ends.

    Raises:
        RasterError: it is.
    """
    if src.driver != "ENVI":
        return
    header, path = src.tags(ns="ENVI"), Path(src.files[0])
    if header.get(_ENVI_COMPRESSION, "0") != "0" or not path.is_file():
        return
    size = sum(np.dtype(dtype).itemsize for dtype in src.dtypes) * src.width * src.height
    expected, found = int(header.get(_ENVI_OFFSET, 0)) + size, path.stat().st_size
    if found < expected:
        raise RasterError(
            f"{src.name} is cut off: it has {found} bytes, and its header describes {expected}; copy it again, or mend "
            "the header"
        )
