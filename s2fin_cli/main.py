"""The command line: its commands, and the one place where errors become messages and exit codes."""

from __future__ import annotations

import contextlib
import io
import logging
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

import click

from s2fin_cli import __version__
from s2fin_cli.commands.align import align
from s2fin_cli.commands.classify import classify
from s2fin_cli.commands.convert import convert
from s2fin_cli.commands.demo import demo
from s2fin_cli.commands.evaluate import evaluate
from s2fin_cli.commands.inspect import inspect
from s2fin_cli.commands.sample import sample
from s2fin_cli.commands.split import split
from s2fin_cli.commands.train import train
from s2fin_cli.errors import S2finError, UsageError
from s2fin_cli.project import DEFAULT_PROJECT, read_defaults

logger = logging.getLogger("s2fin_cli")


class _Failure(click.ClickException):
    """A message on stderr and an exit code."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code  # type: ignore[misc] # click reads the instance

    def show(self, file: Any = None) -> None:
        click.echo(f"error: {self.format_message()}", err=True)


class _Boundary(click.Group):
    """Takes defaults from the project file, and turns errors into one message and an exit code."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        path = ctx.params.get("config") or (DEFAULT_PROJECT if Path(DEFAULT_PROJECT).is_file() else None)
        if path is not None and not ctx.resilient_parsing:
            wants_help = not set(args).isdisjoint(ctx.help_option_names)
            with contextlib.suppress(UsageError) if wants_help else contextlib.nullcontext():
                ctx.default_map = read_defaults(Path(path), self.commands)
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except S2finError as error:
            _trace()
            raise _Failure(str(error), error.exit_code) from error
        except KeyboardInterrupt as error:
            raise _Failure("interrupted before it was done; nothing half-written is left", 1) from error
        except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise
        except Exception as error:
            _trace()
            hint = "" if logger.isEnabledFor(logging.DEBUG) else "; run it again with -v to see where, and report it"
            raise _Failure(f"unexpected {type(error).__name__}: {error}{hint}", 1) from error


def _trace() -> None:
    if logger.isEnabledFor(logging.DEBUG):
        click.echo(traceback.format_exc(), err=True)


@click.group(cls=_Boundary, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="s2fin")
@click.option(
    "--config", metavar="FILE", help=f"Project file with inputs and options.  [default: {DEFAULT_PROJECT}, if there]"
)
def cli(config: str | None) -> None:
    """Land-cover maps from two co-located rasters and a few labels.

    \b
    s2fin train    --hsi a.tif --lidar b.tif --labels gt.shp
    s2fin classify --hsi a.tif --lidar b.tif -o map.tif
    """  # noqa: D301  \b is click's


for _command in (convert, align, split, train, classify, sample, evaluate, inspect, demo):
    cli.add_command(_command)


def main() -> None:
    """Entry point of the console script."""
    # NOTE: as an exception, so that a batch system's request to end leaves no temporary file either. A signal that is
    # ignored stays so: under nohup a run goes on when its terminal is closed.
    for name in ("SIGTERM", "SIGHUP"):  # the latter is not there on Windows
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, lambda signum, _: sys.exit(128 + signum))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a class's name may be beyond what the terminal can show
    cli(prog_name="s2fin")
