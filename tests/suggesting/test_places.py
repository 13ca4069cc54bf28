"""Places with their reasons, from what judges say."""

from __future__ import annotations

import numpy as np

from s2fin_cli.suggesting.choice import Spacing
from s2fin_cli.suggesting.judges import Judgement
from s2fin_cli.suggesting.places import choose_positions, describe_places, margins

NAMES = ("forest", "shrub", "water")


def make_judgement() -> tuple[Judgement, Spacing]:
    """200 sure pixels of forest and shrub, then one for each of the other reasons."""
    sure = np.tile([[0.9, 0.05, 0.05], [0.05, 0.9, 0.05]], (100, 1))
    members = np.stack([np.concatenate([sure, last]) for last in (
        [[0.9, 0.05, 0.05], [0.45, 0.5, 0.05], [0.0, 0.4, 0.6], [0.1, 0.1, 0.8]],
        [[0.9, 0.05, 0.05], [0.45, 0.5, 0.05], [0.5, 0.1, 0.4], [0.1, 0.1, 0.8]],
        [[0.9, 0.05, 0.05], [0.45, 0.5, 0.05], [0.5, 0.0, 0.5], [0.0, 0.0, 1.0]],
        [[0.9, 0.05, 0.05], [0.45, 0.5, 0.05], [0.0, 0.0, 1.0], [0.0, 0.0, 1.0]],
    )]).astype(np.float32)  # fmt: skip
    leaves = np.zeros((204, 4), np.int32)
    leaves[200:] = np.arange(1, 5)[:, None]
    unlike = np.zeros(204, dtype=bool)
    unlike[200] = True
    judgement = Judgement(members.mean(axis=0), members, leaves, leaves[:1], unlike)
    return judgement, Spacing(np.zeros(204, np.int64), np.arange(204), 1.0)


def test_each_place_says_why_it_was_chosen() -> None:
    judgement, spacing = make_judgement()
    places = describe_places(judgement, [200, 201, 202, 203, 0], spacing, NAMES)
    assert [place.why for place in places] == [
        "unlike anything labelled", "between forest and shrub", "members disagree", "rare",
        "stands for many similar pixels",
    ]  # fmt: skip
    assert [place.col for place in places] == [200, 201, 202, 203, 0]
    assert places[1].classes == (1, 0)
    assert np.allclose(places[1].probs, (0.5, 0.45))


def test_what_is_unlike_labels_or_unsure_comes_before_what_is_known() -> None:
    judgement, spacing = make_judgement()
    chosen = choose_positions(judgement, spacing, number=4)
    assert set(chosen) == {200, 201, 202, 203}
    assert chosen[0] == 200  # it counts in full, although the judges are sure


def test_a_margin_is_one_where_two_classes_are_equally_likely() -> None:
    assert np.allclose(margins(np.array([[0.5, 0.5, 0], [1, 0, 0], [0.2, 0.3, 0.5]], np.float32)), [1, 0, 0.8])
