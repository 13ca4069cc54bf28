"""The description of an asset: what its file declares, completed and checked by what its item says."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import TYPE_CHECKING

from s2fin_cli.core.errors import RasterError, shortened
from s2fin_cli.raster.asset_scaling import choose_scaling
from s2fin_cli.raster.assets import bands_of, doubts_of_place, supplement
from s2fin_cli.stac.items import Band
from s2fin_cli.stac.reference import TIME

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rasterio import DatasetReader

    from s2fin_cli.geo.grid import Grid
    from s2fin_cli.raster.assets import Supplement
    from s2fin_cli.raster.raster_info import RasterInfo
    from s2fin_cli.stac.images import AssetRaster

#: Fields of which the tiles of one raster must have the same.
_SAME = ("indexes", "alpha_indexes", "dtype", "nodata", "scales", "offsets", "band_names", "wavelengths", "units")


def with_item(info: RasterInfo, src: DatasetReader, tile: AssetRaster) -> RasterInfo:
    """The description of an asset's file with what its item says.

    What the file declares comes first. The item fills what is missing: CRS and position, nodata value, scale and
    offset, names, wavelengths and units of bands, and the time.

    Args:
        info: of the file.
        src: the open file.
        tile: the asset.

    Raises:
        RasterError: the file and its item declare different scales or offsets, or a band is meant that is not there.
    """
    asset, notes, doubts = tile.chosen.asset, list[str](), list(info.doubts)
    found = bands_of(src, asset)
    if found is None:
        doubts.append(
            f"{tile.path} has {src.count} bands, and its item describes {len(asset.bands)}, so what the item says of "
            "them is ignored"
        )
    extra = supplement(src, asset)
    info = _chosen(info, found, tile)
    bands = [(found or {}).get(index, Band()) for index in info.indexes]
    doubts += doubts_of_place(info.grid, tile)
    doubts += _doubts_of_nodata(info, bands, tile)
    scaling = choose_scaling(list(zip(info.scales, info.offsets, strict=True)), bands, tile)
    notes += scaling.notes
    doubts += scaling.doubts
    notes += _notes(extra, tile)
    return replace(
        info,
        src_path=tile.name,
        grid=replace(info.grid, crs=extra.crs or info.grid.crs, transform=extra.transform or info.grid.transform),
        nodata=info.nodata if info.nodata is not None else extra.nodata.get(info.indexes[0]),
        scales=scaling.scales,
        offsets=scaling.offsets,
        band_names=_names(info, bands, tile),
        wavelengths=_wavelengths(info, bands, tile),
        units=tuple(own or band.unit for own, band in zip(info.units, bands, strict=True)),
        acquired=info.acquired or tile.item.moment,
        doubts=tuple(doubts),
        notes=tuple(notes),
    )


def _chosen(info: RasterInfo, found: Mapping[int, Band] | None, tile: AssetRaster) -> RasterInfo:
    """The description with the bands that are meant.

    Raises:
        RasterError: they are not there.
    """
    position = tile.chosen.position
    if position is None:
        return info
    if found is None:
        raise RasterError(
            f"{tile.path} has another number of bands than {tile.describe()} lists, so none can be chosen by its name; "
            "name the asset by its key, and choose bands with `bidx`"
        )
    index = list(found)[position]
    if index not in info.indexes:
        raise RasterError(f"{tile.path}: band {index} is a mask, and not one with data; choose another band")
    place = info.indexes.index(index)
    of_bands = ("indexes", "band_names", "scales", "offsets", "colors", "units")
    known = None if info.wavelengths is None else info.wavelengths[place : place + 1]
    parts = {name: getattr(info, name)[place : place + 1] for name in of_bands}
    return replace(
        info,
        **parts,
        wavelengths=known if known is None or known[0] is not None else None,
        bad_indexes=tuple(bad for bad in info.bad_indexes if bad == index),
    )


def _notes(extra: Supplement, tile: AssetRaster) -> Iterator[str]:
    """What the file lacks and the item says."""
    if extra.nodata:
        values = shortened([f"{value:g}" for value in sorted(set(extra.nodata.values()))])
        yield f"{tile.describe_item()}: its nodata value is used, {values}, as its files declare none"
    if extra.crs is not None or extra.transform is not None:
        yield f"{tile.describe_item()}: its CRS and position are used, as its files have none"


def _doubts_of_nodata(info: RasterInfo, bands: Sequence[Band], tile: AssetRaster) -> list[str]:
    """That the file and its item declare different nodata values; the file is right."""
    said, own = {band.nodata for band in bands if band.nodata is not None}, info.nodata
    if own is None or not said or all(value == own or (math.isnan(value) and math.isnan(own)) for value in said):
        return []
    other = shortened([f"{value:g}" for value in sorted(said)])
    return [
        f"{tile.describe_item()} says that the nodata value is {other}, and its files declare {own:g}, which is used; "
        "if both stand for no data, give the other one with `nodata`"
    ]


def _names(info: RasterInfo, bands: Sequence[Band], tile: AssetRaster) -> tuple[str, ...]:
    """Names of the bands: the file's if it names all of them, else the item's; of several dates with the date."""
    said = [band.name or band.common_name for band in bands]
    if len(said) == 1:
        said = [said[0] or tile.chosen.asset.key]
    names = info.band_names if all(info.band_names) else said
    is_dated = TIME in tile.reference.join
    return tuple(f"{name} {tile.item.date}".strip() if is_dated else name for name in names)


def _wavelengths(info: RasterInfo, bands: Sequence[Band], tile: AssetRaster) -> tuple[float | None, ...] | None:
    """Wavelengths of the bands: the file's where it has any, else the item's.

    Of several dates there are none, because bands of different dates must not be taken for each other.
    """
    if TIME in tile.reference.join:
        return None
    said = tuple(band.wavelength for band in bands)
    return info.wavelengths or (said if any(place is not None for place in said) else None)


def joined(infos: Sequence[RasterInfo], whole: Grid, name: str) -> RasterInfo:
    """The description of tiles side by side.

    Args:
        infos: of the tiles.
        whole: the grid that covers them.
        name: what they are called together.

    Raises:
        RasterError: what their files and items declare is not the same.
    """
    first = infos[0]
    for info in infos[1:]:
        for field in _SAME:
            one, other = getattr(first, field), getattr(info, field)
            if str(one) != str(other):  # as NaN equals no other
                raise RasterError(
                    f"{name}: the tiles cannot be joined, as their {field.replace('_', ' ')} differ: {first.src_path} "
                    f"has {one}, and {info.src_path} has {other}; map each tile by itself"
                )
    return replace(
        first,
        src_path=name,
        grid=whole,
        doubts=(*dict.fromkeys(doubt for info in infos for doubt in info.doubts), *_doubts_of_overlap(infos, name)),
        notes=tuple(dict.fromkeys(note for info in infos for note in info.notes)),
    )


def _doubts_of_overlap(infos: Sequence[RasterInfo], name: str) -> Iterator[str]:
    """That an empty border of a tile may cover its neighbour, as nothing says what stands for no data."""
    if any(info.nodata is not None or info.has_mask for info in infos):
        return
    if any(_overlap(one.grid, other.grid) for one, other in itertools.combinations(infos, 2)):
        yield (
            f"{name}: the tiles overlap, and neither their files nor the items declare a nodata value, so that the "
            "border of a tile covers its neighbour even if it is empty; if there are such borders, declare their value "
            "in the files, e.g. gdal_edit.py -a_nodata 0 FILE"
        )


def _overlap(one: Grid, other: Grid) -> bool:
    """Whether parts of one grid have pixels in common."""
    col, row = map(round, ~one.transform * (other.transform.c, other.transform.f))
    return bool(-other.width < col < one.width and -other.height < row < one.height)
