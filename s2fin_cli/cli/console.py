"""Output of commands: messages and progress on stderr, data on stdout."""

from __future__ import annotations

import contextlib
import functools
import json
import logging
import os
from typing import TYPE_CHECKING, Any

import click

from s2fin_cli.cli.messages import with_flags
from s2fin_cli.core.progress import silent

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console

    from s2fin_cli.core.progress import Progress

logger = logging.getLogger(__name__)

#: Environment variable by which a program that starts s2fin asks for progress that it can read: "json".
PROGRESS_VARIABLE = "S2FIN_PROGRESS"


class _ConsoleHandler(logging.Handler):
    """Log records on stderr, above any progress, with options as flags."""

    def __init__(self, parameters: Sequence[click.Parameter]) -> None:
        super().__init__()
        self._parameters = parameters

    def emit(self, record: logging.LogRecord) -> None:
        from rich.text import Text

        prefix = f"{record.levelname.lower()}: " if record.levelno >= logging.WARNING else ""
        style = {logging.WARNING: "yellow", logging.ERROR: "red"}.get(record.levelno, "")
        message = with_flags(record.getMessage(), self._parameters)
        console().print(Text.assemble((prefix, style), message), soft_wrap=True)


def set_up_logging(level: int, parameters: Sequence[click.Parameter]) -> None:
    """Show s2fin's own messages from a level on.

    Args:
        level: the lowest level to show.
        parameters: those of the running command, for `with_flags`.
    """
    own = logging.getLogger("s2fin_cli")
    own.handlers = [_ConsoleHandler(parameters)]
    own.setLevel(level)
    own.propagate = False
    logging.captureWarnings(level > logging.DEBUG)  # other libraries' warnings only for users who ask for details


@functools.cache  # a live display and the messages above it need one console
def console() -> Console:
    """The console on stderr; stdout is for data only."""
    from rich.console import Console

    return Console(stderr=True)


@contextlib.contextmanager
def shown_progress() -> Iterator[Progress]:
    """Progress on stderr: bars on a terminal, else lines, or JSON if `$S2FIN_PROGRESS` says so; nothing with -q."""
    if not logger.isEnabledFor(logging.INFO):
        yield silent
    elif os.environ.get(PROGRESS_VARIABLE) == "json":
        yield _json_lines()
    elif console().is_terminal:
        with _bars() as show:
            yield show
    else:
        yield _lines()


def _lines() -> Progress:
    """A line for each step that has figures, and for each tenth of a stage without any."""
    last: dict[str, object] = {}

    def show(stage: str, done: int, total: int, **figures: float) -> None:
        news = figures or done * 10 // total
        if news and news != last.get(stage):
            text = "".join(f"  {name} {value:.3f}" for name, value in figures.items())
            logger.info("%s: %d of %d%s", stage, done, total, text)
        last[stage] = news

    return show


def _json_lines() -> Progress:
    """An object on a line for each step that has figures, and for each hundredth of a stage without any."""
    last: dict[str, object] = {}

    def show(stage: str, done: int, total: int, **figures: float) -> None:
        news = figures or (done * 100 // total if total else 0)
        if news != last.get(stage):
            click.echo(json.dumps({"stage": stage, "done": done, "total": total, "figures": figures}), err=True)
        last[stage] = news

    return show


@contextlib.contextmanager
def _bars() -> Iterator[Progress]:
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        TimeRemainingColumn(), TextColumn("{task.fields[figures]}"),
    )  # fmt: skip
    bars = Bars(*columns, console=console())
    tasks: dict[str, Any] = {}

    def show(stage: str, done: int, total: int, **figures: float) -> None:
        bars.start()  # only now, so that an error before the first step is not preceded by an empty line
        if stage not in tasks:
            tasks[stage] = bars.add_task(stage, total=total, figures="")
        text = "  ".join(f"{name} {value:.3f}" for name, value in figures.items())
        bars.update(tasks[stage], completed=done, total=total, figures=text)

    try:
        yield show
    finally:
        bars.stop()


def print_json(result: object) -> None:
    """Print a result for a program on stdout, in ASCII, which no terminal's encoding changes."""
    click.echo(json.dumps(result, indent=2))
