"""Readers of rasters by window: float32 with NaN where the raster has no data.

A raster declares that in several ways: by a nodata value, a mask, an alpha band, NaN or an infinity.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from rasterio.enums import MaskFlags

from s2fin_cli.raster.nodata import is_compared, is_float, is_nodata

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from rasterio.windows import Window


class WindowReader(Protocol):
    """Reads the bands of one raster, on a fixed grid, window by window."""

    def read(self, window: Window) -> NDArray[np.float32]:
        """Values (bands, height, width) of a window inside the grid, NaN where there is no data."""


@dataclass(frozen=True)
class DirectReader:
    """Reads bands on the raster's own grid, NaN where its nodata value, its mask or its alpha band says no data."""

    src: Any
    indexes: tuple[int, ...]
    alpha_indexes: tuple[int, ...] = ()
    nodata: float | None = None

    @property
    def block_shape(self) -> tuple[int, int]:
        """(height, width) of the storage blocks of the first band."""
        height, width = self.src.block_shapes[self.indexes[0] - 1]
        return height, width

    def select(self, positions: Sequence[int]) -> DirectReader:
        """A reader of some of the bands, given by their positions among them."""
        return replace(self, indexes=tuple(self.indexes[position] for position in positions))

    @cached_property
    def _bands(self) -> list[tuple[list[MaskFlags], float | None, str]]:
        """Mask flags, nodata value and data type of each band."""
        # NOTE: each of these properties looks at all bands, so they must not be asked band by band.
        of_all = list(zip(self.src.mask_flag_enums, self.src.nodatavals, self.src.dtypes, strict=True))
        return [of_all[index - 1] for index in self.indexes]

    @cached_property
    def _compared_nodata(self) -> list[tuple[int, np.float32]]:
        """Positions of bands and nodata values that values are compared with here, see `is_compared`."""
        found = []
        for position, (flags, nodata, dtype) in enumerate(self._bands):
            if self.nodata is not None:
                found.append((position, np.float32(self.nodata)))
            if nodata is not None and not np.isnan(nodata) and is_compared(nodata, dtype, flags):
                with np.errstate(over="ignore"):
                    found.append((position, np.float32(nodata)))
        return found

    @cached_property
    def _has_mask(self) -> bool:
        """Whether GDAL's masks are needed, beside NaN, nodata values compared here and alpha bands."""
        for flags, nodata, dtype in self._bands:
            is_known = nodata is not None and (np.isnan(nodata) or is_compared(nodata, dtype, flags))
            known = {MaskFlags.all_valid, MaskFlags.nodata} if is_known else {MaskFlags.all_valid}
            if MaskFlags.alpha not in flags and set(flags) - known:
                return True
        return False

    @cached_property
    def _may_be_infinite(self) -> bool:
        return any(is_float(dtype) for _, _, dtype in self._bands)

    def read(self, window: Window) -> NDArray[np.float32]:
        """Values (bands, height, width) of a window.

        Raises:
            RasterioError: they cannot be read.
        """
        values = self._read_stored(window)
        if self._has_mask:
            values[self.src.read_masks(list(self.indexes), window=window) == 0] = np.nan
        # NOTE: GDAL makes a mask of the alpha band of some data types only.
        for index in self.alpha_indexes:
            values[:, self.src.read(index, window=window) == 0] = np.nan
        for position, nodata in self._compared_nodata:
            band = values[position]
            band[is_nodata(band, nodata, self._bands[position][2])] = np.nan
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


@dataclass(frozen=True)
class JoinedReader:
    """Reads the bands of several readers, in an order of their own.

    Attributes:
        readers: the readers.
        order: int64 (bands,), the position of each among those of all readers, one after the other.
    """

    readers: Sequence[WindowReader]
    order: NDArray[np.int64]

    def read(self, window: Window) -> NDArray[np.float32]:
        """Values (bands, height, width) of a window."""
        return np.concatenate([reader.read(window) for reader in self.readers])[self.order]
