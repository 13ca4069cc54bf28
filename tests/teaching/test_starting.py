"""How far a model to start from is trusted, with answers that are known."""

from __future__ import annotations

import numpy as np
import pytest

from s2fin_cli.teaching.classifiers import GivenAnswers
from s2fin_cli.teaching.features import START
from s2fin_cli.teaching.members import STARTING, choose_members
from s2fin_cli.teaching.recipe import EnsembleRecipe
from s2fin_cli.teaching.starting import share_of_start
from tests.teaching.lessons import TWO_CLASSES, Ints, answers, learn, make_features

RECIPE = EnsembleRecipe()


def share(start_right: float, own_right: float, *, count: int = 40, held_out: int | None = None) -> float:
    """The share of a model with a share of right answers, beside an ensemble with another one."""
    targets = np.tile(np.arange(2), count // 2)

    def probs(right: float) -> np.ndarray:
        wrong = np.arange(count) // 2 >= right * count / 2
        return answers(targets, np.where(wrong, 0.1, 0.9))

    known = np.arange(count) < (count if held_out is None else held_out)
    return share_of_start(probs(start_right), probs(own_right)[known], targets, known=known, recipe=RECIPE)


def test_it_counts_half_as_much_as_the_ensemble_with_ten_labels_of_a_class() -> None:
    assert share(0.5, 0.5, count=20) == pytest.approx(1 / 3)
    assert share(1.0, 1.0, count=2) == pytest.approx(10 / 21)


def test_where_no_label_can_be_held_out_it_is_measured_against_an_assumed_error() -> None:
    assert share(0.6, 1.0, count=20, held_out=0) == pytest.approx(1 / 3)
    assert share(0.1, 0.0, count=20, held_out=0) < 0.1
    assert share(1.0, 0.0, count=20, held_out=0) > 0.9


def test_it_counts_more_the_better_it_is_and_less_the_more_labels_there_are() -> None:
    shares = [share(right, 0.75) for right in (0.0, 0.25, 0.5, 0.75, 1.0)]
    assert shares == sorted(shares)
    assert share(0.5, 0.5, count=4) > share(0.5, 0.5, count=40) > share(0.5, 0.5, count=400)
    assert share(0.0, 1.0) < 0.01
    assert share(1.0, 0.0) > 0.99


def test_it_is_a_member_where_there_is_one() -> None:
    features = make_features(TWO_CLASSES)
    assert STARTING not in choose_members(features, dense=False)
    features[START] = answers(TWO_CLASSES, np.full(40, 0.9)).astype(np.float32)
    for dense in (False, True):
        assert choose_members(features, dense=dense)[-1] is STARTING


def with_start(targets: Ints, right: float) -> tuple[float, np.ndarray]:
    """The weight of a model that gives the right class a probability, beside an ensemble that guesses; the answers."""
    features = make_features(targets, apart=0.0) | {START: answers(targets, np.full(40, right)).astype(np.float32)}
    trust, answered = learn(targets, features, members=choose_members(features, dense=False))
    assert trust.weights.sum() == pytest.approx(1)
    assert answered.members[-1].name == STARTING.name
    assert answered.members[-1].weight == trust.weights[-1]
    return float(trust.weights[-1]), np.asarray(answered.probs)


def test_a_model_that_is_right_is_followed_and_one_that_is_wrong_is_not() -> None:
    good, probs = with_start(TWO_CLASSES, 0.9)
    bad, _ = with_start(TWO_CLASSES, 0.1)
    assert bad < good
    assert np.array_equal(probs.argmax(axis=1), TWO_CLASSES)


def test_given_answers_are_those_of_the_classes_that_are_asked_for() -> None:
    given = GivenAnswers()
    given.fit(np.zeros((2, 3), np.float32), np.array([2, 0]))
    probs = given.predict_proba(np.array([[0.2, 0.5, 0.3], [0.0, 1.0, 0.0]], np.float32))
    assert probs == pytest.approx(np.array([[0.4, 0.6], [0.5, 0.5]]), abs=1e-3)
