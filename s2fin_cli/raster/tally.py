"""Pixels and areas of the classes of a map."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from s2fin_cli.core.classes import NO_CLASS, check_class_ids
from s2fin_cli.raster.class_ids import iter_class_strips

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rasterio.windows import Window

    from s2fin_cli.geo.grid import Grid


class ClassTally:
    """Pixels and area of each class of a map.

    Attributes:
        pixels: float64, number of pixels by class id.
        areas: float64, square metres by class id; NaN without a CRS.
    """

    def __init__(self, grid: Grid, *, size: int) -> None:
        self._grid = grid
        self.pixels, self.areas = np.zeros(size), np.zeros(size)

    def add(self, values: NDArray[Any], window: Window) -> None:
        """Add class ids (..., height, width) of a window that was not added before."""
        ids, areas = values.ravel(), self._grid.pixel_areas(window)
        pixels = np.bincount(ids, minlength=len(self.pixels))
        self.pixels += pixels
        if areas.size == 1:
            self.areas += pixels * areas.item()
        else:
            self.areas += np.bincount(ids, np.broadcast_to(areas, values.shape).ravel(), len(self.areas))


def tally_classes(map_path: str | Path, grid: Grid) -> tuple[dict[int, int], dict[int, float]]:
    """Pixels and square metres of each class of a map by class id, nodata left out.

    Args:
        map_path: the map, of any integers.
        grid: its grid.

    Raises:
        LabelError: it holds numbers that no class has.
    """
    return tally_strips(iter_class_strips(map_path, NO_CLASS), grid)


def tally_strips(
    strips: Iterable[tuple[Window, NDArray[np.int64]]], grid: Grid
) -> tuple[dict[int, int], dict[int, float]]:
    """Pixels and square metres of each class by class id, as `tally_classes`, from windows with their class ids.

    Args:
        strips: the windows, no pixel twice, with `NO_CLASS` for nodata.
        grid: the map's grid.

    Raises:
        LabelError: there are numbers that no class has.
    """
    tally = ClassTally(grid, size=NO_CLASS + 1)
    for window, values in strips:
        if values.size and not 0 <= values.min() <= values.max() <= NO_CLASS:
            check_class_ids(np.unique(values[values != NO_CLASS]))
        tally.add(values, window)
    present = [int(i) for i in np.flatnonzero(tally.pixels[:NO_CLASS])]
    return {i: int(tally.pixels[i]) for i in present}, {i: float(tally.areas[i]) for i in present}
