"""Real shells in a terminal: a line is typed, completed with the tab key, and read as a command would read it."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

#: How each shell is started with nothing of the user's, and with one script.
COMMANDS = {
    "bash": ["bash", "--norc", "--noprofile", "-i"],
    "zsh": ["zsh", "-f", "-i"],
    "fish": ["fish", "--no-config", "-i"],
}
#: Commands that each shell runs before it reads the script.
BEFORE = {
    "bash": "bind 'set bell-style none'; bind 'set show-all-if-ambiguous on'; bind 'set completion-query-items 0'",
    "zsh": "bindkey -e; autoload -Uz compinit; compinit -u -D; unsetopt BEEP ALWAYS_LAST_PROMPT; LISTMAX=0",
    "fish": "true",
}
_ESCAPES = re.compile(r"\x1b(\[[0-9;?<>=]*[A-Za-z]|\][^\x07\x1b]*(\x07|\x1b\\)|[()][A-Z0-9]|[=>78])|[\x00\x07\x0f]")
#: Seconds for an answer, many times what it takes.
_PATIENCE = 60


class Terminal:
    """A shell in a terminal.

    Attributes:
        shell: its name.
    """

    def __init__(self, shell: str, script: Path, *, folder: Path, environment: Mapping[str, str]) -> None:
        self.shell = shell
        self._ours, theirs = pty.openpty()
        self._process = subprocess.Popen(
            ["setsid", "--ctty", *COMMANDS[shell]],
            stdin=theirs, stdout=theirs, stderr=theirs, cwd=folder,
            env={**environment, "TERM": "xterm", "COLUMNS": "200", "LINES": "50", "PS1": "> ", "fish_greeting": ""},
        )  # fmt: skip
        os.close(theirs)
        self._count = 0
        try:
            self.run(BEFORE[shell])
            self.run(f"source '{script}'")
        except BaseException:
            self.close()
            raise

    def run(self, line: str) -> str:
        """What the shell shows while a line is typed and run."""
        self._count += 1
        end = f"end-of-{self._count}"
        self._send(f"{line}\n")
        self._send(f"printf '%s\\n' end-'of'-{self._count}\n")
        return self._read(end)

    def words(self, line: str, *, end: str = "") -> list[str]:
        """The words of a line after the tab key and what is typed then, as a command gets them."""
        self._count += 1
        # Ctrl-A goes to the beginning of the line
        self._send(f"{line}\t{end}\x01printf '[%s]\\n' begin-'of'-{self._count} \n")
        shown = self.run("")
        return re.findall(r"^\[(.*)\]\r*$", shown.split(f"[begin-of-{self._count - 1}]")[1], re.MULTILINE)

    def shown(self, line: str) -> str:
        """What the shell shows for a line after two tabs."""
        self._send(f"{line}\t\t\x01\x0b")  # Ctrl-K takes the line back
        return self.run("")

    def _send(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def _read(self, end: str) -> str:
        text, limit = "", time.monotonic() + _PATIENCE
        while f"\n{end}" not in (plain := _ESCAPES.sub("", text).replace("\r", "\n")):
            if not select.select([self._ours], [], [], max(0.0, limit - time.monotonic()))[0]:
                raise TimeoutError(f"the shell showed {plain!r}")
            text += os.read(self._ours, 1 << 16).decode(errors="replace")
        return plain

    def close(self) -> None:
        """End the shell."""
        self._process.kill()
        self._process.wait()
        os.close(self._ours)


def needed(shell: str) -> None:
    """Skip a test where a shell is not installed."""
    for command in (shell, "setsid"):
        if shutil.which(command) is None:
            pytest.skip(f"{command} is not installed")


def command_in(folder: Path) -> Path:
    """A folder with a command s2fin, which runs these sources whatever is installed."""
    command = folder / "s2fin"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m s2fin_cli "$@"\n')
    command.chmod(0o755)
    return folder


def opened(shell: str, script: Path, *, folder: Path, environment: Mapping[str, str]) -> Iterator[Terminal]:
    """A terminal with a shell, which ends with the test."""
    needed(shell)
    terminal = Terminal(shell, script, folder=folder, environment=environment)
    try:
        yield terminal
    finally:
        terminal.close()
