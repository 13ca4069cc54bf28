"""Assets of STAC items as rasters: with what their items say and their files lack, and tiles side by side."""

from __future__ import annotations

import contextlib
import json
import math
import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from affine import Affine
from rasterio.crs import CRS
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.errors import CRSError
from rasterio.io import MemoryFile

from s2fin_cli.core.errors import MALFORMED, GeoreferencingError, RasterError
from s2fin_cli.geo.grid import Grid
from s2fin_cli.raster.vrt import add_band, add_source, as_vrt, leave_out, name_of, new_vrt
from s2fin_cli.stac.items import Band

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rasterio import DatasetReader

    from s2fin_cli.stac.images import AssetRaster
    from s2fin_cli.stac.items import Asset

#: How codes of CRSs ("EPSG:32632") and WKT begin.
_CRS_TEXTS = re.compile(r"\s*[A-Za-z_]\w*(:[\w.:+]+\s*$|\s*\[)", re.ASCII)
#: Pixels by which the grids of tiles may differ, and by which a grid may differ from what an item says.
_ALIGNED_PX, _SAME_PX = 0.01, 0.5


@dataclass(frozen=True)
class Supplement:
    """What an item says of a file that lacks it.

    Attributes:
        crs, transform: where the file is; None where it says so itself, or nothing does.
        nodata: nodata values by 1-based numbers of bands.
    """

    crs: CRS | None
    transform: Affine | None
    nodata: Mapping[int, float]

    @property
    def is_empty(self) -> bool:
        """Whether the file needs nothing."""
        return self.crs is None and self.transform is None and not self.nodata


def bands_of(src: DatasetReader, asset: Asset) -> dict[int, Band] | None:
    """What an item says of the bands of a file, by their 1-based numbers; None where it has another number of bands.

    An item may leave out bands that are masks.
    """
    if not asset.bands:
        return dict.fromkeys(src.indexes, asset.every)
    data = [index for index, role in zip(src.indexes, src.colorinterp, strict=True) if role != ColorInterp.alpha]
    for indexes in (list(src.indexes), data):
        if len(indexes) == len(asset.bands):
            return dict(zip(indexes, asset.bands, strict=True))
    return None


def supplement(src: DatasetReader, asset: Asset) -> Supplement:
    """What the file of an asset lacks and its item says."""
    crs, transform = place_of(asset)
    # NOTE: of a netCDF file without a position the rows are upside down
    is_placed = src.transform != Affine.identity() or src.gcps[0] or src.rpcs is not None or src.driver == "netCDF"
    nodatavals = src.nodatavals
    is_declared = any(value is not None for value in nodatavals) or has_mask(src)
    bands = {} if is_declared else bands_of(src, asset) or {}
    return Supplement(
        crs=crs if src.crs is None and not src.gcps[0] else None,
        transform=None if is_placed else transform,
        nodata={index: band.nodata for index, band in bands.items() if band.nodata is not None},
    )


def has_mask(src: DatasetReader) -> bool:
    """Whether a mask or an alpha band says where a raster has data."""
    return ColorInterp.alpha in src.colorinterp or MaskFlags.per_dataset in src.mask_flag_enums[0]


def place_of(asset: Asset) -> tuple[CRS | None, Affine | None]:
    """CRS and transform that an item says of an asset, None where it does not."""
    place = asset.place
    code, epsg, projjson = place.get("proj:code"), place.get("proj:epsg"), place.get("proj:projjson")
    texts = [code, f"EPSG:{epsg}" if isinstance(epsg, int) else None, place.get("proj:wkt2"), projjson]
    crs = next((found for text in texts if (found := _crs(text)) is not None), None)
    return crs, _transform(place.get("proj:transform"))


def _crs(given: Any) -> CRS | None:
    """The CRS of a code, WKT or PROJJSON; None of anything else, as GDAL takes other texts for files and URLs."""
    try:
        text = json.dumps(given) if isinstance(given, dict) else given
        is_known = isinstance(text, str) and (isinstance(given, dict) or _CRS_TEXTS.match(text) is not None)
        return CRS.from_user_input(text) if is_known else None
    except (CRSError, *MALFORMED):
        return None


def _transform(values: Any) -> Affine | None:
    """The transform of six or nine numbers; None of anything else."""
    is_numbers = isinstance(values, list) and all(isinstance(value, int | float) for value in values)
    if not is_numbers or len(values) not in (6, 9):
        return None
    try:
        found = Affine(*map(float, values[:6]))
    except OverflowError:  # of a whole number that no floating-point number holds
        return None
    return None if found.is_degenerate or not all(map(math.isfinite, found)) else found


def doubts_of_place(grid: Grid, tile: AssetRaster) -> Iterator[str]:
    """Where a file is elsewhere than its item says, a sentence each; the file is right."""
    asset = tile.chosen.asset
    crs, transform = place_of(asset)
    if grid.crs is not None and crs is not None and crs != grid.crs:
        yield f"{tile.path} has the CRS {_name(grid.crs)}, and its item says {_name(crs)}; the file's is used"
    elif transform is not None and _says_grid(asset, grid) and not _is_near(transform, grid):
        yield (
            f"{tile.path} has the transform {tuple(grid.transform)[:6]}, and its item says {tuple(transform)[:6]}; the "
            "file's is used"
        )


def _name(crs: CRS) -> str:
    return str(crs.to_string())[:100]


def _says_grid(asset: Asset, grid: Grid) -> bool:
    """Whether the transform that an item says is that of this asset rather than of others."""
    return asset.has_own_place or asset.place.get("proj:shape") == list(grid.shape)


def _is_near(transform: Affine, grid: Grid) -> bool:
    corners = ((0, 0), (grid.width, grid.height))
    places = [~grid.transform @ (transform @ corner) for corner in corners]
    return bool(np.allclose(places, corners, rtol=0, atol=_SAME_PX))


@contextlib.contextmanager
def supplemented(src: DatasetReader, extra: Supplement) -> Iterator[DatasetReader]:
    """An open raster with what its item says besides."""
    if extra.is_empty:
        yield src
        return
    if src.driver == "VRT":
        raise RasterError(
            f"{src.name} is a virtual raster without a CRS, a position or a nodata value, which its item has; write it "
            "to a GeoTIFF with them: gdal_translate -a_srs EPSG:CODE -a_nodata VALUE IN.vrt OUT.tif"
        )
    root = as_vrt(src)
    for tag, text in (
        ("SRS", None if extra.crs is None else extra.crs.to_wkt()),
        ("GeoTransform", None if extra.transform is None else ", ".join(map(repr, extra.transform.to_gdal()))),
    ):
        if text is not None:
            _replace(root, tag, text)
    for band in root.findall("VRTRasterBand"):
        if (value := extra.nodata.get(int(band.get("band", "0")))) is not None:
            _replace(band, "NoDataValue", repr(float(value)))
    with _opened(root) as dataset:
        yield dataset


def _replace(parent: ET.Element, tag: str, text: str) -> None:
    for old in parent.findall(tag):
        parent.remove(old)
    new = ET.Element(tag)
    new.text = text
    parent.insert(0, new)


@contextlib.contextmanager
def _opened(root: ET.Element) -> Iterator[DatasetReader]:
    with MemoryFile(ET.tostring(root), ext=".vrt") as file, file.open() as dataset:
        yield dataset


@contextlib.contextmanager
def side_by_side(tiles: Sequence[DatasetReader], name: str) -> Iterator[DatasetReader]:
    """Open tiles as one raster, in which the first of them is on top where they overlap.

    Args:
        tiles: open rasters of the same bands.
        name: what the raster is called, for messages.

    Raises:
        GeoreferencingError, RasterError: they do not go together.
    """
    first = tiles[0]
    _check_alike(tiles, name)
    whole, corners = _union([Grid(tile.crs, tile.transform, tile.shape) for tile in tiles], name)
    root = new_vrt(whole.shape, whole.transform, whole.crs)
    has_alpha = ColorInterp.alpha in first.colorinterp
    is_masked = MaskFlags.per_dataset in first.mask_flag_enums[0] and not has_alpha
    # NOTE: what is drawn last is on top.
    layers = [(name_of(tile), tile.shape, corner) for tile, corner in zip(tiles, corners, strict=True)][::-1]
    for index, dtype, role, nodata in zip(
        first.indexes, first.dtypes, first.colorinterp, first.nodatavals, strict=True
    ):
        band = add_band(root, dtype, nodata=nodata)
        ET.SubElement(band, "ColorInterp").text = "Alpha" if role == ColorInterp.alpha else "Gray"
        for source, shape, corner in layers:
            added = add_source(band, source, index, shape, at=corner)
            if has_alpha or is_masked:
                leave_out(added, None)
            elif nodata is not None:
                leave_out(added, nodata)
    if not has_alpha and (is_masked or None in first.nodatavals):
        mask = add_band(ET.SubElement(root, "MaskBand"), "uint8")
        for source, shape, corner in layers:
            leave_out(add_source(mask, source, "mask,1", shape, at=corner), 0)
    with _opened(root) as dataset:
        yield dataset


def _check_alike(tiles: Sequence[DatasetReader], name: str) -> None:
    """Refuse tiles whose bands are not the same kind.

    Raises:
        RasterError: they are not.
    """
    for what in ("dtypes", "nodatavals", "colorinterp"):
        kinds = {str(getattr(tile, what)): tile.name for tile in tiles}
        if len(kinds) > 1:
            (one, first), (two, second) = list(kinds.items())[:2]
            raise RasterError(
                f"{name}: the tiles cannot be joined, as their {what} differ: {first} has {one}, and {second} has "
                f"{two}; map each tile by itself, or bring them to one form with gdalwarp"
            )
    if len({has_mask(tile) for tile in tiles}) > 1:
        raise RasterError(f"{name}: the tiles cannot be joined, as only some have masks; map each tile by itself")


def _union(grids: Sequence[Grid], name: str) -> tuple[Grid, list[tuple[int, int]]]:
    """The grid that covers others, and the row and column at which each of them begins.

    Raises:
        GeoreferencingError: they are no parts of one grid, or cover the same place, or are apart.
    """
    first = grids[0]
    if any(grid.crs is None or grid.crs != first.crs for grid in grids):
        found = ", ".join(dict.fromkeys("none" if grid.crs is None else _name(grid.crs) for grid in grids))
        raise GeoreferencingError(
            f"{name}: the tiles are in several CRSs ({found}) and cannot be joined; map each tile by itself with the "
            "same model, or bring them to one CRS with gdalwarp"
        )
    places = []
    for grid in grids:
        scale = ~first.transform @ grid.transform
        col, row = scale.c, scale.f
        off = [scale.a - 1, scale.e - 1, scale.b, scale.d]
        if (
            max(map(abs, off)) * max(grid.shape) > _ALIGNED_PX
            or max(abs(v - round(v)) for v in (col, row)) > _ALIGNED_PX
        ):
            raise GeoreferencingError(
                f"{name}: the tiles are no parts of one grid ({first.describe()}, {grid.describe()}) and cannot be "
                "joined; map each tile by itself, or bring them to one grid with gdalwarp"
            )
        places.append((round(row), round(col), round(row) + grid.height, round(col) + grid.width))
    _check_adjoining(places, name)
    top, left = min(place[0] for place in places), min(place[1] for place in places)
    bottom, right = max(place[2] for place in places), max(place[3] for place in places)
    whole = Grid(first.crs, first.transform @ Affine.translation(left, top), (bottom - top, right - left))
    return whole, [(place[0] - top, place[1] - left) for place in places]


def _check_adjoining(places: Sequence[tuple[int, int, int, int]], name: str) -> None:
    """Refuse tiles of the same place, and tiles that do not touch others.

    Raises:
        GeoreferencingError: there are some.
    """
    if len(set(places)) < len(places):
        raise GeoreferencingError(
            f"{name}: several of the items cover the same place, so they are no tiles; choose one of them with #item=ID"
        )
    joined, waiting = [places[0]], list(places[1:])
    while near := [one for one in waiting if any(_touch(one, other) for other in joined)]:
        joined += near
        waiting = [one for one in waiting if one not in near]
    if waiting:
        raise GeoreferencingError(
            f"{name}: the tiles neither touch nor overlap, and cannot be joined; map each of them by itself"
        )


def _touch(one: tuple[int, int, int, int], other: tuple[int, int, int, int]) -> bool:
    return one[0] <= other[2] and other[0] <= one[2] and one[1] <= other[3] and other[1] <= one[3]
