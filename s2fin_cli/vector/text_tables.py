"""Text tables: delimiter, encoding and header, which only the text itself reveals."""

from __future__ import annotations

import csv
import io
import logging
import re
import warnings
from typing import TYPE_CHECKING

import pandas as pd

from s2fin_cli.vector.numerals import typed
from s2fin_cli.vector.place_columns import bare, find_place

if TYPE_CHECKING:
    from pathlib import Path

    from s2fin_cli.core.errors import InputError

logger = logging.getLogger(__name__)

_DELIMITERS = ("\t", ";", ",", "|", " ")
#: Bytes that are examined to decide whether a file is a text table.
_HEAD = 1 << 16
#: Characters of a line, at most; the text of a polygon of 100,000 vertices has 4 million.
LONGEST_LINE = 8 << 20
#: Fields with repeated names that are named one by one.
_MOST_NAMED = 10
#: Columns of a table, at most; a library of spectra has one for each of some 2000 bands.
MOST_COLUMNS = 10_000
_BYTE_ORDER_MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))


def names_places(path: Path) -> bool:
    """Whether a file is a text whose first line names columns of coordinates.

    A file named .xyz with only the columns X, Y and Z is a grid of values and does not count.
    """
    columns = first_columns(path)
    is_grid = path.suffix.lower() == ".xyz" and [bare(column) for column in columns] == ["x", "y", "z"]
    return find_place(columns) is not None and not is_grid


def first_columns(path: Path) -> list[str]:
    """The columns that a text file's first line names; none if the file is not text."""
    with path.open("rb") as file:
        head = file.read(_HEAD)
    encoding = _marked_encoding(head)
    if encoding is None and b"\0" in head:
        return []
    lines = _lines(head.decode(encoding or "latin-1", errors="replace"))
    is_table = bool(lines) and not lines[0].lstrip().startswith(("{", "[", "<"))  # JSON and XML
    return _split_header(lines[0])[0] if is_table else []


def _marked_encoding(head: bytes) -> str | None:
    return next((encoding for mark, encoding in _BYTE_ORDER_MARKS if head.startswith(mark)), None)


def _lines(text: str) -> list[str]:
    """The lines of a table from its header on, without what Excel notes before it."""
    lines = re.split(r"\r\n|\r|\n", text)  # and not at the other characters at which `str.splitlines` splits
    while lines and (not lines[0].strip() or re.fullmatch(r'"?sep=.{0,2}"?', lines[0].strip(), re.IGNORECASE)):
        lines = lines[1:]
    return lines


def _split_header(line: str) -> tuple[list[str], str]:
    """A header's columns and the delimiter: one that yields coordinates, else the one with most columns."""
    line = line.removeprefix("#").strip(" \r\n")
    splits = []
    for delimiter in _DELIMITERS:
        try:
            row = line.split() if delimiter == " " else next(csv.reader([line], delimiter=delimiter), [])
        except csv.Error:
            continue
        columns = [column.strip() for column in row]
        if find_place(columns) is not None:
            return columns, delimiter
        splits.append((columns, delimiter))
    return max(splits, key=lambda split: len(split[0]), default=([], ","))


def read_text_table(path: Path, *, error: type[InputError]) -> pd.DataFrame:
    """A text table with typed columns, see `read_texts`; decimals may have a comma."""
    return typed(read_texts(path, error=error))


def read_texts(path: Path, *, error: type[InputError]) -> pd.DataFrame:
    """A text table of texts, NaN where a row ends early; the index has the lines' numbers in the file.

    Its delimiter is a tab, semicolon, comma, bar or blanks.

    Raises:
        InputError: rows have more fields than the header, or there are none.
    """
    text = _decoded(path)
    lines = _lines(text)
    if lines and not lines[0].replace("\t", "").isprintable():
        raise error(f"{path} is not a table of text, as its name says; check what it holds")
    if not lines:
        raise error(f"{path} is empty; give a table with a header line and a row for each point")
    if (longest := max(map(len, lines))) > LONGEST_LINE:
        raise error(f"{path} has a line of {longest} characters, and at most {LONGEST_LINE} are read; is it a table?")
    columns, delimiter = _split_header(lines[0])
    if len(columns) > MOST_COLUMNS:
        raise error(f"{path} has {len(columns)} columns, and at most {MOST_COLUMNS} are read; leave most of them out")
    names = distinct([name or f"column {number}" for number, name in enumerate(columns, start=1)], path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # which would lose fields
            table = pd.read_csv(
                io.StringIO("\n".join(lines[1:])),
                sep=r"\s+" if delimiter == " " else delimiter,
                names=names,
                header=None,
                index_col=False,
                dtype=str,
                keep_default_na=False,
                skipinitialspace=True,
                skip_blank_lines=False,
            )
    except (pd.errors.ParserError, pd.errors.ParserWarning) as cause:
        raise error(
            f"{path} has rows with more fields than its header ({', '.join(columns)}), split at {delimiter!r}; quote "
            "fields that hold it, or write decimals with a point"
        ) from cause
    except pd.errors.EmptyDataError:
        table = pd.DataFrame(columns=names, dtype=str)
    table.index += len(re.findall(r"\r\n|\r|\n", text)) + 1 - len(lines) + 2
    table = table[(table.fillna("") != "").any(axis=1)]
    blank = [name for name in table if str(name).startswith("column ") and is_blank(table[name])]
    return table.drop(columns=blank)


def _decoded(path: Path) -> str:
    content = path.read_bytes()
    if (marked := _marked_encoding(content)) is not None:
        return content.decode(marked, errors="replace")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        logger.warning("%s is not UTF-8; it is read as cp1252; if names look wrong, save it as UTF-8", path)
        return content.decode("cp1252", errors="replace")


def distinct(names: list[str], src_path: str | Path) -> list[str]:
    """Unique names of fields; a repeated name gets a number, with a warning."""
    seen: dict[str, None] = {}  # in their order
    numbers: dict[str, int] = {}
    for name in names:
        own = name
        while own in seen:
            numbers[name] = numbers.get(name, 1) + 1
            own = f"{name}_{numbers[name]}"
        seen[own] = None
    changed = [(name, own) for name, own in zip(names, seen, strict=True) if name != own]
    for name, own in changed[:_MOST_NAMED]:
        logger.warning("%s: several fields are named %r; a later one is called %r", src_path, name, own)
    if len(changed) > _MOST_NAMED:
        logger.warning("%s: %d more fields with repeated names have got numbers", src_path, len(changed) - _MOST_NAMED)
    return list(seen)


def is_blank(values: pd.Series) -> bool:
    """Whether texts are all empty."""
    return not (values.fillna("") != "").any()
