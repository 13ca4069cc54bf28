"""Pixels that several labels claim: one entry a pixel, and which claims are of different classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from s2fin_cli.core.classes import NO_CLASS
from s2fin_cli.labels.pixels import Found

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Claims:
    """Claims of pixels in row-major order; those of one pixel follow each other, the one that counts first.

    Attributes:
        found: rows, columns, class numbers and groups; int64 (n,) each.
        is_first: bool (n,), the claim of each pixel that counts.
        is_disputed: bool (n,), claims of pixels that different classes claim.
    """

    found: Found
    is_first: NDArray[np.bool_]
    is_disputed: NDArray[np.bool_]

    @classmethod
    def of(cls, found: Found, width: int) -> Claims:
        """Sort claims by pixel.

        Args:
            found: the claims, for each pixel in the order in which they count.
            width: columns of the grid.
        """
        rows, cols = found[:2]
        keys = rows * width + cols
        if (np.diff(keys) <= 0).any():
            order = np.argsort(keys, kind="stable")  # a stable sort leaves the claims of a pixel in their order
            found, keys = _select(found, order), keys[order]
        same_pixel = np.diff(keys) == 0
        if not same_pixel.any():
            return cls(found, np.ones(len(keys), dtype=bool), np.zeros(len(keys), dtype=bool))
        is_first = np.concatenate([[True], ~same_pixel])
        pixel = np.cumsum(is_first) - 1
        clash = np.zeros(pixel[-1] + 1, dtype=bool)
        clash[pixel[1:][same_pixel & (np.diff(found[2]) != 0)]] = True
        return cls(found, is_first, clash[pixel])

    @property
    def disputed_pixels(self) -> int:
        """How many pixels different classes claim."""
        return int((self.is_first & self.is_disputed).sum())

    @property
    def disputing_classes(self) -> list[int]:
        """Numbers of the classes that claim them."""
        return [int(class_id) for class_id in np.unique(self.found[2][self.is_disputed])]

    def resolved(self, *, keeps_disputed: bool) -> Found:
        """One entry a pixel: the claim that counts, and none of disputed pixels unless they are kept."""
        return _select(self.found, self.is_first if keeps_disputed else self.is_first & ~self.is_disputed)

    def marked(self) -> Found:
        """One entry a pixel: the claim that counts, with `NO_CLASS` for its class where the pixel is disputed."""
        rows, cols, class_ids, groups = _select(self.found, self.is_first)
        return rows, cols, np.where(self.is_disputed[self.is_first], NO_CLASS, class_ids), groups


def _select(found: Found, which: NDArray[np.bool_] | NDArray[np.int64]) -> Found:
    rows, cols, class_ids, groups = found
    return rows[which], cols[which], class_ids[which], groups[which]
