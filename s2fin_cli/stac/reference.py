"""References to images in STAC files: "items.json#item=ID#assets=red,nir"."""

from __future__ import annotations

import math
import os
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from s2fin_cli.core.checks import nearest_name
from s2fin_cli.core.errors import UsageError
from s2fin_cli.core.names import is_dataset_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from s2fin_cli.core.options import StrPath

#: Suffixes of files that may be STAC files, if nothing else says what they are.
SUFFIXES = (".json", ".geojson")
#: Ways to join several items: one date after the other as bands, and tiles of one date side by side.
TIME, TILES = "time", "tiles"
#: Characters that need no escaping in a part of a reference, besides letters, digits and "-._~".
_PLAIN = " :/+()@!$'*?"
#: What makes a JSON file a STAC file, and within how many bytes it is looked for.
_MARKS = re.compile(rb'"(?:stac_version|stac_extensions)"\s*:|"assets"\s*:\s*\{')
_HEAD_BYTES = 1 << 20


@dataclass(frozen=True)
class Reference:
    """A STAC file, and what of it is meant.

    Attributes:
        path: the file, or its URL.
        assets: keys of assets, or names of bands, in the order of the bands; none takes the only raster.
        items: ids of items; none takes all.
        datetime: a time or an interval "START/END" that the items are of; None takes all.
        join: how several items become one image: `TIME`, `TILES` or both.
        alternate: which of an asset's alternate references is taken; None takes the main one.
        scale, offset: numbers that replace those of the files and of the items.
    """

    path: str
    assets: tuple[str, ...] = ()
    items: tuple[str, ...] = ()
    datetime: str | None = None
    join: tuple[str, ...] = ()
    alternate: str | None = None
    scale: float | None = None
    offset: float | None = None

    def __str__(self) -> str:
        parts: list[tuple[str, Any]] = [
            ("item", ",".join(map(_escaped, self.items))),
            ("datetime", self.datetime),
            ("join", ",".join(self.join)),
            ("alternate", None if self.alternate is None else _escaped(self.alternate)),
            ("scale", self.scale),
            ("offset", self.offset),
            ("assets", ",".join(map(_escaped, self.assets))),
        ]
        return "#".join([self.path, *(f"{key}={value}" for key, value in parts if value not in ("", None))])

    def of(self, item_id: str) -> Reference:
        """The reference to one item, of all that this one means."""
        return replace(self, items=(item_id,), datetime=None)

    def with_assets(self, names: Sequence[str]) -> Reference:
        """The reference to some assets."""
        return replace(self, assets=tuple(names))


def _escaped(text: str) -> str:
    return quote(text, safe=_PLAIN)


def find_reference(src_path: StrPath) -> Reference | None:
    """The reference that an option's value is; None of any other raster.

    A JSON file without anything behind it is one, if it is a STAC file. Files whose names only look like a reference
    are not.

    Raises:
        UsageError: what stands behind a STAC file's name cannot be understood.
    """
    text = str(src_path)
    path, parts = (text, []) if os.path.lexists(text) else _parted(text)
    if parts:
        return parse_parts(path, parts, text)
    return Reference(path) if _is_json(path) and _is_stac(path) else None


def _parted(text: str) -> tuple[str, list[str]]:
    """A file, and the parts behind its name; folders may have # in their names."""
    words = text.split("#")
    for count in range(1, len(words)):
        path = "#".join(words[:count])
        if path and (_is_json(path) or words[count].partition("=")[0] in _READERS):
            return path, words[count:]
    return text, []


def _is_json(path: str) -> bool:
    return path.lower().split("?")[0].endswith(SUFFIXES)


def parse_parts(path: str, parts: list[str], text: str) -> Reference:
    """The reference to a STAC file that parts like "assets=red,nir" make.

    Raises:
        UsageError: one cannot be understood.
    """
    given: dict[str, str] = {}
    for part in parts:
        key, mark, value = part.partition("=")
        if not mark or key not in _READERS or not value.strip():
            raise UsageError(
                f"{text} has {part!r} after #, which must be one of {', '.join(f'{name}=...' for name in _READERS)}, "
                f"e.g. {path}#assets=red,nir; {nearest_name(key, [*_READERS])}"
            )
        if key in given:
            raise UsageError(f"{text} has {key}= twice; give it once, with commas between several values")
        given[key] = value
    values = {_FIELDS.get(key, key): _READERS[key](value, text) for key, value in given.items()}
    return Reference(path, **values)


def parse_names(value: str, text: str) -> tuple[str, ...]:
    """Names from a list like "red,nir", in which "%2C" is a comma.

    Args:
        value: the list.
        text: where it is, for messages.

    Raises:
        UsageError: one is empty, or there twice.
    """
    names = tuple(unquote(part.strip()) for part in value.split(","))
    if not all(names) or len(set(names)) != len(names):
        raise UsageError(f"{text} has the list {value!r}, in which each name must be there once and none be empty")
    return names


def _joins(value: str, text: str) -> tuple[str, ...]:
    names = parse_names(value, text)
    if not {TIME, TILES}.issuperset(names):
        raise UsageError(f"{text} has join={value}; it must be {TIME}, {TILES} or both")
    return tuple(sorted(names))


def _number(value: str, text: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise UsageError(f"{text} has the number {value!r}; give a scale or an offset like 0.0001")
    return number


def _scale(value: str, text: str) -> float:
    number = _number(value, text)
    if number == 0:
        raise UsageError(f"{text} has the scale 0, which leaves no values; give another one")
    return number


#: How the value of each part is read.
_READERS: dict[str, Any] = {
    "assets": parse_names,
    "item": parse_names,
    "datetime": lambda value, _: value.strip(),
    "join": _joins,
    "alternate": lambda value, _: unquote(value),
    "scale": _scale,
    "offset": _number,
}
_FIELDS = {"item": "items"}


def _is_stac(path: str) -> bool:
    """Whether a JSON file is a STAC file, by its first bytes; a URL of one is taken for one."""
    if is_dataset_name(path):
        return path.lower().startswith(("http://", "https://", "s3://", "gs://"))
    if not os.path.isfile(path):  # which may be a pipe
        return False
    try:
        with open(path, "rb") as file:
            return _MARKS.search(file.read(_HEAD_BYTES)) is not None
    except (OSError, ValueError):
        return False
