"""GeoPackages with changes that are not yet part of the file: read from a copy, as GDAL would rewrite the file."""

from __future__ import annotations

import atexit
import contextlib
import logging
import re
import shutil
import sqlite3
import tempfile
from pathlib import Path

logger = logging.getLogger(__name__)

#: Copies by the file, its time and size and those of its changes.
_copies: dict[tuple[object, ...], str] = {}


def readable(src_path: str | Path) -> str | Path:
    """The name under which a vector file is read: its own, or that of a copy of a GeoPackage with pending changes.

    SQLite keeps the latest changes of some GeoPackages in a file beside it (x.gpkg-wal), and merges them when it is
    closed, even by a program that only reads. So a copy of both is read. The copy lasts as long as the program.

    Args:
        src_path: a path, or "GPKG:x.gpkg:layer".
    """
    match = re.fullmatch(r"(gpkg:)?(.+?\.gpkg)(:[^/\\:]+)?", str(src_path), re.IGNORECASE | re.DOTALL)
    if match is None:
        return src_path
    path = Path(match[2])
    log = path.with_name(f"{path.name}-wal")
    if not path.is_file() or not log.is_file() or not log.stat().st_size:
        return src_path
    key = (path.resolve(), *((file.stat().st_mtime_ns, file.stat().st_size) for file in (path, log)))
    if key not in _copies:
        _copies[key] = _copy(path, log)
        logger.info("%s: changes in %s are taken into account; both files are left as they are", path, log.name)
    return f"{match[1] or ''}{_copies[key]}{match[3] or ''}"


def _copy(path: Path, log: Path) -> str:
    """The name of a copy of a GeoPackage with its pending changes."""
    folder = tempfile.mkdtemp(prefix="s2fin-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    copy = Path(folder) / path.name
    index = path.with_name(f"{path.name}-shm")
    if index.exists():  # another program may be at work on it, and SQLite knows how to read beside it
        uri = f"{path.resolve().as_uri()}?mode=ro"
        with (
            contextlib.closing(sqlite3.connect(uri, uri=True)) as src,
            contextlib.closing(sqlite3.connect(copy)) as dst,
        ):
            src.backup(dst)
    else:
        shutil.copyfile(path, copy)
        shutil.copyfile(log, f"{copy}-wal")
    return str(copy)
