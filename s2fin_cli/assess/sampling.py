"""A stratified random sample of a map's pixels: how many of each class, and which ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from s2fin_cli.core.classes import NO_CLASS
from s2fin_cli.raster.class_ids import iter_class_strips

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray


def allocate(pixels: Mapping[int, int], *, size: int, least: int) -> dict[int, int]:
    """How many pixels to draw of each class: a minimum of each, the rest in proportion to the mapped area.

    Olofsson et al. 2014 (section 5.1.1) recommend this for estimating both the accuracy of rare classes and the areas
    of all.

    Args:
        pixels: pixels of each class in the map, by class id.
        size: pixels to draw in all; more if the minimum numbers add up to more.
        least: fewest pixels of each class; a class with fewer has all of them drawn.
    """
    fixed: dict[int, int] = {}
    while True:
        rest = {i: count for i, count in pixels.items() if i not in fixed}
        left, total = size - sum(fixed.values()), sum(rest.values())
        shares = {i: left * count / total for i, count in rest.items()}
        few = {i: min(least, pixels[i]) for i, share in shares.items() if share < min(least, pixels[i])}
        if not few:
            break
        fixed |= few
    # the largest remainders are rounded up, so that the sum is right
    numbers = {i: int(share) for i, share in shares.items()}
    missing = max(round(sum(shares.values())) - sum(numbers.values()), 0)
    for i in sorted(shares, key=lambda i: numbers[i] - shares[i])[:missing]:
        numbers[i] += 1
    return {i: min({**fixed, **numbers}[i], count) for i, count in pixels.items()}


def draw_pixels(
    map_path: str | Path, numbers: Mapping[int, int], *, pixels: Mapping[int, int], generator: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Draw pixels of each class of a map without replacement.

    Args:
        map_path: the map.
        numbers: pixels to draw of each class, by class id.
        pixels: pixels of each class in the map, by class id.
        generator: source of chance.

    Returns:
        rows and columns (n,): strip by strip from top to bottom, and class by class within a strip.

    Raises:
        RasterError: the map cannot be read, or holds fractions.
    """
    wanted = {i: np.sort(generator.choice(pixels[i], number, replace=False)) for i, number in numbers.items()}
    seen = dict.fromkeys(pixels, 0)
    found = []
    for window, values in iter_class_strips(map_path, NO_CLASS):
        for i, ordinals in wanted.items():
            rows, cols = np.nonzero(values == i)
            here = ordinals[(ordinals >= seen[i]) & (ordinals < seen[i] + len(rows))] - seen[i]
            found.append((rows[here] + window.row_off, cols[here]))
            seen[i] += len(rows)
    rows, cols = (np.concatenate(part).astype(np.int64) for part in zip(*found, strict=True))
    return rows, cols
