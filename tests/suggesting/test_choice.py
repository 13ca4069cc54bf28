"""The choice of places among candidates."""

from __future__ import annotations

import numpy as np
import pytest

from s2fin_cli.suggesting.choice import Spacing, choose_places
from s2fin_cli.suggesting.proximity import nearest_proximity, proximities


def apart(count: int, distance: float = 1.0) -> Spacing:
    return Spacing(np.zeros(count, np.int64), np.arange(count), distance)


def in_groups(sizes: list[int]) -> np.ndarray:
    groups = np.repeat(np.arange(len(sizes)), sizes)
    return np.asarray(groups[:, None] == groups, dtype=np.float32)


def test_the_largest_groups_come_first_and_what_is_labelled_never() -> None:
    likeness = in_groups([5, 2, 3, 4])
    told = np.zeros(14, np.float32)
    told[:5] = 1  # the largest group has a label
    chosen = choose_places(likeness, np.ones(14, np.float32), told, number=3, spacing=apart(14))
    assert [np.searchsorted([5, 7, 10], place, side="right") for place in chosen] == [3, 2, 1]


def test_uncertain_pixels_count_more() -> None:
    weights = np.array([0.1] * 5 + [1] * 2, np.float32)
    chosen = choose_places(in_groups([5, 2]), weights, np.zeros(7, np.float32), number=2, spacing=apart(7))
    assert [place < 5 for place in chosen] == [False, True]


def test_places_are_apart_and_fewer_where_there_is_no_room() -> None:
    likeness = np.eye(20, dtype=np.float32)
    chosen = choose_places(
        likeness,
        np.ones(20, np.float32),
        np.zeros(20, np.float32),
        number=20,
        spacing=apart(20, distance=6.0),
    )
    assert np.diff(np.sort(chosen)).min() >= 6
    assert len(chosen) == 4


@pytest.mark.parametrize("seed", range(5))
def test_looking_again_only_where_needed_finds_what_looking_everywhere_finds(seed: int) -> None:
    generator = np.random.default_rng(seed)
    likeness, weights = generator.random((60, 40), np.float32), generator.random(40, np.float32)
    told = generator.random(40, np.float32) / np.float32(2)
    chosen = choose_places(likeness, weights, told, number=12, spacing=apart(60))
    best, expected = told.copy(), list[int]()
    for _ in range(12):
        gains = np.maximum(likeness - best, 0) @ weights
        gains[expected] = -1
        expected.append(int(gains.argmax()))
        best = np.maximum(best, likeness[expected[-1]])
    assert chosen == expected


def test_proximity_is_the_share_of_common_leaves() -> None:
    leaves = np.array([[1, 2, 3, 4], [1, 2, 9, 9], [5, 5, 5, 5]], np.int32)
    assert proximities(leaves, leaves[:2]).tolist() == [[1, 0.5], [0.5, 1], [0, 0]]
    assert nearest_proximity(leaves, leaves[:1]).tolist() == [1, 0.5, 0]
    assert nearest_proximity(leaves, leaves[:0]).tolist() == [0, 0, 0]
    many = np.random.default_rng(0).integers(0, 3, (700, 5), np.int32)
    expected = (many[:, None] == many).mean(axis=2)
    assert np.allclose(proximities(many, many), expected)
    assert np.allclose(nearest_proximity(many, many[::50]), expected[:, ::50].max(axis=1))
