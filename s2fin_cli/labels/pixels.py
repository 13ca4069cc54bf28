"""Labelled pixels: where they are, their classes, and the features that they came from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from s2fin_cli.core.classes import (
        LandCoverClass,
    )

#: Rows, columns, class numbers and groups of labelled pixels, one entry a pixel, in row-major order; int64 (n,) each.
Found = tuple["NDArray[np.int64]", "NDArray[np.int64]", "NDArray[np.int64]", "NDArray[np.int64]"]


@dataclass(frozen=True)
class LabelledPixels:
    """Pixels of a grid with known classes, one entry a pixel, in row-major order.

    Attributes:
        rows, cols: int64 (n,), where they are.
        class_ids: int64 (n,), their classes.
        groups: int64 (n,), the number of the polygon or point that each came from; 0 throughout for a raster.
        classes: every class that occurs, in the order of the ids.
        kind: "polygons", "lines", "points", "raster" (several files of which one is a raster, too) or "mixed".
        ids_are_given: whether the numbers are the labels' own, and not ours for names in alphabetical order.
    """

    rows: NDArray[np.int64]
    cols: NDArray[np.int64]
    class_ids: NDArray[np.int64]
    groups: NDArray[np.int64]
    classes: tuple[LandCoverClass, ...]
    kind: str
    ids_are_given: bool = True

    def __len__(self) -> int:
        return len(self.rows)

    def select(self, which: NDArray[np.bool_] | NDArray[np.int64] | slice) -> LabelledPixels:
        """The pixels chosen by a mask, by positions or by a slice, with the same classes."""
        return replace(
            self,
            rows=self.rows[which],
            cols=self.cols[which],
            class_ids=self.class_ids[which],
            groups=self.groups[which],
        )

    def counts(self) -> dict[int, int]:
        """Number of pixels by class id, zeros included."""
        found = counted(self.class_ids)
        return {c.id: found.get(c.id, 0) for c in self.classes}


def joined(parts: Sequence[LabelledPixels]) -> LabelledPixels:
    """Pixels of strips of one file one after the other."""
    return replace(
        parts[0],
        rows=np.concatenate([part.rows for part in parts]),
        cols=np.concatenate([part.cols for part in parts]),
        class_ids=np.concatenate([part.class_ids for part in parts]),
        groups=np.concatenate([part.groups for part in parts]),
    )


def counted(class_ids: NDArray[np.int64]) -> dict[int, int]:
    """Number of pixels by class id, of those that occur."""
    numbers = np.bincount(class_ids)
    return {int(class_id): int(numbers[class_id]) for class_id in np.flatnonzero(numbers)}
