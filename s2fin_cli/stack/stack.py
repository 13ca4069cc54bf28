"""The stack: the passive image's grid, and every modality readable on it by window.

Training asks a stack for cells and inference asks it for tiles; neither knows a file, a CRS or a resampling method.
"""

from __future__ import annotations

import contextlib
import math
import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from rasterio.enums import Resampling
from rasterio.windows import Window

from s2fin_cli.core.images import Images
from s2fin_cli.core.pools import ThreadPool
from s2fin_cli.geo.windows import grown
from s2fin_cli.raster.opening import LEAST_CACHE, MOST_CACHE, environment
from s2fin_cli.raster.readers import JoinedReader, WindowReader
from s2fin_cli.raster.warp import open_on_grid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from s2fin_cli.geo.area import Area
    from s2fin_cli.geo.grid import Grid
    from s2fin_cli.raster.scaling import Scaling
    from s2fin_cli.raster.unreadable import UnreadableBlocks
    from s2fin_cli.stack.layer import Layer

R = TypeVar("R")

#: Rows of pixels that are read at a time, unless the caller says otherwise.
ROWS = 256
#: Threads at most that read scattered windows.
MOST_THREADS = 8


@dataclass(frozen=True)
class Tile:
    """Values of all modalities in one window.

    Attributes:
        images: float32 (bands, height, width), NaN where there is no data; the second image has the bands of all other
            modalities.
        inside: mask (height, width) of the area of interest, or None where all is of interest.
    """

    images: Images[NDArray[np.float32]]
    inside: NDArray[np.bool_] | None = None

    @property
    def has_data(self) -> NDArray[np.bool_]:
        """Mask (height, width), True where every band of every modality has data."""
        has_data = [np.isfinite(part).all(axis=0) for part in self.images.parts()]
        return np.asarray(np.logical_and.reduce(has_data))

    @property
    def valid(self) -> NDArray[np.bool_]:
        """Mask (height, width), True inside the area of interest where every band of every modality has data."""
        return self.has_data if self.inside is None else self.has_data & self.inside


@dataclass(frozen=True)
class Stack:
    """Co-located modalities on the passive image's grid.

    Attributes:
        image: the passive image, which is never resampled.
        aux: the other modalities, warped onto the passive image's grid.
        resampling: method of the warp, None for the default by resolution.
        area: the area of interest, None where it is all of the grid. The modalities can be read beyond it.
        skipped: takes the storage blocks that cannot be read, whose pixels have no data; None refuses them.
    """

    image: Layer
    aux: tuple[Layer, ...] = ()
    resampling: Resampling | None = None
    area: Area | None = None
    skipped: UnreadableBlocks | None = field(default=None, compare=False)

    @property
    def grid(self) -> Grid:
        """The passive image's grid, that of its finest raster."""
        return self.image.finest.grid

    @property
    def extent(self) -> Window:
        """The window of the grid that holds the area of interest."""
        return self.grid.window if self.area is None else self.area.window

    @property
    def pixels_of_interest(self) -> int:
        """How many pixels are in the area of interest."""
        return self.grid.height * self.grid.width if self.area is None else self.area.count

    @property
    def layers(self) -> tuple[Layer, ...]:
        """All modalities, the passive image first."""
        return (self.image, *self.aux)

    def slices(self) -> Iterator[tuple[Layer, slice]]:
        """Each modality with the place of its bands among the bands of all."""
        start = 0
        for layer in self.layers:
            yield layer, slice(start, start + len(layer.numbers))
            start += len(layer.numbers)

    def as_stored(self) -> Stack:
        """The stack with values as they are stored, unmixed by resampling, so that nodata values are among them."""
        image, *aux = (replace(layer, as_stored=True) for layer in self.layers)
        return replace(self, image=image, aux=tuple(aux), resampling=Resampling.nearest)

    def shifted(self, cols: float, rows: float) -> Stack:
        """The stack with all other modalities shifted."""
        return replace(self, aux=tuple(replace(layer, shift=(cols, rows)) for layer in self.aux))

    @contextlib.contextmanager
    def open(self, *, rows: int = ROWS, most_cache: int = MOST_CACHE) -> Iterator[OpenStack]:
        """Open all rasters and give a reader of windows.

        Args:
            rows: height in pixels of the windows that will be read.
            most_cache: bytes that GDAL may keep of what it decodes.
        """
        threads = None if self.skipped is None else 1  # see CarefulReader
        with environment(self._cache(rows, most_cache), threads=threads), contextlib.ExitStack() as opened:
            readers = [self._open_layer(layer, opened) for layer in self.layers]
            yield OpenStack(self.grid, readers[0], readers[1:], self.area)

    def read_scattered(self, windows: Sequence[Window], function: Callable[[Tile], R]) -> list[R]:
        """Apply a function to the tiles of windows that are far apart, in their order.

        Such windows share no blocks, and hold too few each for GDAL to decode them side by side; so several threads
        read them, each its own rasters.
        """
        count = min(len(windows), os.cpu_count() or 1, MOST_THREADS)
        ends = np.linspace(0, len(windows), count + 1).round().astype(int)

        def read_some(opened: OpenStack, start: int, end: int) -> list[R]:
            return [function(opened.read(window)) for window in windows[start:end]]

        with contextlib.ExitStack() as all_opened, ThreadPool(count) as pool:
            # NOTE: not opened in the threads, because silencing warnings is not thread-safe
            stacks = [all_opened.enter_context(self.open()) for _ in range(count)]
            return [result for part in pool.map(read_some, stacks, ends, ends[1:]) for result in part]

    def kept_blocks(self, cache: int) -> float:
        """Blocks of the passive image's finest raster, all bands, that a cache of some bytes holds."""
        bands = [(info.count, np.dtype(info.dtype).itemsize) for info in self.image.rasters]
        return cache / (math.prod(self.image.finest.block_shape) * sum(count * size for count, size in bands))

    def _cache(self, rows: int, most: int) -> int:
        """Bytes of decoded blocks that GDAL is to keep: the blocks of a row of windows.

        The next row shares some of them. No more are kept, so that memory does not grow with the raster's height.
        """
        infos = [info for layer in self.layers for info, _, _ in layer.sources()]
        needed = sum(info.decoded_bytes(-(-rows // info.block_shape[0]) + 1) for info in infos)
        return min(max(needed, LEAST_CACHE), most)

    def _open_layer(self, layer: Layer, opened: contextlib.ExitStack) -> WindowReader:
        readers, places = [], []
        grid = self.grid.moved(*layer.shift) if any(layer.shift) else self.grid
        for info, indexes, at in layer.sources():
            context = open_on_grid(
                info.src_path,
                grid,
                indexes=indexes,
                resampling=self.resampling,
                alpha_indexes=info.alpha_indexes,
                nodata=layer.nodata,
                skipped=self.skipped,
            )
            readers.append(opened.enter_context(context))
            places += at
        reader = readers[0] if len(readers) == 1 else JoinedReader(readers, np.argsort(places))
        if layer.fill is not None:
            reader = _FilledReader(reader, layer.fill)
        return reader if layer.as_stored or layer.scaling.is_identity else _ScaledReader(reader, layer.scaling)


@dataclass(frozen=True)
class _FilledReader:
    """Reads NaN where all bands hold a value."""

    reader: WindowReader
    value: float

    def read(self, window: Window) -> NDArray[np.float32]:
        values = self.reader.read(window)
        values[:, (values == np.float32(self.value)).all(axis=0)] = np.nan
        return values


@dataclass(frozen=True)
class _ScaledReader:
    """Reads values with the declared scales and offsets applied."""

    reader: WindowReader
    scaling: Scaling

    def read(self, window: Window) -> NDArray[np.float32]:
        values = self.reader.read(window)
        self.scaling.apply(values)
        return values


@dataclass(frozen=True)
class OpenStack:
    """An open stack."""

    grid: Grid
    image: WindowReader
    aux: Sequence[WindowReader]
    area: Area | None = None

    def read(self, window: Window, *, halo: int = 0) -> Tile:
        """Read a window with a halo around it.

        Beyond the raster's edge the values are mirrored, so that what is read for a pixel does not depend on the
        window it is read with.

        Args:
            window: inside the grid.
            halo: pixels to add on each side.

        Returns:
            arrays (bands, height + 2 halo, width + 2 halo); nothing beyond the edge is inside the area of interest.
        """
        inner, padding = _clip(window, halo, self.grid)
        parts = [_mirrored(reader.read(inner), padding) for reader in (self.image, *self.aux)]
        inside = None if self.area is None else np.pad(self.area.mask(inner), padding[1:])
        return Tile(Images(parts[0], np.concatenate(parts[1:]) if parts[1:] else None), inside)


def _mirrored(values: NDArray[np.float32], padding: tuple[tuple[int, int], ...]) -> NDArray[np.float32]:
    """Values with mirrored ones added before and after each axis; themselves where there are none to add."""
    return np.pad(values, padding, mode="symmetric") if np.any(padding) else values


def _clip(window: Window, halo: int, grid: Grid) -> tuple[Window, tuple[tuple[int, int], ...]]:
    """The part of a window with halo that is in the grid, and what `np.pad` must add to it."""
    inner = grown(window, grid.shape, by=halo)
    top, left = inner.row_off - (window.row_off - halo), inner.col_off - (window.col_off - halo)
    bottom, right = window.height + 2 * halo - top - inner.height, window.width + 2 * halo - left - inner.width
    return inner, ((0, 0), (top, bottom), (left, right))
