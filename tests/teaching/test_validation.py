"""Weights, temperature and unbiased figures, with members whose answers are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from s2fin_cli.labels.distances import nearest_label
from s2fin_cli.teaching.calibration import TEACHER_TEMPERATURES, Calibration
from s2fin_cli.teaching.classifiers import Classifier, Task
from s2fin_cli.teaching.ensemble import ask_members
from s2fin_cli.teaching.features import SCALES, Features
from s2fin_cli.teaching.members import FORESTS, Member
from s2fin_cli.teaching.recipe import EnsembleRecipe
from s2fin_cli.teaching.teacher import Answers
from s2fin_cli.teaching.validation import Trust, cross_validate
from s2fin_cli.teaching.views import NEAR_SCALES
from tests.recipes import SMALL_ENSEMBLE
from tests.teaching.lessons import (
    TWO_CLASSES,
    ByHeart,
    Floats,
    Ints,
    Known,
    all_features,
    answers,
    far_apart,
    in_a_row,
    in_units,
    indexed,
    learn,
    make_features,
    make_lesson,
    member_of,
)


def knowing(targets: Ints, *rights: NDArray[np.float64]) -> tuple[Member, ...]:
    """Members that give the right class the probability (n,) that is given."""

    def member(right: NDArray[np.float64]) -> Member:
        return member_of(lambda _task, _seed: Known(answers(targets, right)), "index")

    return tuple(member(right) for right in rights)


def learn_known(targets: Ints, *rights: NDArray[np.float64]) -> tuple[Trust, Answers]:
    return learn(targets, indexed(len(targets)), members=knowing(targets, *rights))


def voted(prob: float) -> float:
    """What a member's probability of its likeliest class becomes with its vote."""
    return EnsembleRecipe.vote + (1 - EnsembleRecipe.vote) * prob


def test_timid_members_outvote_a_bold_one() -> None:
    timid = np.full(40, 0.55)
    bold = np.where(np.arange(40) < 4, 0.01, 0.99)
    trust, answered = learn_known(TWO_CLASSES, timid, timid, timid, bold)
    assert trust.weights @ [0.55, 0.55, 0.55, 0.01] < 0.5, "their mean is wrong"
    assert (answered.probs.argmax(axis=1) == TWO_CLASSES).all()


@pytest.mark.parametrize("pixels", [40, 400, 4000])
def test_the_weight_falls_with_the_error_and_the_faster_the_more_labels_there_are(pixels: int) -> None:
    targets = np.tile(np.arange(2), pixels // 2)
    sure, always_wrong = np.full(pixels, 0.9), np.full(pixels, 0.1)
    mistaken = (np.where(np.arange(pixels) < pixels * share, 0.1, 0.9) for share in (0.05, 0.1))
    weights = learn_known(targets, sure, *mistaken, always_wrong)[0].weights
    assert weights.sum() == pytest.approx(1)
    power = EnsembleRecipe.power * pixels / (pixels + EnsembleRecipe.labels_to_trust)
    worth = np.array([1, 1.5, 2, 11]) ** -power  # errors 0, 0.05, 0.1, 1
    counts = worth >= EnsembleRecipe.least_weight
    assert counts.sum() == {40: 4, 400: 2, 4000: 1}[pixels], "all kinds are seen"
    assert np.array_equal(weights > 0, counts)
    assert weights[counts] / weights[0] == pytest.approx(worth[counts], rel=1e-9)


def test_a_member_that_is_worth_little_is_not_fitted() -> None:
    """Each member is fitted for every fold, of units and of pixels, and those that count once more."""
    targets = np.tile(np.arange(2), 200)
    fits: list[tuple[int, bool]] = []

    def member(number: int, right: NDArray[np.float64]) -> Member:
        def make(task: Task, _seed: int) -> Classifier:
            class Counting(Known):
                def fit(self, values: Floats, targets: Ints) -> None:
                    fits.append((number, task.validating))

            return Counting(answers(targets, right))

        return member_of(make, "index")

    right = np.full(400, 0.9)
    members = (member(0, right), member(1, 1 - right), member(2, right))
    trust, answered = learn(targets, indexed(400), members=members)
    assert trust.weights.tolist() == [0.5, 0.0, 0.5]
    assert [fits.count((number, True)) for number in range(3)] == [2 * EnsembleRecipe.folds] * 3
    assert [fits.count((number, False)) for number in range(3)] == [1, 0, 1]
    assert np.array_equal(answered.probs, learn(targets, indexed(400), members=members[::2])[1].probs)


def test_accuracy_is_that_of_the_classes_and_not_of_the_pixels() -> None:
    targets = np.repeat([0, 1], [36, 4])
    knows_the_rare, knows_the_frequent = np.where(targets == 1, 0.9, 0.1), np.where(targets == 0, 0.9, 0.1)
    weights = learn_known(targets, knows_the_rare, knows_the_frequent)[0].weights
    assert weights == pytest.approx([0.5, 0.5])


@pytest.mark.parametrize(
    ("right", "wrong", "temperature"),
    [(0.7, 0.0, TEACHER_TEMPERATURES[0]), (0.95, 0.4, 1.0), (0.99, 0.5, 1.0)],
    ids=["timid and always right", "too bold", "as good as chance"],
)
def test_the_temperature_makes_the_probabilities_likely_within_its_bounds(
    right: float, wrong: float, temperature: float
) -> None:
    trust, answered = learn_known(TWO_CLASSES, np.where(np.arange(40) < 40 * wrong, 1 - right, right))
    assert trust.calibration.temperatures == pytest.approx([temperature] * 2)
    odds = np.log(answered.probs[-1, 1] / answered.probs[-1, 0])
    answer = voted(right)
    assert odds == pytest.approx(np.log(answer / (1 - answer)) / temperature, rel=1e-4), "exponents are divided by it"


def test_the_temperature_in_between() -> None:
    """Nine of ten answers of 0.6, with the vote 0.8, are right: the likeliest T makes of it 0.9."""
    right = np.where(np.arange(40) < 4, 0.4, 0.6)
    likeliest = np.log(0.8 / 0.2) / np.log(0.9 / 0.1)
    expected = min(TEACHER_TEMPERATURES, key=lambda t: abs(np.log(t / likeliest)))
    assert learn_known(TWO_CLASSES, right)[0].calibration.temperatures == (expected, expected)


def test_answers_are_more_confident_near_a_label() -> None:
    calibration = Calibration((2.0, 8.0), (0.25, 1.0))
    probs = np.tile([[0.4, 0.6]], (6, 1))
    odds = np.diff(np.log(calibration.apply(probs, np.array([0.0, 1.0, 2.0, 4.0, 8.0, 100.0]))), axis=1)[:, 0]
    assert odds == pytest.approx(np.log(1.5) / np.array([0.25, 0.25, 0.25, 0.5, 1.0, 1.0]))


def test_the_nearest_label_is_found() -> None:
    generator = np.random.default_rng(0)
    labels, asked = generator.uniform(0, 50, size=(30, 2)), generator.uniform(0, 50, size=(80, 2))
    expected = np.linalg.norm(asked[:, None] - labels, axis=2).min(axis=1)
    found = nearest_label(labels.astype(np.float32), asked.astype(np.float32))
    assert found == pytest.approx(expected, abs=1e-4)


BY_HEART = (member_of(lambda _task, _seed: ByHeart(), "unit"),)


def test_whole_units_held_out_determine_the_confidence_far_from_labels() -> None:
    """Ten units of eight pixels each: a single pixel's neighbours know its class, another unit's do not."""
    units = np.repeat(np.arange(10), 8)
    targets = np.random.default_rng(0).permutation(np.repeat(np.arange(2), 5))[units]
    features = in_units(units)
    features["position"][:, 1] += 32 * units  # 40 from one to the next, 33 between them
    trust, at_labels = learn(targets, features, units=units, members=BY_HEART)
    near, far = trust.calibration.distances
    assert near == 1, "without a buffer, where single pixels are held out"
    assert 33 <= far <= 40
    assert trust.calibration.temperatures[0] < trust.calibration.temperatures[1]
    away = features | {"position": features["position"] + np.array([100, 0], np.float32)}
    lesson = make_lesson(targets, features, units=units)
    far_off = ask_members(BY_HEART, lesson, away, trust=trust, recipe=SMALL_ENSEMBLE)
    assert at_labels.probs.max(axis=1).mean() > 0.99
    assert far_off.probs.max(axis=1).mean() < 0.91


@pytest.mark.parametrize("pixels", [1, 7])
def test_cross_validation_asks_only_who_has_not_seen_the_unit(pixels: int) -> None:
    """If any pixel of its unit were known, its class would be right; so every answer is class 0."""
    units = np.repeat(np.arange(30), pixels)
    targets = np.random.default_rng(0).permutation(np.repeat(np.arange(3), 10))[units]
    trust, answered = learn(targets, in_units(units), units=units, members=BY_HEART)
    assert (trust.cross_validated.argmax(axis=1) == 0).all()
    assert np.array_equal(answered.probs.argmax(axis=1), targets), "the final models know all"


def test_labels_by_chance_are_not_taken_for_knowledge() -> None:
    """Pixels of one polygon are similar; folds that split it would find any labels learnable.

    Unless they are side by side: then similar pixels are too near to be learnt from.
    """
    units = np.repeat(np.arange(40), 6)
    targets = np.random.default_rng(0).permutation(np.repeat(np.arange(2), 20))[units]
    features = make_features(units, apart=3.0) | {"position": far_apart(len(units))}
    honest = learn(targets, features, units=units)[0].cross_validated.argmax(axis=1) == targets
    flattered = learn(targets, features)[0].cross_validated.argmax(axis=1) == targets
    assert flattered.mean() > 0.9
    assert honest.mean() < 0.75
    side_by_side = learn(targets, features | {"position": in_a_row(len(units))})[0].cross_validated.argmax(axis=1)
    assert (side_by_side == targets).mean() < 0.75


def place_known(features: Features, places: Ints, *, seed: int = 0) -> Features:
    """Features whose far scales identify the place of each pixel but carry no information about its class."""
    of_place = np.random.default_rng(seed).normal(size=(places.max() + 1, 4)).astype(np.float32)
    far = [scale for scale in SCALES if scale not in NEAR_SCALES]
    named = [
        f"{kind} {what} {scale}" for kind in ("bands", "components") for what in ("mean", "deviation") for scale in far
    ]
    return features | dict.fromkeys(named, of_place[places])


def test_who_looks_near_is_trusted_and_not_who_knows_the_place() -> None:
    """Two polygons of four pixels of one class in each place, whose surroundings are the same in all of it."""
    places, units = np.repeat(np.arange(24), 8), np.repeat(np.arange(48), 4)
    targets = np.random.default_rng(1).permutation(np.tile(np.arange(2), 12))[places]
    features = place_known(all_features(len(targets), 4, seconds=0), places)
    for name in ("bands", "bands mean 3", "bands mean 7"):
        features[name] += 0.7 * targets[:, None].astype(np.float32)
    rows, cols = 200 * places, np.arange(len(targets)) % 8
    features["position"] = np.stack([rows, cols], axis=1).astype(np.float32)
    members = {member.name.removeprefix("extra trees of "): member for member in FORESTS}
    two, lesson = (members["near values"], members["components"]), make_lesson(targets, features, units=units)
    near, far = cross_validate(two, lesson, SMALL_ENSEMBLE).weights
    assert near > 2 * far
    near, far = cross_validate(two, replace(lesson, buffer=0), SMALL_ENSEMBLE).weights
    assert far > near, "who looks around the same polygons again is always right"
