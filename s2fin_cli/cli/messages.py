"""Messages of the library as the command line shows them: options as the flags that the user types."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import click

from s2fin_cli.core.flags import rewritten, typed

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Characters by which a text from a file could end a line, or be a command to a terminal or change the order in which
#: it shows letters; tabs and line feeds are ours.
_UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
#: Characters of a line of a message, the most; files may hold texts of any length.
_LONGEST = 1000


def displayed(text: str) -> str:
    """A text as a terminal can show it: control characters as Python writes them, long lines without their middle."""
    lines = _UNSEEN.sub(lambda found: found[0].encode("unicode_escape").decode(), text).split("\n")
    return "\n".join(line if len(line) <= _LONGEST else f"{line[: _LONGEST - 300]} ... {line[-200:]}" for line in lines)


def with_flags(message: str, parameters: Sequence[click.Parameter]) -> str:
    """A message with its options as flags: "`label_field`" as "--label-field", "`device="cpu"`" as "--device cpu".

    Characters and lines are those of `displayed`.

    Args:
        message: a message as `s2fin_cli.core.errors` describes it.
        parameters: those of the command that is running; other names are shown as they are, without backticks.
    """
    known = {str(parameter.name): parameter for parameter in parameters}

    def shown(name: str, value: str | None) -> str:
        if name in known:
            return _shown(known[name], value)
        return name if value is None else f"{name}={value}"

    return displayed(rewritten(message, shown))


def _shown(parameter: click.Parameter, value: str | None) -> str:
    """A parameter, with a value if there is one, as it is typed."""
    flag = max(parameter.opts, key=len)
    if isinstance(parameter, click.Argument):
        return flag.upper()
    return typed(flag, max(parameter.secondary_opts, key=len, default=None), value)
