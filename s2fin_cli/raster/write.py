"""Rasters that are written window by window, with overviews, and read back."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import rasterio
import rasterio.shutil
from numpy.typing import NDArray
from rasterio.enums import Resampling

from s2fin_cli.core.errors import RasterError
from s2fin_cli.core.formats import BLOCK_SIZE, PLAIN_DRIVER, raster_output
from s2fin_cli.core.gdal import GDAL_ERRORS
from s2fin_cli.core.names import plain_name
from s2fin_cli.core.version import __version__
from s2fin_cli.geo.windows import iter_tiles
from s2fin_cli.raster.creation import DEFAULT_FORMAT, RasterFormat
from s2fin_cli.raster.opening import environment, open_raster, without_georeferencing_warning

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rasterio.windows import Window

    from s2fin_cli.geo.grid import Grid


@dataclass(frozen=True)
class Encoding:
    """How values are stored.

    Attributes:
        dtype: the data type.
        nodata: what stands for no data, or None.
        scale: the value that a stored 1 stands for; None if values are stored as they are.
    """

    dtype: str = "float32"
    nodata: float | None = np.nan
    scale: float | None = None


AS_FLOATS = Encoding()


class RasterWriter:
    """An open raster that is written window by window."""

    def __init__(self, dst: Any) -> None:
        self.dst = dst

    def write(self, values: NDArray[Any], window: Window) -> None:
        """Write values (bands, height, width) into a window.

        Raises:
            OSError: they cannot be written.
        """
        with as_os_error():
            self.dst.write(values, window=window)


class ScaledWriter(RasterWriter):
    """An open raster of values that are stored as multiples of a declared scale."""

    def write(self, values: NDArray[Any], window: Window) -> None:
        """Write values (bands, height, width), NaN where there is none, into a window."""
        dtype, nodata, scale = self.dst.dtypes[0], self.dst.nodata, self.dst.scales[0]
        super().write(np.where(np.isnan(values), nodata, np.rint(values / scale)).astype(dtype), window)


@contextlib.contextmanager
def create_image(
    dst_path: Path,
    grid: Grid,
    band_names: Sequence[str],
    *,
    tags: Mapping[str, str] | None = None,
    fmt: RasterFormat = DEFAULT_FORMAT,
    encoding: Encoding = AS_FLOATS,
    wavelengths: Sequence[float] | None = None,
) -> Iterator[RasterWriter]:
    """Create a raster of values with averages as overviews.

    Args:
        dst_path: a GeoTIFF.
        grid: its grid.
        band_names: descriptions of its bands.
        tags: tags of the dataset, besides the software's name.
        fmt: how it is written.
        encoding: how its values are stored.
        wavelengths: wavelengths of its bands in nanometres, if they are known.
    """
    count = len(band_names)
    with create_raster(dst_path, grid, fmt, count=count, encoding=encoding, overviews=Resampling.average) as dst:
        with as_os_error():
            dst.update_tags(**(tags or {}))
            for index, name in enumerate(band_names, start=1):
                dst.set_band_description(index, name)
            for index, place in enumerate(wavelengths or (), start=1):
                dst.update_tags(index, wavelength=f"{place:g}", wavelength_units="Nanometers")
            if encoding.scale is not None:
                dst.scales = [encoding.scale] * count
        yield RasterWriter(dst) if encoding.scale is None else ScaledWriter(dst)
    with as_os_error():
        _check_whole(dst_path)


@contextlib.contextmanager
def create_raster(
    dst_path: Path, grid: Grid, fmt: RasterFormat, *, count: int, encoding: Encoding, overviews: Resampling
) -> Iterator[Any]:
    """Create a raster, and add overviews to it when the block ends.

    Args:
        dst_path: a GeoTIFF.
        grid: its grid.
        fmt: how it is written.
        count: number of its bands.
        encoding: how its values are stored.
        overviews: how overviews are made.

    Raises:
        OSError: it cannot be written.
    """
    output = raster_output(fmt.driver)
    # NOTE: a COG is made from a whole raster only, as its overviews come before the pixels
    path = dst_path.with_name(f"{dst_path.name}.plain.tif") if output.is_copied else dst_path
    profile = _profile(grid, count, encoding) | ({} if output.is_copied else dict(fmt.options))
    try:
        with environment(), without_georeferencing_warning():
            with as_os_error():
                dst = rasterio.open(plain_name(path), "w", **profile)
                dst.update_tags(TIFFTAG_SOFTWARE=f"s2fin {__version__}")
            # NOTE: what fails in the caller's block, such as a raster that it reads, is no failure to write.
            try:
                yield dst
            finally:
                with as_os_error():
                    dst.close()
            with as_os_error():
                if output.is_copied:
                    options = {**output.options_for(encoding.dtype), "overview_resampling": overviews.name}
                    name, options = plain_name(dst_path), {**options, **fmt.options}
                    rasterio.shutil.copy(plain_name(path), name, driver=fmt.driver, **options)
                elif fmt.overviews:
                    _add_overviews(path, overviews)
    finally:
        if output.is_copied:
            path.unlink(missing_ok=True)


def _profile(grid: Grid, count: int, encoding: Encoding) -> dict[str, Any]:
    """The profile of a new GeoTIFF in rasterio's terms, unless options say otherwise."""
    return {
        "driver": PLAIN_DRIVER, "count": count, "dtype": encoding.dtype, "nodata": encoding.nodata,
        "height": grid.height, "width": grid.width, "crs": grid.crs,
        # an image without georeferencing must not get one: a GIS would draw its map upside down
        **({"transform": grid.transform} if grid.is_georeferenced else {}),
        **raster_output(PLAIN_DRIVER).options_for(encoding.dtype),
        # otherwise GDAL takes three bands of bytes for a colour image, and a fourth for its mask
        **({"photometric": "minisblack"} if count > 1 else {}),
    }  # fmt: skip


def _add_overviews(path: Path, resampling: Resampling) -> None:
    """Add overviews, each half as large as the last, down to one block, to a raster that is larger than that."""
    with open_raster(path) as src:  # which reports properly if it is incomplete, whereas opening to write does not
        longest = max(src.shape)
    factors: list[int] = []
    while longest > BLOCK_SIZE * 2 ** len(factors):
        factors.append(2 ** (len(factors) + 1))
    if factors:
        with rasterio.open(plain_name(path), "r+") as dst:
            dst.build_overviews(factors, resampling)


def _check_whole(path: Path) -> None:
    """Read a written raster back: GDAL does not report that its last blocks met a full disk."""
    with open_raster(path) as src:
        for window in iter_tiles(src.shape, (8 * BLOCK_SIZE, 8 * BLOCK_SIZE)):
            src.read(window=window)


@contextlib.contextmanager
def as_os_error() -> Iterator[None]:
    """Raise what GDAL and rasterio raise in a block as errors of writing."""
    try:
        yield
    except (*GDAL_ERRORS, RasterError) as error:
        raise OSError(f"{error.__cause__ or error}") from error
