"""A report as Markdown."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from s2fin_cli.report.cells import (
    CLASSES_LEGEND,
    ESTIMATES_LEGEND,
    MATRIX_LEGEND,
    class_cells,
    decimal,
    estimate_cells,
    estimates_summary,
    one_line,
    percent,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from s2fin_cli.assess.report import MapReport


def to_markdown(report: MapReport) -> str:
    """Tables of the summary, the classes and the confusion matrix, and of estimates for the whole map if there are any.

    Accuracies and F1 are in percent, `-` where undefined.
    """
    accuracy, estimates = report.accuracy, report.estimates
    overall = [
        ["Overall accuracy (OA) %", percent(accuracy.overall_accuracy)],
        ["Average accuracy (AA) %", percent(accuracy.average_accuracy)],
        ["Cohen's kappa", decimal(accuracy.kappa)],
        ["Reference pixels assessed", str(accuracy.n)],
        ["Unmapped reference pixels, excluded", str(accuracy.unmapped.sum())],
    ]
    header, rows = class_cells(accuracy)
    ids = [str(i) for i in accuracy.class_ids]
    labels = [[i, one_line(name)] for i, name in zip(ids, accuracy.class_names, strict=True)]
    counts = [[*label, *map(str, row)] for label, row in zip(labels, accuracy.matrix.tolist(), strict=True)]
    parts = [
        "# Accuracy report",
        _table(["figure", "value"], overall, text_column=0),
        "## Classes",
        CLASSES_LEGEND,
        _table(header, rows, text_column=1),
        "## Confusion matrix",
        MATRIX_LEGEND,
        _table(["id", "class", *ids], counts, text_column=1),
    ]
    if estimates is not None:
        parts[1:1] = [
            "## Estimates for the whole map",
            f"{estimates_summary(estimates)}. {ESTIMATES_LEGEND}.",
            _table(*estimate_cells(estimates), text_column=1),
            "## Sample",
        ]
    return "\n\n".join(parts) + "\n"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]], *, text_column: int) -> str:
    """A table with one left-aligned column; the others hold numbers and are right-aligned."""
    rule = [":---" if i == text_column else "---:" for i in range(len(header))]
    body = [[_escaped(cell) if i == text_column else cell for i, cell in enumerate(row)] for row in rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in [header, rule, *body])


def _escaped(text: str) -> str:
    return re.sub(r"([\\`*_\[\]<>|~&])", r"\\\1", text)
