"""Fewer labelled pixels, chosen at random strip by strip."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from s2fin_cli.core.classes import MAX_CLASS_ID
from s2fin_cli.labels.pixels import LabelledPixels, joined

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray


def pixel_hashes(rows: NDArray[np.int64], cols: NDArray[np.int64], seed: int) -> NDArray[np.uint64]:
    """Pseudo-random numbers (n,) of pixels, which depend only on their positions and the seed.

    The finaliser of SplitMix64 (Steele, Lea and Flood 2014, OOPSLA, 453-472) over row and column.
    """
    values = (rows.astype(np.uint64) << np.uint64(32)) | cols.astype(np.uint64)
    values ^= np.uint64(seed * 0x9E3779B97F4A7C15 + 0x632BE59BD9B4E019 & (1 << 64) - 1)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        values ^= values >> np.uint64(shift)
        values *= np.uint64(factor)
    values ^= values >> np.uint64(31)
    return values


def thin_per_class(strips: Iterable[LabelledPixels], *, most: int, seed: int) -> LabelledPixels | None:
    """At most a given number of pixels of each class, chosen at random; memory is a small multiple of them.

    Which pixels are kept does not depend on how they are cut into strips.

    Args:
        strips: pixels in row-major order, some rows at a time, all with the same classes.
        most: pixels of a class.
        seed: seed of the random choice.

    Returns:
        those kept, in row-major order; None where there is no strip.
    """
    kept: list[tuple[LabelledPixels, NDArray[np.uint64]]] = []
    # of each class, the largest hash of those pixels that may still be kept
    limits = np.full(MAX_CLASS_ID + 1, np.iinfo(np.uint64).max, dtype=np.uint64)
    held, room = 0, 0
    for pixels in strips:
        hashes = pixel_hashes(pixels.rows, pixels.cols, seed)
        fitting = hashes <= limits[pixels.class_ids]
        kept.append((pixels.select(fitting), hashes[fitting]))
        held += len(kept[-1][0])
        room = room or 2 * most * len(pixels.classes)
        if held > room:
            kept = [_smallest(kept, most, limits=limits)]
            held = len(kept[0][0])
    return _smallest(kept, most, limits=limits)[0] if kept else None


def _smallest(
    parts: list[tuple[LabelledPixels, NDArray[np.uint64]]], most: int, *, limits: NDArray[np.uint64]
) -> tuple[LabelledPixels, NDArray[np.uint64]]:
    """The pixels with the smallest hashes of each class, with these; the limits (by class id) follow them."""
    pixels = joined([part for part, _ in parts])
    hashes = np.concatenate([part for _, part in parts])
    keep = np.ones(len(pixels), dtype=bool)
    for c in pixels.classes:
        own = np.flatnonzero(pixels.class_ids == c.id)
        if len(own) > most:
            limits[c.id] = np.partition(hashes[own], most - 1)[most - 1]
            keep[own[hashes[own] > limits[c.id]]] = False
    return pixels.select(keep), hashes[keep]
