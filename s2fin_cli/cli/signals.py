"""Signals as requests to end a job that has something to keep."""

from __future__ import annotations

import _thread
import atexit
import contextlib
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING

from s2fin_cli.core.progress import Stop

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

#: Ctrl-C, a batch system's request to end, and a terminal that is closed; Windows does not have the last one.
NAMES = ("SIGINT", "SIGTERM", "SIGHUP")
#: The next step may take a while, and a second request loses the result.
NOTICE = "\nwarning: stopping: the model so far will be kept; press Ctrl-C again to stop at once and keep nothing\n"

#: Environment variable by which a program that starts s2fin asks it to end when its standard input is closed.
EOF_VARIABLE = "S2FIN_STOP_AT_EOF"
#: Set when nobody waits for the result of this process any more.
_abandoned = threading.Event()


class Ending:
    """The end of the process by a signal, once: by an exception, so that temporary files are removed.

    Further signals are ignored, because they would interrupt the removal.
    """

    def __init__(self) -> None:
        self._code: int | None = None

    def on(self, number: int) -> None:
        """End on a signal. One that is ignored stays ignored: under nohup a run goes on when its terminal is closed."""
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, self._end)

    def _end(self, number: int, _: FrameType | None) -> None:
        if self._code is None:
            self._code = 128 + number
            sys.exit(self._code)

    def with_stdin(self) -> None:
        """End, and keep nothing, once standard input is closed, if `$S2FIN_STOP_AT_EOF` asks for that.

        Whoever started the process can end it so on every system, and it does not outlive them. Call this early, in the
        main thread, after `on` of SIGTERM. Processes that this one starts get an empty standard input.
        """
        if os.environ.pop(EOF_VARIABLE, "") in ("", "0"):
            return
        with contextlib.suppress(OSError):  # there is none
            watched = os.dup(0)
            nothing = os.open(os.devnull, os.O_RDONLY)
            os.dup2(nothing, 0)
            os.close(nothing)
            threading.Thread(target=_signal_after, args=(watched, threading.get_ident()), daemon=True).start()
            atexit.register(self._leave)  # so early that it is called after all others

    def _leave(self) -> None:
        """Spare who waits for the end the seconds that Python takes to dismantle PyTorch."""
        if self._code is not None:
            for stream in (sys.stdout, sys.stderr):
                with contextlib.suppress(OSError, ValueError):
                    stream.flush()
            os._exit(self._code)


def _signal_after(watched: int, main_thread: int) -> None:
    """Read a file to its end, then send the main thread a signal."""
    with contextlib.suppress(OSError):
        while os.read(watched, 4096):
            pass
    _abandoned.set()
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(main_thread, signal.SIGTERM)  # it also wakes a thread that waits
    else:
        _thread.interrupt_main(signal.SIGTERM)


@contextlib.contextmanager
def stop_on_signals() -> Iterator[Stop]:
    """A stop token that signals set; after the block, signals have their previous effect.

    They have it at once if the job has nothing to keep, was already asked to end, or has lost who started it, see
    `Ending.with_stdin`. So a second Ctrl-C always ends it.
    An ignored signal stays ignored. Call this in the main thread.
    """
    stop = Stop()
    numbers = [getattr(signal, name) for name in NAMES if hasattr(signal, name)]
    before = {number: handler for number in numbers if callable(handler := signal.getsignal(number))}

    def handle(number: int, frame: FrameType | None) -> None:
        if stop.is_set or not stop.has_result or _abandoned.is_set():
            before[signal.Signals(number)](number, frame)
            stop.set()
            return
        stop.set()
        # NOTE: not by logging, whose locks may be held by what the signal interrupts
        with contextlib.suppress(OSError):  # nobody reads it, such as after a terminal was closed
            os.write(2, NOTICE.encode())

    for number in before:
        signal.signal(number, handle)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def interrupts_ignored() -> Iterator[None]:
    """Ignore Ctrl-C while a command reports: its outputs are complete, and the run must not look like a failure."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
