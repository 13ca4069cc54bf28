"""Transitions between the classes of two maps: their numbers, names and colours in a change map."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

from s2fin_cli.core.classes import MAX_CLASS_ID, LandCoverClass, find_name
from s2fin_cli.core.errors import RasterError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: Tag of a change map that holds its classes and transitions.
TRANSITIONS_TAG = "S2FIN_TRANSITIONS"
#: How an unchanged class is named.
UNCHANGED = " (unchanged)"
#: Powers of ten that are tried as factors of the class before.
FACTORS = (10, 100)
#: Shares of a transition's colour: of white where nothing changed, of the class before where something did.
_WHITE, _BEFORE = 0.75, 0.25
_ARROWS = re.compile(r"\s*(?:->|\u2192)\s*")

#: Numbers of the classes before and after.
Pair = tuple[int, int]
Color = tuple[int, int, int]


@dataclass(frozen=True)
class Transitions:
    """The classes of two maps, and the transitions between them.

    Attributes:
        names: names of the classes by number.
        values: the number of each transition in a change map, by the classes before and after.
    """

    names: dict[int, str]
    values: dict[Pair, int]

    @classmethod
    def of(cls, names: Mapping[int, str], pairs: Iterable[Pair]) -> Self:
        """Number the transitions that occur.

        The number is that of the class before, times 10, plus that of the class after; times 100 where a class has a
        number above 9. Where one has a number above 99, the transitions are numbered from 1 in their order.

        Args:
            names: names by number of all classes of both maps, also of those that do not occur.
            pairs: the transitions that occur, unchanged classes among them.

        Raises:
            RasterError: there are more transitions than a map can hold.
        """
        return cls(dict(names), {}).with_pairs(pairs)

    def with_pairs(self, pairs: Iterable[Pair]) -> Self:
        """The same transitions, and others that have no number yet; errors are those of `of`."""
        new = sorted(set(pairs) - self.values.keys())
        factor = next((f for f in FACTORS if max(self.names) < f), None)
        first = max(self.values.values(), default=0) + 1
        numbered = {
            (before, after): first + place if factor is None else factor * before + after
            for place, (before, after) in enumerate(new)
        }
        values = self.values | numbered
        if max(values.values(), default=0) >= MAX_CLASS_ID:
            raise RasterError(
                f"the maps have {len(values)} transitions, and a change map holds at most {MAX_CLASS_ID - 1}; "
                "join classes of the maps first"
            )
        return replace(self, values=values)

    @cached_property
    def pairs(self) -> dict[int, Pair]:
        """The classes before and after, by the number of the transition, in the order of the numbers."""
        return {value: pair for pair, value in sorted(self.values.items(), key=lambda item: item[1])}

    def name_of(self, pair: Pair) -> str:
        """The name of a transition: "forest -> water", or "forest (unchanged)"."""
        before, after = pair
        return f"{self.names[before]}{UNCHANGED}" if before == after else f"{self.names[before]} -> {self.names[after]}"

    def find(self, text: str) -> Pair | None:
        """The transition that a text names as `name_of` does, or as "forest -> forest".

        Case counts only where names of classes differ in nothing else. None where the text names no transition, or
        several, because the name of a class looks like one.
        """
        readings = [(text[: arrow.start()], text[arrow.end() :]) for arrow in _ARROWS.finditer(text)]
        if text.endswith(UNCHANGED):
            readings.append((text.removesuffix(UNCHANGED),) * 2)
        numbers = [(find_name(before, self.names), find_name(after, self.names)) for before, after in readings]
        found = {(before, after) for before, after in numbers if before is not None and after is not None}
        return found.pop() if len(found) == 1 else None

    def classes(self, colors: Mapping[int, Color]) -> tuple[LandCoverClass, ...]:
        """The transitions as the classes of a change map.

        Args:
            colors: colours by class. An unchanged class is shown in a pale tint of its colour, and a change mostly in
                the colour of the class after.
        """
        return tuple(
            LandCoverClass(value, self.name_of(pair), _transition_color(colors, pair))
            for value, pair in self.pairs.items()
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {"classes": self.names, "transitions": {value: list(pair) for value, pair in self.pairs.items()}}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Build from what `to_dict` and JSON gave.

        Raises:
            KeyError, TypeError, ValueError, AttributeError: something is missing or of another kind.
        """
        names = {int(number): str(name) for number, name in values["classes"].items()}
        pairs = {int(value): (int(before), int(after)) for value, (before, after) in values["transitions"].items()}
        if not names or not {number for pair in pairs.values() for number in pair} <= names.keys():
            raise ValueError("transitions of classes without names")
        return cls(names, {pair: value for value, pair in pairs.items()})


def _transition_color(colors: Mapping[int, Color], pair: Pair) -> Color:
    before, after = pair
    if before == after:
        return _mixed(colors[before], (255, 255, 255), _WHITE)
    return _mixed(colors[after], colors[before], _BEFORE)


def _mixed(color: Color, other: Color, share: float) -> Color:
    red, green, blue = (round((1 - share) * a + share * b) for a, b in zip(color, other, strict=True))
    return red, green, blue
