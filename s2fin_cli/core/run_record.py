"""The record of a run: what it was given, what it warned of, and what it ran on."""

from __future__ import annotations

import contextlib
import itertools
import logging
import math
import re
import threading
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

#: Files, options, versions and warnings that a record holds at most, and letters of each of their texts. The rest is
#: left out of a record that is written, and a longer one that is read is none of ours.
MOST_ENTRIES, MOST_LETTERS = 10_000, 20_000
#: No file has more bytes.
LARGEST_FILE = 1 << 63
#: What names of commands and of options are made of. They are typed as they are, so nothing else may be among them.
_COMMAND, _OPTION = re.compile(r"[a-z]+(-[a-z]+)*"), re.compile(r"[a-z]+(_[a-z0-9]+)*")


@dataclass(frozen=True)
class UsedFile:
    """A file that a run read.

    Attributes:
        option: name of the option that it was given with.
        path: its absolute path, a name of GDAL's own, or the name of data that were in memory.
        size: bytes, None where it is not a file of this machine.
        sha256: checksum of its contents in hexadecimal, None where it was not computed.
    """

    option: str
    path: str
    size: int | None = None
    sha256: str | None = None

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Build from what `dataclasses.asdict` gave; the errors are those of `RunRecord.from_dict`."""
        size, sha256 = values["size"], values["sha256"]
        if size is not None and not 0 <= int(size) <= LARGEST_FILE:
            raise ValueError(f"the size of a file is {size!r:.100}")
        return cls(
            _name(values["option"], _OPTION),
            _text(values["path"]),
            None if size is None else int(size),
            None if sha256 is None else _text(sha256),
        )


@dataclass(frozen=True)
class RunRecord:
    """What a run of a command was given, what it warned of, and what it ran on.

    It holds neither names of outputs nor times, so that the same run gives the same record.

    Attributes:
        command: name of the command.
        files: the files that it read.
        options: the other options that differ from their defaults and change the result, in JSON values.
        made_with: versions of software, processor and device, by name.
        warnings: what it warned of, in the words of the library (see `s2fin_cli.core.errors`).
    """

    command: str
    files: tuple[UsedFile, ...] = ()
    options: Mapping[str, Any] | None = None
    made_with: Mapping[str, str] | None = None
    warnings: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values, of which `from_dict` makes a record."""
        values = {name: getattr(self, name) for name in ("command", "options", "made_with")}
        files = [asdict(file) for file in self.files]
        return {name: _clipped(part) for name, part in {**values, "files": files, "warnings": self.warnings}.items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Build from what `to_dict` gave.

        Raises:
            KeyError, TypeError, ValueError, AttributeError, OverflowError: something is missing, of another kind, or
                larger than any run makes it.
        """
        files, options, made_with, warnings = (values[name] for name in ("files", "options", "made_with", "warnings"))
        if any(len(part or ()) > MOST_ENTRIES for part in (files, options, made_with, warnings)):
            raise ValueError("there are too many entries")
        return cls(
            command=_name(values["command"], _COMMAND),
            files=tuple(UsedFile.from_dict(file) for file in files),
            options={_name(name, _OPTION): _option(value) for name, value in (options or {}).items()},
            made_with={_text(name): _text(value) for name, value in (made_with or {}).items()},
            warnings=tuple(map(_text, warnings)),
        )

    def paths_of(self, option: str) -> list[str]:
        """Paths that were given with an option."""
        return [file.path for file in self.files if file.option == option]


def _clipped(value: Any) -> Any:
    """JSON values without what is too long to keep."""
    if isinstance(value, str):
        return value[:MOST_LETTERS]
    if isinstance(value, dict):
        return {_clipped(name): _clipped(part) for name, part in itertools.islice(value.items(), MOST_ENTRIES)}
    return [_clipped(part) for part in value[:MOST_ENTRIES]] if isinstance(value, list | tuple) else value


def _text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > MOST_LETTERS:
        raise ValueError(f"a text is {value!r:.100}")
    return value


def _name(value: Any, made_of: re.Pattern[str]) -> str:
    if made_of.fullmatch(_text(value)) is None:
        raise ValueError(f"a name is {value!r:.100}")
    return str(value)


def _option(value: Any) -> Any:
    """The value of an option: a text, a number, a truth value, nothing, or a list of these."""
    if isinstance(value, list):
        if len(value) > MOST_ENTRIES or any(isinstance(part, list) for part in value):
            raise ValueError(f"an option is {value!r:.100}")
        return [_option(part) for part in value]
    if isinstance(value, str):
        return _text(value)
    if value is not None and not isinstance(value, bool | int | float):
        raise ValueError(f"an option is {value!r:.100}")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"an option is {value!r}")
    return value


#: Loggers whose warnings are about what an earlier run left: a run's result does not depend on that.
_OF_EARLIER_RUNS = ("s2fin_cli.core.leftovers", "s2fin_cli.core.moves")


#: Warnings that blocks of `recorded_warnings` have collected so far, in the thread that runs them and its pools.
_collecting: ContextVar[tuple[list[str], ...]] = ContextVar("collecting", default=())


class _Collector(logging.Handler):
    """Collects warnings for the blocks of the thread that warns.

    Where nobody else listens, warnings are still shown, as Python does by default.
    """

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._blocks, self._counting = 0, threading.Lock()

    def emit(self, record: logging.LogRecord) -> None:
        if record.name not in _OF_EARLIER_RUNS:
            for found in _collecting.get():
                found.append(record.getMessage())
        own = logging.getLogger("s2fin_cli")
        handlers = [*own.handlers, *(logging.getLogger().handlers if own.propagate else ())]
        if handlers == [self] and logging.lastResort is not None:
            logging.lastResort.handle(record)

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Listen while the block runs; blocks of several threads share the collector."""
        own = logging.getLogger("s2fin_cli")
        with self._counting:
            self._blocks += 1
            own.addHandler(self)  # once, however often it is added
        try:
            yield
        finally:
            with self._counting:
                self._blocks -= 1
                if not self._blocks:
                    own.removeHandler(self)


_COLLECTOR = _Collector()


@contextlib.contextmanager
def recorded_warnings() -> Iterator[list[str]]:
    """Collect what s2fin warns of while the block runs, each warning once, but not what other threads warn of.

    Pools of threads belong to the thread that uses them, see `core/pools.py`. Nothing is collected while the level of
    s2fin's logger is above that of warnings.
    """
    collected: list[str] = []
    found: list[str] = []
    token = _collecting.set((*_collecting.get(), collected))
    try:
        with _COLLECTOR.listening():
            yield found
    finally:
        _collecting.reset(token)
        found += dict.fromkeys(collected)
