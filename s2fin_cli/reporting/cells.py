"""The cells of a report's tables, for the terminal and Markdown."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from s2fin_cli.assess.area_adjusted import AreaAdjusted, Estimate
    from s2fin_cli.assess.metrics import Accuracy
    from s2fin_cli.reporting.map_report import MapReport

#: Legend of the columns of `class_cells`.
CLASSES_LEGEND = "PA: producer's accuracy. UA: user's accuracy. -: undefined."
#: Legend of the confusion matrix.
MATRIX_LEGEND = "Pixels. Rows: reference. Columns: map, by class id."
#: Legend of the columns of `estimate_cells`.
ESTIMATES_LEGEND = "± margins of 95 % confidence (Olofsson et al. 2014); - undefined: a class with a single point"


def cover_cells(report: MapReport) -> tuple[list[str], list[list[str]]]:
    """Header and rows of the table of what the classes of a map cover; a column is there if it is known."""
    total = sum(c.pixels or 0 for c in report.classes)
    columns = {
        "id": [str(c.id) for c in report.classes],
        "class": [one_line(c.name) for c in report.classes],
        "pixels": ["-" if c.pixels is None else str(c.pixels) for c in report.classes],
        "share %": [percent((c.pixels or 0) / total) if total else "-" for c in report.classes],
    }
    if any(c.area is not None for c in report.classes):
        columns["area ha"] = ["-" if c.area is None else area_text(c.area * 1e-4) for c in report.classes]
    if any(c.confidence is not None for c in report.classes):
        columns["confidence %"] = ["-" if c.confidence is None else percent(c.confidence) for c in report.classes]
    if any(c.outside is not None for c in report.classes):
        columns["unlike labels %"] = ["-" if c.outside is None else percent(c.outside) for c in report.classes]
    return list(columns), [list(row) for row in zip(*columns.values(), strict=True)]


def class_cells(accuracy: Accuracy) -> tuple[list[str], list[list[str]]]:
    """Header and rows of the per-class table; unmapped pixels have a column only where there are any."""
    header = ["id", "class", "PA %", "UA %", "F1 %", "support"]
    columns: list[Iterable[str]] = [
        map(str, accuracy.class_ids),
        map(one_line, accuracy.class_names),
        *(map(percent, r.tolist()) for r in (accuracy.producers_accuracy, accuracy.users_accuracy, accuracy.f1)),
        map(str, accuracy.support.tolist()),
    ]
    if accuracy.unmapped.any():
        header.append("unmapped")
        columns.append(map(str, accuracy.unmapped.tolist()))
    return header, [list(row) for row in zip(*columns, strict=True)]


def estimates_summary(adjusted: AreaAdjusted) -> str:
    """One sentence with the overall accuracy of the whole map."""
    return f"Estimated for the whole map: OA {with_margin(adjusted.overall_accuracy, 100)[0]} %"


def estimate_cells(adjusted: AreaAdjusted) -> tuple[list[str], list[list[str]]]:
    """Header and rows of the table of estimates for the whole map; areas in hectares where there are any."""
    unit, factor = ("ha", 1e-4) if adjusted.unit == "m2" else ("px", 1.0)
    header = ["id", "class", f"map {unit}", f"area {unit}", "PA %", "UA %"]
    columns = (
        map(str, adjusted.sample.class_ids),
        map(one_line, adjusted.sample.class_names),
        (area_text(area * factor) for area in adjusted.map_areas.tolist()),
        with_margin(adjusted.areas, factor, area_text),
        with_margin(adjusted.producers_accuracy, 100),
        with_margin(adjusted.users_accuracy, 100),
    )
    return header, [list(row) for row in zip(*columns, strict=True)]


def with_margin(
    estimate: Estimate, factor: float, form: Callable[[float], str] = lambda value: f"{value:.1f}"
) -> list[str]:
    """Estimates times a factor, each with half the width of its 95 % confidence interval; a dash for what is NaN."""
    pairs = zip((estimate.value * factor).ravel().tolist(), (estimate.margin * factor).ravel().tolist(), strict=True)
    return [
        "-" if math.isnan(value) else f"{form(value)} ± {'-' if math.isnan(margin) else form(margin)}"
        for value, margin in pairs
    ]


def area_text(value: float) -> str:
    """An area: whole numbers from 1000 on, else three digits."""
    return f"{value:.0f}" if value >= 1000 else f"{value:.3g}"


def one_line(text: str) -> str:
    """Without line breaks and control characters, which names read from files may hold."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def percent(ratio: float) -> str:
    """A ratio in percent with two decimals, a dash for NaN."""
    return "-" if math.isnan(ratio) else f"{100 * ratio:.2f}"


def decimal(value: float) -> str:
    """A value with four decimals, a dash for NaN."""
    return "-" if math.isnan(value) else f"{value:.4f}"
