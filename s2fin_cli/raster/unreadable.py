"""Storage blocks that cannot be read: which ones they are, and reading around them.

A storage block is read as a whole or not at all. So which pixels are missing depends neither on the windows that are
read nor on their order.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from rasterio.errors import RasterioError
from rasterio.windows import Window

from s2fin_cli.core.names import absolute
from s2fin_cli.geo.windows import clip
from s2fin_cli.raster.opening import cannot_read, check_again, environment
from s2fin_cli.stac.images import is_elsewhere

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager

    from numpy.typing import NDArray

    from s2fin_cli.core.errors import RasterError
    from s2fin_cli.geo.grid import Grid
    from s2fin_cli.geo.rectangles import Rectangle
    from s2fin_cli.raster.readers import DirectReader, WindowReader


@dataclass(frozen=True, order=True)
class UnreadablePart:
    """A part of a raster that cannot be read.

    Attributes:
        src_path: the raster; absolute paths are those of `UnreadableBlocks`, which takes parts from processes in other
            folders.
        bands: 1-based numbers of the bands that cannot be read there.
        rectangle: where it is in the grid that the raster is read on.
    """

    src_path: str
    bands: tuple[int, ...]
    rectangle: Rectangle


class UnreadableBlocks:
    """The storage blocks that could not be read, of rasters that are read on one grid. Threads may share it."""

    def __init__(self) -> None:
        self._bands: dict[str, dict[Rectangle, set[int]]] = {}
        self._lock = threading.Lock()

    def add(self, part: UnreadablePart) -> None:
        """Add a storage block."""
        with self._lock:
            self._bands.setdefault(absolute(part.src_path), {}).setdefault(part.rectangle, set()).update(part.bands)

    def update(self, parts: Iterable[UnreadablePart]) -> None:
        """Add storage blocks."""
        for part in parts:
            self.add(part)

    def bands(self, src_path: str, rectangle: Rectangle) -> set[int]:
        """Numbers of the bands of a raster that cannot be read in a storage block."""
        return self._bands.get(absolute(src_path), {}).get(rectangle, set()) if self._bands else set()

    def parts(self) -> list[UnreadablePart]:
        """All of them, sorted."""
        with self._lock:
            return sorted(
                UnreadablePart(path, tuple(sorted(bands)), rectangle)
                for path, blocks in self._bands.items()
                for rectangle, bands in blocks.items()
            )


@dataclass(frozen=True)
class StrictReader:
    """Reads bands as another reader does and, where that fails, says which storage block it was.

    Attributes:
        reader: the other reader.
        src_path: the raster, for messages.
        grid: the grid that it is read on.
        again: opens the same bands with their unreadable blocks skipped.
    """

    reader: DirectReader
    src_path: str
    grid: Grid
    again: Callable[..., AbstractContextManager[WindowReader]]

    def read(self, window: Window) -> NDArray[np.float32]:
        """Values (bands, height, width) of a window.

        Raises:
            RasterError: they cannot be read.
        """
        try:
            return self.reader.read(window)
        except RasterioError as error:
            raise self._why_not(window, error) from error

    def _why_not(self, window: Window, error: RasterioError) -> RasterError:
        if not is_elsewhere(self.src_path):
            blocks = UnreadableBlocks()
            with environment(threads=1), self.again(skipped=blocks) as reader:
                reader.read(window)
            for part in blocks.parts()[:1]:
                return cannot_read(self.src_path, self.grid, Window(*part.rectangle), error, band=part.bands[0])
        return cannot_read(self.src_path, self.grid, window, error)


@dataclass(frozen=True)
class CarefulReader:
    """Reads bands as another reader does and, where that fails, storage block by storage block.

    GDAL has to decode in one thread: with several, it keeps a block that it could not decode, as zeros, and reading it
    fails only once.

    Attributes:
        reader: the other reader.
        src_path: the raster, for messages.
        numbers: 1-based numbers of its bands in the raster.
        grid: the grid that it is read on.
        skipped: takes the storage blocks that cannot be read; they are read as NaN.
    """

    reader: DirectReader
    src_path: str
    numbers: tuple[int, ...]
    grid: Grid
    skipped: UnreadableBlocks

    def read(self, window: Window) -> NDArray[np.float32]:
        """Values (bands, height, width) of a window.

        Raises:
            RasterError: they cannot be read, and the raster is not on this machine: its connection may be at fault; or
                a source of a virtual raster cannot be opened.
        """
        # NOTE: a block that could not be read once stays missing, so that all tiles of a map agree.
        if not self._has_known(window):
            try:
                return self.reader.read(window)
            except RasterioError:  # which storage block it was is found now
                check_again(self.src_path)
        values = np.empty((len(self.numbers), window.height, window.width), np.float32)
        for block in self._blocks(window):
            placed, part = clip(block, window)
            for position in range(len(self.numbers)):
                values[(position, *placed.toslices())] = self._read_band(block, position)[part]
        return values

    def _has_known(self, window: Window) -> bool:
        return any(self.skipped.bands(self.src_path, _rectangle(block)) for block in self._blocks(window))

    def _blocks(self, window: Window) -> Iterator[Window]:
        """The storage blocks that a window touches."""
        rows, cols = self.reader.block_shape
        for row in range(window.row_off // rows * rows, window.row_off + window.height, rows):
            for col in range(window.col_off // cols * cols, window.col_off + window.width, cols):
                yield Window(col, row, min(cols, self.grid.width - col), min(rows, self.grid.height - row))

    def _read_band(self, block: Window, position: int) -> NDArray[np.float32]:
        """Values (height, width) of a band in a storage block."""
        number, missing = self.numbers[position], np.full((block.height, block.width), np.nan, np.float32)
        if number in self.skipped.bands(self.src_path, _rectangle(block)):
            return missing
        try:
            return np.asarray(self.reader.select([position]).read(block)[0])
        except RasterioError as error:
            if is_elsewhere(self.src_path):
                raise cannot_read(self.src_path, self.grid, block, error, band=number) from error
        self.skipped.add(UnreadablePart(self.src_path, (number,), _rectangle(block)))
        return missing


def _rectangle(window: Window) -> Rectangle:
    return int(window.col_off), int(window.row_off), int(window.width), int(window.height)
