"""Rasters: the only place that opens one.

Everything else passes paths and `Grid`s. Values come out as float32 with NaN where the raster has no data, whichever
way it says so: a nodata value, a mask, an alpha band, NaN or an infinity.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import warnings
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import rasterio
import rasterio.shutil
from affine import Affine
from rasterio.enums import ColorInterp, MaskFlags, Resampling
from rasterio.env import getenv, hasenv
from rasterio.errors import NodataShadowWarning, NotGeoreferencedWarning, RasterioError
from rasterio.io import MemoryFile
from rasterio.vrt import WarpedVRT

from s2fin_cli.core.errors import GeoreferencingError, RasterError, quoted
from s2fin_cli.core.names import gdal_name, is_dataset_name
from s2fin_cli.core.virtual import check_sources
from s2fin_cli.geo.grid import Grid
from s2fin_cli.geo.transformation import Wrapping, kernel_scale, resolution_on
from s2fin_cli.geo.vrt import part_of
from s2fin_cli.geo.windows import spread_windows
from s2fin_cli.raster.doubts import check_whole, find_doubts, is_lossy
from s2fin_cli.raster.spectra import read_bad_bands, read_wavelengths

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray
    from rasterio.windows import Window

logger = logging.getLogger(__name__)

#: Bytes of GDAL's block cache, the least and the most; its default is a share of the machine's memory.
LEAST_CACHE, MOST_CACHE = 16 << 20, 256 << 20
#: Data types whose values float32 holds exactly.
EXACT_DTYPES = ("uint8", "int8", "uint16", "int16", "float32")
#: An alpha band holds data where it has more distinct values than this, and where a smaller share than this of its
#: values above 0 are the highest of them: a mask is opaque nearly everywhere, but for soft edges.
MASK_VALUES, OPAQUE_SHARE = 16, 0.5
#: Windows of an alpha band that are looked at, and their pixels a side.
ALPHA_WINDOWS, ALPHA_SIDE = 9, 128
#: How exactly a warp finds its places, in pixels; GDAL's default of an eighth differs from window to window.
WARP_TOLERANCE_PX = 1e-6


@dataclass(frozen=True)
class RasterInfo:
    """What a raster says about itself.

    Attributes:
        src_path: as given, GDAL's virtual paths included.
        grid: where its pixels lie.
        indexes: 1-based numbers of the data bands; alpha bands that are masks are left out.
        alpha_indexes: 1-based numbers of the alpha bands that are masks: they say where the others have data.
        alpha_data_indexes: 1-based numbers of the data bands that are marked as alpha and hold too many values for a
            mask.
        dtype: data type of the first data band.
        nodata: declared nodata value of the first data band, or None.
        scales, offsets: of the data bands: a value is what is stored times the scale, plus the offset.
        band_names: descriptions of the data bands, empty where there is none.
        wavelengths: centre wavelengths in nanometres of the data bands, None of those of which none is known; None
            where there is none at all.
        bad_indexes: 1-based numbers of the data bands that the file declares bad.
        driver: GDAL's short name of the format.
        block_shape: (height, width) of what it is read by.
        has_gcps: whether it is placed by ground control points only.
        has_rpcs: whether it is placed by rational polynomial coefficients only.
        has_geolocation: whether it is placed by arrays of longitudes and latitudes only.
        acquired: when it was taken, where the file says so.
        colors: what colour the data bands are marked as, "red", "green", "blue" and so on; empty where it is none.
        units: of the values of the data bands, as the file names them; empty where it does not.
        doubts: what of it may not be meant, a sentence each.
        has_mask: whether a mask or an alpha band says where it has data.
        is_lossy: whether it is compressed in a way that changes values.
    """

    src_path: str
    grid: Grid
    indexes: tuple[int, ...]
    alpha_indexes: tuple[int, ...]
    dtype: str
    nodata: float | None
    band_names: tuple[str, ...]
    wavelengths: tuple[float | None, ...] | None
    bad_indexes: tuple[int, ...]
    driver: str
    block_shape: tuple[int, int]
    has_gcps: bool
    has_rpcs: bool
    has_geolocation: bool
    acquired: datetime | None
    alpha_data_indexes: tuple[int, ...]
    scales: tuple[float, ...]
    offsets: tuple[float, ...]
    colors: tuple[str, ...]
    units: tuple[str, ...]
    doubts: tuple[str, ...]
    has_mask: bool
    is_lossy: bool

    @property
    def count(self) -> int:
        """Number of data bands."""
        return len(self.indexes)


class WindowReader(Protocol):
    """Something that reads the bands of one raster, on a fixed grid, window by window."""

    def read(self, window: Window) -> NDArray[np.float32]:
        """Values (bands, height, width) of a window inside the grid, NaN where there is no data."""


def environment(cache: int | None = None) -> rasterio.Env:
    """GDAL's settings for s2fin: a bounded block cache and decoding on all cores.

    Args:
        cache: bytes of the block cache; None keeps that of the environment around, or takes the least.
    """
    # NOTE: rasterio hands a whole number on to GDAL as bytes, where GDAL's own option takes a small one for MiB
    around = getenv().get("GDAL_CACHEMAX") if hasenv() else None
    return rasterio.Env(GDAL_CACHEMAX=cache or around or LEAST_CACHE, GDAL_NUM_THREADS="ALL_CPUS")


@contextlib.contextmanager
def open_raster(src_path: str | Path) -> Iterator[rasterio.DatasetReader]:
    """Open a raster for reading.

    Raises:
        RasterError: it is missing, not a raster, holds no bands of its own, or is made of a file that is missing or
            cannot be read.
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(environment())
        # NOTE: a raster without georeferencing is judged by whoever asked for it; the warning would come twice.
        stack.enter_context(without_georeferencing_warning())
        name = gdal_name(src_path, error=RasterError)
        try:
            src = stack.enter_context(rasterio.open(name))
        except RasterioError as error:
            raise RasterError(_why_not_open(src_path, error)) from error
        if src.count == 0:
            subdatasets = "\n  ".join(src.subdatasets) or "(none)"
            raise RasterError(f"{src_path} holds no bands of its own; give one of its subdatasets:\n  {subdatasets}")
        stack.enter_context(_as_given(src_path, name))
        if src.driver == "VRT":
            stack.enter_context(_with_sources(src_path))
        yield src


@contextlib.contextmanager
def _as_given(src_path: str | Path, name: str) -> Iterator[None]:
    """Call a raster in errors by the path that was given, and not by that which a link leads to."""
    try:
        yield
    except (RasterError, GeoreferencingError) as error:
        if name == str(src_path) or name not in str(error):
            raise
        raise type(error)(str(error).replace(name, str(src_path))) from error.__cause__


@contextlib.contextmanager
def _with_sources(src_path: str | Path) -> Iterator[None]:
    """Refuse a virtual raster whose sources are not all there, and name the one at fault where reading fails."""
    # NOTE: one that passed is not looked at again and again, as a raster is opened many times.
    with contextlib.suppress(OSError):
        _check_once(str(src_path), os.stat(src_path).st_mtime_ns)
    try:
        yield
    except (RasterError, RasterioError) as error:
        if isinstance(error, RasterError) and str(src_path) not in str(error):
            raise  # it is about another raster
        check_sources(src_path, why_not=functools.partial(_why_not, whole=True), error=RasterError, most_opened=None)
        raise


@lru_cache(maxsize=1024)
def _check_once(src_path: str, changed: int) -> None:
    check_sources(src_path, why_not=_why_not, error=RasterError)


def _why_not(src_path: str, *, whole: bool = False) -> str | None:
    """Why GDAL cannot open a source, or read it to its last pixel where that is asked for; None where it can."""
    try:
        with without_georeferencing_warning(), rasterio.open(gdal_name(src_path, error=RasterError)) as src:
            if whole:  # as a copy that was cut off cannot be
                src.read(window=((src.height - 1, src.height), (src.width - 1, src.width)))
            return None
    except (RasterioError, RasterError) as error:
        return str(error.__cause__ or error)


@contextlib.contextmanager
def without_georeferencing_warning() -> Iterator[None]:
    """Keep rasterio quiet about a raster without georeferencing, which s2fin reports in its own words.

    And about a nodata value beside an alpha band: s2fin honours both.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        warnings.simplefilter("ignore", NodataShadowWarning)
        yield


def _why_not_open(src_path: str | Path, error: Exception) -> str:
    is_plain = not is_dataset_name(src_path)
    if is_plain and not os.path.exists(src_path):
        return f"{src_path} does not exist (looked in {Path(src_path).absolute().parent}); check the path"
    if is_plain and os.path.isdir(src_path):
        return f"{src_path} is a folder; give the raster file inside it"
    what = "give a GeoTIFF or another raster format" if is_plain else "check the name, and that it can be reached"
    return f"{src_path} is not a raster that GDAL can read ({error}); {what}"


def read_info(src_path: str | Path) -> RasterInfo:
    """Read what a raster says about itself.

    Raises:
        RasterError: it is missing, not a raster, or its values are complex numbers.
        GeoreferencingError: its transform gives its pixels no size.
    """
    with open_raster(src_path) as src:
        alpha_indexes, alpha_data_indexes = _alpha_roles(src)
        indexes = tuple(index for index in src.indexes if index not in alpha_indexes)
        if not indexes:
            raise RasterError(f"{src_path} holds nothing but an alpha band; give a raster with data bands")
        # NOTE: each property of a dataset looks at all its bands, so none is asked band by band
        all_dtypes, names, roles, units = src.dtypes, src.descriptions, src.colorinterp, src.units
        dtypes = [all_dtypes[index - 1] for index in indexes]
        if complex_dtype := next((name for name in dtypes if name.startswith("complex")), None):
            raise RasterError(
                f"{src_path} holds complex values ({complex_dtype}); convert it to amplitude or intensity first"
            )
        check_whole(src)
        scales, offsets = _scaling(src, indexes)
        is_placed = src.crs is not None or src.transform != Affine.identity()
        return RasterInfo(
            src_path=str(src_path),
            grid=_grid_of(src),
            indexes=indexes,
            alpha_indexes=alpha_indexes,
            alpha_data_indexes=alpha_data_indexes,
            dtype=dtypes[0],
            nodata=src.nodatavals[indexes[0] - 1],
            band_names=tuple(names[i - 1] or "" for i in indexes),
            wavelengths=read_wavelengths(src, indexes),
            bad_indexes=read_bad_bands(src, indexes),
            driver=src.driver,
            block_shape=src.block_shapes[indexes[0] - 1],
            has_gcps=bool(src.gcps[0]) and src.transform == Affine.identity(),
            has_rpcs=not is_placed and not src.gcps[0] and src.rpcs is not None,
            acquired=_acquired(src),
            scales=scales,
            offsets=offsets,
            has_geolocation=not is_placed and bool(src.tags(ns="GEOLOCATION")),
            colors=tuple(_color_name(roles[i - 1]) for i in indexes),
            units=tuple((units[i - 1] or "").strip() for i in indexes),
            doubts=find_doubts(src, indexes),
            has_mask=bool(alpha_indexes) or src.mask_flag_enums[indexes[0] - 1] == [MaskFlags.per_dataset],
            is_lossy=is_lossy(src),
        )


def _color_name(role: ColorInterp) -> str:
    return (
        "" if role in (ColorInterp.undefined, ColorInterp.gray, ColorInterp.palette, ColorInterp.alpha) else role.name
    )


def _scaling(src: rasterio.DatasetReader, indexes: Sequence[int]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Scales and offsets of bands; refuse those that would make nothing of the values."""
    all_scales, all_offsets = src.scales, src.offsets
    pairs = [(float(all_scales[index - 1]), float(all_offsets[index - 1])) for index in indexes]
    for index, (scale, offset) in zip(indexes, pairs, strict=True):
        if not (np.isfinite([scale, offset]).all() and scale != 0):
            raise RasterError(
                f"{src.name} declares the scale {scale:g} and the offset {offset:g} for band {index}, which leave no "
                "values; mend them with: gdal_edit.py -scale 1 -offset 0 FILE"
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


def _alpha_roles(src: rasterio.DatasetReader) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """1-based numbers of the bands marked as alpha that are masks, and of those that hold data."""
    marked = [i for i, role in zip(src.indexes, src.colorinterp, strict=True) if role == ColorInterp.alpha]
    holds_data = {index: _holds_data(src, index) for index in marked}
    return tuple(i for i in marked if not holds_data[i]), tuple(i for i in marked if holds_data[i])


def _holds_data(src: rasterio.DatasetReader, index: int) -> bool:
    """Whether a band has too many values for a mask, as one has that GDAL takes for alpha because it is the fourth."""
    try:
        parts = [src.read(index, window=w).ravel() for w in spread_windows(src.shape, ALPHA_SIDE, most=ALPHA_WINDOWS)]
    except RasterioError:  # whoever reads it in earnest says what is wrong
        return False
    values = np.concatenate(parts)
    values = values[values > 0]  # NaN is not
    if not len(values):
        return False
    return len(np.unique(values)) > MASK_VALUES and float((values == values.max()).mean()) < OPAQUE_SHARE


def _grid_of(src: rasterio.DatasetReader) -> Grid:
    if not np.isfinite(src.transform).all() or src.transform.is_degenerate:
        raise GeoreferencingError(
            f"{src.name} has a transform that gives its pixels no size ({tuple(src.transform)[:6]}); "
            "assign the right extent with: gdal_edit.py -a_ullr LEFT TOP RIGHT BOTTOM"
        )
    return Grid(src.crs, src.transform, src.shape)


@dataclass(frozen=True)
class _DirectReader:
    """Reads bands on the raster's own grid, NaN where its nodata value, its mask or its alpha band says no data."""

    src: Any
    indexes: tuple[int, ...]
    alpha_indexes: tuple[int, ...] = ()
    nodata: float | None = None

    @cached_property
    def _bands(self) -> list[tuple[list[MaskFlags], float | None, str]]:
        """Mask flags, nodata value and data type of each band."""
        # NOTE: each of these properties looks at all bands, so they must not be asked band by band.
        of_all = list(zip(self.src.mask_flag_enums, self.src.nodatavals, self.src.dtypes, strict=True))
        return [of_all[index - 1] for index in self.indexes]

    @cached_property
    def _compared_nodata(self) -> list[tuple[int, np.float32]]:
        """Positions of bands and those nodata values that values are compared with here.

        They are those that GDAL's masks leave out, as they do where a mask exists; and those of data types that float32
        holds exactly, as a mask made by GDAL takes much longer.
        """
        found = []
        for position, (flags, nodata, dtype) in enumerate(self._bands):
            if self.nodata is not None:
                found.append((position, np.float32(self.nodata)))
            if nodata is not None and not np.isnan(nodata) and self._is_compared(flags, nodata, dtype):
                with np.errstate(over="ignore"):
                    found.append((position, np.float32(nodata)))
        return found

    @staticmethod
    def _is_compared(flags: list[MaskFlags], nodata: float, dtype: str) -> bool:
        """Whether a nodata value is compared with the values here, and not by GDAL's mask."""
        is_exact = dtype in EXACT_DTYPES and (_is_float(dtype) or nodata == round(nodata))
        return is_exact or MaskFlags.nodata not in flags

    @cached_property
    def _has_mask(self) -> bool:
        """Whether GDAL's masks tell what neither NaNs, nodata values compared here nor an alpha band say themselves."""
        for flags, nodata, dtype in self._bands:
            is_told = nodata is not None and (np.isnan(nodata) or self._is_compared(flags, nodata, dtype))
            known = {MaskFlags.all_valid, MaskFlags.nodata} if is_told else {MaskFlags.all_valid}
            if MaskFlags.alpha not in flags and set(flags) - known:
                return True
        return False

    @cached_property
    def _may_be_infinite(self) -> bool:
        return any(_is_float(dtype) for _, _, dtype in self._bands)

    def read(self, window: Window) -> NDArray[np.float32]:
        try:
            values = self._read_stored(window)
            if self._has_mask:
                values[self.src.read_masks(list(self.indexes), window=window) == 0] = np.nan
            # NOTE: GDAL makes a mask of the alpha band of some data types only.
            for index in self.alpha_indexes:
                values[:, self.src.read(index, window=window) == 0] = np.nan
        except RasterioError as error:
            raise RasterError(f"{self.src.name} cannot be read at {window} ({error}); is the file whole?") from error
        for position, nodata in self._compared_nodata:
            band = values[position]
            band[is_nodata(band, nodata) if self._bands[position][2] == "float32" else band == nodata] = np.nan
        if self._may_be_infinite:
            values[np.isinf(values)] = np.nan
        return np.asarray(values, dtype=np.float32)

    def _read_stored(self, window: Window) -> NDArray[np.float32]:
        """Values (bands, height, width) as they are stored."""
        dtypes = [dtype for _, _, dtype in self._bands]
        if len(set(dtypes)) == 1:
            return np.asarray(self.src.read(list(self.indexes), window=window, out_dtype="float32"))
        values = np.empty((len(dtypes), int(window.height), int(window.width)), np.float32)
        for dtype in sorted(set(dtypes)):  # rasterio reads bands of one type at a time
            positions = [position for position, other in enumerate(dtypes) if other == dtype]
            indexes = [self.indexes[position] for position in positions]
            values[positions] = self.src.read(indexes, window=window, out_dtype="float32")
        return values


def is_nodata(values: NDArray[np.float32], nodata: np.float32) -> NDArray[np.bool_]:
    """Mask of the values that GDAL takes for a nodata value of float32, which many files declare rounded.

    The comparison is that of `ARE_REAL_EQUAL` in GDAL's gdal_priv.h, in the same precision: where the sum of two huge
    values overflows, they are equal.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        tolerance = np.finfo(np.float32).eps * np.abs(values + nodata) * np.float32(2)
        return np.asarray((values == nodata) | (np.abs(values - nodata) < tolerance))


def _is_float(dtype: str) -> bool:
    return bool(np.issubdtype(np.dtype(dtype), np.floating))


@dataclass(frozen=True)
class JoinedReader:
    """Reads the bands of several readers, in an order of their own.

    Attributes:
        readers: what reads them.
        order: int64 (bands,), the position of each among those of all readers, one after the other.
    """

    readers: Sequence[WindowReader]
    order: NDArray[np.int64]

    def read(self, window: Window) -> NDArray[np.float32]:
        """Values (bands, height, width) of a window."""
        return np.concatenate([reader.read(window) for reader in self.readers])[self.order]


@contextlib.contextmanager
def open_on_grid(
    src_path: str | Path,
    grid: Grid,
    *,
    indexes: tuple[int, ...],
    resampling: Resampling | None = None,
    alpha_indexes: tuple[int, ...] | None = None,
    nodata: float | None = None,
) -> Iterator[WindowReader]:
    """Open bands of a raster, as they are stored, as if they lay on another grid.

    A raster that already lies there is read as it is; any other is warped window by window, its validity with it.

    Args:
        src_path: the raster.
        grid: the grid to read on.
        indexes: 1-based band numbers.
        resampling: method of the warp; None chooses by `default_resampling`.
        alpha_indexes: 1-based numbers of the bands that are masks, where they are known.
        nodata: what any band holds where it has no data, besides what the raster says.

    Raises:
        GeoreferencingError: one of the two has no CRS, so that no warp is possible.
    """
    with open_raster(src_path) as src:
        own_grid = _grid_of(src)
        alphas = _alpha_roles(src)[0] if alpha_indexes is None else alpha_indexes
        aligned_without_crs = own_grid.crs is None and grid.crs is None and own_grid.shape == grid.shape
        if own_grid.matches(grid) or aligned_without_crs:
            yield _DirectReader(src, indexes, alphas, nodata)
            return
        if own_grid.crs is None or grid.crs is None:
            raise GeoreferencingError(f"{src_path} cannot be warped: {own_grid.describe()} onto {grid.describe()}")
        if resampling is None:
            resampling = default_resampling(own_grid, grid)
        with contextlib.ExitStack() as opened:
            wrapping = Wrapping.of(own_grid, grid)
            whole = opened.enter_context(wrapping.source(src))
            warped = functools.partial(_warped, own_grid=own_grid, grid=grid, resampling=resampling, wrapping=wrapping)
            readers, order = [], []
            for source, bands, own_nodata in _warp_sources(whole, indexes, alphas, nodata, opened):
                vrt = opened.enter_context(warped(source, nodata=own_nodata))
                readers.append(_DirectReader(vrt, tuple(bands.values())))
                order += list(bands)
            yield readers[0] if len(readers) == 1 else JoinedReader(readers, np.argsort(order))


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
    nodatavals, dtypes, roles = src.nodatavals, src.dtypes, src.colorinterp  # each of which looks at all bands
    for position, index in enumerate(indexes):
        nodata = nodatavals[index - 1]
        if nodata is None or np.isnan(nodata):  # one object, as NaN equals no other
            # NOTE: undeclared NaNs must be kept out of the kernel's weights, or each would spoil its neighbours too.
            nodata = np.nan if nodata is not None or _is_float(dtypes[index - 1]) else extra
        elif not _is_float(dtypes[index - 1]):
            nodata = float(int(nodata))  # as GDAL's masks take it
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


def check_placed(info: RasterInfo, name: str) -> None:
    """Refuse a raster whose pixels have to be rectified before they have a place.

    Raises:
        GeoreferencingError: it is placed by ground control points, rational polynomials or arrays only, or in degrees
            that there are not.
    """
    if info.has_gcps:
        raise GeoreferencingError(
            f"{name} is placed by ground control points only; rectify it first with: "
            f"gdalwarp -t_srs EPSG:CODE {quoted(info.src_path)} RECTIFIED.tif"
        )
    if info.has_rpcs:
        raise GeoreferencingError(
            f"{name} is placed by rational polynomial coefficients (RPC) only; rectify it first, with heights, by: "
            f"gdalwarp -rpc -to RPC_DEM=HEIGHTS.tif -t_srs EPSG:CODE {quoted(info.src_path)} RECTIFIED.tif"
        )
    if info.has_geolocation:
        raise GeoreferencingError(
            f"{name} is placed by arrays of longitudes and latitudes only; rectify it first with: "
            f"gdalwarp -geoloc -t_srs EPSG:CODE {quoted(info.src_path)} RECTIFIED.tif"
        )
    _check_degrees(info, name)


def _check_degrees(info: RasterInfo, name: str) -> None:
    """Refuse an extent in a geographic CRS that no longitudes and latitudes have."""
    turn, (left, bottom, right, top) = info.grid.full_turn, info.grid.bounds
    if turn is not None and (max(-left, right) > 2 * turn or max(-bottom, top) > turn / 4 + info.grid.res[1]):
        raise GeoreferencingError(
            f"{name} is said to be in degrees, but covers x {left:.10g} to {right:.10g}, "
            f"y {bottom:.10g} to {top:.10g}; assign its right CRS with: "
            f"gdal_edit.py -a_srs EPSG:CODE {quoted(info.src_path)}"
        )
