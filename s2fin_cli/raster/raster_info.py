"""The description of a raster, as an object."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from datetime import datetime

    from s2fin_cli.geo.grid import Grid


@dataclass(frozen=True)
class RasterInfo:
    """The description of a raster.

    Attributes:
        src_path: as given, GDAL's virtual paths included.
        grid: where its pixels are.
        indexes: 1-based numbers of the data bands; alpha bands that are masks are left out.
        alpha_indexes: 1-based numbers of the alpha bands that are masks: they say where the others have data.
        dtype: data type of the first data band.
        nodata: declared nodata value of the first data band, or None.
        scales, offsets: scales and offsets of the data bands; a value is the stored value times the scale, plus
            the offset.
        band_names: descriptions of the data bands, empty where there is none.
        wavelengths: centre wavelengths in nanometres of the data bands, None for a band whose wavelength is
            unknown; None where all are unknown.
        bad_indexes: 1-based numbers of the data bands that the file declares bad.
        driver: GDAL's short name of the format.
        block_shape: (height, width) of its storage blocks.
        rectified_by: what it has to be rectified by before its pixels have a position, a key of `RECTIFICATIONS`; None
            if a transform gives it, or nothing does.
        misplaced: why the position is none or wrong, as what completes its name to a sentence; None if it is right.
        acquired: when it was taken, where the file says so.
        colors: colours that the data bands are marked as, "red", "green", "blue" and so on; empty for none.
        units: units of the values of the data bands, as the file names them; empty where it does not.
        doubts: possible mistakes in it, a sentence each.
        has_mask: whether a mask or an alpha band says where it has data.
        is_lossy: whether it is compressed in a way that changes values.
        notes: what comes from elsewhere than its header, a sentence each.
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
    rectified_by: str | None
    misplaced: str | None
    acquired: datetime | None
    scales: tuple[float, ...]
    offsets: tuple[float, ...]
    colors: tuple[str, ...]
    units: tuple[str, ...]
    doubts: tuple[str, ...]
    has_mask: bool
    is_lossy: bool
    notes: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """Number of data bands."""
        return len(self.indexes)

    def decoded_bytes(self, block_rows: int) -> int:
        """Bytes of rows of storage blocks over its whole width, all data bands, once they are decoded."""
        height, width = self.block_shape
        pixels = block_rows * height * -(-self.grid.width // width) * width
        return pixels * self.count * np.dtype(self.dtype).itemsize
