"""Spoils bytes, texts, JSON values, TIFF directories and SQLite databases by chance."""

from __future__ import annotations

import contextlib
import json
import re
import sqlite3
import struct
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from random import Random

#: Numbers at the limits of what programs count with.
NUMBERS = (
    0, 1, 2, 255, 256, 65_535, 65_536, 1_000_000, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**63 - 1, 2**63, 2**64 - 1, -1,
    -(2**31), -(2**63),
)  # fmt: skip
#: Texts that programs may take for something else than a text.
TEXTS = (
    "", " ", "\0", "\x1b[31mred", "a\nb", "<b>&amp;</b>]]>", "'; DROP TABLE x; --", '"', "../../../etc/passwd",
    "/etc/passwd", "/vsicurl/http://127.0.0.1:9/a.tif", "{0}%s$HOME`id`", "1e999", "NaN", "-inf", "\ud7ff\uffff",
    "\u202eabc", "x" * 100_000, "9" * 5_000, "森林", "[" * 10_000,
)  # fmt: skip


# ---- bytes -----------------------------------------------------------------------------------------------------------


def spoil_bytes(rng: Random, content: bytes, *, head: int | None = None) -> bytes:
    """Content after one to four changes of bits or runs of bytes, or after a cut.

    Args:
        rng: decides.
        content: what is spoilt.
        head: bytes that most changes are in; None treats all of them equally.
    """
    values = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 4))):
        size = min(head, len(values)) if head and rng.random() < 0.7 else len(values)
        if size:
            rng.choice(_CHANGES)(rng, values, rng.randrange(size))
    return bytes(values)


def _flip(rng: Random, values: bytearray, place: int) -> None:
    values[place] ^= 1 << rng.randrange(8)


def _cut(rng: Random, values: bytearray, place: int) -> None:
    del values[place:]


def _overwrite(rng: Random, values: bytearray, place: int) -> None:
    size = min(rng.choice((1, 4, 16, 256)), len(values) - place)
    run = rng.choice((bytes(size), b"\xff" * size, rng.randbytes(size)))
    values[place : place + size] = run


def _delete(rng: Random, values: bytearray, place: int) -> None:
    del values[place : place + rng.choice((1, 4, 64))]


def _insert(rng: Random, values: bytearray, place: int) -> None:
    size = rng.choice((1, 4, 64))
    values[place:place] = rng.choice((values[place : place + size], rng.randbytes(size), b"\0" * size))


def _inflate(rng: Random, values: bytearray, place: int) -> None:
    """Write a number at the limits where a size or a count may be."""
    kind = rng.choice(("<H", ">H", "<I", ">I", "<Q", ">Q", "<d", ">d"))
    number = rng.choice((float("nan"), float("inf"), -1e300, 1e300)) if kind[1] == "d" else _whole(rng, kind)
    place = place // 2 * 2
    packed = struct.pack(kind, number)[: len(values) - place]
    values[place : place + len(packed)] = packed


def _whole(rng: Random, kind: str) -> int:
    return rng.choice(NUMBERS) & ((1 << 8 * struct.calcsize(kind)) - 1)


_CHANGES: tuple[Callable[[Random, bytearray, int], None], ...] = (
    _flip, _flip, _flip, _cut, _overwrite, _delete, _insert, _inflate, _inflate,
)  # fmt: skip

# ---- TIFF ------------------------------------------------------------------------------------------------------------


def spoil_tags(rng: Random, content: bytes) -> bytes:
    """A little-endian TIFF after one or two changes in its first directory: tag, type, count or value."""
    values = bytearray(content)
    (start,) = struct.unpack_from("<I", values, 4)
    (count,) = struct.unpack_from("<H", values, start)
    for _ in range(rng.choice((1, 1, 2))):
        place = start + 2 + 12 * rng.randrange(count)
        tag, kind, number, value = struct.unpack_from("<HHII", values, place)
        changed = rng.choice((
            (tag, kind, number, _other(rng, value)), (tag, kind, _other(rng, number), value),
            (tag, kind, number, _other(rng, value)), (tag, rng.randrange(20), number, value),
            (rng.choice((tag ^ 1, rng.randrange(65_536), 330, 34_665)), kind, number, value),
        ))  # fmt: skip
        struct.pack_into("<HHII", values, place, *changed)
    return bytes(values)


def _other(rng: Random, value: int) -> int:
    return rng.choice((value + 1, value * 2, value * 1000, value // 2, *NUMBERS)) % 2**32


# ---- texts -----------------------------------------------------------------------------------------------------------


def spoil_text(rng: Random, text: str) -> bytes:
    """A text after one or two changes of its numbers, words, lines or characters, in UTF-8 as a rule."""
    for _ in range(rng.choice((1, 1, 2))):
        text = rng.choice((_number_in, _word_in, _line_in, _character_in))(rng, text)
    content = text.encode("utf-16" if rng.random() < 0.03 else "utf-8", errors="surrogatepass")
    return spoil_bytes(rng, content) if rng.random() < 0.15 else content


def _replaced(rng: Random, text: str, pattern: str, new: str) -> str:
    places = [found.span() for found in re.finditer(pattern, text)]
    if not places:
        return text
    start, end = rng.choice(places)
    return text[:start] + new + text[end:]


def _number_in(rng: Random, text: str) -> str:
    return _replaced(rng, text, r"-?\d+(\.\d+)?", rng.choice((str(rng.choice(NUMBERS)), *TEXTS, "1e308", "0x10", "٣")))


def _word_in(rng: Random, text: str) -> str:
    return _replaced(rng, text, r"\w+", rng.choice((*TEXTS, "null", "true", "-1", "1e400")))


def _line_in(rng: Random, text: str) -> str:
    lines = text.splitlines(keepends=True) or [""]
    place = rng.randrange(len(lines))
    lines[place : place + 1] = rng.choice(([], [lines[place]] * 2, [lines[place]] * 1000, [rng.choice(lines)]))
    return "".join(lines)


def _character_in(rng: Random, text: str) -> str:
    place = rng.randrange(len(text) + 1)
    new = rng.choice(("\0", "\x1b", "\ufeff", '"', "'", ",", ";", "\n", "<", "{", "[" * 10_000, "\ud800", "\u2028"))
    return text[:place] + new + text[place + rng.randrange(2) :]


# ---- JSON ------------------------------------------------------------------------------------------------------------


def spoil_values(rng: Random, values: Any) -> Any:
    """JSON values after one or two changes; the argument stays as it is."""
    values = json.loads(json.dumps(values))
    for _ in range(rng.choice((1, 1, 2))):
        if not (places := list(_places(values))):
            return values
        owner, key = rng.choice(places)
        if rng.random() < 0.15:
            del owner[key]
        elif rng.random() < 0.1 and isinstance(owner, dict):
            owner[rng.choice(TEXTS)] = owner.pop(key)
        else:
            owner[key] = _odd_value(rng, owner[key])
    return values


def _places(values: Any) -> Any:
    """The container and the key of each value below others."""
    keys = list(values) if isinstance(values, dict) else range(len(values)) if isinstance(values, list) else ()
    for key in keys:
        yield values, key
        yield from _places(values[key])


def _odd_value(rng: Random, value: Any) -> Any:
    deep: list[Any] = []
    for _ in range(300):
        deep = [deep]
    odd: tuple[Any, ...] = (
        None, True, [], {}, [value], {"a": value}, deep, rng.choice(NUMBERS), float("nan"), float("inf"), 1e300,
        10**400, -value if isinstance(value, int | float) else 0.5, rng.choice(TEXTS), rng.choice(TEXTS),
        [value] * 1000,
    )  # fmt: skip
    return rng.choice(odd)


def as_json(values: Any) -> bytes:
    """The text of JSON values that may hold texts that are not Unicode and numbers of any size."""
    return json.dumps(values).encode(errors="surrogatepass")


# ---- SQLite ----------------------------------------------------------------------------------------------------------


def spoil_database(rng: Random, path: Path) -> None:
    """Change one or two cells of a SQLite database."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as database:
        names = database.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'").fetchall()
        tables = [name for name, sql in names if not name.startswith("rtree") and "VIRTUAL" not in sql]
        for (trigger,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            database.execute(f'DROP TRIGGER "{trigger}"')  # which need functions of GDAL's
        for _ in range(rng.choice((1, 1, 2))):
            table = rng.choice(tables)
            columns = [row[1] for row in database.execute(f'PRAGMA table_info("{table}")')]
            rows = database.execute(f'SELECT rowid, * FROM "{table}"').fetchall()  # noqa: S608
            if not rows:
                continue
            row, column = rng.choice(rows), rng.randrange(len(columns))
            value = _odd_cell(rng, row[1 + column])
            with contextlib.suppress(sqlite3.Error, OverflowError, UnicodeEncodeError):
                database.execute(f'UPDATE "{table}" SET "{columns[column]}" = ? WHERE rowid = ?', (value, row[0]))  # noqa: S608


def _odd_cell(rng: Random, value: Any) -> Any:
    if isinstance(value, bytes) and rng.random() < 0.8:
        return spoil_bytes(rng, value)
    return rng.choice((None, rng.choice(NUMBERS), rng.choice(TEXTS), rng.choice(TEXTS), float("inf"), 1e300, b"\0\1"))
