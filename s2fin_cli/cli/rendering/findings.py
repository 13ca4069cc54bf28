"""Findings about an installation as a table on the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from s2fin_cli.cli.commands.classify import classify
from s2fin_cli.cli.commands.train import train
from s2fin_cli.cli.messages import with_flags
from s2fin_cli.installation.finding import GOOD, HINT, PROBLEM

if TYPE_CHECKING:
    from rich.console import Console

    from s2fin_cli.workflows.doctor import DoctorResult

_STYLES = {GOOD: "green", HINT: "yellow", PROBLEM: "bold red"}


def print_findings(result: DoctorResult, console: Console) -> None:
    """Print each finding with its remedy below it, and how many problems there are."""
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column()
    table.add_column()
    table.add_column(overflow="fold")
    options = [*train.params, *classify.params]
    for finding in result.findings:
        style = _STYLES[finding.status]
        table.add_row(Text(finding.status, style), finding.part, Text(with_flags(finding.found, options)))
        if finding.remedy is not None:
            table.add_row("", "", Text(f"-> {with_flags(finding.remedy, options)}", style))
    console.print(table)
    count = len(result.problems)
    console.print(f"{count} problem{'s' * (count != 1)}" if count else "no problems")
