"""Rasters: the only place that opens one.

Everything else passes paths and `Grid`s. Values come out as float32 with NaN where the raster has no data, whichever
way it says so: a nodata value, a mask, an alpha band, NaN or an infinity.
"""

from __future__ import annotations

import contextlib
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import rasterio
from affine import Affine
from rasterio.coords import BoundingBox
from rasterio.enums import ColorInterp, MaskFlags, Resampling
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.vrt import WarpedVRT
from rasterio.warp import transform as transform_points
from rasterio.warp import transform_bounds

from s2fin_cli.errors import GeoreferencingError, RasterError
from s2fin_cli.geo.grid import Grid

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray
    from rasterio.windows import Window

#: GDAL's block cache in MiB: its default is a share of the machine's memory, and ours must not grow with the raster.
CACHE_MIB = 256
#: How exactly a warp finds its places, in pixels; GDAL's default of an eighth differs from window to window.
WARP_TOLERANCE_PX = 1e-6


@dataclass(frozen=True)
class RasterInfo:
    """What a raster says about itself.

    Attributes:
        src_path: as given, GDAL's virtual paths included.
        grid: where its pixels lie.
        indexes: 1-based numbers of the data bands; alpha bands are left out.
        dtype: data type of the first data band.
        nodata: declared nodata value of the first data band, or None.
        band_names: descriptions of the data bands, empty where there is none.
        wavelengths: centre wavelengths in nanometres of the data bands, or None where not all are known.
        has_gcps: whether it is placed by ground control points only.
    """

    src_path: str
    grid: Grid
    indexes: tuple[int, ...]
    dtype: str
    nodata: float | None
    band_names: tuple[str, ...]
    wavelengths: tuple[float, ...] | None
    driver: str
    has_gcps: bool

    @property
    def count(self) -> int:
        """Number of data bands."""
        return len(self.indexes)


class WindowReader(Protocol):
    """Something that reads the bands of one raster, on a fixed grid, window by window."""

    def read(self, window: Window) -> NDArray[np.float32]:
        """Values (bands, height, width) of a window inside the grid, NaN where there is no data."""


def environment() -> rasterio.Env:
    """GDAL's settings for s2fin: a bounded block cache and decoding on all cores."""
    return rasterio.Env(GDAL_CACHEMAX=CACHE_MIB, GDAL_NUM_THREADS="ALL_CPUS")


@contextlib.contextmanager
def open_raster(src_path: str | Path) -> Iterator[rasterio.DatasetReader]:
    """Open a raster for reading.

    Raises:
        RasterError: it is missing, not a raster, or holds no bands of its own.
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(environment())
        # NOTE: a raster without georeferencing is judged by whoever asked for it; the warning would come twice.
        stack.enter_context(without_georeferencing_warning())
        try:
            src = stack.enter_context(rasterio.open(src_path))
        except RasterioError as error:
            raise RasterError(_why_not_open(src_path, error)) from error
        if src.count == 0:
            subdatasets = "\n  ".join(src.subdatasets) or "(none)"
            raise RasterError(f"{src_path} holds no bands of its own; give one of its subdatasets:\n  {subdatasets}")
        yield src


@contextlib.contextmanager
def without_georeferencing_warning() -> Iterator[None]:
    """Keep rasterio quiet about a raster without georeferencing, which s2fin reports in its own words."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        yield


def _why_not_open(src_path: str | Path, error: Exception) -> str:
    is_plain = ":" not in str(src_path) and not str(src_path).startswith("/vsi")
    if is_plain and not Path(src_path).exists():
        return f"{src_path} does not exist (looked in {Path(src_path).absolute().parent}); check the path"
    if is_plain and Path(src_path).is_dir():
        return f"{src_path} is a folder; give the raster file inside it"
    return f"{src_path} is not a raster that GDAL can read ({error}); give a GeoTIFF or another raster format"


def read_info(src_path: str | Path) -> RasterInfo:
    """Read what a raster says about itself.

    Raises:
        RasterError: it is missing, not a raster, or its values are complex numbers.
    """
    with open_raster(src_path) as src:
        indexes = tuple(i for i, role in zip(src.indexes, src.colorinterp, strict=True) if role != ColorInterp.alpha)
        if not indexes:
            raise RasterError(f"{src_path} holds nothing but an alpha band; give a raster with data bands")
        dtype = src.dtypes[indexes[0] - 1]
        if dtype.startswith("complex"):
            raise RasterError(f"{src_path} holds complex values ({dtype}); convert it to amplitude or intensity first")
        return RasterInfo(
            src_path=str(src_path),
            grid=Grid(src.crs, src.transform, src.shape),
            indexes=indexes,
            dtype=dtype,
            nodata=src.nodatavals[indexes[0] - 1],
            band_names=tuple(src.descriptions[i - 1] or "" for i in indexes),
            wavelengths=_wavelengths(src, indexes),
            driver=src.driver,
            has_gcps=bool(src.gcps[0]) and src.transform == Affine.identity(),
        )


def _wavelengths(src: rasterio.DatasetReader, indexes: Sequence[int]) -> tuple[float, ...] | None:
    """Centre wavelengths in nm from band tags: ENVI's `wavelength` or GDAL's IMAGERY domain."""
    found = []
    for index in indexes:
        micrometres = src.tags(index, ns="IMAGERY").get("CENTRAL_WAVELENGTH_UM")
        tags = {key.lower(): value for key, value in src.tags(index).items()}
        try:
            if micrometres is not None:
                found.append(float(micrometres) * 1000)
            else:
                unit = tags.get("wavelength_units", "nm").lower()
                found.append(float(tags["wavelength"]) * (1000 if unit.startswith(("mic", "um")) else 1))
        except (KeyError, ValueError):
            return None
    return tuple(found)


@dataclass(frozen=True)
class _DirectReader:
    """Reads bands on the raster's own grid."""

    src: Any
    indexes: tuple[int, ...]

    @property
    def _has_mask(self) -> bool:
        if self.src.nodata is not None and np.isnan(self.src.nodata):
            return False  # the values say it themselves
        return any(flags != [MaskFlags.all_valid] for flags in self.src.mask_flag_enums)

    def read(self, window: Window) -> NDArray[np.float32]:
        try:
            values = self.src.read(list(self.indexes), window=window, out_dtype="float32")
            if self._has_mask:
                values[self.src.read_masks(list(self.indexes), window=window) == 0] = np.nan
        except RasterioError as error:
            raise RasterError(f"{self.src.name} cannot be read at {window} ({error}); is the file whole?") from error
        values[~np.isfinite(values)] = np.nan
        return np.asarray(values, dtype=np.float32)


@contextlib.contextmanager
def open_on_grid(
    src_path: str | Path, grid: Grid, *, indexes: tuple[int, ...], resampling: Resampling | None = None
) -> Iterator[WindowReader]:
    """Open bands of a raster as if they lay on another grid.

    A raster that already lies there is read as it is; any other is warped window by window, its validity with it.

    Args:
        src_path: the raster.
        grid: the grid to read on.
        indexes: 1-based band numbers.
        resampling: method of the warp; None chooses by `default_resampling`.

    Raises:
        GeoreferencingError: one of the two has no CRS, so that no warp is possible.
    """
    own_grid = read_info(src_path).grid
    with open_raster(src_path) as src:
        aligned_without_crs = own_grid.crs is None and grid.crs is None and own_grid.shape == grid.shape
        if own_grid.matches(grid) or aligned_without_crs:
            yield _DirectReader(src, indexes)
            return
        if own_grid.crs is None or grid.crs is None:
            raise GeoreferencingError(f"{src_path} cannot be warped: {own_grid.describe()} onto {grid.describe()}")
        if resampling is None:
            resampling = default_resampling(src_path, grid)
        with _warped(src, own_grid, grid, resampling) as vrt:
            yield _DirectReader(vrt, indexes)


def _warped(src: rasterio.DatasetReader, own_grid: Grid, grid: Grid, resampling: Resampling) -> WarpedVRT:
    is_float = np.issubdtype(np.dtype(src.dtypes[0]), np.floating)
    # NOTE: undeclared NaNs must be kept out of the kernel's weights, or each would spoil its neighbours too.
    src_nodata = np.nan if src.nodata is None and is_float else src.nodata
    return WarpedVRT(
        src,
        crs=grid.crs,
        transform=grid.transform,
        width=grid.width,
        height=grid.height,
        resampling=resampling,
        src_nodata=src_nodata,
        nodata=np.nan,
        dtype="float32",
        tolerance=WARP_TOLERANCE_PX,
        # NOTE: rasterio's default takes nodata for data wherever any other band has data.
        UNIFIED_SRC_NODATA="NO",
        **_kernel_scale(own_grid, grid),
    )


def _kernel_scale(own_grid: Grid, grid: Grid) -> dict[str, float]:
    """GDAL's options for the size of the kernel: pixels of the grid per pixel of the raster, along columns and rows.

    GDAL by itself measures it for each window anew, and values would depend on the window that they are read with.
    """
    covered, wanted = bounds_on(own_grid, grid), grid.bounds
    x = (max(covered.left, wanted.left) + min(covered.right, wanted.right)) / 2
    y = (max(covered.bottom, wanted.bottom) + min(covered.top, wanted.top)) / 2
    width, height = grid.res
    try:
        xs, ys = transform_points(grid.crs, own_grid.crs, [x, x + width, x], [y, y, y + height])
    except RasterioError:
        return {}
    a, b, c, d, e, f = (~own_grid.transform)[:6]
    with np.errstate(all="ignore"):  # places that the raster's CRS does not reach are infinite
        cols, rows = a * np.array(xs) + b * np.array(ys) + c, d * np.array(xs) + e * np.array(ys) + f
        scales = [1 / np.hypot(*(axis[1:] - axis[0])) for axis in (cols, rows)]
    return dict(zip(("XSCALE", "YSCALE"), scales, strict=True)) if np.isfinite(scales).all() else {}


def default_resampling(src_path: str | Path, grid: Grid) -> Resampling:
    """Average for a raster that is at least twice as fine as the grid, else bilinear."""
    info = read_info(src_path)
    res = resolution_on(info.grid, grid)
    return Resampling.average if max(res) * 2 <= min(grid.res) else Resampling.bilinear


def resolution_on(grid: Grid, other: Grid) -> tuple[float, float]:
    """Mean pixel width and height of a grid in the CRS units of another."""
    left, bottom, right, top = bounds_on(grid, other)
    return (right - left) / grid.width, (top - bottom) / grid.height


def bounds_on(grid: Grid, other: Grid) -> BoundingBox:
    """Bounds (left, bottom, right, top) of a grid in the CRS of another.

    Raises:
        GeoreferencingError: the bounds cannot be expressed there.
    """
    if grid.crs is None or other.crs is None or grid.crs == other.crs:
        return grid.bounds
    try:
        bounds = BoundingBox(*transform_bounds(grid.crs, other.crs, *grid.bounds, densify_pts=21))
        if np.isfinite(bounds).all():
            return bounds
        cause: Exception | None = None
    except (RasterioError, ValueError) as error:
        cause = error
    raise GeoreferencingError(
        f"the extent of {grid.describe()} cannot be expressed in the CRS of {other.describe()}; "
        "check that both CRS are the right ones"
    ) from cause
