"""How rasters are written: the format and its creation options, which are tried before any work is done."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import rasterio
import rasterio.shutil
from numpy.typing import NDArray
from rasterio.io import MemoryFile

from s2fin_cli.core.errors import UsageError
from s2fin_cli.core.figures import number_of
from s2fin_cli.core.formats import BLOCK_SIZE, PLAIN_DRIVER, RASTER_SUFFIXES
from s2fin_cli.core.gdal import GDAL_ERRORS
from s2fin_cli.raster.opening import environment, without_georeferencing_warning

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True)
class RasterFormat:
    """How rasters are written.

    Attributes:
        driver: GDAL's short name, one of `RASTER_DRIVERS`.
        options: GDAL's creation options of that driver, by lower-case name; they come before our own.
        overviews: whether a plain GeoTIFF gets overviews.
    """

    driver: str = PLAIN_DRIVER
    options: Mapping[str, str] = field(default_factory=dict)
    overviews: bool = True

    @classmethod
    def of(cls, driver: str, options: Sequence[str]) -> RasterFormat:
        """The format that a driver and options "NAME=VALUE", in which case does not matter, describe."""
        pairs = (option.split("=", 1) for option in options)
        return cls(driver, {name.lower(): value for name, value in pairs})


DEFAULT_FORMAT = RasterFormat()
#: Options of the COG driver that warp, and those of either driver that say how overviews are made.
_OTHER_GRID = {"tiling_scheme", "target_srs", "res", "extent"}
_OVERVIEWS = {"overview_resampling", "resampling"}
#: Pixels a side of the raster that options are tried on.
PROBE_SIZE = 16


def check_format(fmt: RasterFormat, *, count: int, dtype: str, values: Sequence[int] | None = None) -> None:
    """Refuse creation options that the driver does not have, which GDAL itself only ignores, and lossy ones.

    Args:
        fmt: the format.
        count: number of bands that are to be written.
        dtype: their data type.
        values: values that must be preserved exactly; None if rounding does no harm.

    Raises:
        UsageError: there is such an option, or its value is impossible for such bands.
    """
    _check_meaning(fmt, is_exact=values is not None)
    probe = np.random.default_rng(0).choice(values or [0, 1], (count, PROBE_SIZE, PROBE_SIZE)).astype(dtype)
    found, complaints = _tried(fmt, probe)
    if complaints:
        said = complaints[0].rstrip(".")
        given = {name.upper(): f"{name.upper()}={value}" for name, value in fmt.options.items()}
        blamed = [text for name, text in given.items() if name in said.upper()] or [*given.values()]
        raise UsageError(
            f"`co` has {' '.join(blamed)}, which the {fmt.driver} driver does not accept for "
            f"{number_of(count, 'band')} of {dtype} ({said}); correct it or leave it out"
        )
    if values is not None and not np.array_equal(found, probe):
        raise UsageError(f"`co` has {' '.join(fmt.options)}, which is lossy: classes would change; leave it out")


def _check_meaning(fmt: RasterFormat, *, is_exact: bool) -> None:
    """Refuse options that the driver has but that would change the grid or the classes."""
    for name in sorted(_OTHER_GRID & fmt.options.keys()):
        raise UsageError(f"`co` has {name.upper()}, which would change the grid of the rasters; leave it out")
    for name in sorted(_OVERVIEWS & fmt.options.keys()) if is_exact else ():
        if fmt.options[name].upper() not in ("MODE", "NEAREST"):
            raise UsageError(f"`co` has {name.upper()}={fmt.options[name]}, which mixes class numbers; leave it out")


def _tried(fmt: RasterFormat, probe: NDArray[Any]) -> tuple[NDArray[Any], list[str]]:
    """Values (bands, height, width) read back after they were written in a format, and GDAL's messages."""
    collected = _Collected(logging.WARNING)
    log = logging.getLogger("rasterio")
    log.addHandler(collected)
    count, height, width = probe.shape
    profile = {"driver": PLAIN_DRIVER, "width": width, "height": height, "count": count, "dtype": probe.dtype.name}
    found = probe
    try:
        with environment(), without_georeferencing_warning(), MemoryFile() as file:
            with file.open(**profile) as dst, MemoryFile(ext=".tif") as copy:
                dst.write(probe)
                rasterio.shutil.copy(dst, copy.name, driver=fmt.driver, **fmt.options)
                with copy.open() as src:
                    found = src.read()
            # NOTE: rasterio itself has conditions too, for rasters of a block or more
            if fmt.driver == PLAIN_DRIVER:
                side = dict.fromkeys(("width", "height", "blockxsize", "blockysize"), BLOCK_SIZE) | {"tiled": True}
                with MemoryFile(ext=".tif") as tried:
                    tried.open(**{**profile, **side, **fmt.options}).close()
    except (*GDAL_ERRORS, ValueError) as error:
        collected.messages.append(str(error))
    finally:
        log.removeHandler(collected)
    return found, collected.messages


def check_raster_path(dst_path: Path) -> None:
    """Refuse a file that a raster cannot be written to.

    Raises:
        UsageError: its name is not that of a GeoTIFF.
    """
    if dst_path.suffix.lower() not in RASTER_SUFFIXES:
        raise UsageError(f"{dst_path} cannot be written: rasters are GeoTIFFs; give a name that ends in .tif")


class _Collected(logging.Handler):
    """Collects the messages that are logged."""

    def __init__(self, level: int) -> None:
        super().__init__(level)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        # rasterio puts GDAL's number of the error before its words
        self.messages.append(re.sub(r"^CPLE_\w+ in ", "", record.getMessage()))
