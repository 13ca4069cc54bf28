"""Why a vector file cannot be read, and what to do."""

from __future__ import annotations

from pathlib import Path

from s2fin_cli.core.errors import reason
from s2fin_cli.core.snapshots import readable

#: Contents of files after a failed download: how they begin, in lower case, and the message about them.
_HELD_INSTEAD = (
    (b"version https://git-lfs", "holds a pointer of Git LFS and not the file itself; get it with: git lfs pull"),
    (b"<!doctype html", "holds a web page and no data (often one that asks for a login); download it again"),
    (b"<html", "holds a web page and no data (often one that asks for a login); download it again"),
)
#: Parts of GDAL's messages, and our messages instead.
_REASONS = (
    (
        "SHAPE_RESTORE_SHX",
        "cannot be read without its file {stem}.shx; copy it too, or make it again with: "
        "ogrinfo --config SHAPE_RESTORE_SHX YES {path}",
    ),
    (
        "database is locked",
        "is locked by another program; save and close the file there (e.g. in QGIS), then run this again",
    ),
    ("database disk image is malformed", "is a GeoPackage that is damaged or was cut off; copy or download it again"),
)


def what_is_wrong(cause: Exception, src_path: str | Path, *, wanted: str) -> str:
    """Why a file cannot be read and what to do, as the rest of a sentence that begins with its name.

    Args:
        cause: what reading it raised.
        src_path: the file.
        wanted: what it may be.
    """
    path = Path(src_path)
    if isinstance(cause, UnicodeDecodeError):
        return _wrong_encoding(cause, path)
    if (held := _held_instead(path)) is not None:
        return held
    said = reason(cause).split("; It might help")[0].rstrip(".")  # which is of no help on a command line
    for part, words in _REASONS:
        if part in said:
            return words.format(stem=path.stem, path=src_path)
    said = said.replace(str(readable(src_path)), str(src_path))
    return f"is not {wanted} that GDAL can read ({said}); check the name and format"


def _wrong_encoding(cause: UnicodeDecodeError, path: Path) -> str:
    byte = f"the byte 0x{cause.object[cause.start]:02X}"
    if path.suffix.lower() in (".mif", ".tab"):
        return (
            f"holds text with {byte}, which is not in the encoding that its line Charset declares; write the right "
            'one there, such as Charset "WindowsLatin1", "WindowsCyrillic" or "UTF-8"'
        )
    return f"holds text that is not in the encoding that it should be in ({byte} is not UTF-8); save it as UTF-8"


def _held_instead(path: Path) -> str | None:
    """The message about contents that are not data; None if they are not recognised."""
    if not path.is_file():
        return None
    with path.open("rb") as file:
        head = file.read(1024)
    if not head:
        return "is empty (0 bytes); copy or download it again"
    return next((words for begin, words in _HELD_INSTEAD if head.lstrip().lower().startswith(begin)), None)
