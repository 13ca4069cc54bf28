"""The sinks: they write or count class probabilities, window by window, and know neither tiles nor tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np
import rasterio.windows

from s2fin_cli.core.classes import map_encoding
from s2fin_cli.geo.windows import clip
from s2fin_cli.inference.uncertainty import uncertainty_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from rasterio.windows import Window

    from s2fin_cli.geo.area import Area
    from s2fin_cli.raster.write import RasterWriter

#: The encoding of floats, with NaN for no data.
NAN = np.float32(np.nan)


class Sink(Protocol):
    """Takes class probabilities."""

    def write(
        self, window: Window, probs: NDArray[np.float32], valid: NDArray[np.bool_], measures: NDArray[np.float32]
    ) -> None:
        """Take the probabilities in a window that nothing was written to before.

        Args:
            window: where they are, in what the sink covers.
            probs: (num_classes, height, width), meaningless where `valid` is False; not to be changed.
            valid: (height, width), the pixels that were classified.
            measures: (n, height, width), what else was measured of the pixels, if anything; not to be changed.
        """


class ClassMap:
    """Writes each pixel's most probable class, and nodata where there is none; a `Sink`."""

    def __init__(self, writer: RasterWriter, class_ids: Sequence[int]) -> None:
        """Take an open class map, and the classes' ids in the order of the probabilities."""
        self._writer, self._ids = writer, np.array(class_ids)
        self._dtype, self._nodata = map_encoding(list(class_ids))

    def write(
        self, window: Window, probs: NDArray[np.float32], valid: NDArray[np.bool_], measures: NDArray[np.float32]
    ) -> None:
        """Write a window, see `Sink`."""
        values = np.where(valid, self._ids[probs.argmax(axis=0)], self._nodata).astype(self._dtype)
        self._writer.write(values[None], window)


class Confidence:
    """Writes the probability of each pixel's class, NaN where there is none; a `Sink`."""

    def __init__(self, writer: RasterWriter) -> None:
        """Take an open raster of one band."""
        self._writer = writer

    def write(
        self, window: Window, probs: NDArray[np.float32], valid: NDArray[np.bool_], measures: NDArray[np.float32]
    ) -> None:
        """Write a window, see `Sink`."""
        self._writer.write(np.where(valid, probs.max(axis=0), NAN)[None], window)


class Probabilities:
    """Writes the probabilities of all classes, NaN where there are none; a `Sink`."""

    def __init__(self, writer: RasterWriter) -> None:
        """Take an open raster with a band for each class."""
        self._writer = writer

    def write(
        self, window: Window, probs: NDArray[np.float32], valid: NDArray[np.bool_], measures: NDArray[np.float32]
    ) -> None:
        """Write a window, see `Sink`."""
        self._writer.write(np.where(valid, probs, NAN), window)


class Uncertainty:
    """Writes how uncertain each pixel's class is, NaN where there is none; a `Sink`."""

    def __init__(self, writer: RasterWriter) -> None:
        """Take an open raster with a band for each of `BANDS`."""
        self._writer = writer

    def write(
        self, window: Window, probs: NDArray[np.float32], valid: NDArray[np.bool_], measures: NDArray[np.float32]
    ) -> None:
        """Write a window, see `Sink`."""
        self._writer.write(np.where(valid, uncertainty_of(probs, measures), NAN), window)


class Counts:
    """Counts the pixels of each class; a `Sink`."""

    def __init__(self, class_ids: Sequence[int]) -> None:
        """Take the classes' ids in the order of the probabilities."""
        self._ids, self._counts = class_ids, np.zeros(len(class_ids), dtype=np.int64)

    @property
    def pixels(self) -> dict[int, int]:
        """Number of pixels by class id."""
        return dict(zip(self._ids, self._counts.tolist(), strict=True))

    def write(
        self, window: Window, probs: NDArray[np.float32], valid: NDArray[np.bool_], measures: NDArray[np.float32]
    ) -> None:
        """Count a window, see `Sink`."""
        self._counts += np.bincount(probs.argmax(axis=0)[valid], minlength=len(self._ids))


class Cropped:
    """Passes on to other sinks what is inside a window of a grid and inside the area of interest; a `Sink`.

    It takes windows of the grid; the other sinks cover the window, and get windows counted from its corner.
    """

    def __init__(self, extent: Window, area: Area | None, sinks: Sequence[Sink]) -> None:
        """Take the window, the area of interest or None where all is, and the other sinks."""
        self._extent, self._area, self._sinks = extent, area, sinks

    def write(
        self, window: Window, probs: NDArray[np.float32], valid: NDArray[np.bool_], measures: NDArray[np.float32]
    ) -> None:
        """Pass on a window, see `Sink`."""
        if not rasterio.windows.intersect(window, self._extent):
            return
        inside = valid if self._area is None else valid & self._area.mask(window)
        placed, (rows, cols) = clip(window, self._extent)
        for sink in self._sinks:
            sink.write(placed, probs[:, rows, cols], inside[rows, cols], measures[:, rows, cols])
