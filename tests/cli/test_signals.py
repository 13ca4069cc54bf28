"""Requests to end that come from outside: they clean up, unless the caller has them ignored."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from s2fin_cli.cli.signals import interrupts_ignored, stop_on_signals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# main() with a command that sends the signal to its own process
CODE = """
import os, signal, sys
from s2fin_cli.cli.main import main
number = getattr(signal, sys.argv[1])
signal.signal(number, signal.SIG_IGN if sys.argv[2] == "ignored" else signal.SIG_DFL)
def command(prog_name):
    try:
        os.kill(os.getpid(), number)
        print("went on")
    finally:
        print("cleaned up")
main(command)
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
@pytest.mark.parametrize(("before", "output"), [("default", "cleaned up\n"), ("ignored", "went on\ncleaned up\n")])
def test_a_request_to_end_cleans_up_unless_it_is_ignored(name: str, before: str, output: str) -> None:
    result = subprocess.run([sys.executable, "-c", CODE, name, before], capture_output=True, text=True, check=False)
    assert result.stdout == output
    assert result.returncode == (0 if before == "ignored" else 128 + getattr(signal, name))


# main() with a command that ends, after which a signal comes while the process ends
LATE = """
import atexit, os, signal, sys
from s2fin_cli.cli.main import main
def interrupt():
    signal.raise_signal(signal.SIGINT)
    print("ended by itself")
atexit.register(interrupt)
main(lambda prog_name: sys.exit(3))
"""


def test_ctrl_c_after_the_end_of_a_command_changes_nothing() -> None:
    result = subprocess.run([sys.executable, "-c", LATE], capture_output=True, text=True, check=False)
    assert (result.stdout, result.stderr, result.returncode) == ("ended by itself\n", "", 3)


def test_ctrl_c_is_ignored_only_while_a_command_reports() -> None:
    with interrupts_ignored():
        signal.raise_signal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


class EndedError(Exception):
    """Raised by the previous handler."""


@pytest.fixture
def asked() -> Iterator[Callable[[], None]]:
    """Sends SIGTERM to this process, where without a stop token it raises `EndedError`."""

    def end(*_: object) -> None:
        raise EndedError

    before = signal.signal(signal.SIGTERM, end)
    yield lambda: signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is end, "it is put back"
    signal.signal(signal.SIGTERM, before)


def test_a_job_with_nothing_to_keep_is_ended_at_once(asked: Callable[[], None]) -> None:
    with stop_on_signals() as stop:
        with pytest.raises(EndedError):
            asked()
        assert not stop.is_set


def test_a_job_with_a_result_ends_by_itself_and_at_once_when_asked_twice(
    asked: Callable[[], None], capfd: pytest.CaptureFixture[str]
) -> None:
    with stop_on_signals() as stop:
        stop.has_result = True
        asked()
        assert stop.is_set
        assert "press Ctrl-C again to stop at once and keep nothing" in capfd.readouterr().err
        with pytest.raises(EndedError):
            asked()


def test_ctrl_c_asks_too() -> None:
    with stop_on_signals() as stop:
        stop.has_result = True
        signal.raise_signal(signal.SIGINT)
        assert stop.is_set
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_signal_that_is_ignored_stays_so() -> None:
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with stop_on_signals() as stop:
            stop.has_result = True
            signal.raise_signal(signal.SIGTERM)
        assert not stop.is_set
    finally:
        signal.signal(signal.SIGTERM, before)
