"""Scattered pixels of a stack, classified exactly as in a map of the whole stack."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from rasterio.windows import Window

from s2fin_cli.geo.windows import by_number, square_numbers

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from s2fin_cli.core.progress import Stop
    from s2fin_cli.inference.engine import Predictor
    from s2fin_cli.stack.stack import Stack


#: Batches of windows along each side of a tile that is read: several, as threads or a device compute them together.
BATCHES_A_SIDE = 4


def predict_pixels(
    predictor: Predictor,
    stack: Stack,
    rows: NDArray[np.int64],
    cols: NDArray[np.int64],
    *,
    stop: Stop | None = None,
) -> NDArray[np.float32]:
    """Class probabilities (n, num_classes) of pixels of a stack; no more is read and computed than they need.

    Args:
        predictor: the engine, or a substitute.
        stack: the stack.
        rows: (n,), the pixels' rows in the raster.
        cols: (n,), their columns.
        stop: checked before each tile.

    Raises:
        Stopped: it was asked to end.
    """
    size, (height, width) = BATCHES_A_SIDE * predictor.batch_side, stack.grid.shape
    probs = np.empty((len(rows), predictor.num_classes), np.float32)
    with stack.open() as opened:
        for part in by_number(square_numbers(rows, cols, size)):
            if stop is not None:
                stop.check()
            top, left = int(rows[part[0]]) // size * size, int(cols[part[0]]) // size * size
            window = Window(left, top, min(size, width - left), min(size, height - top))
            tile = opened.read(window, halo=predictor.margin)
            wanted = torch.zeros(window.height, window.width, dtype=torch.bool)
            wanted[rows[part] - top, cols[part] - left] = True
            predicted = predictor.predict(tile.images.map(torch.from_numpy), wanted)
            probs[part] = predicted[:, rows[part] - top, cols[part] - left].T.numpy()
    return probs
