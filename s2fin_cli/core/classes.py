"""The classes of a map: numbers, names and colours."""

from __future__ import annotations

import colorsys
import csv
import re
import unicodedata
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from s2fin_cli.core.errors import LabelError, describe_missing, edit_info

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from os import PathLike

#: The largest class number that a 16-bit map can hold.
MAX_CLASS_ID = 65535
#: Stands for nodata among class ids: no class has this number.
NO_CLASS = MAX_CLASS_ID + 1

#: Invisible characters that change their neighbours: the zero-width non-joiner and joiner.
_JOINERS = "\u200c\u200d"

# Colours by words in a class's name, so that water is blue in every map; the first match decides.
_COLORS_BY_WORD: dict[str, tuple[int, int, int]] = {
    "shallow": (120, 200, 225), "reef": (120, 200, 225), "wetland": (90, 160, 150), "marsh": (90, 160, 150),
    "mangrove": (25, 95, 75), "water": (40, 100, 190), "sea": (30, 80, 170), "ocean": (30, 80, 170),
    "river": (60, 125, 205), "lake": (60, 125, 205), "forest": (30, 110, 50), "wood": (30, 110, 50),
    "tree": (45, 130, 60), "shrub": (130, 150, 70), "scrub": (130, 150, 70), "grass": (150, 200, 90),
    "meadow": (150, 200, 90), "pasture": (170, 205, 110), "vegetation": (150, 200, 90), "crop": (225, 200, 90),
    "cultivated": (225, 200, 90), "corn": (235, 190, 60), "soybean": (190, 180, 80), "wheat": (240, 215, 130),
    "sand": (245, 225, 165), "beach": (245, 225, 165), "soil": (170, 120, 80), "bare": (190, 145, 105),
    "dry": (190, 145, 105), "road": (110, 110, 115), "asphalt": (90, 90, 95), "city": (205, 70, 65),
    "urban": (205, 70, 65), "village": (205, 70, 65), "building": (205, 70, 65), "roof": (205, 70, 65),
    "residential": (220, 110, 100), "artificial": (190, 80, 90), "shadow": (45, 40, 60), "snow": (245, 250, 255),
    "ice": (215, 240, 250), "rock": (140, 130, 125), "cloud": (235, 235, 235),
}  # fmt: skip

# Words that begin like one of those above and mean something else.
_OTHER_WORDS = ("season", "corner")


@dataclass(frozen=True)
class LandCoverClass:
    """One class of a map.

    Attributes:
        id: the number in the map.
        name: for people.
        color: red, green and blue, 0 to 255 each.
    """

    id: int
    name: str
    color: tuple[int, int, int]


def normalized(text: str) -> str:
    """A name as it looks: without invisible characters, with plain blanks only, and none at its ends.

    Letters with accents are one character (NFC), however they were typed. Joiners inside a name stay, as some scripts
    need them.
    """
    shown = [
        " " if character.isspace() or unicodedata.category(character) == "Cc" else character
        for character in unicodedata.normalize("NFC", text)
        if character in _JOINERS or unicodedata.category(character) != "Cf"
    ]
    return "".join(shown).strip(f" {_JOINERS}")


def find_name(name: str, names: Mapping[int, str]) -> int | None:
    """The class id of a name: the one spelled the same, else the only one that differs in case alone."""
    wanted, known = normalized(name), {class_id: normalized(own) for class_id, own in names.items()}
    found = [class_id for class_id, own in known.items() if own == wanted]
    found = found or [class_id for class_id, own in known.items() if own.lower() == wanted.lower()]
    return found[0] if len(found) == 1 else None


def check_class_ids(class_ids: Iterable[float]) -> None:
    """Refuse numbers that a map cannot hold.

    Raises:
        LabelError: there is one.
    """
    for class_id in class_ids:
        if not 0 <= class_id <= MAX_CLASS_ID:
            raise LabelError(
                f"a map cannot hold class {class_id:.0f}; number classes from 0 to {MAX_CLASS_ID}, or, where "
                f"{class_id:.0f} means unlabelled, empty the field or declare it as the label raster's nodata value "
                f"({edit_info('LABELS.tif', 'nodata', f'{class_id:.0f}')})"
            )


def read_class_table(src_path: str | PathLike[str]) -> tuple[LandCoverClass, ...]:
    """Classes from a table with the columns id, name and, if wanted, color ("#rrggbb"), in the order of their numbers.

    Args:
        src_path: a CSV file in UTF-8, separated by commas or semicolons.

    Raises:
        LabelError: it cannot be read, or a row makes no sense.
    """
    try:
        text = Path(src_path).read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise LabelError(f"the class table {describe_missing(src_path)}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise LabelError(f"the class table {src_path} cannot be read ({error}); give a CSV file in UTF-8") from error
    lines = text.splitlines()
    reader = csv.DictReader(lines, delimiter=";" if ";" in (lines or [""])[0] else ",", skipinitialspace=True)
    columns = [(name or "").strip().lower() for name in reader.fieldnames or []]
    if not {"id", "name"} <= set(columns):
        raise LabelError(f"the class table {src_path} has no columns id and name but {', '.join(columns) or 'nothing'}")
    reader.fieldnames = columns
    names: dict[int, str] = {}
    colors: dict[int, tuple[int, int, int]] = {}
    for row in reader:
        where = f"the class table {src_path}, line {reader.line_num}"
        class_id, name, color = _parse_row(row, where)
        if class_id in names or name.casefold() in (other.casefold() for other in names.values()):
            raise LabelError(f"{where}: class {class_id} {name!r} occurs twice; give each number and name once")
        names[class_id] = name
        if color is not None:
            colors[class_id] = color
    if not names:
        raise LabelError(f"the class table {src_path} holds no classes; write one per line")
    return tuple(replace(c, color=colors.get(c.id, c.color)) for c in make_classes(names))


def _parse_row(row: Mapping[str, str | None], where: str) -> tuple[int, str, tuple[int, int, int] | None]:
    number, name, color = (normalized(row.get(key) or "") for key in ("id", "name", "color"))
    if not number.isdecimal() or not name:
        raise LabelError(f"{where}: id is {number!r} and name {name!r}; give a whole number and a name")
    if int(number) > MAX_CLASS_ID:
        raise LabelError(f"{where}: id is {number}; number classes from 0 to {MAX_CLASS_ID}")
    if color and not re.fullmatch(r"#[0-9a-fA-F]{6}", color):
        raise LabelError(f"{where}: color is {color!r}; write it as #rrggbb, or leave it empty")
    parts = [int(color[start : start + 2], 16) for start in (1, 3, 5)] if color else None
    return int(number), name, None if parts is None else (parts[0], parts[1], parts[2])


def make_classes(names: dict[int, str]) -> tuple[LandCoverClass, ...]:
    """Classes in the order of their numbers, each with a colour of its own while the colours last (about 60).

    Args:
        names: name by class number.

    Raises:
        LabelError: a number that a map cannot hold.
    """
    check_class_ids(names)
    classes: list[LandCoverClass] = []
    for class_id in sorted(names):
        color = _pick_color(names[class_id], taken=[c.color for c in classes])
        classes.append(LandCoverClass(class_id, names[class_id], color))
    return tuple(classes)


def _pick_color(name: str, *, taken: Sequence[tuple[int, int, int]]) -> tuple[int, int, int]:
    words = re.sub("(?<=[a-z])(?=[A-Z])", " ", name).lower()
    fitting = [color for word, color in _COLORS_BY_WORD.items() if _holds_word(words, word)]
    if fitting and fitting[0] not in taken:
        return fitting[0]
    return max(_PALETTE, key=lambda color: min((_distance(color, other) for other in taken), default=0))


def _holds_word(words: str, word: str) -> bool:
    """Whether a name has a word that begins with another one ("forested", "waters"); a long one, anywhere."""
    if len(word) >= 5 and word in words:
        return True
    return any(found.startswith(word) and not found.startswith(_OTHER_WORDS) for found in re.split(r"[\W\d_]+", words))


def _distance(color: tuple[int, int, int], other: tuple[int, int, int]) -> float:
    return sum((a - b) ** 2 for a, b in zip(color, other, strict=True))


def _make_palette() -> list[tuple[int, int, int]]:
    palette = []
    for lightness, saturation in ((0.5, 0.65), (0.75, 0.6), (0.33, 0.5)):
        for step in range(20):
            red, green, blue = colorsys.hls_to_rgb(step * 0.05, lightness, saturation)
            palette.append((round(255 * red), round(255 * green), round(255 * blue)))
    return palette


_PALETTE = _make_palette()


def map_encoding(class_ids: Sequence[int]) -> tuple[str, int]:
    """Data type and nodata value of a class map.

    The nodata value is 0; where 0 is a class it is 255, or 65535 if that is taken too.

    Raises:
        LabelError: all three are classes.
    """
    nodata = next((value for value in (0, 255, MAX_CLASS_ID) if value not in class_ids), None)
    if nodata is None:
        raise LabelError(f"classes 0, 255 and {MAX_CLASS_ID} leave no nodata value for the map; renumber one of them")
    return ("uint8" if max(*class_ids, nodata) <= 255 else "uint16"), nodata
