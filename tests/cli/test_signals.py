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


# main() with a command that waits, perhaps as one with a result that it would keep after Ctrl-C
WATCHED = """
import os, subprocess, sys, threading
from s2fin_cli.cli.main import main
from s2fin_cli.cli.signals import stop_on_signals
def command(prog_name):
    try:
        with stop_on_signals() as stop:
            stop.has_result = sys.argv[1] == "result"
            subprocess.run([sys.executable, "-c", "import sys; print(repr(sys.stdin.read()))"], check=True)
            print("begun", os.environ.get("S2FIN_STOP_AT_EOF"), flush=True)
            threading.Event().wait(60)
    finally:
        print("cleaned up")
main(command)
"""


@pytest.mark.parametrize("kept", ["result", "nothing"])
def test_the_end_of_stdin_ends_a_job_and_keeps_nothing_if_a_program_asks_for_that(kept: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", WATCHED, kept],
        env={**os.environ, "S2FIN_STOP_AT_EOF": "1"},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stdout.readline() == "''\n", "what the process starts has nothing to read"
    assert process.stdout.readline() == "begun None\n"
    process.stdin.write("what is written does not matter\n")
    process.stdin.flush()
    output, errors = process.communicate(timeout=60)  # which closes stdin
    assert output == "cleaned up\n"
    assert errors == ""
    assert process.returncode == 128 + signal.SIGTERM


def test_the_end_of_stdin_means_nothing_otherwise() -> None:
    code = "from s2fin_cli.cli.main import main\nmain(lambda prog_name: print('went on'))"
    for value in (None, "", "0"):
        own = {name: text for name, text in os.environ.items() if name != "S2FIN_STOP_AT_EOF"}
        environment = own if value is None else {**own, "S2FIN_STOP_AT_EOF": value}
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
        assert (done.stdout, done.returncode) == (b"went on\n", 0)


# main() with a command that is asked to end a second time while it cleans up
TWICE = """
import os, signal
from s2fin_cli.cli.main import main
def command(prog_name):
    try:
        os.kill(os.getpid(), signal.SIGTERM)
    finally:
        os.kill(os.getpid(), signal.SIGTERM)
        print("cleaned up")
main(command)
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
def test_a_second_request_does_not_interrupt_the_cleaning_up() -> None:
    done = subprocess.run([sys.executable, "-c", TWICE], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr, done.returncode) == ("cleaned up\n", "", 128 + signal.SIGTERM)
