"""Shapefiles whose parts do not match: shapes without a row in the table, and truncated files."""

from __future__ import annotations

import contextlib
import logging
import struct
import zipfile
from pathlib import Path

from s2fin_cli.core.names import is_dataset_name

logger = logging.getLogger(__name__)

#: Bytes of the header of a .shp or .shx file, and of an entry of the latter.
_HEADER, _ENTRY = 100, 8
#: Bytes of a .dbf file up to the sizes of its header and of a row.
_DBASE = 12


def check_parts(src_path: str | Path, layer: str) -> None:
    """Warn of a Shapefile that has fewer rows in its table than shapes, or files shorter than their headers say.

    GDAL reads only as many features as there are rows, and shapes that are cut off as none.

    Args:
        src_path: the .shp file or one beside it, a folder of such files, or a ZIP archive.
        layer: the file's name without suffix.
    """
    parts = _parts(Path(src_path), layer) if not is_dataset_name(src_path) else {}
    index, table, shapes = (parts.get(suffix) for suffix in (".shx", ".dbf", ".shp"))
    if index is not None and table is not None and len(table[0]) >= _ENTRY:
        count, rows = (index[1] - _HEADER) // _ENTRY, struct.unpack_from("<I", table[0], 4)[0]
        if rows < count:
            logger.warning(
                "%s: the table %s.dbf has %d rows and the Shapefile %d shapes; the last %d shapes are left out, as "
                "nothing says what they are; copy all of its files again, from one place",
                src_path, layer, rows, count, count - rows,
            )  # fmt: skip
    if table is not None and len(table[0]) >= _DBASE:
        rows, head, length = struct.unpack_from("<IHH", table[0], 4)
        if (size := head + rows * length) > table[1]:
            logger.warning(
                "%s: %s.dbf was cut off: it has %d bytes and should have %d; copy it again",
                src_path, layer, table[1], size,
            )  # fmt: skip
    if shapes is not None and len(shapes[0]) >= 28:
        size = 2 * struct.unpack_from(">I", shapes[0], 24)[0]
        if size > shapes[1]:
            logger.warning(
                "%s: %s.shp was cut off: it has %d bytes and should have %d; the shapes after that are lost; "
                "copy it again",
                src_path, layer, shapes[1], size,
            )  # fmt: skip


def _parts(path: Path, layer: str) -> dict[str, tuple[bytes, int]]:
    """The header (at most 100 bytes) and the size of each of a Shapefile's files, by suffix."""
    found: dict[str, tuple[bytes, int]] = {}
    with contextlib.suppress(OSError, zipfile.BadZipFile):
        if path.suffix.lower() in (".zip", ".shz") and path.is_file():
            with zipfile.ZipFile(path) as archive:
                for member in archive.infolist():
                    if Path(member.filename).stem == layer:
                        with archive.open(member) as file:
                            found[Path(member.filename).suffix.lower()] = file.read(_HEADER), member.file_size
        else:
            for part in path.iterdir() if path.is_dir() else path.parent.iterdir():
                if part.stem == layer and part.suffix.lower() in (".shp", ".shx", ".dbf"):
                    with part.open("rb") as file:
                        found[part.suffix.lower()] = file.read(_HEADER), part.stat().st_size
    return found
