"""Strips of a class map on their way to polygons, without areas below the minimum mapping unit."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import rasterio
import rasterio.features
from numpy.typing import NDArray

from s2fin_cli.core.formats import BLOCK_SIZE
from s2fin_cli.geo.windows import iter_tiles
from s2fin_cli.raster.opening import open_raster

if TYPE_CHECKING:
    from collections.abc import Generator

    from rasterio.windows import Window


#: Consecutive rows of a map: class ids (rows, width), and the confidence of each pixel (rows, width) or None.
Strip = tuple[NDArray[np.unsignedinteger[Any]], NDArray[np.floating[Any]] | None]


def iter_strips(map_path: Path, confidence_path: Path | None, *, mmu: int = 1) -> Generator[Strip]:
    """Full-width strips of a class map and its confidence, from top to bottom.

    Args:
        map_path: the class map.
        confidence_path: its confidence.
        mmu: areas of fewer pixels are given to their largest neighbour, see `sieved`; above 1 the map is
            held in memory.
    """
    with contextlib.ExitStack() as opened:
        src = opened.enter_context(open_raster(map_path))
        confidence = None if confidence_path is None else opened.enter_context(open_raster(confidence_path))
        whole = sieved(src.read(1), nodata=int(src.nodata), mmu=mmu) if mmu > 1 else None
        for window in iter_tiles(src.shape, (BLOCK_SIZE, src.width)):
            classes = src.read(1, window=window) if whole is None else whole[window.toslices()]
            yield classes, None if confidence is None else _read_probabilities(confidence, window)


def _read_probabilities(src: rasterio.DatasetReader, window: Window) -> NDArray[np.float32]:
    """Probabilities as `create_image` wrote them, with a scale or without; NaN where there is none."""
    values = src.read(1, window=window)
    if values.dtype == np.float32:
        return np.asarray(values)
    return np.where(values == src.nodata, np.nan, values * src.scales[0]).astype(np.float32)


def sieved(class_map: NDArray[Any], *, nodata: int, mmu: int) -> NDArray[Any]:
    """A class map without areas of fewer pixels than the minimum mapping unit.

    Each is given to the largest area that it borders on. Nodata stays as it is, and so do islands in it that consist of
    small areas alone. Areas are 4-connected.

    Args:
        class_map: class ids (height, width).
        nodata: the class id that is no class.
        mmu: pixels.
    """
    valid = class_map != nodata
    mmu = min(mmu, class_map.size - 1)  # GDAL takes no more
    while mmu > 1:
        # NOTE: GDAL merges small areas into large ones only, so a cluster of small ones takes a few passes
        merged: NDArray[Any] = rasterio.features.sieve(class_map, mmu, mask=valid, connectivity=4)
        if np.array_equal(merged, class_map):
            return merged
        class_map = merged
    return class_map
