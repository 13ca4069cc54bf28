"""A report as CSV."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from s2fin_cli.reporting.map_report import MapReport

#: What is known of a class besides its accuracy; a column is there if any class has a value.
_COVER = ("pixels", "share", "area_m2", "mean_confidence", "outside_share")
_ACCURACY = ("producers_accuracy", "users_accuracy", "f1", "support", "unmapped")


def to_csv(report: MapReport) -> str:
    """One header and one row per class.

    The columns are `class_id`, `class_name`, `producers_accuracy`, `users_accuracy`, `f1`, `support`, `unmapped`; then
    `overall_accuracy`, `average_accuracy` and `kappa` of the whole map, the same in each row; then one column
    `map_<class id>` per class with that row of the confusion matrix. Ratios run from 0 to 1; an undefined one is an
    empty cell. Estimates for the whole map come next: `map_area`, and `adjusted_` with `users_accuracy`,
    `producers_accuracy`, `area` and `overall_accuracy`, each with `_margin_95`. What the map covers comes last:
    `pixels`, `share`, `area_m2`, `mean_confidence` and `outside_share`. Columns of what is not known are left out.
    """
    found = report.to_dict()
    assessed = _assessed(report, found)
    cover = [key for key in _COVER if any(key in entry for entry in found["classes"])]
    rows = []
    for entry in found["classes"]:
        row = {"class_id": entry["id"], "class_name": entry["name"], **assessed.get(entry["id"], {})}
        rows.append(row | {key: entry.get(key) for key in cover})
    stream = io.StringIO()
    columns = dict.fromkeys(key for row in sorted(rows, key=len, reverse=True) for key in row)
    writer = csv.DictWriter(stream, fieldnames=list(columns), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


def _assessed(report: MapReport, found: dict[str, Any]) -> dict[int, dict[str, Any]]:
    """The cells of a row that come from a reference, by class id."""
    if report.accuracy is None:
        return {}
    class_ids = report.accuracy.class_ids
    overall = {key: found[key] for key in ("overall_accuracy", "average_accuracy", "kappa")}
    entries = {entry["id"]: entry for entry in found["classes"]}
    estimates = [{}] * len(class_ids) if report.estimates is None else flat_estimates(found["area_adjusted"])
    rows = {}
    for class_id, counts, more in zip(class_ids, found["confusion_matrix"]["counts"], estimates, strict=True):
        row = {key: entries[class_id][key] for key in _ACCURACY} | overall
        row |= {f"map_{other}": count for other, count in zip(class_ids, counts, strict=True)}
        rows[class_id] = row | more
    return rows


def flat_estimates(adjusted: dict[str, Any]) -> list[dict[str, Any]]:
    """Estimates for the whole map as cells of a table, a row for each class."""
    rows = []
    for entry in adjusted["classes"]:
        row = {"map_area": entry["map_area"], "area_unit": adjusted["area_unit"]}
        for key in ("users_accuracy", "producers_accuracy", "area", "overall_accuracy"):
            estimate = (adjusted if key == "overall_accuracy" else entry)[key]
            row |= {f"adjusted_{key}": estimate["estimate"], f"adjusted_{key}_margin_95": estimate["margin_95"]}
        rows.append(row)
    return rows
