"""A report as CSV."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from s2fin_cli.assess.report import MapReport


def to_csv(report: MapReport) -> str:
    """One header and one row per reference class.

    The columns are `class_id`, `class_name`, `producers_accuracy`, `users_accuracy`, `f1`, `support`, `unmapped`; then
    `overall_accuracy`, `average_accuracy` and `kappa` of the whole map, the same in each row; then one column
    `map_<class id>` per class with that row of the confusion matrix. Ratios run from 0 to 1; an undefined one is an
    empty cell. Estimates for the whole map come last: `map_area`, and `adjusted_` with `users_accuracy`,
    `producers_accuracy`, `area` and `overall_accuracy`, each with `_margin_95`.
    """
    class_ids, found = report.accuracy.class_ids, report.accuracy.to_dict()
    overall = {key: found[key] for key in ("overall_accuracy", "average_accuracy", "kappa")}
    stream = io.StringIO()
    writer: csv.DictWriter[str] | None = None
    estimates = [{}] * len(class_ids) if report.estimates is None else _flat(report.estimates.to_dict())
    for entry, counts, more in zip(found["classes"], found["confusion_matrix"]["counts"], estimates, strict=True):
        row = {("class_" + key if key in {"id", "name"} else key): value for key, value in entry.items()}
        row |= overall
        row |= {f"map_{class_id}": count for class_id, count in zip(class_ids, counts, strict=True)}
        row |= more
        if writer is None:
            writer = csv.DictWriter(stream, fieldnames=list(row), lineterminator="\n")
            writer.writeheader()
        writer.writerow(row)
    return stream.getvalue()


def _flat(adjusted: dict[str, Any]) -> list[dict[str, Any]]:
    """Estimates for the whole map as cells of a table, a row for each class."""
    rows = []
    for entry in adjusted["classes"]:
        row = {"map_area": entry["map_area"], "area_unit": adjusted["area_unit"]}
        for key in ("users_accuracy", "producers_accuracy", "area", "overall_accuracy"):
            estimate = (adjusted if key == "overall_accuracy" else entry)[key]
            row |= {f"adjusted_{key}": estimate["estimate"], f"adjusted_{key}_margin_95": estimate["margin_95"]}
        rows.append(row)
    return rows
