"""The classes that two maps have in common."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import cached_property

from s2fin_cli.core.classes import MAX_CLASS_ID
from s2fin_cli.core.errors import LabelError, edit_info, shortened
from s2fin_cli.labels.common_numbers import matched_names

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class MapClasses:
    """The classes of a map.

    Attributes:
        path: the map.
        declared: names by number, as the map has them.
        present: numbers that occur.
    """

    path: str
    declared: dict[int, str]
    present: set[int]

    @cached_property
    def names(self) -> dict[int, str]:
        """Names of all classes by number: the number itself for a class without a name."""
        return {
            number: self.declared.get(number, str(number)) for number in sorted(self.declared.keys() | self.present)
        }


@dataclass(frozen=True)
class CommonClasses:
    """The classes of two maps under one numbering: that of the map before.

    Attributes:
        names: names by number, of both maps.
        after_ids: the number by that of the map after.
    """

    names: dict[int, str]
    after_ids: dict[int, int]


def common_classes(before: MapClasses, after: MapClasses) -> CommonClasses:
    """The classes of two maps: matched by name where both maps have names, else by number.

    Names are matched as in `find_name`. A class of the map after that the map before does not have keeps its number
    where that is free, and else gets the next one after the highest.

    Raises:
        LabelError: both maps have names, and none in common.
    """
    for side in (before, after):
        _warn_of_unnamed(side)
    if not before.declared or not after.declared:
        _warn_of_no_names(before, after)
        names = {**before.names, **after.names} if not before.declared else {**after.names, **before.names}
        return CommonClasses(dict(sorted(names.items())), {number: number for number in after.names})
    matched = matched_names(after.names.values(), before.names, after.path)
    if not matched:
        raise LabelError(
            f"{before.path} ({shortened(list(before.names.values()))}) and {after.path} "
            f"({shortened(list(after.names.values()))}) have no class name in common; give both maps the same names"
        )
    _warn_of_missing(before, after, matched)
    names, after_ids = dict(before.names), {}
    for number, name in after.names.items():
        if name in matched:
            after_ids[number] = matched[name]
    for number, name in after.names.items():
        if name not in matched:
            after_ids[number] = number if number not in names else _free(names)
            names[after_ids[number]] = name
    return CommonClasses(dict(sorted(names.items())), after_ids)


def _free(names: dict[int, str]) -> int:
    """The next number after the highest, or the first one that is free."""
    highest = max(names) + 1
    return highest if highest <= MAX_CLASS_ID else next(n for n in range(1, MAX_CLASS_ID) if n not in names)


def _warn_of_no_names(before: MapClasses, after: MapClasses) -> None:
    """Warn of a map without names beside one with names: nothing but the numbers says that classes are the same."""
    for side, other in ((before, after), (after, before)):
        if not side.declared and other.declared:
            logger.warning(
                "%s names none of its classes, so its numbers are taken for those of %s", side.path, other.path
            )


def _warn_of_unnamed(side: MapClasses) -> None:
    """Warn of values without a name in a map with names."""
    unnamed = sorted(side.present - side.declared.keys())
    if side.declared and unnamed:
        logger.warning(
            "%s has no name for %s, which counts as a class by its number; if it means no data, declare it with: %s",
            side.path, shortened(unnamed), edit_info(side.path, "nodata", unnamed[0]),
        )  # fmt: skip


def _warn_of_missing(before: MapClasses, after: MapClasses, matched: dict[str, int]) -> None:
    """Warn of classes that occur in one map and that the other one does not know: nothing of them can be unchanged."""
    only_after = [after.names[number] for number in sorted(after.present) if after.names[number] not in matched]
    known = set(matched.values())
    only_before = [before.names[number] for number in sorted(before.present) if number not in known]
    for side, other, names in ((before, after, only_before), (after, before, only_after)):
        if names:
            logger.warning(
                "%s has classes that %s does not know, so all of their pixels count as changed: %s",
                side.path, other.path, shortened(names),
            )  # fmt: skip
