from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.svm import SVC

from s2fin_cli.learn import teacher as teaching
from s2fin_cli.learn.features import Features, joined
from s2fin_cli.learn.teacher import (
    FOLDS,
    MEMBERS,
    SECOND,
    SECOND_SHARE,
    TEMPERATURES,
    Calibration,
    Member,
    Teacher,
    assign_folds,
    choose_members,
    train_teacher,
)

Ints = NDArray[np.int64]


def make_features(targets: Ints, *, seed: int = 0, apart: float = 8.0) -> Features:
    """Two values by feature, around another place of the plane for each class, a standard deviation of 1 about it."""
    generator = np.random.default_rng(seed)
    centres = apart * np.stack([targets // 4, targets % 4], axis=1)
    names = sorted({name for member in MEMBERS for name in member.features})
    features = {name: generator.normal(centres, size=(len(targets), 2)).astype(np.float32) for name in names}
    return features | {"position": in_a_row(len(targets))}


def in_a_row(count: int) -> NDArray[np.float32]:
    """Positions of so many pixels, one beside the other."""
    return np.stack([np.zeros(count), np.arange(count)], axis=1).astype(np.float32)


def teach(targets: Ints, units: Ints | None = None, *, seed: int = 0, features: Features | None = None) -> Teacher:
    return train_teacher(
        make_features(targets) if features is None else features,
        targets,
        np.arange(len(targets)) if units is None else units,
        num_classes=int(targets.max()) + 1,
        seed=seed,
        members=teaching.MEMBERS,  # which tests replace
    )


# ---- the ensemble ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("num_classes", [2, 3, 12])
def test_classes_that_are_far_apart_are_told_without_a_mistake(num_classes: int) -> None:
    targets = np.tile(np.arange(num_classes), 12)
    teacher = teach(targets)
    others = np.tile(np.arange(num_classes), 20)
    probs = teacher.predict(make_features(others, seed=1))
    assert probs.dtype == np.float32
    assert probs.shape == (len(others), num_classes)
    assert probs.sum(axis=1) == pytest.approx(np.ones(len(others)), abs=1e-5)
    assert (probs > 0).all(), "nothing is impossible"
    assert np.array_equal(probs.argmax(axis=1), others)
    assert teacher.cross_validated.shape == (len(targets), num_classes)
    assert teacher.cross_validated.sum(axis=1) == pytest.approx(np.ones(len(targets)))
    assert np.array_equal(teacher.cross_validated.argmax(axis=1), targets)
    assert len(teacher.models) == len(teacher.weights) == len(MEMBERS)
    assert teacher.weights.sum() == pytest.approx(1)
    assert (teacher.weights > 0).all()
    for temperature in teacher.calibration.temperatures:
        assert TEMPERATURES.min() <= temperature <= TEMPERATURES.max()


def test_the_seed_decides_every_bit() -> None:
    targets = np.tile(np.arange(3), 10)
    features = make_features(targets, apart=1.0)  # where the forests differ
    first, again, other = (teach(targets, seed=seed, features=features) for seed in (0, 0, 1))
    asked = make_features(targets, seed=1, apart=1.0)
    assert np.array_equal(first.predict(asked), again.predict(asked))
    assert np.array_equal(first.weights, again.weights)
    assert first.calibration == again.calibration
    assert np.array_equal(first.cross_validated, again.cross_validated)
    assert not np.array_equal(first.predict(asked), other.predict(asked))


def test_the_largest_seed_that_training_takes() -> None:
    targets = np.tile(np.arange(2), 8)
    assert np.array_equal(teach(targets, seed=2**63 - 1).predict(make_features(targets)).argmax(axis=1), targets)


@pytest.mark.parametrize("num_classes", [2, 30])
def test_classes_of_a_single_pixel_each(num_classes: int, recwarn: pytest.WarningsRecorder) -> None:
    """Nothing can be cross-validated; all members count alike, and what they learnt by heart they know."""
    targets = np.arange(num_classes)
    teacher = teach(targets)
    assert not recwarn.list, "so many classes look like numbers to scikit-learn, which is no concern of the user's"
    assert np.isnan(teacher.cross_validated).all()
    assert teacher.weights == pytest.approx(np.full(len(MEMBERS), 1 / len(MEMBERS)))
    assert teacher.calibration.temperatures == (1, 1)
    assert np.array_equal(teacher.predict(make_features(targets)).argmax(axis=1), targets)


def test_a_class_that_no_fold_knew_has_no_probabilities() -> None:
    targets = np.repeat([0, 1, 2], [8, 1, 8])
    teacher = teach(targets)
    unknown = np.isnan(teacher.cross_validated)
    assert np.array_equal(unknown.all(axis=1), targets == 1)
    assert np.array_equal(unknown.any(axis=1), targets == 1)
    assert np.array_equal(teacher.cross_validated[targets != 1].argmax(axis=1), targets[targets != 1])


def test_one_unit_a_class_is_cross_validated_pixel_by_pixel() -> None:
    targets = np.repeat([0, 1, 2], 6)
    teacher = teach(targets, units=targets)
    assert np.array_equal(teacher.cross_validated.argmax(axis=1), targets)


def test_the_features_are_left_alone() -> None:
    targets = np.tile(np.arange(2), 8)
    features, before = make_features(targets), make_features(targets)
    teach(targets, features=features).predict(features)
    assert all(np.array_equal(values, before[name]) for name, values in features.items())


def test_support_vectors_give_probabilities_that_agree_with_their_classes() -> None:
    for num_classes in (2, 3):
        targets = np.tile(np.arange(num_classes), 10)
        values = make_features(targets, apart=2.0)["bands"]
        machine = teaching._SupportVectors([2], [1.0])
        machine.fit(values, targets)
        probs = machine.predict_proba(values)
        assert machine.classes_.tolist() == list(range(num_classes))
        assert probs.shape == (len(targets), num_classes)
        assert probs.sum(axis=1) == pytest.approx(np.ones(len(targets)))
        scaled = (values - values.mean(axis=0)) / np.sqrt(2 * values.var(axis=0).mean())
        expected = SVC(C=teaching.PENALTY, gamma=1.0).fit(scaled, targets).predict(scaled)
        assert np.array_equal(probs.argmax(axis=1), expected)


def test_each_part_of_the_values_has_its_share_whatever_its_unit() -> None:
    generator = np.random.default_rng(0)
    values = generator.normal(5, [1, 3, 1000, 0.001, 7], size=(50, 5)).astype(np.float32)
    values[:, 4] = 7  # a part that tells nothing
    machine = teaching._SupportVectors([2, 1, 1, 1], [0.5, 1.0, 2.0, 1.0])
    machine.fit(values, np.arange(50) % 2)
    squares = (machine._scaled(values) ** 2).mean(axis=0)
    assert [squares[:2].sum(), *squares[2:]] == pytest.approx([0.5, 1.0, 2.0, 0.0], rel=1e-3)
    assert squares[1] / squares[0] == pytest.approx(values[:, 1].var() / values[:, 0].var(), rel=1e-3)


def test_the_log_odds_of_two_classes_are_the_decision_value_doubled() -> None:
    """As if each class had a decision value of its own, half of it and opposite: `_softmax` doubles them."""
    targets = np.tile(np.arange(2), 10)
    values = make_features(targets, apart=2.0)["bands"]
    machine = teaching._SupportVectors([2], [1.0])
    machine.fit(values, targets)
    odds = np.diff(np.log(machine.predict_proba(values)), axis=1)[:, 0]
    assert odds == pytest.approx(2 * machine.model.decision_function(machine._scaled(values)))


# ---- weights, temperature and honesty, with members whose answers are known ------------------------------------------


class _Known:
    """Stands in for a classifier: answers with the given probabilities of the two classes by an index of pixels."""

    def __init__(self, probs: NDArray[np.float64]) -> None:
        self.probs = probs

    def fit(self, values: NDArray[np.float32], targets: Ints) -> None:
        pass

    def predict_proba(self, values: NDArray[np.float32]) -> NDArray[np.float64]:
        return np.asarray(self.probs[values[:, 0].astype(int)])


@dataclass(frozen=True)
class _Replaced(Member):
    """A member that is another classifier."""

    classifier: Callable[[int, int], Any] = lambda _trees, _seed: None

    def make(self, widths: Sequence[int], trees: int, seed: int) -> Any:
        return self.classifier(trees, seed)


def replace_members(monkeypatch: pytest.MonkeyPatch, feature: str, *classifiers: Callable[[int, int], Any]) -> None:
    members = (_Replaced("replaced", (feature,), classifier=classifier) for classifier in classifiers)
    monkeypatch.setattr(teaching, "MEMBERS", tuple(members))


def indexed(count: int, positions: NDArray[np.float32] | None = None) -> Features:
    """The index of so many pixels, which lie side by side unless they lie elsewhere."""
    return {
        "index": np.arange(count, dtype=np.float32)[:, None],
        "position": in_a_row(count) if positions is None else positions,
    }


def teach_known(
    monkeypatch: pytest.MonkeyPatch, targets: Ints, *answers: NDArray[np.float64], units: Ints | None = None
) -> Teacher:
    """A teacher whose members give the probability (n,) of the right class that is told."""
    classifiers = []
    for right in answers:
        probs = np.stack([1 - right, 1 - right], axis=1)
        probs[np.arange(len(targets)), targets] = right
        classifiers.append(lambda _trees, _seed, probs=probs: _Known(probs))
    replace_members(monkeypatch, "index", *classifiers)
    return teach(targets, units, features=indexed(len(targets)))


TWO_CLASSES = np.tile(np.arange(2), 20)


def voted(prob: float) -> float:
    """What a member's probability of its likeliest class becomes with its vote."""
    return teaching.VOTE + (1 - teaching.VOTE) * prob


def test_timid_members_outvote_a_bold_one(monkeypatch: pytest.MonkeyPatch) -> None:
    timid = np.full(40, 0.55)
    bold = np.where(np.arange(40) < 4, 0.01, 0.99)
    teacher = teach_known(monkeypatch, TWO_CLASSES, timid, timid, timid, bold)
    assert teacher.weights @ [0.55, 0.55, 0.55, 0.01] < 0.5, "their mean is wrong"
    assert (teacher.predict(indexed(40)).argmax(axis=1) == TWO_CLASSES).all()


def test_the_weight_falls_with_the_error_and_the_faster_the_more_labels_there_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for pixels in (40, 400):
        targets = np.tile(np.arange(2), pixels // 2)
        sure = np.full(pixels, 0.9)
        mistaken = np.where(np.arange(pixels) < pixels // 10, 0.1, 0.9)
        always_wrong = np.full(pixels, 0.1)
        weights = teach_known(monkeypatch, targets, sure, mistaken, always_wrong).weights
        assert weights.sum() == pytest.approx(1)
        power = teaching.POWER * pixels / (pixels + teaching.LABELS_TO_TRUST)
        assert np.log(weights[0] / weights) == pytest.approx(power * np.log([1, 2, 11]), abs=1e-9), "errors 0, 0.1, 1"


def test_accuracy_is_that_of_the_classes_and_not_of_the_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    targets = np.repeat([0, 1], [36, 4])
    knows_the_rare, knows_the_frequent = np.where(targets == 1, 0.9, 0.1), np.where(targets == 0, 0.9, 0.1)
    weights = teach_known(monkeypatch, targets, knows_the_rare, knows_the_frequent).weights
    assert weights == pytest.approx([0.5, 0.5])


@pytest.mark.parametrize(
    ("right", "wrong", "temperature"),
    [(0.7, 0.0, TEMPERATURES[0]), (0.95, 0.4, 1.0), (0.99, 0.5, 1.0)],
    ids=["timid and always right", "too bold", "as good as chance"],
)
def test_the_temperature_makes_the_probabilities_likely_within_its_bounds(
    monkeypatch: pytest.MonkeyPatch, right: float, wrong: float, temperature: float
) -> None:
    answers = np.where(np.arange(40) < 40 * wrong, 1 - right, right)
    teacher = teach_known(monkeypatch, TWO_CLASSES, answers)
    assert teacher.calibration.temperatures == pytest.approx([temperature] * 2)
    probs = teacher.predict(indexed(40))
    odds = np.log(probs[-1, 1] / probs[-1, 0])
    told = voted(right)
    assert odds == pytest.approx(np.log(told / (1 - told)) / temperature, rel=1e-4), "exponents are divided by it"


def test_the_temperature_in_between(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nine of ten are right that are told with 0.6, with the vote 0.8: the likeliest T makes of it 0.9."""
    answers = np.where(np.arange(40) < 4, 0.4, 0.6)
    likeliest = np.log(0.8 / 0.2) / np.log(0.9 / 0.1)
    expected = min(TEMPERATURES, key=lambda t: abs(np.log(t / likeliest)))
    assert teach_known(monkeypatch, TWO_CLASSES, answers).calibration.temperatures == (expected, expected)


def test_pixels_are_told_the_surer_the_nearer_a_label_is() -> None:
    calibration = Calibration((2.0, 8.0), (0.25, 1.0))
    probs = np.tile([[0.4, 0.6]], (6, 1))
    odds = np.diff(np.log(calibration.apply(probs, np.array([0.0, 1.0, 2.0, 4.0, 8.0, 100.0]))), axis=1)[:, 0]
    assert odds == pytest.approx(np.log(1.5) / np.array([0.25, 0.25, 0.25, 0.5, 1.0, 1.0]))


def test_whole_units_held_out_tell_how_sure_to_be_far_from_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten units of eight pixels in a row: a single pixel's neighbours know its class, another unit's do not."""
    units = np.repeat(np.arange(10), 8)
    targets = np.random.default_rng(0).permutation(np.repeat(np.arange(2), 5))[units]
    replace_members(monkeypatch, "unit", lambda _trees, _seed: _ByHeart())
    positions = in_a_row(len(units))
    teacher = teach(targets, units, features={"unit": units.astype(np.float32)[:, None], "position": positions})
    near, far = teacher.calibration.distances
    assert near == 1
    assert 3 <= far <= 8
    assert teacher.calibration.temperatures[0] < teacher.calibration.temperatures[1]
    away = positions + np.array([50, 0], np.float32)
    sure, unsure = (
        teacher.predict({"unit": units.astype(np.float32)[:, None], "position": places}).max(axis=1).mean()
        for places in (positions, away)
    )
    assert sure > 0.99
    assert unsure < 0.91


class _ByHeart:
    """Knows the classes of the units that it has seen, and tells of any other that it is of class 0."""

    def fit(self, values: NDArray[np.float32], targets: Ints) -> None:
        self.seen = dict(zip(values[:, 0].tolist(), targets.tolist(), strict=True))
        self.count = len(np.unique(targets))

    def predict_proba(self, values: NDArray[np.float32]) -> NDArray[np.float64]:
        certain = np.eye(self.count)[[self.seen.get(unit, 0) for unit in values[:, 0].tolist()]]
        return 0.6 * certain + 0.4 / self.count


@pytest.mark.parametrize("pixels", [1, 7])
def test_cross_validation_asks_only_who_has_not_seen_the_unit(monkeypatch: pytest.MonkeyPatch, pixels: int) -> None:
    """Were any pixel of its unit known, its class would be told right; so every answer is class 0."""
    replace_members(monkeypatch, "unit", lambda _trees, _seed: _ByHeart())
    units = np.repeat(np.arange(30), pixels)
    targets = np.random.default_rng(0).permutation(np.repeat(np.arange(3), 10))[units]
    features = {"unit": units.astype(np.float32)[:, None], "position": in_a_row(len(units))}
    teacher = teach(targets, units, features=features)
    assert (teacher.cross_validated.argmax(axis=1) == 0).all()
    assert np.array_equal(teacher.predict(features).argmax(axis=1), targets), "the final models know all"


def test_labels_by_chance_are_not_taken_for_knowledge() -> None:
    """Pixels of one polygon are alike; folds that tore it apart would find any labels learnable."""
    units = np.repeat(np.arange(40), 6)
    targets = np.random.default_rng(0).permutation(np.repeat(np.arange(2), 20))[units]
    features = make_features(units, apart=3.0)
    honest = teach(targets, units, features=features).cross_validated.argmax(axis=1) == targets
    flattered = teach(targets, features=features).cross_validated.argmax(axis=1) == targets
    assert flattered.mean() > 0.9
    assert honest.mean() < 0.75


def test_cross_validation_plants_fewer_trees(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[int, int]] = []

    def make(trees: int, seed: int) -> Any:
        made.append((trees, seed))
        return _ByHeart()

    replace_members(monkeypatch, "index", make)
    for units, ways in ((np.arange(40), 1), (np.arange(40) // 2, 2)):
        made.clear()
        teach(TWO_CLASSES, units=units, seed=5, features=indexed(40))
        assert made == [(teaching.FEWER_TREES, 5)] * ways * FOLDS + [(teaching.TREES, 5)], (
            "unit by unit, pixel by pixel"
        )


# ---- folds -----------------------------------------------------------------------------------------------------------


def folds_of(targets: Ints, units: Ints, *, seed: int = 0) -> Ints:
    return assign_folds(targets, units, np.random.default_rng(seed))


@st.composite
def labelled_units(draw: st.DrawFn, *, mixed: bool) -> tuple[Ints, Ints]:
    """Classes and units of pixels, units of one class each or of several."""
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    count, classes = draw(st.integers(1, 25)), draw(st.integers(1, 6))
    sizes = generator.integers(1, draw(st.integers(1, 30)) + 1, size=count)
    units = np.repeat(generator.permutation(count) * 1000, sizes)
    pixels = generator.integers(classes, size=len(units)) if mixed else np.repeat(np.arange(count) % classes, sizes)
    order = generator.permutation(len(units))
    return np.unique(pixels, return_inverse=True)[1][order], units[order]


@settings(max_examples=200)
@given(pixels=labelled_units(mixed=False) | labelled_units(mixed=True), seed=st.integers(0, 3))
def test_no_unit_is_split_unless_its_class_has_no_other(pixels: tuple[Ints, Ints], seed: int) -> None:
    targets, units = pixels
    folds = folds_of(targets, units, seed=seed)
    assert folds.shape == targets.shape
    assert set(folds) <= set(range(FOLDS))
    for unit in np.unique(units):
        inside = units == unit
        several = [c for c in np.unique(targets[inside]) if len(np.unique(units[targets == c])) > 1]
        assert len(np.unique(folds[inside & np.isin(targets, several)])) <= 1
    assert np.array_equal(folds, folds_of(targets, units, seed=seed))


@settings(max_examples=200)
@given(pixels=labelled_units(mixed=False), seed=st.integers(0, 3))
def test_each_class_lies_in_as_many_folds_as_it_can(pixels: tuple[Ints, Ints], seed: int) -> None:
    targets, units = pixels
    folds = folds_of(targets, units, seed=seed)
    for number in np.unique(targets):
        of_class = targets == number
        parts = len(np.unique(units[of_class]))
        if parts == 1:
            parts = int(of_class.sum())
        assert len(np.unique(folds[of_class])) == min(parts, FOLDS)


def test_folds_are_about_equal_for_each_class() -> None:
    targets = np.repeat([0, 1, 2], [400, 40, 4])
    folds = folds_of(targets, np.arange(len(targets)))
    counts = np.zeros((3, FOLDS), int)
    np.add.at(counts, (targets, folds), 1)
    assert counts.tolist() == [[100] * FOLDS, [10] * FOLDS, [1] * FOLDS]


@pytest.mark.parametrize("seed", range(5))
def test_a_rare_class_that_shares_its_units_lies_in_several_folds(seed: int) -> None:
    frequent, rare = [60, 55, 50, 20, 5, 5], [0, 0, 0, 0, 1, 1]
    targets = np.concatenate([np.repeat(0, sum(frequent)), np.repeat(1, sum(rare))])
    units = np.concatenate([np.repeat(np.arange(6), frequent), np.repeat(np.arange(6), rare)])
    assert len(np.unique(folds_of(targets, units, seed=seed)[targets == 1])) == 2


def test_the_seed_decides_the_folds() -> None:
    targets = np.tile(np.arange(2), 20)
    assert not np.array_equal(folds_of(targets, np.arange(40)), folds_of(targets, np.arange(40), seed=1))


# ---- a second image --------------------------------------------------------------------------------------------------


def two_images(targets: Ints, *, bands: int, height: float, seed: int = 0) -> Features:
    """Spectra that tell nothing of the classes, and heights so far apart in deviations of what is left over."""
    generator = np.random.default_rng(seed)
    names = {name for member in MEMBERS for name in member.features}
    features = {name: generator.normal(size=(len(targets), bands)).astype(np.float32) for name in sorted(names)}
    for name in SECOND:
        features[name] = generator.normal(height * targets[:, None], size=(len(targets), 1)).astype(np.float32)
    return features | {"position": in_a_row(len(targets))}


def teach_both(targets: Ints, features: Features, *, dense: bool = False) -> Teacher:
    members = choose_members(features, dense=dense)
    units = np.arange(len(targets))
    return train_teacher(features, targets, units, num_classes=int(targets.max()) + 1, seed=0, members=members)


def trust_in(teacher: Teacher) -> float:
    """What the members that look at both images count together."""
    both = [member.both for member in teacher.members]
    return float(teacher.weights[both].sum())


@pytest.mark.parametrize("dense", [False, True])
def test_a_height_that_tells_classes_is_not_lost_among_hundreds_of_bands(*, dense: bool) -> None:
    targets, others = np.tile(np.arange(3), 20), np.tile(np.arange(3), 100)
    teacher = teach_both(targets, two_images(targets, bands=200, height=8), dense=dense)
    assert trust_in(teacher) > 0.8
    told = teacher.predict(two_images(others, bands=200, height=8, seed=1)).argmax(axis=1)
    assert np.mean(told == others) > 0.95
    forest = MEMBERS[0].fitted(two_images(targets, bands=200, height=8), targets, teaching.TREES, 0)
    asked = two_images(others, bands=200, height=8, seed=1)
    assert np.mean(forest.predict(asked["bands"]) == others) < 0.6, "without the height nothing tells them"


def test_a_second_image_that_tells_nothing_counts_little(caplog: pytest.LogCaptureFixture) -> None:
    targets = np.tile(np.arange(3), 10)
    features = make_features(targets) | {name: two_images(targets, bands=1, height=0)[name] for name in SECOND}
    with caplog.at_level("INFO", logger="s2fin_cli"):
        teacher = teach_both(targets, features)
    assert trust_in(teacher) < 0.2
    assert teacher.weights.sum() == pytest.approx(1)
    assert (teacher.weights > 0).all()
    assert "the second image is trusted by" in caplog.text


def test_one_image_has_no_members_that_look_at_both() -> None:
    targets = np.tile(np.arange(2), 8)
    features = make_features(targets)
    assert choose_members(features, dense=False) == MEMBERS
    assert not any(member.both for member in choose_members(features, dense=True))
    with_second = choose_members(features | {"aux": np.zeros((16, 1), np.float32)}, dense=False)
    assert with_second[: len(MEMBERS)] == MEMBERS
    assert all(member.both and "texture" not in member.name for member in with_second[len(MEMBERS) :])


@pytest.mark.parametrize(
    ("gained", "lost", "trust"), [(0, 0, 0.1587), (3, 0, 0.9772), (0, 3, 0.0000317), (24, 24, 0.1587), (24, 0, 1.0)]
)
def test_trust_is_how_sure_it_is_that_the_second_image_helps(gained: int, lost: int, trust: float) -> None:
    """Phi of 2 z - 1 at z = 0, 1.5, -1.5, 0 and 4.8; pixels that both ensembles tell, or neither, say nothing."""
    alone = np.repeat([False, True, True, False], [gained, lost, 50, 10])
    together = np.repeat([True, False, True, False], [gained, lost, 50, 10])
    assert teaching._trust(alone, together) == pytest.approx(trust, rel=1e-2)


@settings(deadline=None)
@given(st.integers(1, 2000), st.integers(1, 4))
def test_a_forest_sees_the_second_image_as_a_tenth_of_all(bands: int, seconds: int) -> None:
    features = {"bands": np.zeros((2, bands), np.float32)} | {
        name: np.zeros((2, seconds), np.float32) for name in SECOND
    }
    member = Member("forest", ("bands",), ExtraTreesClassifier, both=True)
    names = member.seen(features)
    assert names[0] == "bands"
    assert set(names[1:]) == set(SECOND)
    columns = sum(features[name].shape[1] for name in names[1:])
    one_more = columns + len(SECOND) * seconds
    assert columns / (columns + bands) <= SECOND_SHARE * 1.5 or names == ("bands", *SECOND)
    assert one_more / (one_more + bands) > SECOND_SHARE


def test_support_vectors_see_the_second_image_as_a_tenth_of_all() -> None:
    targets = np.tile(np.arange(2), 10)
    features = two_images(targets, bands=30, height=1)
    alone = next(member for member in MEMBERS if member.shares)
    member = replace(alone, both=True)
    model = member.fitted(features, targets, 1, 0)
    squares = (model._scaled(joined(features, member.seen(features))) ** 2).mean(axis=0)
    assert squares[-len(SECOND) :].sum() / squares.sum() == pytest.approx(SECOND_SHARE)
