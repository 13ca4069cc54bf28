"""Whole commands whose processes are watched while they run: time, CPU time and peak memory of each."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psutil  # type: ignore[import-untyped]

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

#: Seconds between two looks at the processes. Each look reads all of /proc, which takes a few milliseconds.
PAUSE = 0.5
#: What the processes are called: the one that was started, and those that it started.
COMMAND, WORKER = "command", "worker"


@dataclass
class Watched:
    """A process.

    Attributes:
        role: `COMMAND` or `WORKER`.
        rss_mb: the most memory that it was seen with, in MiB.
        cpu_seconds: CPU time at the last look.
    """

    role: str
    rss_mb: float = 0.0
    cpu_seconds: float = 0.0


@dataclass(frozen=True)
class Run:
    """The cost of a command.

    Attributes:
        seconds: from the start of its process to its end.
        cpu_seconds: of all its processes, on all cores.
        processes: those that held memory worth mentioning.
    """

    seconds: float
    cpu_seconds: float
    processes: tuple[Watched, ...]

    def peaks(self, role: str) -> list[float]:
        """Peak memory in MiB of each process of a role."""
        return [process.rss_mb for process in self.processes if process.role == role]


def watch(*arguments: str | Path, variables: Mapping[str, str], least_mb: float = 50) -> Run:
    """Run a command to its end.

    Args:
        arguments: the command.
        variables: its whole environment.
        least_mb: helpers of Python that stay smaller are not reported.

    Raises:
        RuntimeError: it failed.
    """
    seen: dict[int, Watched] = {}
    before, start = _children_cpu(), time.perf_counter()
    with subprocess.Popen(  # noqa: S603
        [str(argument) for argument in arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=dict(variables),
    ) as process:
        parent = psutil.Process(process.pid)
        while process.poll() is None:
            _look(parent, seen)
            time.sleep(PAUSE)
        seconds = time.perf_counter() - start
        assert process.stderr is not None
        messages = process.stderr.read()
    if process.returncode:
        raise RuntimeError(f"{' '.join(map(str, arguments))} failed: {messages.strip()}")
    large = tuple(each for each in seen.values() if each.rss_mb >= least_mb)
    return Run(seconds, _children_cpu() - before, large)


def _look(parent: psutil.Process, seen: dict[int, Watched]) -> None:
    """Note what the processes hold and have used by now."""
    try:
        command, processes = parent.cmdline(), [parent, *parent.children(recursive=True)]
    except psutil.Error:
        return
    for process in processes:
        try:
            with process.oneshot():
                memory, times = process.memory_info().rss / (1 << 20), process.cpu_times()
                is_copy = process.pid != parent.pid and process.cmdline() == command
        except psutil.Error:
            continue
        if is_copy:  # the parent's memory, shared for a moment until the process loads its own program
            continue
        role = COMMAND if process.pid == parent.pid else WORKER
        known = seen.setdefault(process.pid, Watched(role))
        known.rss_mb = max(known.rss_mb, memory)
        known.cpu_seconds = times.user + times.system


def _children_cpu() -> float:
    """CPU seconds of all processes that this one has started and that have ended, with those that they started."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def s2fin(*arguments: str | Path, variables: Mapping[str, str], least_mb: float = 50) -> Run:
    """Run an `s2fin` command to its end, see `watch`."""
    return watch(sys.executable, "-m", "s2fin_cli", *arguments, variables=variables, least_mb=least_mb)
