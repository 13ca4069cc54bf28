"""The description of a raster: what its header declares."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import rasterio
from affine import Affine
from rasterio.enums import ColorInterp, MaskFlags

from s2fin_cli.core.errors import GeoreferencingError, RasterError, describe_bounds, edit_info, quoted
from s2fin_cli.geo.grid import Grid
from s2fin_cli.raster.alpha import alpha_roles
from s2fin_cli.raster.asset_info import joined, with_item
from s2fin_cli.raster.coordinates import doubts_of_position, misplaced
from s2fin_cli.raster.dimensions import names_by_time
from s2fin_cli.raster.doubts import check_whole, find_doubts, is_lossy
from s2fin_cli.raster.opening import open_asset_file, open_raster
from s2fin_cli.raster.raster_info import RasterInfo
from s2fin_cli.raster.spectra import read_bad_bands, read_wavelengths
from s2fin_cli.stac.images import tiles_of

if TYPE_CHECKING:
    from collections.abc import Sequence


#: What may georeference a raster without a transform, and how such a raster is rectified.
RECTIFICATIONS = {
    "gcps": ("ground control points", " with: gdalwarp -t_srs EPSG:CODE"),
    "rpcs": (
        "rational polynomial coefficients (RPC)",
        ", with heights, by: gdalwarp -rpc -to RPC_DEM=HEIGHTS.tif -t_srs EPSG:CODE",
    ),
    "geolocation": ("arrays of longitudes and latitudes", " with: gdalwarp -geoloc -t_srs EPSG:CODE"),
}
#: A transform to fill in.
_TRANSFORM = "'[WIDTH, 0, LEFT, 0, -HEIGHT, TOP]'"


def read_info(src_path: str | Path) -> RasterInfo:
    """Read the description of a raster; that of an asset of a STAC item has what the item says too.

    Raises:
        RasterError: it is missing, not a raster, or its values are complex numbers.
        GeoreferencingError: its transform gives its pixels no size.
        InputError: it is an asset that cannot be found.
    """
    tiles = tiles_of(src_path)
    if not tiles:
        with open_raster(src_path) as src:
            return _info_of(src, src_path)
    if len(tiles) > 1:
        with open_raster(src_path) as src:
            return joined([read_info(tile.name) for tile in tiles], grid_of(src), str(src_path))
    (tile,) = tiles
    with open_asset_file(tile) as src:
        return with_item(_info_of(src, tile.path), src, tile)


def _info_of(src: rasterio.DatasetReader, src_path: str | Path) -> RasterInfo:
    alpha_indexes, alpha_data_indexes = alpha_roles(src)
    indexes = tuple(index for index in src.indexes if index not in alpha_indexes)
    # NOTE: each property of a dataset looks at all its bands, so none is asked band by band
    dtypes, names, roles, units = _data_dtypes(src, indexes), src.descriptions, src.colorinterp, src.units
    check_whole(src)
    scales, offsets = _scaling(src, indexes)
    dated = None if any(names) else names_by_time(src, indexes)
    return RasterInfo(
        src_path=str(src_path),
        grid=grid_of(src),
        indexes=indexes,
        alpha_indexes=alpha_indexes,
        dtype=dtypes[0],
        nodata=src.nodatavals[indexes[0] - 1],
        band_names=dated or tuple(names[i - 1] or "" for i in indexes),
        # NOTE: bands of different dates must not be taken for each other
        wavelengths=None if dated else read_wavelengths(src, indexes),
        bad_indexes=read_bad_bands(src, indexes),
        driver=src.driver,
        block_shape=src.block_shapes[indexes[0] - 1],
        rectified_by=_rectified_by(src),
        acquired=_acquired(src),
        scales=scales,
        offsets=offsets,
        colors=tuple(_color_name(roles[i - 1]) for i in indexes),
        units=tuple((units[i - 1] or "").strip() for i in indexes),
        doubts=(
            *find_doubts(src, indexes, masks=alpha_indexes, alpha_data=alpha_data_indexes),
            *doubts_of_position(src),
        ),
        misplaced=misplaced(src),
        has_mask=bool(alpha_indexes) or src.mask_flag_enums[indexes[0] - 1] == [MaskFlags.per_dataset],
        is_lossy=is_lossy(src),
    )


def _data_dtypes(src: rasterio.DatasetReader, indexes: Sequence[int]) -> list[str]:
    """Data types of the data bands; refuse a raster without any, or of complex numbers."""
    if not indexes:
        raise RasterError(f"{src.name} holds nothing but an alpha band; give a raster with data bands")
    all_dtypes = src.dtypes
    dtypes = [all_dtypes[index - 1] for index in indexes]
    if complex_dtype := next((name for name in dtypes if name.startswith("complex")), None):
        raise RasterError(
            f"{src.name} holds complex values ({complex_dtype}); convert it to amplitude or intensity first"
        )
    return dtypes


def _rectified_by(src: rasterio.DatasetReader) -> str | None:
    """What georeferences a raster without a transform, a key of `RECTIFICATIONS`, or None."""
    if src.transform != Affine.identity():
        return None
    if src.gcps[0]:
        return "gcps"
    if src.crs is not None:
        return None
    if src.rpcs is not None:
        return "rpcs"
    return "geolocation" if src.tags(ns="GEOLOCATION") else None


def _color_name(role: ColorInterp) -> str:
    return (
        "" if role in (ColorInterp.undefined, ColorInterp.gray, ColorInterp.palette, ColorInterp.alpha) else role.name
    )


def _scaling(src: rasterio.DatasetReader, indexes: Sequence[int]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Scales and offsets of bands; refuse those that would leave no values."""
    all_scales, all_offsets = src.scales, src.offsets
    pairs = [(float(all_scales[index - 1]), float(all_offsets[index - 1])) for index in indexes]
    for index, (scale, offset) in zip(indexes, pairs, strict=True):
        if not (np.isfinite([scale, offset]).all() and scale != 0):
            raise RasterError(
                f"{src.name} declares the scale {scale:g} and the offset {offset:g} for band {index}, which leave no "
                "values; mend them with GDAL's gdal_edit.py -scale 1 -offset 0 FILE"
            )
    return tuple(scale for scale, _ in pairs), tuple(offset for _, offset in pairs)


def _acquired(src: rasterio.DatasetReader) -> datetime | None:
    """The time in GDAL's IMAGERY domain or an ENVI header, which is UTC unless it says otherwise."""
    text = src.tags(ns="IMAGERY").get("ACQUISITIONDATETIME") or src.tags(ns="ENVI").get("acquisition_time", "")
    try:
        found = datetime.fromisoformat(text.strip(" {}"))
    except ValueError:
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def grid_of(src: rasterio.DatasetReader) -> Grid:
    """The grid of an open raster.

    Raises:
        GeoreferencingError: its transform gives its pixels no size.
    """
    if not np.isfinite(src.transform).all() or src.transform.is_degenerate:
        raise GeoreferencingError(
            f"{src.name} has a transform that gives its pixels no size ({tuple(src.transform)[:6]}); "
            f"assign the right one with: {edit_info(src.name, 'transform', _TRANSFORM)}"
        )
    return Grid(src.crs, src.transform, src.shape)


def check_placed(info: RasterInfo, name: str) -> None:
    """Refuse a raster that has to be rectified before its pixels have a position.

    Raises:
        GeoreferencingError: it is placed only by ground control points, rational polynomials or arrays, its coordinates
            are not where GDAL places it, or its extent is impossible in degrees.
    """
    if info.rectified_by is not None:
        what, how = RECTIFICATIONS[info.rectified_by]
        raise GeoreferencingError(
            f"{name} is placed by {what} only; rectify it first{how} {quoted(info.src_path)} RECTIFIED.tif"
        )
    if info.misplaced is not None:
        raise GeoreferencingError(f"{name} {info.misplaced}")
    _check_degrees(info, name)


def _check_degrees(info: RasterInfo, name: str) -> None:
    """Refuse an extent in a geographic CRS that is impossible for longitudes and latitudes."""
    turn, (left, bottom, right, top) = info.grid.full_turn, info.grid.bounds
    if turn is not None and (max(-left, right) > 2 * turn or max(-bottom, top) > turn / 4 + info.grid.res[1]):
        raise GeoreferencingError(
            f"{name} is declared to be in degrees, but covers {describe_bounds(info.grid.bounds)}; "
            f"assign its right CRS with: {edit_info(info.src_path, 'crs', 'EPSG:CODE')}"
        )
