"""The record of a run: what it was given, what it warned of, and what it ran on."""

from __future__ import annotations

import contextlib
import logging
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@dataclass(frozen=True)
class UsedFile:
    """A file that a run read.

    Attributes:
        option: name of the option that it was given with.
        path: its path as it was given, or a name of GDAL's own.
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
        return cls(
            str(values["option"]),
            str(values["path"]),
            None if size is None else int(size),
            None if sha256 is None else str(sha256),
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
        """Plain JSON values."""
        values = {name: getattr(self, name) for name in ("command", "options", "made_with")}
        return {**values, "files": [asdict(file) for file in self.files], "warnings": list(self.warnings)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Build from what `to_dict` gave.

        Raises:
            KeyError, TypeError, ValueError, AttributeError: something is missing or of another kind.
        """
        return cls(
            command=str(values["command"]),
            files=tuple(UsedFile.from_dict(file) for file in values["files"]),
            options={str(name): value for name, value in (values["options"] or {}).items()},
            made_with={str(name): str(value) for name, value in (values["made_with"] or {}).items()},
            warnings=tuple(map(str, values["warnings"])),
        )

    def paths_of(self, option: str) -> list[str]:
        """Paths that were given with an option, as they were given."""
        return [file.path for file in self.files if file.option == option]


class _Collector(logging.Handler):
    """Collects warnings; where nobody else listens they are still shown, as Python does by default."""

    def __init__(self, *, is_alone: bool) -> None:
        super().__init__(logging.WARNING)
        self.found: list[str] = []
        self._is_alone = is_alone

    def emit(self, record: logging.LogRecord) -> None:
        self.found.append(record.getMessage())
        if self._is_alone and logging.lastResort is not None:
            logging.lastResort.handle(record)


@contextlib.contextmanager
def recorded_warnings() -> Iterator[list[str]]:
    """Collect what s2fin warns of while the block runs, each warning once."""
    logger = logging.getLogger("s2fin_cli")
    collector = _Collector(is_alone=not logger.hasHandlers())
    logger.addHandler(collector)
    found: list[str] = []
    try:
        yield found
    finally:
        logger.removeHandler(collector)
        found += dict.fromkeys(collector.found)
