"""Records of scenes: what each map was made of, so that a later run knows whether it is finished.

    .scenes/NAME.json   the record of a scene

A record is written before the first file of a map gets its name, and again when all of them have theirs.
"""

from __future__ import annotations

import errno
import os
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from s2fin_cli.core.errors import DiskFullError, OutputError
from s2fin_cli.core.leftovers import sweep, work_in_progress
from s2fin_cli.core.moves import flush
from s2fin_cli.shards.sealing import sealed, unsealed

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

#: Version of a record's contents.
FORMAT = 1


@dataclass(frozen=True)
class SceneRecord:
    """What is known of a scene's map.

    Attributes:
        is_finished: whether all its files are written; otherwise those that are there are of a run that was killed.
        settings: what it depends on besides its inputs: model, options, versions of the software.
        inputs: what its inputs are.
        sizes: bytes of its files by name.
        values: what a report says about it.
    """

    is_finished: bool
    settings: Mapping[str, Any]
    inputs: Mapping[str, Any]
    sizes: Mapping[str, int]
    values: Mapping[str, Any]


@dataclass(frozen=True)
class Records:
    """The records of the scenes whose maps are in one folder.

    Attributes:
        path: the folder of the records.
    """

    path: Path

    @classmethod
    def beside(cls, maps: Path) -> Records:
        """The records of the maps in a folder."""
        return cls(maps / ".scenes")

    def begin(self) -> None:
        """Make the folder, and remove what killed runs left in it.

        Raises:
            OSError: it cannot be made.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        sweep(self.path)

    def read(self, name: str) -> SceneRecord | None:
        """The record of a scene; None if there is none, or it is damaged or of another version."""
        try:
            values = unsealed((self.path / f"{name}.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return SceneRecord(**values) if values.pop("format", None) == FORMAT else None

    def keep(self, name: str, record: SceneRecord) -> None:
        """Write the record of a scene.

        Raises:
            OutputError: it cannot be written.
        """
        write_text(self.path / f"{name}.json", sealed({"format": FORMAT, **asdict(record)}))


def write_text(path: Path, text: str) -> None:
    """Write a text file, which appears whole, in place of an earlier one.

    Raises:
        OutputError: it cannot be written.
    """
    try:
        with work_in_progress(path.parent) as scratch:
            new = scratch / "new"
            new.write_text(text, encoding="utf-8")
            flush(new)
            os.replace(new, path)
    except OSError as error:
        kind = DiskFullError if error.errno in (errno.ENOSPC, errno.EDQUOT) else OutputError
        raise kind(f"{path} cannot be written: {error.strerror or error}") from error
