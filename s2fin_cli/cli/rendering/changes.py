"""A report on changes as tables on the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from s2fin_cli.cli.rendering.reports import print_accuracy, print_estimates, text_table
from s2fin_cli.reporting.change_forms import (
    estimated_summary,
    matrix_cells,
    matrix_legend,
    summary,
    transition_cells,
)

if TYPE_CHECKING:
    from rich.console import Console

    from s2fin_cli.reporting.change_report import ChangeReport


def print_changes(report: ChangeReport, console: Console) -> None:
    """Print what changed in sentences, the transition matrix and the changes; then the estimates, if there are any.

    Args:
        report: what to print.
        console: where to.
    """
    for line in [*summary(report), *estimated_summary(report)]:
        console.print(Text(line))
    console.print()
    console.print(Text("Transition matrix"))
    console.print(Text(matrix_legend(report), style="dim"))
    console.print()
    console.print(text_table(*matrix_cells(report)))
    if report.changes:
        console.print()
        console.print(text_table(*transition_cells(report)))
    if report.estimates is not None and report.accuracy is not None:
        console.print()
        print_estimates(report.estimates, console)
        print_accuracy(report.accuracy, console)
