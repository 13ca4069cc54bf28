"""Runs s2fin, passes on what it says, and ends it on request. Needs no QGIS: a listener is what QGIS calls a feedback.

While s2fin runs, the plugin holds its standard input open. s2fin ends when that is closed, and leaves no file: on any
system, and if QGIS itself ends. Progress comes as lines of JSON.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import threading
import time
from collections import deque
from typing import IO, TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

#: What s2fin is started with: it ends when its standard input does, and reports progress for programs.
FOR_PROGRAMS = {"S2FIN_STOP_AT_EOF": "1", "S2FIN_PROGRESS": "json"}
#: Seconds between looks at whether the run was cancelled.
POLL = 0.1
#: Seconds that s2fin has to end by itself after it was cancelled.
GRACE = 10.0
#: Seconds to wait for the last lines once s2fin has ended, in case a process that it started holds them open.
LAST_LINES = 2.0
#: Lines of the end of the messages that are kept for an error that is none of s2fin's own.
KEPT_LINES = 5
_ERROR, _WARNING = "error: ", "warning: "
#: What the lines in tables are drawn by.
_RULE = "\u2500"


class Listener(Protocol):
    """What hears of the progress and the messages of a run; QgsProcessingFeedback is one."""

    def isCanceled(self) -> bool:  # noqa: N802  QGIS's names
        """Whether the run is to end."""

    def setProgress(self, progress: float) -> None:  # noqa: N802
        """How much of the present stage is done, in percent."""

    def setProgressText(self, text: str) -> None:  # noqa: N802
        """The present stage."""

    def pushInfo(self, info: str) -> None:  # noqa: N802
        """A message."""

    def pushConsoleInfo(self, info: str) -> None:  # noqa: N802
        """A row of a table."""

    def pushWarning(self, warning: str) -> None:  # noqa: N802
        """A warning."""


class RunError(Exception):
    """A run that failed; the message is a sentence for the user."""


class StartError(RunError):
    """A program that could not be started."""


class CancelledError(RunError):
    """A run that was cancelled."""


def run(
    arguments: Sequence[str],
    *,
    environment: Mapping[str, str],
    folder: str,
    listener: Listener,
    worded: Callable[[str], str] = str,
    grace: float = GRACE,
) -> None:
    """Run s2fin to its end.

    Args:
        arguments: the program and what it is given.
        environment: the variables that it is to see.
        folder: the folder that it is started in.
        listener: hears of progress and messages, in the calling thread.
        worded: gives a message of s2fin in the words of the caller.
        grace: seconds that it has to end by itself after it was cancelled.

    Raises:
        RunError: it failed.
        StartError: it could not be started.
        CancelledError: the listener asked for its end.
    """
    with _started(arguments, {**environment, **FOR_PROGRAMS}, folder) as process:
        messages = _Messages(listener, worded)
        try:
            for name, line in _lines(process, listener, grace):
                messages.take(name, line)
        finally:
            # also where something raises here: nothing is left running
            if process.poll() is None:
                _end(process)
    if listener.isCanceled() and process.returncode != 0:
        raise CancelledError("cancelled; no incomplete file is left")
    if process.returncode != 0:
        raise RunError(messages.error(process.returncode))


class _Messages:
    """Takes the lines that s2fin writes, and keeps its error."""

    def __init__(self, listener: Listener, worded: Callable[[str], str]) -> None:
        self._listener, self._worded = listener, worded
        self._error: list[str] = []
        self._last: deque[str] = deque(maxlen=KEPT_LINES)
        self._stage = ""

    def take(self, name: str, line: str) -> None:
        """A line of stdout or stderr."""
        if name == "stderr" and self._take_progress(line):
            return
        if name == "stderr" and (self._error or line.startswith(_ERROR)):
            self._error.append(line)
        elif line.startswith(_WARNING):
            self._listener.pushWarning(self._worded(line[len(_WARNING) :]))
        elif "  " in line.strip() or set(line) == {_RULE}:  # a table, whose columns QGIS would lose
            self._listener.pushConsoleInfo(line.replace(" ", "\u00a0"))
        elif line.strip():
            self._last.append(line)
            self._listener.pushInfo(self._worded(line) if name == "stderr" else line)

    def _take_progress(self, line: str) -> bool:
        """Whether a line is one of progress."""
        if not line.startswith('{"stage"'):
            return False
        try:
            found = json.loads(line)
            stage, done, total = str(found["stage"]), int(found["done"]), int(found["total"])
            figures = {str(name): float(value) for name, value in found.get("figures", {}).items()}
        except (ValueError, KeyError, TypeError, AttributeError):
            return False
        if stage != self._stage:
            self._stage = stage
            self._listener.setProgressText(f"{stage[:1].upper()}{stage[1:]} ...")
        if figures:
            shown = "".join(f"  {name} {value:.3f}" for name, value in figures.items())
            self._listener.pushInfo(f"{stage}: {done} of {total}{shown}")
        self._listener.setProgress(100.0 * done / max(total, 1))
        return True

    def error(self, code: int) -> str:
        """The error as a sentence: that of s2fin, without its heading."""
        if self._error:
            return self._worded("\n".join(self._error)[len(_ERROR) :].strip())
        if code < 0:
            why = f"the system ended s2fin by signal {-code}"
            return why + ("; the memory was probably full" if -code == getattr(signal, "SIGKILL", 9) else "")
        last = "\n".join(self._last)
        return f"s2fin ended with code {code} and without a message" + (
            f"; its last lines are:\n{last}" if last else ""
        )


@contextlib.contextmanager
def _started(
    arguments: Sequence[str], environment: Mapping[str, str], folder: str
) -> Iterator[subprocess.Popen[bytes]]:
    """The process; afterwards its standard input is closed. The readers close the other pipes."""
    try:
        process = subprocess.Popen(  # noqa: S603  a list of arguments, no shell
            list(arguments),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=folder,
            env=dict(environment),
            start_new_session=True,  # a group of its own, so that all of it can be ended
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
    except (OSError, ValueError) as error:
        raise StartError(f"{arguments[0]} cannot be started: {error}") from error
    try:
        yield process
    finally:
        _ask_to_end(process)


def _lines(process: subprocess.Popen[bytes], listener: Listener, grace: float) -> Iterator[tuple[str, str]]:
    """The lines of stdout and stderr as they come, with the name of the stream, until the process ends or is cancelled.

    After a cancellation the process is asked to end, and its last lines still come.
    """
    lines: queue.Queue[tuple[str, str]] = queue.Queue()
    readers = [_reader("stdout", process.stdout, lines.put), _reader("stderr", process.stderr, lines.put)]
    give_up = float("inf")
    while process.poll() is None or not lines.empty():
        if time.monotonic() > give_up:
            return
        if give_up == float("inf") and listener.isCanceled():
            _ask_to_end(process)
            give_up = time.monotonic() + grace
        with contextlib.suppress(queue.Empty):
            yield lines.get(timeout=POLL)
    for reader in readers:  # a process that s2fin started may still hold them
        reader.join(LAST_LINES)
    while not lines.empty():
        yield lines.get()


def _reader(name: str, stream: IO[bytes] | None, put: Callable[[tuple[str, str]], None]) -> threading.Thread:
    """A thread that puts the lines of a stream, and closes it."""

    def read() -> None:
        assert stream is not None  # noqa: S101  they are pipes
        with contextlib.suppress(OSError), stream:
            for line in stream:
                put((name, line.decode("utf-8", errors="replace").rstrip("\r\n")))

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    return thread


def _ask_to_end(process: subprocess.Popen[bytes]) -> None:
    """Ask s2fin to end: it closes, and removes, what it had begun."""
    if process.stdin is not None:
        with contextlib.suppress(OSError):
            process.stdin.close()


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process that does not end by itself, with those that it started."""
    _ask_to_end(process)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(LAST_LINES)
        return
    if os.name == "nt":
        system = os.environ.get("SYSTEMROOT", r"C:\Windows")
        taskkill = os.path.join(system, "System32", "taskkill.exe")
        subprocess.run([taskkill, "/F", "/T", "/PID", str(process.pid)], capture_output=True, check=False)  # noqa: S603
    else:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.wait()
