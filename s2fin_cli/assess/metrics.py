"""Accuracy of a class map against reference labels: the confusion matrix and the measures derived from it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from s2fin_cli.core.errors import LabelError
from s2fin_cli.core.figures import known

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray


def confusion_matrix(reference: ArrayLike, predicted: ArrayLike, *, class_ids: Sequence[int]) -> NDArray[np.int64]:
    """Count pixels by reference class and map class.

    Matrices of the same classes add up, so a map can be assessed window by window.

    Args:
        reference: integer class ids of the labelled pixels, any shape.
        predicted: integer ids that the map holds at the same pixels, same shape.
        class_ids: the C distinct ids to assess, in the order of rows and columns.

    Returns:
        int64 array (C, C + 1). Rows are the reference, the first C columns the map. The last column counts the unmapped
        pixels: those whose map id is not one of `class_ids`, such as nodata.

    Raises:
        LabelError: a reference id is not in `class_ids`.
        ValueError: shapes differ, values are not integers, or `class_ids` is empty or holds an id twice.
    """
    ids = _checked_ids(class_ids)
    reference, predicted = _integers(reference, "reference"), _integers(predicted, "predicted")
    if reference.shape != predicted.shape:
        raise ValueError(f"reference has shape {reference.shape}, predicted has shape {predicted.shape}")
    count = len(ids)
    row = _positions(reference.ravel(), ids)
    if row.size and row.max() == count:
        foreign = np.unique(reference.ravel()[row == count])[:10].tolist()
        raise LabelError(
            f"the reference holds class {', '.join(map(str, foreign))}, but the classes to assess are "
            f"{', '.join(map(str, ids.tolist()))}; remove those pixels or add their classes"
        )
    cell = row * (count + 1) + _positions(predicted.ravel(), ids)
    counts = np.bincount(cell, minlength=count * (count + 1))
    return counts.reshape(count, count + 1).astype(np.int64, copy=False)


# NOTE: eq=False because arrays do not compare to one truth value.
@dataclass(frozen=True, eq=False)
class Accuracy:
    """Accuracy of a map, derived from one confusion matrix.

    All measures are computed from the `n` pixels in `matrix`. Unmapped reference pixels are excluded; `unmapped` counts
    them, and a report should too. Ratios run from 0 to 1 and are NaN where their denominator is 0.

    Attributes:
        class_ids: the C ids in the map, in the order of rows and columns.
        class_names: one name per class.
        matrix: int64 (C, C), read-only, in pixels; rows are the reference, columns the map.
        unmapped: int64 (C,), read-only: reference pixels of each class where the map has none of the classes.

    Raises:
        ValueError: shapes do not match the classes, counts are negative or not integers, or ids are empty or repeated.
    """

    class_ids: tuple[int, ...]
    class_names: tuple[str, ...]
    matrix: NDArray[np.int64]
    unmapped: NDArray[np.int64]

    def __post_init__(self) -> None:
        ids = _checked_ids(self.class_ids)
        count = len(ids)
        if len(self.class_names) != count:
            raise ValueError(f"{count} class ids but {len(self.class_names)} class names")
        object.__setattr__(self, "class_ids", tuple(ids.tolist()))
        object.__setattr__(self, "class_names", tuple(map(str, self.class_names)))
        for field, shape in (("matrix", (count, count)), ("unmapped", (count,))):
            counts = _integers(getattr(self, field), field).copy()
            if counts.shape != shape:
                raise ValueError(f"{field} must have shape {shape} for {count} classes, got {counts.shape}")
            if counts.min() < 0:
                raise ValueError(f"{field} holds the negative count {counts.min()}")
            counts.setflags(write=False)
            object.__setattr__(self, field, counts)

    @classmethod
    def from_matrix(
        cls, matrix: ArrayLike, *, class_ids: Sequence[int], class_names: Sequence[str] | None = None
    ) -> Self:
        """From the result of `confusion_matrix`, or a sum of such results.

        Args:
            matrix: integers (C, C + 1) with the unmapped pixels last, or (C, C) where there are none.
            class_ids: the C ids, in the order of rows and columns.
            class_names: one name per class; the ids themselves if None.

        Raises:
            ValueError: as for the class.
        """
        counts, size = np.asarray(matrix), len(class_ids)
        if counts.shape not in {(size, size), (size, size + 1)}:
            raise ValueError(
                f"matrix must have shape {(size, size + 1)} or {(size, size)} for {size} classes, got {counts.shape}"
            )
        names = tuple(map(str, class_ids)) if class_names is None else tuple(class_names)
        unmapped = counts[:, size] if counts.shape[1] > size else np.zeros(size, np.int64)
        return cls(class_ids=tuple(class_ids), class_names=names, matrix=counts[:, :size], unmapped=unmapped)

    @classmethod
    def from_labels(
        cls,
        reference: ArrayLike,
        predicted: ArrayLike,
        *,
        class_ids: Sequence[int],
        class_names: Sequence[str] | None = None,
    ) -> Self:
        """From two integer arrays of one shape; arguments and errors as for `confusion_matrix` and `from_matrix`."""
        matrix = confusion_matrix(reference, predicted, class_ids=class_ids)
        return cls.from_matrix(matrix, class_ids=class_ids, class_names=class_names)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Build from what `to_dict` gave.

        Raises:
            KeyError, TypeError, ValueError: something is missing or impossible.
        """
        classes = values["classes"]
        counts = np.array(values["confusion_matrix"]["counts"], dtype=np.int64)
        unmapped = np.array([int(c["unmapped"]) for c in classes], dtype=np.int64)
        ids, names = ([c[key] for c in classes] for key in ("id", "name"))
        return cls.from_matrix(np.column_stack([counts, unmapped]), class_ids=ids, class_names=names)

    @property
    def n(self) -> int:
        """Number of assessed pixels: the sum of the matrix, without the unmapped ones."""
        return int(self.matrix.sum())

    @property
    def support(self) -> NDArray[np.int64]:
        """int64 (C,): assessed reference pixels per class, the matrix's row sums."""
        return _sums(self.matrix, axis=1)

    @property
    def _mapped(self) -> NDArray[np.int64]:
        return _sums(self.matrix, axis=0)

    @cached_property
    def overall_accuracy(self) -> float:
        """Share of assessed pixels on the diagonal (Congalton and Green, overall accuracy); NaN without pixels."""
        return int(np.trace(self.matrix)) / self.n if self.n else math.nan

    @cached_property
    def average_accuracy(self) -> float:
        """Mean producer's accuracy of the classes present in the reference; NaN without pixels."""
        present = self.producers_accuracy[self.support > 0]
        return float(present.mean()) if present.size else math.nan

    @cached_property
    def kappa(self) -> float:
        """Agreement beyond chance, (p_o - p_e) / (1 - p_e), from -1 to 1 (Cohen, 1960).

        p_o is the overall accuracy and p_e the agreement expected from the row and column sums alone. NaN without
        pixels, and where p_e is 1 because reference and map hold one and the same single class.
        """
        # NOTE: Python's integers, so that "p_e is 1" is decided exactly and n squared cannot overflow.
        n, agreed = self.n, int(np.trace(self.matrix))
        by_chance = sum(row * column for row, column in zip(self.support.tolist(), self._mapped.tolist(), strict=True))
        beyond_chance = n * n - by_chance
        return (n * agreed - by_chance) / beyond_chance if beyond_chance else math.nan

    @cached_property
    def producers_accuracy(self) -> NDArray[np.float64]:
        """float64 (C,): share of a class's reference pixels mapped as that class, 1 - omission error.

        Also called recall (Congalton and Green, producer's accuracy). NaN for a class without reference pixels.
        """
        return _ratio(self.matrix.diagonal(), self.support)

    @cached_property
    def users_accuracy(self) -> NDArray[np.float64]:
        """float64 (C,): share of the pixels mapped as a class that are that class, 1 - commission error.

        Also called precision (Congalton and Green, user's accuracy). NaN for a class without map pixels.
        """
        return _ratio(self.matrix.diagonal(), self._mapped)

    @cached_property
    def f1(self) -> NDArray[np.float64]:
        """float64 (C,): 2 TP / (2 TP + FP + FN), the harmonic mean of both accuracies (van Rijsbergen, 1979; Dice).

        It is 0 for a class that only the reference or only the map has, and NaN for one that neither has.
        """
        return _ratio(2 * self.matrix.diagonal(), self.support + self._mapped)

    def to_dict(self) -> dict[str, Any]:
        """Plain values that `json.dumps(..., allow_nan=False)` takes; an undefined ratio is None.

        Returns:
            A dictionary of this form, ratios from 0 to 1 (kappa from -1) and counts in pixels::

                {"n": int, "unmapped": int,
                 "overall_accuracy": float | None, "average_accuracy": float | None, "kappa": float | None,
                 "classes": [{"id": int, "name": str, "producers_accuracy": float | None,
                              "users_accuracy": float | None, "f1": float | None,
                              "support": int, "unmapped": int}, ...],
                 "confusion_matrix": {"rows": "reference", "columns": "map", "class_ids": [int, ...],
                                      "counts": [[int, ...], ...]}}

            `n` excludes the unmapped pixels; `classes`, `class_ids` and both axes of `counts` have the same order.
        """
        keys = ("id", "name", "producers_accuracy", "users_accuracy", "f1", "support", "unmapped")
        ratios = (map(known, r.tolist()) for r in (self.producers_accuracy, self.users_accuracy, self.f1))
        columns = (self.class_ids, self.class_names, *ratios, self.support.tolist(), self.unmapped.tolist())
        return {
            "n": self.n,
            "unmapped": int(self.unmapped.sum()),
            "overall_accuracy": known(self.overall_accuracy),
            "average_accuracy": known(self.average_accuracy),
            "kappa": known(self.kappa),
            "classes": [dict(zip(keys, row, strict=True)) for row in zip(*columns, strict=True)],
            "confusion_matrix": {
                "rows": "reference",
                "columns": "map",
                "class_ids": list(self.class_ids),
                "counts": self.matrix.tolist(),
            },
        }


def _checked_ids(class_ids: Sequence[int]) -> NDArray[np.int64]:
    ids = _integers(class_ids, "class_ids")
    if ids.ndim != 1 or not ids.size:
        raise ValueError(f"class_ids must name at least one class in one sequence, got {class_ids!r}")
    if len(set(ids.tolist())) < ids.size:
        raise ValueError(f"class_ids holds an id twice: {ids.tolist()}")
    return ids


def _integers(values: ArrayLike, name: str) -> NDArray[np.int64]:
    array = np.asarray(values)
    if array.size and array.dtype.kind not in "iu":
        raise ValueError(f"{name} must hold integers, got {array.dtype}")
    return array.astype(np.int64, copy=False)


def _positions(values: NDArray[np.int64], ids: NDArray[np.int64]) -> NDArray[np.int64]:
    """The position of each value in `ids`, or `len(ids)` if it is not there; both one-dimensional."""
    order = np.argsort(ids)
    nearest = order[np.searchsorted(ids, values, sorter=order).clip(max=len(ids) - 1)]
    return np.where(ids[nearest] == values, nearest, len(ids))


def _sums(matrix: NDArray[np.int64], *, axis: int) -> NDArray[np.int64]:
    sums: NDArray[np.int64] = matrix.sum(axis=axis)
    return sums


def _ratio(part: NDArray[np.int64], whole: NDArray[np.int64]) -> NDArray[np.float64]:
    """Divide `part` by `whole`, NaN where `whole` is 0; read-only."""
    ratio: NDArray[np.float64] = np.divide(part, whole, out=np.full(whole.shape, math.nan), where=whole > 0)
    ratio.setflags(write=False)
    return ratio
