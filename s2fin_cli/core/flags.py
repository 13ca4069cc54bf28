"""Options that library messages name, as the command line has them; `s2fin_cli.core.errors` describes the messages."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from s2fin_cli.core.errors import quoted

if TYPE_CHECKING:
    from collections.abc import Callable

_OPTION = re.compile(r"`([a-z_]\w*)(?:=([^`]*))?`", re.ASCII)
#: Quotation marks of Python's texts.
_QUOTES = "\"'"


def flag_of(name: str) -> str:
    """The flag of an option: "--label-field" of "label_field"."""
    return f"--{name.replace('_', '-')}"


def typed(flag: str, off: str | None, value: str | None) -> str:
    """An option as it is typed.

    Args:
        flag: its flag.
        off: the flag that turns it off, if there is one.
        value: its value as Python writes it, None for none.
    """
    if value is None or value == "True":
        return flag
    if value == "False" and off is not None:
        return off
    return f"{flag} {quoted(value.strip(_QUOTES))}"


def rewritten(message: str, shown: Callable[[str, str | None], str], plain: Callable[[str], str] = str) -> str:
    """A message with its options in another form.

    Args:
        message: a message of the library.
        shown: the form of an option by its name and value.
        plain: the form of the text between options.
    """
    parts, end = [], 0
    for option in _OPTION.finditer(message):
        parts += [plain(message[end : option.start()]), shown(*option.groups())]
        end = option.end()
    return "".join([*parts, plain(message[end:])])


def as_flag(name: str, value: str | None) -> str:
    """An option as it is typed, where the command that has it is not known."""
    return typed(flag_of(name), flag_of(f"no_{name}"), value)
