"""Requests to end that come from outside: they clean up, unless the caller has them ignored."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

# main() with the commands replaced by one that sends the signal to its own process
CODE = """
import os, signal, sys
import s2fin_cli.cli.main as m
number = getattr(signal, sys.argv[1])
signal.signal(number, signal.SIG_IGN if sys.argv[2] == "ignored" else signal.SIG_DFL)
def cli(prog_name):
    try:
        os.kill(os.getpid(), number)
        print("went on")
    finally:
        print("cleaned up")
m.cli = cli
m.main()
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
@pytest.mark.parametrize(("before", "output"), [("default", "cleaned up\n"), ("ignored", "went on\ncleaned up\n")])
def test_a_request_to_end_cleans_up_unless_it_is_ignored(name: str, before: str, output: str) -> None:
    result = subprocess.run([sys.executable, "-c", CODE, name, before], capture_output=True, text=True, check=False)
    assert result.stdout == output
    assert result.returncode == (0 if before == "ignored" else 128 + getattr(signal, name))
