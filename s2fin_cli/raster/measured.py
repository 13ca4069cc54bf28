"""A raster of what was measured of a map's pixels, by class of the map."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from rasterio.errors import RasterioError

from s2fin_cli.core.classes import NO_CLASS
from s2fin_cli.raster.class_ids import read_class_ids, strip_windows
from s2fin_cli.raster.info import grid_of
from s2fin_cli.raster.opening import cannot_read, open_raster

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from numpy.typing import NDArray
    from rasterio import DatasetReader
    from rasterio.windows import Window


class ClassMeans:
    """Means of values by class id, of all pixels that are added."""

    def __init__(self) -> None:
        self._pixels, self._sums = np.zeros(NO_CLASS, np.int64), np.zeros(NO_CLASS)

    def add(self, class_ids: NDArray[np.int64], values: NDArray[np.floating]) -> None:
        """Add class ids and values of a shape; where a value is NaN, the pixel does not count."""
        is_known = ~np.isnan(values) & (class_ids != NO_CLASS)
        ids, known = class_ids[is_known], values[is_known]
        self._pixels += np.bincount(ids, minlength=NO_CLASS)
        self._sums += np.bincount(ids, known, NO_CLASS)

    def means(self) -> dict[int, float]:
        """The means, of classes with values."""
        return {int(i): float(self._sums[i] / self._pixels[i]) for i in np.flatnonzero(self._pixels)}


def iter_measured(
    map_path: str | Path, src_path: str | Path, index: int
) -> Generator[tuple[Window, NDArray[np.int64], NDArray[np.float64]]]:
    """Full-width windows of a class map with their class ids and the values of another raster, from top to bottom.

    Args:
        map_path: the map.
        src_path: the other raster, of the same grid.
        index: its band.

    Yields:
        a window, class ids (height, width), `NO_CLASS` for nodata, and values (height, width), NaN where there are none
        and where the map has no class.

    Raises:
        RasterError: one of them cannot be read.
    """
    with open_raster(map_path) as mapped, open_raster(src_path) as src:
        for window in strip_windows(mapped):
            class_ids = read_class_ids(mapped, window, NO_CLASS)
            yield window, class_ids, np.where(class_ids == NO_CLASS, np.nan, _read_values(src, index, window))


def _read_values(src: DatasetReader, index: int, window: Window) -> NDArray[np.float64]:
    try:
        values = src.read(index, window=window, masked=True)
    except RasterioError as error:
        raise cannot_read(src.name, grid_of(src), window, error, band=index) from error
    scaled: NDArray[np.float64] = values.astype(np.float64) * src.scales[index - 1] + src.offsets[index - 1]
    return np.ma.filled(scaled, np.nan)
