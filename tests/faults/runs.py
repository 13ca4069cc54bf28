"""Commands of s2fin as processes that start at once: copies of one process that has imported everything already."""

from __future__ import annotations

import functools
import io
import multiprocessing
import os
import signal
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from s2fin_cli.cli.main import cli, main
from tests.recipes import QUICK
from tests.workflows.sharding import children_of, is_running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from multiprocessing.context import ForkServerProcess

#: What the first process imports.
MODULES = [
    "geopandas", "pyogrio", "rasterio", "sklearn.ensemble", "torch",
    "s2fin_cli.workflows.assemble", "s2fin_cli.workflows.classify", "s2fin_cli.workflows.train", "tests.faults.runs",
]  # fmt: skip
#: Seconds after which a process that should have ended counts as stuck.
PATIENCE = 120.0


@dataclass(frozen=True)
class Run:
    """A process that runs a command, and the file of what it prints."""

    process: ForkServerProcess
    log: Path

    @property
    def pid(self) -> int:
        assert self.process.pid is not None
        return self.process.pid

    @property
    def has_ended(self) -> bool:
        return self.process.exitcode is not None

    @property
    def workers(self) -> list[int]:
        """Worker processes and Python's own helper."""
        return children_of(self.pid)

    def wait(self) -> int:
        """Wait for the end; gives the exit code, negative for a signal."""
        self.process.join(PATIENCE)
        assert self.process.exitcode is not None, f"it does not end: {self.errors}"
        return self.process.exitcode

    @property
    def errors(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""

    def kill(self) -> None:
        """End it by SIGKILL, and wait until its workers have ended too."""
        workers = self.workers
        if not self.has_ended:
            os.kill(self.pid, signal.SIGKILL)
        self.wait()
        wait_for(lambda: not any(map(is_running, workers)))


def wait_for(is_so: Callable[[], bool], *, seconds: float = PATIENCE) -> None:
    """Wait until something is so.

    Raises:
        TimeoutError: it takes too long.
    """
    end = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > end:
            raise TimeoutError("it took too long")
        time.sleep(0.002)


def _run(arguments: Sequence[str], folder: str, log: str, before: Callable[[], None] | None) -> None:
    """Run the command line in this process, which is a new one."""
    os.setsid()
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name)
        signal.signal(number, signal.default_int_handler if name == "SIGINT" else signal.SIG_DFL)
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for number in (1, 2):
        os.dup2(file, number)
    sys.stdout, sys.stderr = (
        io.TextIOWrapper(io.FileIO(number, "w"), "utf-8", line_buffering=True) for number in (1, 2)
    )
    os.chdir(folder)
    sys.argv = ["s2fin", *arguments]
    if before is not None:
        before()
    main(functools.partial(cli, obj=QUICK))


@contextmanager
def running(
    folder: Path, *arguments: object, before: Callable[[], None] | None = None, log: Path | None = None
) -> Iterator[Run]:
    """A command as a process of its own in a folder; what is left of it is killed when the block ends.

    Args:
        folder: where it runs.
        arguments: of the command line.
        before: called in the process before the command, to change the world around it.
        log: file for what it prints; None is a hidden one in the folder.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(MODULES)
    log = log or folder / ".log"
    given = ([str(argument) for argument in arguments], str(folder), str(log), before)
    process = context.Process(target=_run, args=given)
    process.start()
    run = Run(process, log)
    try:
        yield run
    finally:
        run.kill()
        process.close()


def run(
    folder: Path, *arguments: object, before: Callable[[], None] | None = None, log: Path | None = None
) -> tuple[int, str]:
    """Run a command to its end; gives its exit code and what it printed."""
    with running(folder, *arguments, before=before, log=log) as process:
        return process.wait(), process.errors
