"""Reports and accuracies as tables on the terminal."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table
from rich.text import Text

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
    from collections.abc import Iterable, Iterator, Sequence

    from rich.console import Console

    from s2fin_cli.assess.area_adjusted import AreaAdjusted
    from s2fin_cli.assess.metrics import Accuracy
    from s2fin_cli.reporting.map_report import MapReport

#: Widths of the class names beside the confusion matrix, in terminal columns; a shorter name would not be understood.
_NAME_WIDTH = range(8, 25)


def print_report(report: MapReport, console: Console) -> None:
    """Print the findings of a map that was looked at as a whole, the estimates if there are any, and the accuracy.

    Args:
        report: what to print.
        console: where to; its width decides the layout.
    """
    if report.facts is not None:
        _print_findings(report, console)
    if report.estimates is not None:
        print_estimates(report.estimates, console)
    if report.accuracy is not None:
        print_accuracy(report.accuracy, console)


def print_estimates(estimates: AreaAdjusted, console: Console) -> None:
    """Print estimates for a whole map, and that the sample's own figures follow."""
    console.print(Text(estimates_summary(estimates)))
    console.print()
    console.print(text_table(*estimate_cells(estimates)))
    console.print(Text(ESTIMATES_LEGEND, style="dim"))
    console.print()
    console.print(Text("Of the sample itself:"))


def _print_findings(report: MapReport, console: Console) -> None:
    found = report.findings
    console.print(Text(found.summary, style="bold"))
    if found.worst is not None:
        console.print(Text(found.worst))
    for text in found.label_next:
        console.print(Text(f"- {text}"))
    console.print()
    console.print(text_table(*cover_cells(report)))
    console.print()


def print_accuracy(accuracy: Accuracy, console: Console) -> None:
    """Print the summary, the per-class accuracies and the confusion matrix.

    On 60 columns or more, only the names in the matrix are ever cut, and the per-class table has them in full. Where
    the matrix is too wide, its names are shortened, then omitted; a matrix that is still too wide is printed in blocks
    of columns.

    Args:
        accuracy: what to print.
        console: where to; its width decides the layout.
    """
    for line in _summary(accuracy):
        console.print(Text(line))
    console.print()
    console.print(text_table(*class_cells(accuracy)))
    console.print(Text(CLASSES_LEGEND, style="dim"))
    console.print()
    console.print(Text("Confusion matrix"))
    console.print(Text(MATRIX_LEGEND, style="dim"))
    for table in _matrix_tables(accuracy, console.width):
        console.print()
        console.print(table)


def _summary(accuracy: Accuracy) -> Iterator[str]:
    yield (
        f"OA {percent(accuracy.overall_accuracy)} %   AA {percent(accuracy.average_accuracy)} %   "
        f"kappa {decimal(accuracy.kappa)}"
    )
    unmapped = int(accuracy.unmapped.sum())
    yield f"{accuracy.n} reference pixels assessed" + (f", {unmapped} unmapped and excluded" if unmapped else "")


def text_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    """A table of texts: a number, a name that may be folded, and figures."""
    table = _table()
    table.add_column(header[0], justify="right", no_wrap=True)
    table.add_column(header[1], overflow="fold")
    for name in header[2:]:
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*map(Text, row))
    return table


def _matrix_tables(accuracy: Accuracy, width: int) -> Iterator[Table]:
    """The confusion matrix as one table, or as several blocks of columns where the console is too narrow."""
    ids = [str(i) for i in accuracy.class_ids]
    cell = max(map(len, [*ids, str(accuracy.matrix.max())])) + 1  # the blank between columns
    room = width - max(map(len, ids)) - 1  # for names and counts, after the row's id and a blank
    per_block = len(ids)
    if per_block * cell > room + 1:  # without names there is one blank less
        blocks = math.ceil(len(ids) / max((room - _NAME_WIDTH[0]) // cell, 1))
        per_block = math.ceil(len(ids) / blocks)
    name_width = room - per_block * cell
    for start in range(0, len(ids), per_block):
        yield _matrix_block(accuracy, range(start, min(start + per_block, len(ids))), name_width=name_width)


def _matrix_block(accuracy: Accuracy, columns: Sequence[int], *, name_width: int) -> Table:
    table = _table(gap=0)
    table.add_column("", justify="right", no_wrap=True)
    with_names = name_width >= _NAME_WIDTH[0]
    if with_names:
        table.add_column("", no_wrap=True, overflow="ellipsis", max_width=min(name_width, _NAME_WIDTH[-1]))
    for j in columns:
        table.add_column(str(accuracy.class_ids[j]), justify="right", no_wrap=True)
    for i, class_id in enumerate(accuracy.class_ids):
        name = [Text(one_line(accuracy.class_names[i]))] if with_names else []
        counts = [Text(str(accuracy.matrix[i, j]), style=_cell_style(accuracy, i, j)) for j in columns]
        table.add_row(Text(str(class_id)), *name, *counts)
    return table


def _cell_style(accuracy: Accuracy, row: int, column: int) -> str:
    if row == column:
        return "bold"
    return "" if accuracy.matrix[row, column] else "dim"


def _table(*, gap: int = 1) -> Table:
    """An open table: a line below the header, `gap` + 1 blanks between columns."""
    return Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, gap, 0, 0))
