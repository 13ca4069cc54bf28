"""Small views of images and maps on one coarse grid, read from overviews where there are any."""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from affine import Affine
from rasterio.enums import Resampling
from rasterio.errors import RasterioError
from rasterio.windows import Window

from s2fin_cli.core.classes import NO_CLASS
from s2fin_cli.geo.grid import Grid
from s2fin_cli.raster.info import grid_of
from s2fin_cli.raster.opening import cannot_read, open_raster
from s2fin_cli.raster.scaling import Scaling
from s2fin_cli.raster.warp import open_on_grid

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from rasterio import DatasetReader

    from s2fin_cli.stack.layer import Layer

#: Pixels of the longer side of a view at most.
MOST_PIXELS = 1000
#: How far the corner of a grid may be from the pixels of another one that it is a part of, in pixels.
_ALIGNED_PX = 0.01


def view_grid(grid: Grid, *, most: int = MOST_PIXELS) -> Grid:
    """The coarse grid of a view of a grid, or the grid itself where it is small."""
    scale = min(most / max(grid.shape), 1.0)
    height, width = (max(round(side * scale), 1) for side in grid.shape)
    scaling = Affine.scale(grid.width / width, grid.height / height)
    return Grid(grid.crs, grid.transform * scaling, (height, width))


def aspect(grid: Grid) -> float:
    """Width of a pixel on the ground by its height; where the grid has no place, 1."""
    across, down = grid.res
    if grid.full_turn is not None and (center := grid.center_in_degrees()) is not None:
        across *= max(math.cos(math.radians(center[1])), 0.01)
    return across / down


def view_classes(map_path: str | Path, view: Grid) -> NDArray[np.int64]:
    """Class ids (height, width) of a class map on the grid of a view of it, `NO_CLASS` for nodata.

    Of several pixels that become one, the most frequent class is taken.
    """
    with open_raster(map_path) as src:
        found = _read(src, [1], Window(0, 0, src.width, src.height), view.shape, Resampling.mode)[0]
    values = np.ma.filled(found.astype(np.float64), np.nan)
    is_class = np.isfinite(values) & (values >= 0) & (values < NO_CLASS)
    return np.where(is_class, values, NO_CLASS).astype(np.int64)


def view_values(src_path: str | Path, view: Grid, indexes: Sequence[int]) -> NDArray[np.float32]:
    """Values (bands, height, width) of some bands of a raster, averaged on the grid of a view, NaN without data.

    Declared scales and offsets are applied. A raster on the pixels that the view was made of is read through its
    overviews; any other one is warped.

    Raises:
        RasterError: it cannot be read.
        GeoreferencingError: it has another grid, and either has no CRS.
    """
    with open_raster(src_path) as src:
        scaling = Scaling.of_bands(src, indexes)
    values = _stored(src_path, view, indexes)
    scaling.apply(values)
    return values


def view_layer(layer: Layer, numbers: Sequence[int], view: Grid) -> NDArray[np.float32]:
    """Values (bands, height, width) of some bands of a layer in their order on the grid of a view, as a stack has them.

    Averages would mix values that stand for no data but are not declared with others, so with such a value single
    pixels are taken. A shift of the layer, of a few pixels, is left out.

    Raises:
        RasterError, GeoreferencingError: as `view_values`.
    """
    chosen = layer.select(numbers)
    is_declared = layer.fill is None and layer.nodata is None
    resampling = Resampling.average if is_declared else Resampling.nearest
    values = np.full((len(numbers), *view.shape), np.nan, np.float32)
    for info, indexes, places in chosen.sources():
        values[places] = _stored(info.src_path, view, indexes, nodata=layer.nodata, resampling=resampling)
    if layer.fill is not None:
        values[:, (values == np.float32(layer.fill)).all(axis=0)] = np.nan
    if not layer.as_stored:
        chosen.scaling.apply(values)
    return values


def _stored(
    src_path: str | Path,
    view: Grid,
    indexes: Sequence[int],
    *,
    nodata: float | None = None,
    resampling: Resampling = Resampling.average,
) -> NDArray[np.float32]:
    """Values (bands, height, width) as they are stored, NaN without data, see `view_values`."""
    with open_raster(src_path) as src:
        window = _window_of(grid_of(src), view)
        if window is not None:
            found = _read(src, indexes, window, view.shape, resampling)
            values = np.ma.filled(found.astype(np.float32), np.nan)
            if nodata is not None:
                values[values == np.float32(nodata)] = np.nan
            return np.asarray(values)
    with open_on_grid(src_path, view, indexes=tuple(indexes), resampling=resampling, nodata=nodata) as reader:
        return reader.read(view.window)


def _window_of(own: Grid, view: Grid) -> Window | None:
    """The window of a raster that a view covers; None where its grid is another one."""
    if own.crs != view.crs:
        return None
    (left, top), (right, bottom) = (
        ~own.transform * (view.transform * corner) for corner in ((0, 0), (view.width, view.height))
    )
    is_inside = left > -_ALIGNED_PX and top > -_ALIGNED_PX
    is_inside &= right < own.width + _ALIGNED_PX and bottom < own.height + _ALIGNED_PX
    is_parallel = np.allclose((~own.transform * view.transform)[1:4:2], 0, atol=1e-9)
    if not (is_inside and is_parallel and right > left and bottom > top):
        return None
    left, top, right, bottom = (round(edge) for edge in (left, top, right, bottom))
    return Window(left, top, max(right - left, 1), max(bottom - top, 1))


def _read(
    src: DatasetReader, indexes: Sequence[int], window: Window, shape: tuple[int, int], resampling: Resampling
) -> Any:
    """A masked array (bands, height, width)."""
    how = {"out_shape": (len(indexes), *shape), "resampling": resampling, "masked": True}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of blocks without data
        try:
            return src.read(list(indexes), window=window, **how)
        except RasterioError as error:
            raise cannot_read(src.name, grid_of(src), window, error) from error
