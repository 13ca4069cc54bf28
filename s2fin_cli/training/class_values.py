"""The values of the images at the labels of each class, for the report of a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from s2fin_cli.geo.windows import evenly_spread
from s2fin_cli.model.findings import MOST_BANDS
from s2fin_cli.stack.cells import CELL_SIZE, CELLS_TO_READ, iter_cells, own_order

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from s2fin_cli.labels.pixels import LabelledPixels
    from s2fin_cli.stack.stack import Stack

#: Labelled pixels of a class that are read at most.
MOST_PIXELS = 200
#: Significant digits of a kept value.
DIGITS = 4


def class_values(stack: Stack, labels: LabelledPixels) -> list[dict[str, Any]]:
    """Mean and standard deviation of each image's bands at the labels of each class, plain JSON values.

    Args:
        stack: the images.
        labels: labelled pixels with data; of each class at most `MOST_PIXELS`, evenly spread in their order, are read.

    Returns:
        a dictionary for each modality: "modality"; "indexes", 1-based positions of the bands among those in use, at
        most `MOST_BANDS` evenly spread; "classes", for each class in the order of `labels.classes` the number of
        "pixels" that count, whose bands all have data, and "mean" and "std", a list with a value for each band, or
        None without pixels.
    """
    of_class = [_evenly(np.flatnonzero(labels.class_ids == c.id)) for c in labels.classes]
    some = labels.select(np.concatenate(of_class))
    values = _values_at(stack, some.rows, some.cols)
    ends = np.cumsum([len(part) for part in of_class])[:-1]
    found = []
    for layer, bands in stack.slices():
        chosen = evenly_spread(bands.stop - bands.start - 1, most=MOST_BANDS)
        parts = [part[np.isfinite(part).all(axis=1)] for part in np.split(values[:, bands][:, chosen], ends)]
        classes = [
            {"pixels": len(part), "mean": _rounded(part, np.mean), "std": _rounded(part, np.std)} for part in parts
        ]
        found.append({"modality": layer.modality, "indexes": (chosen + 1).tolist(), "classes": classes})
    return found


def _evenly(positions: NDArray[np.int64]) -> NDArray[np.int64]:
    return positions[evenly_spread(len(positions) - 1, most=MOST_PIXELS)] if len(positions) else positions


def _values_at(stack: Stack, rows: NDArray[np.int64], cols: NDArray[np.int64]) -> NDArray[np.float32]:
    """Values (n, bands of all images) at pixels."""
    positions, values = [], []
    for part, cells in iter_cells(stack, rows, cols, margin=0, at_once=CELLS_TO_READ):
        place, images = cells.places, np.concatenate(cells.images.parts(), axis=1)
        assert images.shape[-1] == CELL_SIZE  # noqa: S101  there is no margin
        positions.append(part)
        values.append(images[place.index, :, place.rows, place.cols])
    return np.concatenate(values)[own_order(positions)]


def _rounded(values: NDArray[np.float32], measure: Any) -> list[float] | None:
    if not len(values):
        return None
    return [float(f"{value:.{DIGITS}g}") for value in measure(values.astype(np.float64), axis=0).tolist()]
