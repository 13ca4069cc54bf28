"""Splits of labelled pixels into training and validation, spatially apart by default."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from s2fin_cli.core.errors import LabelError
from s2fin_cli.geo.windows import square_numbers
from s2fin_cli.labels.blocks import block_side, reach_into

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from s2fin_cli.labels.pixels import LabelledPixels


@dataclass(frozen=True)
class Split:
    """Positions, in the labelled pixels, of training and of validation pixels, and how they were chosen."""

    train: NDArray[np.int64]
    validation: NDArray[np.int64]
    method: str


def split_labels(
    labels: LabelledPixels, *, method: str, share: float, radius: int, generator: np.random.Generator
) -> Split:
    """Hold out a share of the labelled pixels for validation.

    Args:
        labels: the labelled pixels.
        method: "polygons" holds out whole polygons (or single points), "blocks" square blocks of pixels
            with a buffer of the radius around them, "random" single pixels, "auto" polygons for polygons and
            blocks for the rest.
        share: share of each class's pixels to hold out, as nearly as whole polygons or blocks allow; 0 for none.
        radius: pixels within which the surroundings of two pixels have much in common.
        generator: source of chance.

    Returns:
        the split. A class in a single polygon or block is trained on and not validated.

    Raises:
        LabelError: polygons are asked for, and the labels are a raster.
    """
    method = resolved(method, labels.kind)
    everything = np.arange(len(labels))
    if share == 0:
        return Split(everything, everything[:0], "none")
    units = units_of(labels, method, radius=radius)
    held_out = _hold_out(labels.class_ids, units, share=share, generator=generator)
    keep = ~held_out
    if method == "blocks":
        keep &= ~_near_held_out(labels, units, held_out=held_out, radius=radius)
        keep |= _rescued(labels.class_ids, keep, held_out=held_out)
    return Split(everything[keep], everything[held_out], method)


def units_of(labels: LabelledPixels, method: str, *, radius: int) -> NDArray[np.int64]:
    """The number of the unit (polygon, block or pixel) that each labelled pixel belongs to.

    Args:
        labels: the labelled pixels.
        method: as in `split_labels`.
        radius: pixels within which the surroundings of two pixels have much in common.
    """
    method = resolved(method, labels.kind)
    if method == "random":
        return np.arange(len(labels))
    if method == "polygons":
        return labels.groups
    return _block_numbers(labels.rows, labels.cols, radius=radius)


def resolved(method: str, kind: str) -> str:
    """The method that "auto" stands for with a kind of labels.

    Raises:
        LabelError: polygons are asked for, and the labels are a raster.
    """
    if method == "auto":
        return "polygons" if kind == "polygons" else "blocks"
    if method == "polygons" and kind == "raster":
        raise LabelError("a label raster has no polygons to split by; take blocks")
    return method


def _block_numbers(rows: NDArray[np.int64], cols: NDArray[np.int64], *, radius: int) -> NDArray[np.int64]:
    return square_numbers(rows, cols, block_side(radius))


def _hold_out(
    class_ids: NDArray[np.int64], units: NDArray[np.int64], *, share: float, generator: np.random.Generator
) -> NDArray[np.bool_]:
    """Mask over (n,) pixels of those in units that are held out, see `choose_units`."""
    _, unit_index = np.unique(units, return_inverse=True)
    classes, class_index = np.unique(class_ids, return_inverse=True)
    counts = np.zeros((unit_index.max() + 1, len(classes)), dtype=np.int64)
    np.add.at(counts, (unit_index, class_index), 1)
    return choose_units(counts, share=share, generator=generator)[unit_index]


def choose_units(counts: NDArray[np.int64], *, share: float, generator: np.random.Generator) -> NDArray[np.bool_]:
    """Choose whole units so that the share of each class is as close to the given one as possible, rare classes first.

    Every class keeps at least one unit for training.

    Args:
        counts: (units, classes), number of pixels.
        share: share of each class's pixels.
        generator: source of chance.

    Returns:
        mask (units,).
    """
    chosen = np.zeros(len(counts), dtype=bool)
    target = share * counts.sum(axis=0)
    held, free_units = np.zeros(counts.shape[1], dtype=np.int64), (counts > 0).sum(axis=0)
    for column in np.argsort(free_units, kind="stable"):
        for unit in generator.permutation(np.flatnonzero(counts[:, column])):
            if held[column] >= target[column]:
                break
            present = counts[unit] > 0
            keeps_all_classes = (free_units[present] > 1).all()
            overshoot = held[column] + counts[unit, column] - target[column]
            fits = held[column] == 0 or overshoot < target[column] - held[column]
            if not chosen[unit] and keeps_all_classes and fits:
                chosen[unit] = True
                held += counts[unit]
                free_units -= present
    return chosen


def _near_held_out(
    labels: LabelledPixels, units: NDArray[np.int64], *, held_out: NDArray[np.bool_], radius: int
) -> NDArray[np.bool_]:
    """Pixels within the radius of a held-out block."""
    blocks = np.unique(units[held_out])

    def is_held(rows: NDArray[np.int64], cols: NDArray[np.int64]) -> NDArray[np.bool_]:
        return np.isin(_block_numbers(rows, cols, radius=radius), blocks)

    return reach_into(is_held, labels.rows, cols=labels.cols, radius=radius)


def _rescued(
    class_ids: NDArray[np.int64], keep: NDArray[np.bool_], *, held_out: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Training pixels of classes that the buffer would remove completely."""
    lost = np.setdiff1d(class_ids, class_ids[keep])
    return np.isin(class_ids, lost) & ~held_out


def cap_per_class(
    class_ids: NDArray[np.int64], positions: NDArray[np.int64], *, most: int, generator: np.random.Generator
) -> NDArray[np.int64]:
    """At most a given number of positions of each class, chosen at random, in their old order."""
    kept = []
    for class_id in np.unique(class_ids[positions]):
        of_class = positions[class_ids[positions] == class_id]
        kept.append(of_class if len(of_class) <= most else generator.choice(of_class, most, replace=False))
    return np.sort(np.concatenate(kept)) if kept else positions
