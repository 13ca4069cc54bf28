"""Signals as requests to end a job that has something to keep."""

from __future__ import annotations

import contextlib
import os
import signal
from typing import TYPE_CHECKING

from s2fin_cli.core.progress import Stop

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

#: Ctrl-C, a batch system's request to end, and a terminal that is closed; Windows does not have the last one.
NAMES = ("SIGINT", "SIGTERM", "SIGHUP")
#: The next step may take a while, and a second request loses the result.
NOTICE = "\nwarning: stopping: the model so far will be kept; press Ctrl-C again to stop at once and keep nothing\n"


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
