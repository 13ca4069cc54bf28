"""One numbering of the classes of several label files."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from s2fin_cli.core.classes import find_name
from s2fin_cli.core.errors import LabelError, shortened

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from s2fin_cli.labels.sources import FileLabels

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Numbering:
    """The classes of several files.

    Attributes:
        names: names by number.
        renumbered: for each file, the number by the file's own, where it is another one.
    """

    names: dict[int, str]
    renumbered: tuple[dict[int, int], ...]


def number_together(files: Sequence[FileLabels]) -> Numbering:
    """Number the classes of files without a class table.

    The same name is the same class, as in `find_name`: the case of letters counts only where names of earlier files
    differ in nothing else. Files that all hold names are numbered from 1 in alphabetical order. Otherwise numbers that
    a file gives its classes stay, those of the first file where files give a name different numbers, and names without
    a number get those after the highest. A number without a name is the class of this number in the other files.

    Raises:
        LabelError: the numbers of the files contradict each other, or a name cannot be matched with classes that are
            numbered and not named.
    """
    known = _Known()
    given = {place: known.add_numbered(file) for place, file in enumerate(files) if file.ids_are_given}
    known.add_named([file for file in files if not file.ids_are_given], rasters=[f for f in files if f.field is None])
    renumbered = [given[place] if place in given else known.numbers_of(file) for place, file in enumerate(files)]
    return Numbering(known.names, tuple(renumbered))


class _Known:
    """The classes that are known so far.

    Attributes:
        names: names by number; the number itself for a class without a name.
    """

    def __init__(self) -> None:
        self.names: dict[int, str] = {}
        self._origins: dict[int, str | Path] = {}

    def add_numbered(self, file: FileLabels) -> dict[int, int]:
        """Add the classes of a file that numbers them.

        Returns:
            the numbers of those that an earlier file numbers in another way, by the file's own.

        Raises:
            LabelError: a number has different names.
        """
        named = {number: name for number, name in self.names.items() if name != str(number)}
        own_names = {number: name for number, name in file.names.items() if name != str(number)}
        matched = matched_names(own_names.values(), named, file.src_path)
        pairs = {number: matched[name] for number, name in own_names.items() if name in matched}
        renumbered = {own: number for own, number in pairs.items() if own != number}
        taken = named.keys() | set(renumbered.values())
        for number, name in file.names.items():
            is_other = number in named and number in own_names and number not in pairs
            if is_other or (number in renumbered.values() and number not in renumbered):
                raise self._contradiction(number, name, file)
            if number not in renumbered and number not in taken:
                self.names[number], self._origins[number] = name, file.src_path
        if renumbered:
            logger.warning(
                "%s: classes that an earlier label file numbers in another way get its numbers: %s", file.src_path,
                shortened([f"{file.names[own]} ({own}, now {number})" for own, number in renumbered.items()]),
            )  # fmt: skip
        return renumbered

    def add_named(self, files: Sequence[FileLabels], *, rasters: Sequence[FileLabels]) -> None:
        """Add the classes of files that name them and do not number them.

        Raises:
            LabelError: a name is new, and there are classes that are numbered and not named.
        """
        new: list[str] = []
        for file in files:
            known = self.names | {-place: name for place, name in enumerate(new, start=1)}
            matched = matched_names(file.names.values(), known, file.src_path)
            unknown = [name for name in file.names.values() if name not in matched]
            if unknown:
                self._check_named(unknown[0], file, rasters)
            new += unknown
        for name in sorted(new, key=lambda name: (name.casefold(), name)):
            self.names[max(self.names, default=0) + 1] = name

    def _check_named(self, name: str, file: FileLabels, rasters: Sequence[FileLabels]) -> None:
        """Refuse a new name where there may be classes without a name."""
        unnamed = [number for number, own in self.names.items() if own == str(number)]
        if unnamed or rasters:
            other = self._origins[unnamed[0]] if unnamed else rasters[0].src_path
            which = f" ({shortened(unnamed)})" if unnamed else ""
            raise LabelError(
                f"{file.src_path} names a class {name!r}, and {other} numbers classes without such a name{which}; "
                "give the numbers and names of all classes in a class table (`classes`)"
            )

    def numbers_of(self, file: FileLabels) -> dict[int, int]:
        """The numbers of a file's classes by its own, where they differ."""
        numbers = {own: find_name(name, self.names) for own, name in file.names.items()}
        return {own: number for own, number in numbers.items() if number is not None and own != number}

    def _contradiction(self, number: int, name: str, file: FileLabels) -> LabelError:
        return LabelError(
            f"class {number} is {self.names[number]!r} in {self._origins[number]} and {name!r} in {file.src_path}; "
            "correct the numbers, or, if every file has a field of names, name it with `label_field`"
        )


def matched_names(own: Iterable[str], names: Mapping[int, str], src_path: str | Path) -> dict[str, int]:
    """The numbers of names of a file that earlier files have, with a remark where they are spelled in another way.

    Two names of the file are never the same class.

    Args:
        own: the file's names.
        names: names by number of the earlier files.
        src_path: the file.
    """
    found = {name: number for name in own if (number := find_name(name, names)) is not None}
    times = Counter(found.values())
    matched = {name: number for name, number in found.items() if names[number] == name or times[number] == 1}
    for name, number in matched.items():
        if names[number] != name:
            logger.info("%r in %s is taken for the class %r", name, src_path, names[number])
    return matched
