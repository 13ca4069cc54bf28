"""Files beside another file that belong to it: those that are written with it, and those that are read with it.

Files written beside an output are staged, replaced and removed along with it. More files may be read beside an input,
because other software made it; no output may replace any of them.
"""

from __future__ import annotations

import os
from pathlib import Path

from s2fin_cli.core.formats import format_of, parts_of

#: GDAL's file for what the format of a raster cannot hold, under the raster's own name.
PAM_SUFFIX = ".aux.xml"
#: Suffixes that GDAL may append to a file's own name for files beside it.
_WRITTEN = (PAM_SUFFIX, ".ovr", ".msk", "-journal", "-wal", "-shm")
#: Further suffixes, appended to a file's own name, of files that are read with it.
_READ = (".hdr", ".vat.dbf", ".xml")
#: Suffixes, in place of the file's own, of other files that software reads with a file of any format: headers, pixels,
#: metadata, CRS, overviews, statistics, styles.
_READ_INSTEAD = (
    ".hdr", ".aux", ".rrd", ".rde", ".ige", ".rpb", ".imd", ".pvl", ".clr", ".stx", ".wld", ".xsd", ".gfs", ".csvt",
    ".qml", "_rpc.txt", ".rpc",
)  # fmt: skip


def written_beside(path: Path) -> list[Path]:
    """The files that may be written beside a file and belong to it, whether they exist or not."""
    if not path.name:  # as "." and "/" have none
        return []
    beside = [path.with_name(path.name + suffix) for suffix in _WRITTEN]
    found = format_of(path)
    if found is not None:
        beside += [path.with_suffix(suffix) for suffix in found.sidecars]
    return beside + parts_of(path)


def names_read_beside(name: str) -> list[str]:
    """The names, in lower case, of the files that may be read along with a file, without the file itself.

    All files that are written beside it are among them.
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
    """GDAL's file beside a raster for what the raster's format cannot hold."""
    return path.with_name(path.name + PAM_SUFFIX)
