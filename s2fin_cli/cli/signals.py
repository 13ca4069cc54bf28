"""Signals as requests to end a job that has something to keep."""

from __future__ import annotations

import _thread
import contextlib
import os
import signal
import sys
import threading
import time
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
#: Seconds from the first of two requests to the second.
_PAUSE = 0.3


def end_on_request(number: int) -> None:
    """Let a signal end the process once: by an exception, so that temporary files are removed.

    Further ones are ignored, because they would interrupt the removal. A signal that is ignored stays ignored: under
    nohup a run goes on when its terminal is closed.

    Args:
        number: of the signal.
    """
    begun = False

    def handle(signum: int, frame: FrameType | None) -> None:
        nonlocal begun
        if not begun:
            begun = True
            sys.exit(128 + signum)

    if signal.getsignal(number) != signal.SIG_IGN:
        signal.signal(number, handle)


def end_with_stdin() -> None:
    """End the process, and keep nothing, once its standard input is closed, if `$S2FIN_STOP_AT_EOF` asks for that.

    Whoever started it can end it so on every system, and it does not outlive them. Call this in the main thread, with
    handlers for SIGTERM in place. Other processes that this one starts get an empty standard input.
    """
    if os.environ.pop(EOF_VARIABLE, "") in ("", "0"):
        return
    with contextlib.suppress(OSError):  # there is none
        watched = os.dup(0)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        threading.Thread(target=_end_after, args=(watched, threading.get_ident()), daemon=True).start()


def _end_after(watched: int, main_thread: int) -> None:
    """Read a file to its end, then end the main thread by two signals: a job may keep its result after the first."""
    with contextlib.suppress(OSError):
        while os.read(watched, 4096):
            pass
    for _ in range(2):
        if hasattr(signal, "pthread_kill"):
            signal.pthread_kill(main_thread, signal.SIGTERM)  # it also wakes a thread that waits
        else:
            _thread.interrupt_main(signal.SIGTERM)
        time.sleep(_PAUSE)


@contextlib.contextmanager
def stop_on_signals() -> Iterator[Stop]:
    """A stop token that signals set; after the block, signals have their previous effect.

    They have it at once if the job has nothing to keep or was already asked to end, so a second Ctrl-C always ends it.
    An ignored signal stays ignored. Call this in the main thread.
    """
    stop = Stop()
    numbers = [getattr(signal, name) for name in NAMES if hasattr(signal, name)]
    before = {number: handler for number in numbers if callable(handler := signal.getsignal(number))}

    def handle(number: int, frame: FrameType | None) -> None:
        if stop.is_set or not stop.has_result:
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
