"""The file of a shard: a GeoTIFF of floats with the class, its confidence and, if wanted, all probabilities.

Floats hold class ids exactly, and NaN where there is none. Other programs can show the file.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import numpy as np
from rasterio.windows import Window

from s2fin_cli.core.formats import BLOCK_SIZE
from s2fin_cli.geo.windows import iter_tiles
from s2fin_cli.inference.sinks import NAN
from s2fin_cli.raster.creation import RasterFormat
from s2fin_cli.raster.opening import open_raster
from s2fin_cli.raster.write import create_image

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from s2fin_cli.geo.grid import Grid
    from s2fin_cli.raster.write import RasterWriter

#: The bands that every shard has.
BANDS = ("class", "confidence")


class ShardSink:
    """Writes a shard; a `Sink`."""

    def __init__(self, writer: RasterWriter, class_ids: Sequence[int], *, probabilities: bool) -> None:
        """Take the open file, and the classes' ids in the order of the probabilities."""
        self._writer, self._ids, self._probabilities = writer, np.array(class_ids, np.float32), probabilities

    def write(self, window: Window, probs: NDArray[np.float32], valid: NDArray[np.bool_]) -> None:
        """Write a window, see `Sink`."""
        parts = [self._ids[probs.argmax(axis=0)][None], probs.max(axis=0)[None]]
        values = np.concatenate([*parts, probs] if self._probabilities else parts)
        self._writer.write(np.where(valid, values, NAN), window)


@contextlib.contextmanager
def create_shard(path: Path, grid: Grid, class_ids: Sequence[int], *, probabilities: bool) -> Iterator[ShardSink]:
    """Create a shard's file, which is read back when the block ends.

    Args:
        path: where to write it.
        grid: the shard's grid.
        class_ids: ids of the classes in the order of the probabilities.
        probabilities: whether it holds the probabilities of all classes.

    Raises:
        OSError: it cannot be written.
    """
    names = [*BANDS, *(f"probability of class {class_id}" for class_id in class_ids if probabilities)]
    with create_image(path, grid, names, fmt=RasterFormat(overviews=False)) as writer:
        yield ShardSink(writer, class_ids, probabilities=probabilities)


def read_shard(path: Path) -> Iterator[tuple[Window, NDArray[np.float32]]]:
    """Windows of a shard, counted from its corner, and their values (bands, height, width); NaN where there is none.

    Raises:
        RasterError: it cannot be opened.
    """
    with open_raster(path) as src:
        for window in iter_tiles(src.shape, (BLOCK_SIZE, BLOCK_SIZE)):
            yield window, src.read(window=window)
