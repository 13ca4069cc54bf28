"""The command line of s2fin, from plain values. Needs no QGIS."""

from __future__ import annotations

import re
import shlex
import subprocess
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .commands import Command, Option


def command_line(command: Command, values: Mapping[str, Any]) -> list[str]:
    """The arguments of s2fin: the command, and each option that is not as it would be without being given.

    Args:
        command: the command.
        values: the value of each option by its name; None for one that is not given.
    """
    arguments = [command.name]
    for option in command.options:
        arguments += _arguments(option, values.get(option.name))
    return arguments


def _arguments(option: Option, value: Any) -> list[str]:
    if value is None:
        return [] if option.turns_off is None else [option.turns_off]
    if option.kind == "bool":
        return _switched(option, bool(value))
    if option.kind == "extent":  # one option with four values; one that is negative is a value all the same
        return [option.flag, *value]
    if isinstance(value, (list, tuple)):
        return [text for each in value for text in _given(option, each)]
    return [] if value == option.command_default else _given(option, value)


def _given(option: Option, value: Any) -> list[str]:
    """An option with a value; one that begins with a dash is not taken for an option when it is joined by "="."""
    text = str(int(value)) if isinstance(value, float) and value.is_integer() and abs(value) < 1e15 else str(value)
    return [f"{option.flag}={text}"] if text.startswith("-") else [option.flag, text]


def _switched(option: Option, is_on: bool) -> list[str]:
    if is_on == bool(option.command_default):
        return []
    if is_on:
        return [option.flag]
    return [] if option.off is None else [option.off]


def shown(program: str, arguments: Sequence[str], *, for_windows: bool = False) -> str:
    """A command as it can be typed into a terminal, for the log of a run."""
    command = [program, *arguments]
    return subprocess.list2cmdline(command) if for_windows else " ".join(map(shlex.quote, command))


def with_titles(command: Command, message: str, algorithms: Mapping[str, str]) -> str:
    """A message of s2fin with titles of the dialog in place of flags: “Replace existing outputs” for "--overwrite".

    Args:
        command: the command that gives the message.
        message: the message.
        algorithms: titles of the algorithms by the names of their commands: “Train a model” for "s2fin train".
    """
    titles = {option.flag: option.title for option in command.options}
    message = re.sub(
        r"(?<![\w/\\.-])s2fin ([a-z]+)(?![\w/\\-]|\.\w)",
        lambda name: f"“{algorithms[name[1]]}”" if name[1] in algorithms else name[0],
        message,
    )
    return re.sub(
        r"(?<![\w/\\.-])--[a-z][a-z-]*(?![\w-])",
        lambda flag: f"“{titles[flag[0]]}”" if flag[0] in titles else flag[0],
        message,
    )
