"""Messages of the library as the command line shows them: options as the flags that the user types."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import click

from s2fin_cli.core.errors import quoted

if TYPE_CHECKING:
    from collections.abc import Sequence

#: An option as library messages name it, see `s2fin_cli.core.errors`.
_OPTION = re.compile(r"`([a-z_]\w*)(?:=([^`]*))?`", re.ASCII)
#: Quotation marks of Python's texts.
_QUOTES = "\"'"


def with_flags(message: str, parameters: Sequence[click.Parameter]) -> str:
    """A message with its options as flags: "`label_field`" as "--label-field", "`device="cpu"`" as "--device cpu".

    Args:
        message: a message as `s2fin_cli.core.errors` describes it.
        parameters: those of the command that is running; other names are shown as they are, without backticks.
    """
    known = {str(parameter.name): parameter for parameter in parameters}

    def shown(found: re.Match[str]) -> str:
        name, value = found.groups()
        return _shown(known[name], value) if name in known else found[0].strip("`")

    return _OPTION.sub(shown, message)


def _shown(parameter: click.Parameter, value: str | None) -> str:
    """A parameter, with a value if there is one, as it is typed."""
    flag = max(parameter.opts, key=len)
    if isinstance(parameter, click.Argument):
        return flag.upper()
    if value is None or value == "True":
        return flag
    if value == "False" and parameter.secondary_opts:
        return max(parameter.secondary_opts, key=len)
    return f"{flag} {quoted(value.strip(_QUOTES))}"
