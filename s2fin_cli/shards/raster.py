"""The file of a shard: a GeoTIFF of floats with class, confidence and, if wanted, all probabilities and uncertainty.

Floats hold class ids exactly, and NaN where there is none. Other programs can show the file.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from rasterio.windows import Window

from s2fin_cli.core.formats import BLOCK_SIZE
from s2fin_cli.geo.windows import iter_tiles
from s2fin_cli.inference.sinks import NAN
from s2fin_cli.inference.uncertainty import BANDS as UNCERTAINTY
from s2fin_cli.inference.uncertainty import uncertainty_of
from s2fin_cli.raster.creation import RasterFormat
from s2fin_cli.raster.opening import open_raster
from s2fin_cli.raster.write import create_image

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from s2fin_cli.geo.grid import Grid
    from s2fin_cli.raster.write import RasterWriter

#: The bands that every shard has.
BANDS = ("class", "confidence")


@dataclass(frozen=True)
class ShardBands:
    """The bands of shards: first those that every shard has, then what else is wanted.

    Attributes:
        class_ids: ids of the classes in the order of the probabilities.
        probabilities: whether there are the probabilities of all classes.
        uncertainty: whether there are the bands of the raster of uncertainty.
    """

    class_ids: tuple[int, ...]
    probabilities: bool = False
    uncertainty: bool = False

    @property
    def names(self) -> list[str]:
        """The names of all bands, in order."""
        probabilities = [f"probability of class {class_id}" for class_id in self.class_ids if self.probabilities]
        return [*BANDS, *probabilities, *(UNCERTAINTY if self.uncertainty else ())]

    @property
    def of_probabilities(self) -> slice:
        """Where the probabilities are among the bands."""
        return slice(len(BANDS), len(BANDS) + len(self.class_ids) * self.probabilities)

    @property
    def of_uncertainty(self) -> slice:
        """Where the bands of uncertainty are."""
        return slice(self.of_probabilities.stop, None)


class ShardSink:
    """Writes a shard; a `Sink`."""

    def __init__(self, writer: RasterWriter, bands: ShardBands) -> None:
        """Take the open file, and its bands."""
        self._writer, self._bands, self._ids = writer, bands, np.array(bands.class_ids, np.float32)

    def write(
        self, window: Window, probs: NDArray[np.float32], valid: NDArray[np.bool_], measures: NDArray[np.float32]
    ) -> None:
        """Write a window, see `Sink`."""
        parts = [self._ids[probs.argmax(axis=0)][None], probs.max(axis=0)[None]]
        if self._bands.probabilities:
            parts.append(probs)
        if self._bands.uncertainty:
            parts.append(uncertainty_of(probs, measures))
        self._writer.write(np.where(valid, np.concatenate(parts), NAN), window)


@contextlib.contextmanager
def create_shard(path: Path, grid: Grid, bands: ShardBands) -> Iterator[ShardSink]:
    """Create a shard's file, which is read back when the block ends.

    Args:
        path: where to write it.
        grid: the shard's grid.
        bands: its bands.

    Raises:
        OSError: it cannot be written.
    """
    with create_image(path, grid, bands.names, fmt=RasterFormat(overviews=False)) as writer:
        yield ShardSink(writer, bands)


def read_shard(path: Path) -> Iterator[tuple[Window, NDArray[np.float32]]]:
    """Windows of a shard, counted from its corner, and their values (bands, height, width); NaN where there is none.

    Raises:
        RasterError: it cannot be opened.
    """
    with open_raster(path) as src:
        for window in iter_tiles(src.shape, (BLOCK_SIZE, BLOCK_SIZE)):
            yield window, src.read(window=window)
