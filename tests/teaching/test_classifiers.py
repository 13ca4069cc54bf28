from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.svm import SVC

from s2fin_cli.teaching.classifiers import PENALTY, Classifier, SupportVectors, Task, boosting, extra_trees
from s2fin_cli.teaching.recipe import EnsembleRecipe
from tests.recipes import SMALL_ENSEMBLE
from tests.teaching.lessons import TWO_CLASSES, ByHeart, far_apart, in_units, learn, make_features, member_of

# ---- support vectors -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("num_classes", [2, 3])
def test_support_vectors_give_probabilities_that_agree_with_their_classes(num_classes: int) -> None:
    targets = np.tile(np.arange(num_classes), 10)
    values = make_features(targets, apart=2.0)["bands"]
    machine = SupportVectors((2,), (1.0, 0.0))
    machine.fit(values, targets)
    probs = machine.predict_proba(values)
    assert probs.shape == (len(targets), num_classes)
    assert probs.sum(axis=1) == pytest.approx(np.ones(len(targets)))
    scaled = (values - values.mean(axis=0)) / np.sqrt(2 * values.var(axis=0).mean())
    expected = SVC(C=PENALTY, gamma=1.0).fit(scaled, targets).predict(scaled)
    assert np.array_equal(probs.argmax(axis=1), expected)


def test_each_part_of_the_values_has_its_share_whatever_its_unit() -> None:
    generator = np.random.default_rng(0)
    values = generator.normal(5, [1, 3, 1000, 0.001, 7], size=(50, 5)).astype(np.float32)
    values[:, 4] = 7  # a part without information
    machine = SupportVectors((2, 1, 1, 1), (0.5, 3.0))
    machine.fit(values, np.arange(50) % 2)
    squares = (machine.scaled(values) ** 2).mean(axis=0)
    assert [squares[:2].sum(), *squares[2:]] == pytest.approx([0.5, 1.0, 1.0, 0.0], rel=1e-3)
    assert squares[1] / squares[0] == pytest.approx(values[:, 1].var() / values[:, 0].var(), rel=1e-3)


def test_the_log_odds_of_two_classes_are_the_decision_value_doubled() -> None:
    """As if each class had a decision value of its own, half of it and opposite: `softmax` doubles them."""
    targets = np.tile(np.arange(2), 10)
    values = make_features(targets, apart=2.0)["bands"]
    machine = SupportVectors((2,), (1.0, 0.0))
    machine.fit(values, targets)
    odds = np.diff(np.log(machine.predict_proba(values)), axis=1)[:, 0]
    assert odds == pytest.approx(2 * machine.model.decision_function(machine.scaled(values)))


# ---- what classifiers are made for -----------------------------------------------------------------------------------


def test_classifiers_know_what_they_are_made_for() -> None:
    made: list[tuple[Task, int]] = []

    def make(task: Task, seed: int) -> Classifier:
        made.append((task, seed))
        return ByHeart()

    member = member_of(make, "unit", "position")
    for units in (np.arange(40), np.arange(40) // 2):
        made.clear()
        features = in_units(units) | {"position": far_apart(40)}
        learn(TWO_CLASSES, features, units=units, seed=5, members=(member,))
        validating = (Task(30, 2, (1, 2), True, SMALL_ENSEMBLE), 5)
        final = (Task(40, 2, (1, 2), False, SMALL_ENSEMBLE), 5)
        assert made == [validating] * 2 * EnsembleRecipe.folds + [final], "unit by unit, pixel by pixel"


def task(labels: int, classes: int, *, validating: bool = False) -> Task:
    return Task(labels, classes, (3,), validating, EnsembleRecipe())


def test_forests_get_smaller_where_they_would_hold_too_much() -> None:
    def trees(of: Task) -> int:
        count: int = extra_trees(of, 0).n_estimators  # type: ignore[attr-defined]
        return count

    assert (trees(task(500, 10)), trees(task(500, 10, validating=True))) == (200, 50)
    assert trees(task(50_000, 255)) == trees(task(50_000, 255, validating=True)) == EnsembleRecipe.fewest_trees
    labels, classes = 5000, 40
    assert EnsembleRecipe.fewest_trees < trees(task(labels, classes)) < 200
    assert trees(task(labels, classes)) * 2 * labels * classes <= EnsembleRecipe.forest_values
    counts = [trees(task(200 * classes, classes)) for classes in range(2, 256)]
    assert counts == sorted(counts, reverse=True)


def test_boosting_grows_fewer_and_bolder_trees_for_many_classes() -> None:
    def made(classes: int) -> Any:
        return boosting(task(1000, classes), 0)

    for classes, rounds, rate in ((2, 100, 0.1), (15, 100, 0.1), (60, 25, 0.2)):
        assert made(classes).max_iter == rounds
        assert made(classes).learning_rate == pytest.approx(rate)
    assert made(255).max_iter == EnsembleRecipe.fewest_rounds
    for classes in range(2, EnsembleRecipe.boosted_trees // EnsembleRecipe.fewest_rounds):
        assert made(classes).max_iter * classes <= EnsembleRecipe.boosted_trees


def test_the_seed_is_handed_on_to_forests_and_boosting() -> None:
    for make in (extra_trees, boosting):
        model: Any = make(task(10, 2), 123)
        assert model.random_state == 123
