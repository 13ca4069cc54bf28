"""Numbers, names and colours of transitions."""

from __future__ import annotations

import json
from typing import Any

import pytest

from s2fin_cli.core.errors import RasterError
from s2fin_cli.core.transitions import Transitions

NAMES = {1: "forest", 2: "bare soil", 7: "water"}


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ({0: "a", 9: "b"}, {(0, 0): 0, (0, 9): 9, (9, 0): 90, (9, 9): 99}),
        ({1: "a", 10: "b"}, {(1, 1): 101, (1, 10): 110, (10, 1): 1001, (10, 10): 1010}),
        ({1: "a", 100: "b"}, {(1, 1): 1, (1, 100): 2, (100, 1): 3, (100, 100): 4}),
    ],
)
def test_numbers(names: dict[int, str], expected: dict[tuple[int, int], int]) -> None:
    transitions = Transitions.of(names, reversed(list(expected)))
    assert transitions.values == expected
    assert list(transitions.pairs) == sorted(expected.values())


def test_numbers_of_transitions_that_come_later() -> None:
    """A transition that only a reference has leaves the others as they are."""
    names = {1: "a", 100: "b"}
    first = Transitions.of(names, [(100, 100), (100, 1)])
    assert first.values == {(100, 1): 1, (100, 100): 2}
    assert first.with_pairs([(1, 1), (100, 1)]).values == {(100, 1): 1, (100, 100): 2, (1, 1): 3}


def test_more_transitions_than_a_map_can_hold() -> None:
    names = {number: str(number) for number in range(257)}
    with pytest.raises(RasterError, match="the maps have 66049 transitions, and a change map holds at most 65534"):
        Transitions.of(names, [(before, after) for before in names for after in names])


@pytest.mark.parametrize(
    ("text", "pair"),
    [
        ("forest -> water", (1, 7)), ("Forest->WATER", (1, 7)), ("bare soil \u2192 forest", (2, 1)),
        ("forest (unchanged)", (1, 1)), ("forest -> forest", (1, 1)), ("forest", None), ("forest -> swamp", None),
        ("swamp (unchanged)", None),
    ],
)  # fmt: skip
def test_texts_that_name_transitions(text: str, pair: tuple[int, int] | None) -> None:
    assert Transitions.of(NAMES, []).find(text) == pair


def test_no_name_is_taken_for_another_one() -> None:
    """Where a class's name looks like a transition, a text may name several, and then it names none."""
    names = {1: "a", 2: "b", 3: "a -> b", 4: "b (unchanged)"}
    transitions = Transitions.of(names, [(before, after) for before in names for after in names])
    found = {pair: transitions.find(transitions.name_of(pair)) for pair in transitions.values}
    assert {pair for pair, again in found.items() if again not in (pair, None)} == set()
    assert {pair for pair, again in found.items() if again is None} == {(1, 4), (3, 3)}


def test_what_a_tag_holds() -> None:
    transitions = Transitions.of(NAMES, [(1, 7), (2, 2)])
    assert Transitions.from_dict(json.loads(json.dumps(transitions.to_dict()))) == transitions
    broken_ones: list[dict[str, Any]] = [
        {}, {"classes": {}, "transitions": {}}, {"classes": {"1": "a"}, "transitions": {"12": [1, 2]}},
    ]  # fmt: skip
    for broken in broken_ones:
        with pytest.raises((KeyError, ValueError)):
            Transitions.from_dict(broken)


def test_colours() -> None:
    colors = {1: (0, 100, 0), 2: (200, 100, 0), 7: (0, 0, 255)}
    unchanged, change = Transitions.of(NAMES, [(1, 1), (1, 7)]).classes(colors)
    assert unchanged.color == (191, 216, 191)  # a quarter of the class's colour
    assert change.color == (0, 25, 191)  # mostly that of the class after
