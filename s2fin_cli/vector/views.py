"""Views of SQLite files, such as GeoPackages, whose rows are computed: they may have no end."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

from s2fin_cli.core.errors import InputError
from s2fin_cli.core.names import is_dataset_name

if TYPE_CHECKING:
    from s2fin_cli.core.options import StrPath

#: Steps of SQLite's machine that counting the rows of a view may take: some seconds, and millions of rows.
MOST_STEPS = 50_000_000
#: Steps between two looks at how many there were.
_PACE = 100_000
#: How a SQLite file begins.
_BEGIN = b"SQLite format 3\0"


def check_views(src_path: StrPath, *, most: int = MOST_STEPS) -> None:
    """Refuse a SQLite file with a view whose rows cannot be counted in some seconds.

    Args:
        src_path: a file of any kind.
        most: steps of SQLite's machine that a view may take.

    Raises:
        InputError: it has one.
    """
    if is_dataset_name(src_path) or not _is_sqlite(Path(src_path)):
        return
    address = f"{Path(src_path).absolute().as_uri()}?mode=ro"
    # NOTE: what else is wrong with the file is reported by what reads it
    with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(address, uri=True)) as database:
        for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'view'").fetchall():
            if not _ends(database, name, most=most):
                raise InputError(
                    f"{src_path}: its view {name!r} has no end, or too many rows to count; export it as a table"
                )


def _is_sqlite(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(_BEGIN)) == _BEGIN
    except OSError:
        return False


def _ends(database: sqlite3.Connection, name: str, *, most: int) -> bool:
    """Whether the rows of a view can be counted; True if it cannot be used at all."""
    left = most // _PACE
    is_over = False

    def look() -> bool:
        nonlocal left, is_over
        left -= 1
        is_over = left < 0
        return is_over

    database.set_progress_handler(look, _PACE)
    quoted = name.replace('"', '""')
    with contextlib.suppress(sqlite3.Error):
        database.execute(f'SELECT count(*) FROM "{quoted}"').fetchone()  # noqa: S608  its own name for it
    database.set_progress_handler(None, 0)
    return not is_over
