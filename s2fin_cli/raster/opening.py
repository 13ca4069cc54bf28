"""Opening rasters: the only place that does."""

from __future__ import annotations

import contextlib
import functools
import os
import warnings
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import rasterio
from rasterio.enums import Interleaving
from rasterio.env import getenv, hasenv
from rasterio.errors import CRSError, NodataShadowWarning, NotGeoreferencedWarning, RasterioError

from s2fin_cli.core.errors import (
    GeoreferencingError,
    RasterError,
    UnreadableError,
    describe_bounds,
    quoted,
    reason,
)
from s2fin_cli.core.gdal import GDAL_ERRORS
from s2fin_cli.core.names import gdal_name
from s2fin_cli.core.sidecars import PAM_SUFFIX
from s2fin_cli.core.virtual import check_sources, is_remote, sources_of
from s2fin_cli.raster.assets import side_by_side, supplement, supplemented
from s2fin_cli.raster.lost_sources import LostSources
from s2fin_cli.raster.refusals import signing_hint, why_not_open, zarr_hint
from s2fin_cli.stac.images import files_of, is_elsewhere, tiles_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from rasterio.windows import Window

    from s2fin_cli.geo.grid import Grid
    from s2fin_cli.stac.images import AssetRaster


#: What rasterio raises where a file is not what it should be; texts are decoded when they are asked for.
UNREADABLE = (*GDAL_ERRORS, CRSError, UnicodeDecodeError)
#: Bytes of a storage block once it is decoded, of all bands that are stored together, at most.
LARGEST_BLOCK = 384 << 20
#: Bytes of a sidecar and of a virtual raster, at most.
MOST_PAM, MOST_VRT = 16 << 20, 64 << 20
#: Sources of virtual rasters that this process must not read again.
LOST = LostSources()
#: Bytes of GDAL's block cache, the least and the most; its default is a share of the machine's memory.
LEAST_CACHE, MOST_CACHE = 16 << 20, 256 << 20


def environment(cache: int | None = None, *, threads: int | None = None) -> rasterio.Env:
    """GDAL's settings for s2fin: a bounded block cache and decoding on all cores.

    Args:
        cache: bytes of the block cache; None keeps that of the environment around, or takes the least.
        threads: that decode storage blocks; None keeps those of the environment around, or takes one for each core.
    """
    # NOTE: rasterio passes a whole number on to GDAL as bytes, whereas GDAL's own option takes a small one for MiB
    around = getenv() if hasenv() else {}
    return rasterio.Env(
        GDAL_CACHEMAX=cache or around.get("GDAL_CACHEMAX") or LEAST_CACHE,
        GDAL_NUM_THREADS=threads or around.get("GDAL_NUM_THREADS") or "ALL_CPUS",
    )


@contextlib.contextmanager
def open_raster(src_path: str | Path) -> Iterator[rasterio.DatasetReader]:
    """Open a raster for reading: a file, or an asset of a STAC item with what its file lacks and the item says.

    Raises:
        RasterError: it is missing, not a raster, holds no bands of its own, or is made of a file that is missing or
            cannot be read.
        InputError: it is an asset that cannot be found.
        GeoreferencingError: it is made of tiles that do not go together.
    """
    tiles = tiles_of(src_path)
    with contextlib.ExitStack() as stack:
        if not tiles:
            yield stack.enter_context(_open_file(src_path))
            return
        LOST.check(str(src_path), paths := [tile.path for tile in tiles])
        opened = [stack.enter_context(_open_asset(tile)) for tile in tiles]
        if len(tiles) == 1:
            yield opened[0]
            return
        joined = stack.enter_context(side_by_side(opened, str(src_path)))
        stack.enter_context(_as_given(src_path, joined.name))
        stack.enter_context(_noting_lost(paths))
        yield joined


@contextlib.contextmanager
def _noting_lost(sources: Collection[str]) -> Iterator[None]:
    """Take note of sources of a virtual raster that cannot be opened any more, if reading fails."""
    try:
        yield
    except (RasterError, RasterioError):
        LOST.add(list(filter(_is_lost, sources)))
        raise


@contextlib.contextmanager
def _open_asset(tile: AssetRaster) -> Iterator[rasterio.DatasetReader]:
    """Open the file of an asset, with what it lacks and its item says."""
    with (
        open_asset_file(tile) as src,
        supplemented(src, supplement(src, tile.chosen.asset)) as found,
        _as_given(tile.path, found.name),
    ):
        yield found


@contextlib.contextmanager
def open_asset_file(tile: AssetRaster) -> Iterator[rasterio.DatasetReader]:
    """Open the file of an asset as it is.

    Raises:
        RasterError: as `open_raster`.
    """
    with contextlib.ExitStack() as stack:
        try:
            src = stack.enter_context(_open_file(tile.path))
        except RasterError as error:
            raise type(error)(f"{tile.describe()}: {error}{signing_hint(error)}") from error
        yield src


@contextlib.contextmanager
def _open_file(src_path: str | Path) -> Iterator[rasterio.DatasetReader]:
    """Open a raster that is a file, or has a name of GDAL's own."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(environment())
        # NOTE: a raster without georeferencing is judged by the caller; the warning would come twice.
        stack.enter_context(without_georeferencing_warning())
        name = gdal_name(src_path, error=RasterError)
        _check_texts(name)
        try:
            src = stack.enter_context(rasterio.open(name))
        except (*UNREADABLE, ValueError) as error:  # it cannot make out names such as "http://["
            raise RasterError(why_not_open(src_path, error)) from error
        stack.enter_context(_as_raster_error(src_path))
        if src.count == 0:
            raise RasterError(_without_bands(src_path, src))
        _check_blocks(src)
        stack.enter_context(_as_given(src_path, name))
        if src.driver == "VRT":
            stack.enter_context(_with_sources(src_path))
        yield src


def _check_texts(name: str) -> None:
    """Refuse XML of a size that would take minutes and gigabytes to parse."""
    for path, most in ((f"{name}{PAM_SUFFIX}", MOST_PAM), (name if name.lower().endswith(".vrt") else "", MOST_VRT)):
        if os.path.isfile(path) and (size := os.path.getsize(path)) > most:
            raise RasterError(
                f"{path} has {size >> 20} MiB, and at most {most >> 20} MiB of such XML are read; make it again, or "
                "move it away"
            )


def _check_blocks(src: rasterio.DatasetReader) -> None:
    """Refuse a raster that has to be decoded in pieces larger than the memory that a command may take."""
    bands = src.count if src.interleaving == Interleaving.pixel else 1
    for (height, width), dtype in set(zip(src.block_shapes, src.dtypes, strict=True)):
        size = height * width * bands * np.dtype(dtype).itemsize
        if size > LARGEST_BLOCK:
            raise RasterError(
                f"{src.name} is stored in blocks of {width} x {height} px, of which one takes {size >> 20} MiB of "
                f"memory, and at most {LARGEST_BLOCK >> 20} MiB are read at a time; write it again with: "
                f"gdal_translate -co TILED=YES {quoted(src.name)} OUT.tif"
            )


def _without_bands(src_path: str | Path, src: rasterio.DatasetReader) -> str:
    """The message that a raster holds other rasters only, or none that can be read."""
    images = images_in(src)
    if images or not src.subdatasets:
        listed = "\n  ".join(images) or "(none)"
        return f"{src_path} holds no bands of its own; give one of its subdatasets:\n  {listed}"
    why = _why_not(src.subdatasets[0]) or "none of its arrays has rows and columns"
    return f"{src_path} holds no images that GDAL {rasterio.__gdal_version__} can read ({why}){zarr_hint(why)}"


def images_in(src: rasterio.DatasetReader) -> list[str]:
    """Names of the images in an open raster: its subdatasets, without those arrays of Zarr that are coordinates."""
    names: list[str] = src.subdatasets
    return [name for name in names if src.driver != "Zarr" or _is_image(name)]


def _is_image(name: str) -> bool:
    try:
        with without_georeferencing_warning(), rasterio.open(name) as src:
            return bool(src.count) and min(src.shape) > 1
    except UNREADABLE:
        return False


@contextlib.contextmanager
def _as_raster_error(src_path: str | Path) -> Iterator[None]:
    """Report what an open raster turns out not to hold, such as the text or the directory that its header promises."""
    try:
        yield
    except UNREADABLE as error:
        raise RasterError(f"{src_path} cannot be read ({reason(error)}); is the file whole?") from error


@contextlib.contextmanager
def _as_given(src_path: str | Path, name: str) -> Iterator[None]:
    """In errors, name a raster by the path that was given, not by the target of a link."""
    try:
        yield
    except (RasterError, GeoreferencingError) as error:
        if name == str(src_path) or name not in str(error):
            raise
        raise type(error)(str(error).replace(name, str(src_path))) from error.__cause__


@contextlib.contextmanager
def _with_sources(src_path: str | Path) -> Iterator[None]:
    """Refuse a virtual raster with missing sources, and name the source at fault if reading fails."""
    # NOTE: one that passed is not checked again, because a raster is opened many times.
    sources: frozenset[str] = frozenset()
    with contextlib.suppress(OSError):
        sources = _check_once(str(src_path), os.stat(src_path).st_mtime_ns)
    LOST.check(str(src_path), sources)
    try:
        yield
    except (RasterError, RasterioError) as error:
        if isinstance(error, RasterError) and str(src_path) not in str(error):
            raise  # the error is about another raster
        LOST.add(list(filter(_is_lost, sources)))
        check_sources(src_path, why_not=functools.partial(_why_not, whole=True), error=RasterError, most_opened=None)
        raise


@lru_cache(maxsize=64)
def _check_once(src_path: str, changed: int) -> frozenset[str]:
    """Refuse a virtual raster with missing sources; gives its sources."""
    return frozenset(source.path for source in check_sources(src_path, why_not=_why_not, error=RasterError))


def check_again(src_path: str) -> None:
    """Refuse a virtual raster that could not be read because of a source, rather than a storage block of it.

    To be called before the error is passed over: GDAL reads such a source as zeros from then on, see `lost_sources.py`.

    Raises:
        RasterError: a source cannot be opened, or is not on this machine, so that its connection may be at fault.
    """
    for path in (files := files_of(src_path)):
        if len(files) > 1 and (why := _why_not(path)) is not None:
            raise RasterError(f"{src_path} is made of {path}, which cannot be read ({why}); put it back, and try again")
        if not sources_of(path):
            continue
        if is_elsewhere(path):
            raise RasterError(
                f"{path} cannot be read, and not all of its sources are on this machine; check the connection and try "
                "again, or copy the files to this machine"
            )
        check_sources(path, why_not=_why_not, error=RasterError, most_opened=None)


def _is_lost(source: str) -> bool:
    """Whether a source of a virtual raster that could not be read may be why."""
    return is_remote(source) or _why_not(source) is not None


def _why_not(src_path: str, *, whole: bool = False) -> str | None:
    """Why GDAL cannot open a source, or read it to its last pixel, if `whole`; None where it can."""
    try:
        with without_georeferencing_warning(), rasterio.open(gdal_name(src_path, error=RasterError)) as src:
            _check_blocks(src)
            if whole:  # as a copy that was cut off cannot be
                src.read(window=((src.height - 1, src.height), (src.width - 1, src.width)))
            return None
    except (*UNREADABLE, RasterError) as error:
        return reason(error.__cause__ or error)


@contextlib.contextmanager
def without_georeferencing_warning() -> Iterator[None]:
    """Keep rasterio quiet about a raster without georeferencing, which s2fin reports in its own words.

    And about a nodata value beside an alpha band: s2fin honours both.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        warnings.simplefilter("ignore", NodataShadowWarning)
        yield


def cannot_read(
    src_path: str, grid: Grid, window: Window, error: RasterioError, *, band: int | None = None
) -> RasterError:
    """The error that a part of an open raster cannot be read.

    Args:
        src_path: the raster.
        grid: its grid, or the one that it is read on.
        window: the part.
        error: why not.
        band: the number of the band; None for any.
    """
    rows, cols = ((start, start + length - 1) for start, length in zip(*_spans(window), strict=True))
    where = f"columns {cols[0]} to {cols[1]}, rows {rows[0]} to {rows[1]} ({describe_bounds(grid.crop(window).bounds)})"
    found = f"{src_path} cannot be read" + f" in band {band}" * (band is not None) + f" at {where}: {_reason(error)}"
    if is_elsewhere(src_path):
        return RasterError(f"{found}; check the connection and try again, or copy the file to this machine")
    return UnreadableError(f"{found}; is the file whole? Copy it again")


def _spans(window: Window) -> tuple[tuple[int, int], tuple[int, int]]:
    """Offsets and lengths of a window, rows first."""
    return (int(window.row_off), int(window.col_off)), (int(window.height), int(window.width))


def _reason(error: BaseException) -> str:
    """What was at the root of an error."""
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error).strip().removesuffix(".")
