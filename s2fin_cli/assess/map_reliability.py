"""Reliability of a map's confidence at reference labels."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import numpy as np

from s2fin_cli.assess.comparison import read_pixels
from s2fin_cli.assess.reliability import INTERVALS, Reliability
from s2fin_cli.geo.windows import iter_squares
from s2fin_cli.raster.opening import open_raster

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from rasterio import DatasetReader

    from s2fin_cli.assess.comparison import Compared
    from s2fin_cli.labels.pixels import LabelledPixels


def map_reliability(compared: Compared, confidence_path: str) -> Reliability:
    """Reliability of a map's confidence, of which only the storage blocks with labels are read.

    Args:
        compared: the map and its reference.
        confidence_path: the confidence, on the map's grid.

    Raises:
        RasterError: it cannot be read.
    """
    own_ids = compared.own_ids
    table = np.full(max(own_ids) + 1, -1)
    table[list(own_ids)] = list(own_ids.values())
    counts, right, total = (np.zeros(INTERVALS, np.int64), np.zeros(INTERVALS, np.int64), np.zeros(INTERVALS))
    with (
        open_raster(compared.map_path) as mapped,
        open_raster(confidence_path) as src,
        contextlib.closing(compared.labels.strips()) as strips,
    ):
        for pixels in strips:
            is_right = read_pixels(mapped, pixels) == table[pixels.class_ids]
            part = Reliability.of(_confidence_at(src, pixels), is_right)
            counts, right, total = counts + part.counts, right + part.right, total + part.confidence
    return Reliability(counts, right, total)


def _confidence_at(src: DatasetReader, labels: LabelledPixels) -> NDArray[np.float64]:
    """Confidence (n,) at labelled pixels, NaN where there is none."""
    found = np.full(len(labels), np.nan)
    for positions, window in iter_squares(labels.rows, labels.cols):
        values = np.ma.filled(src.read(1, window=window, masked=True).astype(np.float64), np.nan)
        here = values[labels.rows[positions] - window.row_off, labels.cols[positions] - window.col_off]
        found[positions] = here * src.scales[0] + src.offsets[0]
    return found
