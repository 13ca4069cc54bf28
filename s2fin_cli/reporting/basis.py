"""An accuracy and what it is based on, and the pairs of classes that are confused in it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from s2fin_cli.assess.area_adjusted import AreaAdjusted
    from s2fin_cli.assess.metrics import Accuracy


# NOTE: eq=False because arrays do not compare to one truth value.
@dataclass(frozen=True, eq=False)
class Basis:
    """An accuracy, and what it is based on.

    Attributes:
        accuracy: the accuracy.
        kind: "reference", "validation" or "cross_validation".
        estimates: estimates for the whole map, where the reference is a stratified random sample.
        trained_share: share of the reference's pixels that the model was trained on, where it is large.
    """

    accuracy: Accuracy
    kind: str
    estimates: AreaAdjusted | None = None
    trained_share: float = 0.0

    @property
    def overall_accuracy(self) -> float:
        """The overall accuracy: of the whole map where it is estimated."""
        if self.estimates is None:
            return self.accuracy.overall_accuracy
        return float(self.estimates.overall_accuracy.value)

    @property
    def noun(self) -> str:
        """What kind of pixels it is based on."""
        return "reference" if self.kind == "reference" else "labelled"

    @property
    def f1(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        """F1 of each class: of the whole map where it is estimated."""
        if self.estimates is None:
            return self.accuracy.f1
        users, producers = self.estimates.users_accuracy.value, self.estimates.producers_accuracy.value
        total = users + producers
        return np.divide(2 * users * producers, total, out=np.where(total == 0, 0.0, math.nan), where=total > 0)


@dataclass(frozen=True)
class Confused:
    """Reference pixels of one class that the map has as another.

    Attributes:
        reference_id, mapped_id: the classes.
        reference, mapped: their names.
        pixels: how many they are.
        of_reference: reference pixels of the class.
        of_mapped: reference pixels that the map has as the other class.
        extent: how much of the map they stand for: area where it is estimated, else pixels.
    """

    reference_id: int
    mapped_id: int
    reference: str
    mapped: str
    pixels: int
    of_reference: int
    of_mapped: int
    extent: float

    def describe(self, noun: str = "reference") -> str:
        """One sentence; the noun says what kind of pixels they are."""
        return (
            f"{self.pixels:,} of the {self.of_reference:,} {noun} pixels of {in_words(self.reference)} "
            f"({percent(self.pixels / self.of_reference)}) are mapped as {in_words(self.mapped)}."
        )


def confused_pairs(basis: Basis) -> list[Confused]:
    """All pairs of classes that are confused, those first that stand for most of the map."""
    accuracy, estimates = basis.accuracy, basis.estimates
    support, mapped = accuracy.matrix.sum(axis=1), accuracy.matrix.sum(axis=0)
    wrong = accuracy.matrix.copy()
    np.fill_diagonal(wrong, 0)
    rows, columns = np.nonzero(wrong)
    # NOTE: a pixel of a stratified sample stands for more of the map, the larger its stratum is
    areas = mapped if estimates is None else estimates.map_areas
    extent = wrong * np.divide(areas, mapped, out=np.zeros(len(mapped)), where=mapped > 0)
    order = np.lexsort((columns, rows, -extent[rows, columns]))
    ids, names = accuracy.class_ids, accuracy.class_names
    return [
        Confused(
            ids[i], ids[j], names[i], names[j], int(wrong[i, j]), int(support[i]), int(mapped[j]), float(extent[i, j])
        )
        for i, j in zip(rows[order].tolist(), columns[order].tolist(), strict=True)
    ]


def in_words(name: str) -> str:
    """A class's name in a sentence; a number alone would not be understood."""
    return f"class {name}" if name.isdecimal() else name


def percent(ratio: float) -> str:
    """A share in percent, for sentences."""
    return f"{100 * ratio:.1f} %"
