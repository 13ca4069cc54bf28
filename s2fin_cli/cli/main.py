"""The command line: its commands, and the one place where errors become messages and exit codes."""

from __future__ import annotations

import contextlib
import io
import logging
import signal
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from s2fin_cli.cli.commands.align import align
from s2fin_cli.cli.commands.assemble import assemble
from s2fin_cli.cli.commands.classify import classify
from s2fin_cli.cli.commands.classify_all import classify_all
from s2fin_cli.cli.commands.compare import compare
from s2fin_cli.cli.commands.convert import convert
from s2fin_cli.cli.commands.demo import demo
from s2fin_cli.cli.commands.doctor import doctor
from s2fin_cli.cli.commands.evaluate import evaluate
from s2fin_cli.cli.commands.inspect import inspect
from s2fin_cli.cli.commands.report import report
from s2fin_cli.cli.commands.sample import sample
from s2fin_cli.cli.commands.split import split
from s2fin_cli.cli.commands.suggest import suggest
from s2fin_cli.cli.commands.train import train
from s2fin_cli.cli.completion.installing import completion_options
from s2fin_cli.cli.messages import displayed, with_flags
from s2fin_cli.cli.parameters import PROJECT_FOUND, FilePath
from s2fin_cli.cli.project import DEFAULT_PROJECT, Defaults, numbered_table, read_defaults
from s2fin_cli.cli.signals import Ending
from s2fin_cli.core.errors import InputError, OutputError, S2finError, UsageError
from s2fin_cli.core.files import protected
from s2fin_cli.core.progress import INTERRUPTED
from s2fin_cli.core.version import __version__

if TYPE_CHECKING:
    import types
    from collections.abc import Callable

logger = logging.getLogger("s2fin_cli")


class _Failure(click.ClickException):
    """A message on stderr and an exit code."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code  # type: ignore[misc] # click reads the instance

    def show(self, file: Any = None) -> None:
        click.echo(f"error: {self.format_message()}", err=True)


def _wrong_usage(error: click.UsageError) -> click.ClickException:
    """A usage error of click's in the form of our own, with the command whose help says more."""
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        return error
    where = "" if error.ctx is None else f" (see {error.ctx.command_path} --help)"
    return _Failure(f"{_sentence(error)}{where}", error.exit_code)


def _sentence(error: click.UsageError) -> str:
    """The message of a usage error, begun and ended like those of the library."""
    message = error.format_message().removesuffix(".")
    return message[:1].lower() + message[1:]


class _EachTable(click.Command):
    """A command that has several tables in the project file: it runs once for each.

    If the command line names the output, it runs only once, without the tables.
    """

    def __init__(self, command: click.Command, runs: list[dict[str, Any]]) -> None:
        super().__init__(command.name)
        self._command, self._runs = command, runs
        self._contexts: list[click.Context] = []

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        typed = self._command.make_context(info_name, [*args], parent, resilient_parsing=True)
        if typed.get_parameter_source("output") is ParameterSource.COMMANDLINE:
            return self._command.make_context(info_name, args, parent, **extra)
        for number, run in enumerate(self._runs, start=1):
            try:
                context = self._command.make_context(info_name, [*args], parent, default_map=run, **extra)
            except click.UsageError as error:
                message = f"{numbered_table(str(self.name), number)}: {_sentence(error)}"
                raise click.UsageError(message, error.ctx) from error
            self._contexts.append(context)
        return click.Context(self, info_name=info_name, parent=parent)

    def invoke(self, ctx: click.Context) -> None:
        for number, context in enumerate(self._contexts, start=1):
            try:
                with context:
                    self._command.invoke(context)
            except (UsageError, InputError, OutputError) as error:
                raise type(error)(f"{numbered_table(str(self.name), number)}: {error}") from error


class Boundary(click.Group):
    """Takes defaults from the project file, and turns errors into one message and an exit code."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """The context, or an error in the form of our own."""
        try:
            return super().make_context(info_name, args, parent, **extra)
        except click.UsageError as error:
            raise _wrong_usage(error) from error
        except S2finError as error:
            raise _Failure(str(error), error.exit_code) from error

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command, with defaults from the project file, and once for each of its tables there."""
        path = ctx.params.get("config") or (DEFAULT_PROJECT if Path(DEFAULT_PROJECT).is_file() else None)
        is_not_run = ctx.resilient_parsing or not set(args).isdisjoint(ctx.help_option_names)
        defaults: dict[str, Defaults] = {}
        if path is not None:
            with contextlib.suppress(UsageError) if is_not_run else contextlib.nullcontext():
                defaults = read_defaults(Path(path), self.commands)
            if not ctx.params.get("config"):
                ctx.meta[PROJECT_FOUND] = path
            ctx.with_resource(protected(Path(path)))
        ctx.default_map = {name: of.runs[0] if len(of.runs) == 1 else of.shared for name, of in defaults.items()}
        name, command, rest = super().resolve_command(ctx, args)
        if command is not None and name in defaults and len(defaults[name].runs) > 1 and not is_not_run:
            command = _EachTable(command, defaults[name].runs)
        return name, command, rest

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; an error becomes a message and an exit code."""
        try:
            return super().invoke(ctx)
        except S2finError as error:
            _trace()
            command = self.commands.get(ctx.invoked_subcommand or "")
            raise _Failure(with_flags(str(error), command.params if command else []), error.exit_code) from error
        except KeyboardInterrupt as error:
            raise _Failure(INTERRUPTED, 1) from error
        except click.UsageError as error:
            raise _wrong_usage(error) from error
        except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise
        except Exception as error:
            _trace()
            hint = "" if logger.isEnabledFor(logging.DEBUG) else "; run it again with -v to see where, and report it"
            raise _Failure(displayed(f"unexpected {type(error).__name__}: {error}{hint}"), 1) from error


def _trace() -> None:
    if logger.isEnabledFor(logging.DEBUG):
        click.echo(traceback.format_exc(), err=True)


def _shown_unless_undecoded(kind: type[BaseException], error: BaseException, trace: types.TracebackType | None) -> None:
    if not issubclass(kind, UnicodeDecodeError):
        sys.__excepthook__(kind, error, trace)


@click.group(cls=Boundary, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="s2fin")
@click.option(
    "--config",
    metavar="FILE",
    type=FilePath("PROJECT"),
    help=f"Project file with inputs and options.  [default: {DEFAULT_PROJECT}, if there]",
)
@completion_options
def cli(config: str | None) -> None:
    """Land-cover maps from two co-located rasters and a few labels.

    \b
    s2fin train    --hsi a.tif --lidar b.tif --labels gt.shp
    s2fin classify --hsi a.tif --lidar b.tif -o map.tif
    """  # noqa: D301  \b is click's


for _command in (
    convert, align, split, train, classify, classify_all, assemble, sample, suggest, evaluate, compare, report,
    inspect, demo, doctor,
):  # fmt: skip
    cli.add_command(_command)


def main(command: Callable[..., Any] = cli) -> None:
    """Entry point of the console script.

    Args:
        command: a function of the program's name that runs it.
    """
    ending = Ending()
    for name in ("SIGTERM", "SIGHUP"):  # Windows does not have the latter
        if hasattr(signal, name):
            ending.on(getattr(signal, name))
    ending.with_stdin()
    # NOTE: rasterio prints, and then ignores, that a message of GDAL is not UTF-8; errors of ours do not come this far.
    sys.unraisablehook = lambda caught: logger.debug("ignored: %r", caught.exc_value)
    sys.excepthook = _shown_unless_undecoded
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a class's name may be beyond what the terminal can show
    try:
        command(prog_name="s2fin")
    finally:  # what is left is the end of the process
        signal.signal(signal.SIGINT, signal.SIG_IGN)
