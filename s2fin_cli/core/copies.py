"""Temporary files that hold data which were given in memory, and what messages and records call them."""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from s2fin_cli.core.log_records import changed_records

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from os import PathLike

#: Types of data in memory.
ARRAY, FRAME, SERIES = "DataArray", "GeoDataFrame", "GeoSeries"
_NAME = re.compile(rf"([a-z_]+) \(({ARRAY}|{FRAME}|{SERIES})( \d+)?\)")
#: Suffixes of the files that hold them.
SUFFIXES = {ARRAY: ".tif", FRAME: ".gpkg", SERIES: ".gpkg"}


@dataclass(frozen=True)
class Copy:
    """A temporary file that holds data which were given in memory.

    Attributes:
        path: its absolute path.
        option: the option that the data were given with.
        kind: what the data are, e.g. "DataArray".
    """

    path: str
    option: str
    kind: str

    @property
    def name(self) -> str:
        """The name in records and reports: nobody can open the path later."""
        return f"{self.option} ({self.kind})"

    @property
    def name_in_messages(self) -> str:
        """The name in messages, with the option as they have it."""
        return f"`{self.option}` ({self.kind})"


#: The copies that there are, by path, of all threads.
_copies: dict[str, Copy] = {}


def copy_at(path: str | PathLike[str]) -> Copy | None:
    """The copy that a path is of; None for any other file."""
    return _copies.get(str(path))


def is_name_of_data(path: str) -> bool:
    """Whether a record has the name of data in memory in place of a path, see `Copy.name`."""
    return _NAME.fullmatch(path) is not None


def file_for(name: str) -> str:
    """The name in capitals of a file that would hold data which a record names, e.g. "LABELS2.gpkg"."""
    found = _NAME.fullmatch(name)
    assert found is not None  # noqa: S101  the caller asked `is_name_of_data`
    return f"{found[1].upper()}{(found[3] or '').strip()}{SUFFIXES[found[2]]}"


def described(text: str) -> str:
    """A text in which copies are named by what they are copies of."""
    for path, copy in list(_copies.items()):
        if path in text:
            text = text.replace(f"`{copy.option}` {path}", copy.name_in_messages).replace(path, copy.name_in_messages)
    return text


@contextlib.contextmanager
def named_copies(copies: Sequence[Copy]) -> Iterator[None]:
    """Let log records and records of runs name copies by what they are copies of, while the block runs."""
    _copies.update({copy.path: copy for copy in copies})
    try:
        with changed_records(lambda _, message: described(message)):
            yield
    finally:
        for copy in copies:
            del _copies[copy.path]
