"""Figures that follow from an accuracy: intervals of confidence, and shares of the confusion matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from s2fin_cli.assess.intervals import wilson_interval

if TYPE_CHECKING:
    from s2fin_cli.assess.area_adjusted import AreaAdjusted


#: A larger confusion matrix would not be read, so its shares are left out, and a page does not show it.
MOST_IN_MATRIX = 60


def with_derived(accuracy: dict[str, Any], estimates: AreaAdjusted | None = None) -> dict[str, Any]:
    """What `Accuracy.to_dict` gave, with shares of the matrix, and 95 % intervals as for independent pixels.

    A stratified sample has margins of its own, see `AreaAdjusted`, and gets no intervals.
    """
    matrix = accuracy["confusion_matrix"]
    counts = matrix["counts"]
    columns = [sum(column) for column in zip(*counts, strict=True)]
    shares = (
        {}
        if len(counts) > MOST_IN_MATRIX
        else {
            "row_shares": [[_share(count, sum(row)) for count in row] for row in counts],
            "column_shares": [[_share(count, columns[j]) for j, count in enumerate(row)] for row in counts],
        }
    )
    accuracy = {**accuracy, "confusion_matrix": {**matrix, **shares}}
    if estimates is not None:
        return accuracy
    classes = []
    for i, entry in enumerate(accuracy["classes"]):
        right = counts[i][i]
        intervals = {
            "producers_interval_95": wilson_interval(right, sum(counts[i])),
            "users_interval_95": wilson_interval(right, columns[i]),
        }
        classes.append({**entry, **{key: None if pair is None else list(pair) for key, pair in intervals.items()}})
    whole = wilson_interval(sum(counts[i][i] for i in range(len(counts))), accuracy["n"])
    return {**accuracy, "overall_interval_95": None if whole is None else list(whole), "classes": classes}


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
