"""Rasters read on another grid, warped window by window."""

from __future__ import annotations

import contextlib
import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import rasterio
from rasterio.enums import ColorInterp, MaskFlags, Resampling
from rasterio.io import MemoryFile
from rasterio.vrt import WarpedVRT

from s2fin_cli.core.errors import GeoreferencingError
from s2fin_cli.geo.extents import resolution_on
from s2fin_cli.geo.grid import Grid
from s2fin_cli.geo.wrapping import Wrapping, kernel_scale
from s2fin_cli.raster.alpha import alpha_roles
from s2fin_cli.raster.info import grid_of
from s2fin_cli.raster.nodata import nodata_of_warp
from s2fin_cli.raster.opening import open_raster
from s2fin_cli.raster.readers import DirectReader, JoinedReader, WindowReader
from s2fin_cli.raster.unreadable import CarefulReader, StrictReader, UnreadableBlocks
from s2fin_cli.raster.vrt import part_of

if TYPE_CHECKING:
    from collections.abc import Iterator


#: How accurately a warp finds positions, in pixels; GDAL's default of an eighth differs from window to window.
WARP_TOLERANCE_PX = 1e-6


@contextlib.contextmanager
def open_on_grid(
    src_path: str | Path,
    grid: Grid,
    *,
    indexes: tuple[int, ...],
    resampling: Resampling | None = None,
    alpha_indexes: tuple[int, ...] | None = None,
    nodata: float | None = None,
    skipped: UnreadableBlocks | None = None,
) -> Iterator[WindowReader]:
    """Open bands of a raster, as they are stored, as if they were on another grid.

    A raster on that grid already is read as it is; any other is warped window by window, with its validity.

    Args:
        src_path: the raster.
        grid: the grid to read on.
        indexes: 1-based band numbers.
        resampling: method of the warp; None chooses by `default_resampling`.
        alpha_indexes: 1-based numbers of the bands that are masks, if they are known.
        nodata: value that stands for no data in any band, besides what the raster declares.
        skipped: takes the storage blocks that cannot be read, of the warp where there is one; None refuses them.

    Raises:
        GeoreferencingError: one of the two has no CRS, so that no warp is possible.
    """
    how: dict[str, Any] = {"resampling": resampling, "alpha_indexes": alpha_indexes, "nodata": nodata}
    again = functools.partial(open_on_grid, src_path, grid, indexes=indexes, **how)
    with _readers(src_path, grid, indexes, **how) as found:
        readers: list[WindowReader] = []
        for reader, positions in found:
            if skipped is None:
                readers.append(StrictReader(reader, str(src_path), grid, again))
            else:
                numbers = tuple(indexes[position] for position in positions)
                readers.append(CarefulReader(reader, str(src_path), numbers, grid, skipped))
        order = [position for _, positions in found for position in positions]
        yield readers[0] if len(readers) == 1 else JoinedReader(readers, np.argsort(order))


@contextlib.contextmanager
def _readers(
    src_path: str | Path,
    grid: Grid,
    indexes: tuple[int, ...],
    *,
    resampling: Resampling | None,
    alpha_indexes: tuple[int, ...] | None,
    nodata: float | None,
) -> Iterator[list[tuple[DirectReader, list[int]]]]:
    """Readers of the bands that `open_on_grid` opens, and the positions of each one's bands among them."""
    with open_raster(src_path) as src, contextlib.ExitStack() as opened:
        own_grid = grid_of(src)
        alphas = alpha_roles(src)[0] if alpha_indexes is None else alpha_indexes
        aligned_without_crs = own_grid.crs is None and grid.crs is None and own_grid.shape == grid.shape
        if own_grid.matches(grid) or aligned_without_crs:
            yield [(DirectReader(src, indexes, alphas, nodata), list(range(len(indexes))))]
            return
        if own_grid.crs is None or grid.crs is None:
            raise GeoreferencingError(f"{src_path} cannot be warped: {own_grid.describe()} onto {grid.describe()}")
        if resampling is None:
            resampling = default_resampling(own_grid, grid)
        wrapping = Wrapping.of(own_grid, grid)
        whole = src if wrapping.turn_px is None else opened.enter_context(_repeated(src, wrapping.turn_px))
        warped = functools.partial(_warped, own_grid=own_grid, grid=grid, resampling=resampling, wrapping=wrapping)
        readers = []
        for source, bands, own_nodata in _warp_sources(whole, indexes, alphas, nodata, opened):
            vrt = opened.enter_context(warped(source, nodata=own_nodata))
            readers.append((DirectReader(vrt, tuple(bands.values())), list(bands)))
        yield readers


@contextlib.contextmanager
def _repeated(src: rasterio.DatasetReader, turn_px: int) -> Iterator[Any]:
    """A raster, and the same raster once more after the columns of a full turn."""
    alphas = [index for index, role in zip(src.indexes, src.colorinterp, strict=True) if role == ColorInterp.alpha]
    part = part_of(src, src.indexes, alphas=alphas, again_at=turn_px)
    with MemoryFile(part, ext=".vrt") as file, file.open() as repeated:
        yield repeated


def _warp_sources(
    src: rasterio.DatasetReader,
    indexes: tuple[int, ...],
    alphas: tuple[int, ...],
    extra: float | None,
    opened: contextlib.ExitStack,
) -> Iterator[tuple[Any, dict[int, int], float | None]]:
    """What to warp: a dataset, its band numbers by position among the bands, and the nodata value of these bands.

    GDAL's warp knows one nodata value for all bands, takes what is marked as alpha for a mask, and of a single band
    honours its nodata value or its mask, of several both. Where that is not what the raster says, parts of it are
    warped, a single band with a mask as two.
    """
    groups: dict[float | None, dict[int, int]] = {}
    nodatavals, dtypes, roles = src.nodatavals, src.dtypes, src.colorinterp  # each looks at all bands
    for position, index in enumerate(indexes):
        nodata = nodata_of_warp(nodatavals[index - 1], dtypes[index - 1], extra)
        groups.setdefault(nodata, {})[position] = index
    has_mask = MaskFlags.per_dataset in src.mask_flag_enums[0] and ColorInterp.alpha not in roles
    has_other_marks = tuple(i for i in src.indexes if roles[i - 1] == ColorInterp.alpha) != alphas
    is_masked_twice = src.count == 1 and has_mask and None not in groups
    has_two = extra is not None and any(nodata != extra for nodata in groups)
    if len(groups) == 1 and not (has_other_marks or is_masked_twice or has_two):
        ((nodata, bands),) = groups.items()
        yield src, bands, nodata
        return
    for nodata, bands in groups.items():
        wanted = tuple(bands.values())
        left_out = extra if extra is not None and nodata != extra else None
        wanted = wanted * 2 if len(wanted) == 1 and has_mask else wanted
        part = part_of(src, (*wanted, *alphas), alphas=alphas, extra=left_out, nodata=nodata)
        file = opened.enter_context(MemoryFile(part, ext=".vrt"))
        yield opened.enter_context(file.open()), dict(zip(bands, range(1, len(bands) + 1), strict=True)), nodata


def _warped(
    src: rasterio.DatasetReader,
    *,
    own_grid: Grid,
    grid: Grid,
    resampling: Resampling,
    nodata: float | None,
    wrapping: Wrapping,
) -> WarpedVRT:
    return WarpedVRT(
        src,
        src_crs=wrapping.crs_of(own_grid.crs),
        crs=grid.crs,
        transform=wrapping.transform,
        width=grid.width,
        height=grid.height,
        resampling=resampling,
        src_nodata=nodata,
        nodata=np.nan,
        dtype="float32",
        tolerance=WARP_TOLERANCE_PX,
        # NOTE: rasterio's default takes nodata for data wherever any other band has data.
        UNIFIED_SRC_NODATA="NO",
        # NOTE: by default alpha is a weight with a threshold; any alpha above this tiny maximum is fully data.
        SRC_ALPHA_MAX="1e-30",
        **kernel_scale(own_grid, grid),
    )


def default_resampling(own_grid: Grid, grid: Grid) -> Resampling:
    """Average for a raster whose own grid is at least twice as fine as the other, else bilinear."""
    res = resolution_on(own_grid, grid)
    return Resampling.average if max(res) * 2 <= min(grid.res) else Resampling.bilinear
