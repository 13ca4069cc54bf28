"""The command that makes a file again, from the record of its run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from s2fin_cli.core.copies import file_for, is_name_of_data
from s2fin_cli.core.errors import quoted
from s2fin_cli.core.flags import flag_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from s2fin_cli.core.run_record import RunRecord

#: Options that take several values at once; others that have several are repeated.
_AT_ONCE = ("bounds",)


def command_of(run: RunRecord, output: str) -> str:
    """The command as it is typed, with names in capitals for files of data that were in memory.

    Args:
        run: the record.
        output: path of the file to write.
    """
    parts = ["s2fin", run.command]
    for file in run.files:
        parts += [flag_of(file.option), file_for(file.path) if is_name_of_data(file.path) else quoted(file.path)]
    for name, value in (run.options or {}).items():
        parts += _typed(name, value)
    return " ".join([*parts, flag_of("output"), quoted(output)])


def _typed(name: str, value: Any) -> Iterator[str]:
    if isinstance(value, bool):
        yield flag_of(name if value else f"no_{name}")
    elif isinstance(value, list) and name not in _AT_ONCE:
        for one in value:
            yield from (flag_of(name), quoted(str(one)))
    elif value is not None:
        yield flag_of(name)
        yield from (quoted(str(one)) for one in (value if isinstance(value, list) else [value]))
