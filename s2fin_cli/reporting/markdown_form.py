"""A report as Markdown."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from s2fin_cli.core.flags import as_flag, rewritten
from s2fin_cli.reporting.cells import (
    CLASSES_LEGEND,
    ESTIMATES_LEGEND,
    MATRIX_LEGEND,
    class_cells,
    cover_cells,
    decimal,
    estimate_cells,
    estimates_summary,
    one_line,
    percent,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from s2fin_cli.assess.area_adjusted import AreaAdjusted
    from s2fin_cli.assess.metrics import Accuracy
    from s2fin_cli.reporting.map_report import MapReport

#: What the accuracy of a report without a reference is that of.
_OF_TRAINING = {
    "validation": "Of the labels that were held out of training.",
    "cross_validation": "Of the ensemble that taught the network, by cross-validation on the labels.",
}


def to_markdown(report: MapReport) -> str:
    """Tables of the summary, the classes and the confusion matrix, and of estimates for the whole map if there are any.

    Accuracies and F1 are in percent, `-` where undefined. Of a map that was looked at as a whole, the findings in plain
    words and what its classes cover come first, and warnings and commands last.
    """
    basis = report.basis
    parts = ["# Map report", *_findings(report)] if _is_whole(report) else ["# Accuracy report"]
    if _is_whole(report) and any(c.pixels is not None for c in report.classes):
        parts += ["## Areas", table(*cover_cells(report), text_column=1)]
    if basis is not None:
        parts += [] if report.estimates is None else _estimates(report.estimates)
        if _is_whole(report):
            parts += ["## Accuracy", *([] if basis.kind == "reference" else [_OF_TRAINING[basis.kind]])]
        parts += accuracy_tables(basis.accuracy, basis.noun)
    return "\n\n".join([*parts, *_making(report)]) + "\n"


def _is_whole(report: MapReport) -> bool:
    """Whether more is known than the accuracy."""
    return report.facts is not None or report.training is not None


def _findings(report: MapReport) -> list[str]:
    found = report.findings
    lines = [found.summary, *([] if found.worst is None else [found.worst])]
    parts = [*map(plain, lines)]
    for title, texts in (
        ("Most confused", found.pairs_in_words),
        ("Do next", found.label_next),
        ("Where to label next", [place.in_words for place in report.suggestions]),
    ):
        if texts:
            parts += [f"## {title}", bullet_list(map(plain, texts))]
    return parts


def _making(report: MapReport) -> list[str]:
    """Warnings, and the commands that make everything again."""
    parts = []
    if report.all_warnings:
        parts += ["## Warnings", bullet_list(map(message, report.all_warnings))]
    for run in report.runs:
        parts += [f"## {plain(run.output)}, made again", f"    {one_line(run.command)}"]
    return parts


def accuracy_tables(accuracy: Accuracy, noun: str = "reference") -> list[str]:
    """The summary of an accuracy, its classes and its confusion matrix; the noun says of what kind of pixels."""
    overall = [
        ["Overall accuracy (OA) %", percent(accuracy.overall_accuracy)],
        ["Average accuracy (AA) %", percent(accuracy.average_accuracy)],
        ["Cohen's kappa", decimal(accuracy.kappa)],
        [f"{noun.capitalize()} pixels assessed", str(accuracy.n)],
        [f"Unmapped {noun} pixels, excluded", str(accuracy.unmapped.sum())],
    ]
    header, rows = class_cells(accuracy)
    ids = [str(i) for i in accuracy.class_ids]
    labels = [[i, one_line(name)] for i, name in zip(ids, accuracy.class_names, strict=True)]
    counts = [[*label, *map(str, row)] for label, row in zip(labels, accuracy.matrix.tolist(), strict=True)]
    return [
        table(["figure", "value"], overall, text_column=0),
        "## Classes",
        CLASSES_LEGEND,
        table(header, rows, text_column=1),
        "## Confusion matrix",
        MATRIX_LEGEND,
        table(["id", "class", *ids], counts, text_column=1),
    ]


def _estimates(estimates: AreaAdjusted) -> list[str]:
    return [
        "## Estimates for the whole map",
        f"{estimates_summary(estimates)}. {ESTIMATES_LEGEND}.",
        table(*estimate_cells(estimates), text_column=1),
        "## Sample",
    ]


def bullet_list(texts: Iterable[str]) -> str:
    """Markdown of one line each as a list."""
    return "\n".join(f"- {text}" for text in texts)


def plain(text: str) -> str:
    """A text on one line, in which nothing is markup."""
    return _escaped(one_line(text))


def message(text: str) -> str:
    """A message of the library on one line, with its options as code."""
    return rewritten(one_line(text), lambda name, value: f"`{as_flag(name, value)}`", _escaped)


def table(header: Sequence[str], rows: Iterable[Sequence[str]], *, text_column: int) -> str:
    """A table with one left-aligned column; the others hold numbers and are right-aligned."""
    rule = [":---" if i == text_column else "---:" for i in range(len(header))]
    body = [[_escaped(cell) if i == text_column else cell for i, cell in enumerate(row)] for row in rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in [header, rule, *body])


def _escaped(text: str) -> str:
    return re.sub(r"([\\`*_\[\]<>|~&])", r"\\\1", text)
