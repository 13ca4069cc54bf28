"""Files that are beside another one and belong to it: those that are written with it, and those that are read with it.

What is written beside an output is staged, replaced and removed along with it. What may be read beside an input is
more, as other software made it; no output may replace any of it.
"""

from __future__ import annotations

import os
from pathlib import Path

from s2fin_cli.core.formats import format_of, parts_of

#: GDAL's file of what the format of a raster has no place for, under the raster's own name.
PAM_SUFFIX = ".aux.xml"
#: What GDAL may write beside a file under the file's own name.
_WRITTEN = (PAM_SUFFIX, ".ovr", ".msk", "-journal", "-wal", "-shm")
#: What else is read beside a file under its own name.
_READ = (".hdr", ".vat.dbf", ".xml")
#: What else software reads beside a file of any format, in place of its suffix: headers, pixels, metadata, CRS,
#: overviews, statistics, styles.
_READ_INSTEAD = (
    ".hdr", ".aux", ".rrd", ".rde", ".ige", ".rpb", ".imd", ".pvl", ".clr", ".stx", ".wld", ".xsd", ".gfs", ".csvt",
    ".qml", "_rpc.txt", ".rpc",
)  # fmt: skip


def written_beside(path: Path) -> list[Path]:
    """What may be written beside a file and belong to it, whether it is there or not."""
    if not path.name:  # as "." and "/" have none
        return []
    beside = [path.with_name(path.name + suffix) for suffix in _WRITTEN]
    found = format_of(path)
    if found is not None:
        beside += [path.with_suffix(suffix) for suffix in found.sidecars]
    return beside + parts_of(path)


def names_read_beside(name: str) -> list[str]:
    """The names, in lower case, of what may be beside a file and be read along with it, without the file itself.

    All that is written beside a file is among them.
    """
    name = name.lower()
    stem, suffix = os.path.splitext(name)
    kind = suffix[1:]
    world = (f".{kind[0]}{kind[-1]}w", f"{suffix}w") if kind else ()
    found = [path.name for path in written_beside(Path(name))]
    found += [name + other for other in _READ]
    found += [stem + other for other in (*_READ_INSTEAD, *world)]
    return [other for other in dict.fromkeys(found) if other != name]


def pam_of(path: Path) -> Path:
    """GDAL's file beside a raster of what the raster's format has no place for."""
    return path.with_name(path.name + PAM_SUFFIX)
