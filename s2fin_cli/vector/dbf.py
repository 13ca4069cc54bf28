"""The encoding of texts in Shapefiles and dBASE tables.

A .cpg file declares it, else the language driver id in the table's header. Both are often missing or wrong, so the
bytes are examined too.
"""

from __future__ import annotations

import codecs
import logging
import re
from pathlib import Path
from typing import TYPE_CHECKING

from s2fin_cli.core.names import is_dataset_name

if TYPE_CHECKING:
    from collections.abc import Iterable

logger = logging.getLogger(__name__)

#: Python's names of encodings by language driver id, as ESRI and Visual FoxPro define them. ArcGIS and GDAL write 0x57,
#: "ANSI", by default.
_BY_LANGUAGE_DRIVER = {
    "cp437": (0x01, 0x09, 0x0B, 0x0D, 0x0F, 0x11, 0x15, 0x18, 0x19, 0x1B),
    "cp850": (0x02, 0x0A, 0x0E, 0x10, 0x12, 0x14, 0x16, 0x1A, 0x1D, 0x25, 0x37),
    "cp1252": (0x03, 0x57, 0x58, 0x59), "mac_roman": (0x04,), "cp865": (0x08, 0x17, 0x66),
    "cp932": (0x13, 0x7B), "cp863": (0x1C, 0x6C), "cp852": (0x1F, 0x22, 0x23, 0x40, 0x64, 0x87),
    "cp860": (0x24,), "cp866": (0x26, 0x65), "cp936": (0x4D, 0x7A), "cp949": (0x4E, 0x79),
    "cp950": (0x4F, 0x78), "cp874": (0x50, 0x7C), "cp861": (0x67,), "cp737": (0x6A, 0x86), "cp857": (0x6B, 0x88),
    "cp1255": (0x7D,), "cp1256": (0x7E,), "mac_cyrillic": (0x96,), "mac_greek": (0x98,), "mac_latin2": (0x97,),
    "cp1250": (0xC8,), "cp1251": (0xC9,), "cp1254": (0xCA,), "cp1253": (0xCB,), "cp1257": (0xCC,),
}  # fmt: skip
_LANGUAGE_DRIVERS = {number: name for name, numbers in _BY_LANGUAGE_DRIVER.items() for number in numbers}
#: Where the language driver id stands in the header.
_LANGUAGE_DRIVER_BYTE = 29
#: What is read where nothing is declared: what Windows writes in Western Europe and America.
FALLBACK = "cp1252"
#: Encodings that programs write by default, whatever the bytes are.
_WEAK = {"cp1252", "iso8859-1", "iso8859-15", "cp437", "cp850", "ascii"}


def declared_encoding(src_path: str | Path, layer: str) -> tuple[str | None, str | None]:
    """Python's name of the encoding that a Shapefile or dBASE table declares, and where it does so.

    Args:
        src_path: the file, or a folder of such files.
        layer: in a folder, the file's name without suffix.

    Returns:
        None twice where nothing usable is declared.
    """
    path = Path(src_path)
    if path.is_dir():
        path = path / f"{layer}.dbf"
    beside = {file.suffix.lower(): file for file in path.parent.glob(f"{_escaped(path.stem)}.*")}
    if (cpg := beside.get(".cpg")) is not None:
        found = _python_name(cpg.read_text(encoding="latin-1")[:64])
        if found is not None:
            return found, cpg.name
        logger.warning("%s names no encoding that is known; it is ignored", cpg)
    if (dbf := beside.get(".dbf")) is not None:
        with dbf.open("rb") as file:
            head = file.read(_LANGUAGE_DRIVER_BYTE + 1)
        number = head[_LANGUAGE_DRIVER_BYTE] if len(head) > _LANGUAGE_DRIVER_BYTE else 0
        if number in _LANGUAGE_DRIVERS:
            return _LANGUAGE_DRIVERS[number], f"the header of {dbf.name}"
    return None, None


def is_archived(src_path: str | Path) -> bool:
    """Whether only GDAL can reach a Shapefile."""
    if is_dataset_name(src_path):
        return True
    return not Path(src_path).is_dir() and Path(src_path).suffix.lower() not in (".shp", ".shx", ".dbf")


def _escaped(stem: str) -> str:
    """A name with the wildcards of `Path.glob` escaped."""
    return re.sub(r"([*?[])", r"[\1]", stem)


def _python_name(text: str) -> str | None:
    """Python's name of an encoding as .cpg files spell it: "UTF-8", "1252", "ANSI 1252", "88591", "LDID/87"."""
    text = text.lstrip("\ufeff\xef\xbb\xbf").strip().lower()
    if (driver := re.fullmatch(r"ldid/(\d+)", text)) is not None:
        return _LANGUAGE_DRIVERS.get(int(driver[1]))
    if (iso := re.fullmatch(r"(?:iso)?[-_ ]?8859[-_ ]?(\d{1,2})", text)) is not None:
        text = f"iso8859-{iso[1]}"
    elif (page := re.fullmatch(r"(?:ansi|oem|cp|windows|ibm|ms|dos)?[-_ ]?(\d{3,5})", text)) is not None:
        text = "utf-8" if page[1] == "65001" else f"cp{page[1]}"
    try:
        name = codecs.lookup(text).name
    except (LookupError, ValueError):
        return None
    return FALLBACK if name == "iso8859-1" else name  # which has all of its letters, and more


def right_encoding(texts: Iterable[str], src_path: str | Path, declared: str | None, where: str | None) -> str:
    """The encoding that texts are in, with a warning where it is not the declared one.

    Bytes that are UTF-8 throughout are UTF-8, unless another encoding than a Western one is declared: hardly any other
    text happens to be valid UTF-8. Bytes that the declared encoding does not allow are read as Windows' Western
    European.

    Args:
        texts: every byte as the character of its number (ISO 8859-1).
        src_path: where they come from, for messages.
        declared: Python's name of the encoding that the file declares, if it does.
        where: what declares it.
    """
    strange = sorted(text.encode("latin-1") for text in texts if not text.isascii())
    if not strange:
        return declared or FALLBACK
    if declared in (None, *_WEAK) and all(_fits(value, "utf-8") for value in strange):
        found = "utf-8"
    elif declared is not None and all(_fits(value, declared) for value in strange):
        example = decode(strange[0].decode("latin-1"), declared)
        logger.info("%s: texts are read as %s, as %s says (such as %r)", src_path, declared, where, example)
        return declared
    else:
        found = FALLBACK
    said = (
        f"{where} says {declared}, but its texts are not in it" if declared else "no encoding of its texts is declared"
    )
    logger.warning(
        "%s: %s; they are read as %s (such as %r); if that is wrong, write the name of the right one into %s.cpg",
        src_path, said, found, decode(strange[0].decode("latin-1"), found), Path(src_path).stem,
    )  # fmt: skip
    return found


def _fits(value: bytes, encoding: str) -> bool:
    """Whether bytes can be text in an encoding; its last character may be cut where the field ends."""
    try:
        codecs.getincrementaldecoder(encoding)().decode(value, final=False)
    except UnicodeDecodeError:
        return False
    return True


def is_bytes(text: str) -> bool:
    """Whether each character of a text may stand for a byte."""
    return max(map(ord, text), default=0) < 0x100


def decode(text: str, encoding: str) -> str:
    """Text whose every byte is the character of its number, decoded; a last character that is cut is left out."""
    if text.isascii():
        return text
    value = text.encode("latin-1")
    if encoding == FALLBACK or not _fits(value, encoding):
        return value.decode(encoding, errors="replace")
    return codecs.getincrementaldecoder(encoding)().decode(value, final=False)
