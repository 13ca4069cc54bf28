from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.svm import SVC
from threadpoolctl import threadpool_info, threadpool_limits  # type: ignore[import-untyped]

from s2fin_cli.teaching import ensemble as teaching
from s2fin_cli.teaching.ensemble import (
    BOOSTING,
    FOLDS,
    FORESTS,
    LEAST_WEIGHT,
    POSITION,
    TEMPERATURES,
    Calibration,
    Classifier,
    Ensemble,
    Lessons,
    Member,
    SupportVectors,
    Task,
    Trust,
    assign_folds,
    boosting,
    choose_members,
    cross_validate,
    extra_trees,
    nearest_label,
    teach,
)
from s2fin_cli.teaching.features import FEW_BANDS, MARGIN, SCALES, SHAPE_SCALES, Features

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]

#: Trust in one member alone, whose probabilities stay what they are.
UNCHANGED = Calibration((1.0, 2.0), (1.0, 1.0))
#: All members where labels are sparse, and between dense ones.
MEMBERS = (*FORESTS, BOOSTING)
MEMBERS_AMONG_LABELS = (*MEMBERS, *POSITION)


def names_of(*kinds: str) -> list[str]:
    """Names of features of these kinds and of their surroundings."""
    around = [f"{what} {scale}" for scale in SCALES for what in ("mean", "deviation")]
    return [name for kind in kinds for name in (kind, *(f"{kind} {part}" for part in around))]


SHAPES = ["shape", *(f"shape mean {scale}" for scale in SHAPE_SCALES)]


def make_features(targets: Ints, *, seed: int = 0, apart: float = 8.0) -> Features:
    """Two values by feature, around another place of the plane for each class, a standard deviation of 1 about it."""
    generator = np.random.default_rng(seed)
    centres = apart * np.stack([targets // 4, targets % 4], axis=1)
    names = [*names_of("bands", "components"), *SHAPES]
    features = {name: generator.normal(centres, size=(len(targets), 2)).astype(np.float32) for name in names}
    return features | {"position": in_a_row(len(targets))}


def in_a_row(count: int) -> Floats:
    """Positions of so many pixels, one beside the other."""
    return np.stack([np.zeros(count), np.arange(count)], axis=1).astype(np.float32)


def far_apart(count: int) -> Floats:
    """Positions of so many pixels whose surroundings do not overlap."""
    return in_a_row(count) * np.float32(2 * MARGIN)


def indexed(count: int) -> Features:
    """The index of so many pixels, which lie side by side."""
    return {"index": np.arange(count, dtype=np.float32)[:, None], "position": in_a_row(count)}


def learn(
    targets: Ints,
    features: Features | None = None,
    *,
    asked: Features | None = None,
    units: Ints | None = None,
    members: tuple[Member, ...] = MEMBERS,
    seed: int = 0,
) -> tuple[Trust, Lessons]:
    """What an ensemble is worth, and what it says of the pixels asked for, or of those that it learnt from."""
    ensemble = Ensemble(members, int(targets.max()) + 1, seed)
    known = make_features(targets) if features is None else features
    trust = cross_validate(ensemble, known, targets, np.arange(len(targets)) if units is None else units)
    return trust, teach(ensemble, known, targets, known if asked is None else asked, trust=trust)


def member_of(make: Callable[[Task, int], Any], *names: str) -> Member:
    """A member that looks at the named features."""
    return Member("given", lambda features: [features[name] for name in names], make)


# ---- the ensemble ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("members", [MEMBERS, MEMBERS_AMONG_LABELS], ids=["sparse", "dense"])
@pytest.mark.parametrize("num_classes", [2, 3, 12])
def test_classes_that_are_far_apart_are_told_without_a_mistake(num_classes: int, members: tuple[Member, ...]) -> None:
    targets, others = np.tile(np.arange(num_classes), 12), np.tile(np.arange(num_classes), 20)
    trust, lessons = learn(targets, asked=make_features(others, seed=1), members=members)
    probs = lessons.probs
    assert probs.dtype == np.float32
    assert probs.shape == (len(others), num_classes)
    assert probs.sum(axis=1) == pytest.approx(np.ones(len(others)), abs=1e-5)
    assert (probs > 0).all(), "nothing is impossible"
    assert np.array_equal(probs.argmax(axis=1), others)
    assert lessons.use_of_second is None
    assert trust.cross_validated.shape == (len(targets), num_classes)
    assert trust.cross_validated.sum(axis=1) == pytest.approx(np.ones(len(targets)))
    assert np.array_equal(trust.cross_validated.argmax(axis=1), targets)
    assert len(trust.weights) == len(members)
    assert trust.weights.sum() == pytest.approx(1)
    assert (trust.weights >= 0).all()
    for temperature in trust.calibration.temperatures:
        assert TEMPERATURES.min() <= temperature <= TEMPERATURES.max()


def test_the_seed_decides_every_bit() -> None:
    targets = np.tile(np.arange(3), 10)
    features, asked = make_features(targets, apart=1.0), make_features(targets, seed=1, apart=1.0)  # where trees differ
    first, again, other = (learn(targets, features, asked=asked, seed=seed) for seed in (0, 0, 1))
    assert np.array_equal(first[0].weights, again[0].weights)
    assert first[0].calibration == again[0].calibration
    assert np.array_equal(first[0].cross_validated, again[0].cross_validated)
    assert np.array_equal(first[1].probs, again[1].probs)
    assert not np.array_equal(first[1].probs, other[1].probs)


def test_the_largest_seed_that_training_takes() -> None:
    targets = np.tile(np.arange(2), 8)
    assert np.array_equal(learn(targets, seed=2**63 - 1)[1].probs.argmax(axis=1), targets)


@pytest.mark.parametrize("num_classes", [2, 30])
def test_classes_of_a_single_pixel_each(num_classes: int, recwarn: pytest.WarningsRecorder) -> None:
    """Nothing can be cross-validated; all members count alike, and what they learnt by heart they know."""
    targets = np.arange(num_classes)
    trust, lessons = learn(targets)
    assert not recwarn.list, "so many classes look like numbers to scikit-learn, which is no concern of the user's"
    assert np.isnan(trust.cross_validated).all()
    assert trust.weights == pytest.approx(np.full(len(MEMBERS), 1 / len(MEMBERS)))
    assert trust.calibration.temperatures == (1, 1)
    assert np.array_equal(lessons.probs.argmax(axis=1), targets)


def test_a_class_that_no_fold_knew_has_no_probabilities() -> None:
    targets = np.repeat([0, 1, 2], [8, 1, 8])
    cross_validated = learn(targets)[0].cross_validated
    unknown = np.isnan(cross_validated)
    assert np.array_equal(unknown.all(axis=1), targets == 1)
    assert np.array_equal(unknown.any(axis=1), targets == 1)
    assert np.array_equal(cross_validated[targets != 1].argmax(axis=1), targets[targets != 1])


def test_one_unit_a_class_is_cross_validated_pixel_by_pixel() -> None:
    targets = np.repeat([0, 1, 2], 6)
    assert np.array_equal(learn(targets, units=targets)[0].cross_validated.argmax(axis=1), targets)


def test_the_features_are_left_alone() -> None:
    targets = np.tile(np.arange(2), 8)
    features, before = make_features(targets), make_features(targets)
    learn(targets, features, members=MEMBERS_AMONG_LABELS)
    assert set(features) == set(before)
    assert all(np.array_equal(values, before[name]) for name, values in features.items())


def test_it_does_not_matter_how_many_pixels_are_asked_about_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    targets = np.tile(np.arange(3), 8)
    whole = learn(targets, members=MEMBERS_AMONG_LABELS)[1].probs
    monkeypatch.setattr(teaching, "PIXELS_AT_ONCE", 7)
    assert learn(targets, members=MEMBERS_AMONG_LABELS)[1].probs == pytest.approx(whole, abs=1e-6)


# ---- threads ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def threads() -> Iterator[Callable[[int], None]]:
    """Sets how many threads torch may use; there are as many as before in the end."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def test_results_do_not_depend_on_the_number_of_threads(threads: Callable[[int], None]) -> None:
    targets = np.tile(np.arange(3), 10)
    features, asked = make_features(targets, apart=1.0), make_features(targets, seed=1, apart=1.0)
    found = []
    for count in (1, 2, 5):
        threads(count)
        found.append(learn(targets, features, asked=asked, members=MEMBERS_AMONG_LABELS))
        assert torch.get_num_threads() == count
    for trust, lessons in found[1:]:
        assert np.array_equal(trust.weights, found[0][0].weights)
        assert trust.calibration == found[0][0].calibration
        assert np.array_equal(trust.cross_validated, found[0][0].cross_validated)
        assert np.array_equal(lessons.probs, found[0][1].probs)


def threads_of(api: str) -> list[int]:
    """How many threads the libraries of a kind, "blas" or "openmp", may use where this is called."""
    return [library["num_threads"] for library in threadpool_info() if library["user_api"] == api]


@pytest.mark.parametrize("count", [1, 3])
def test_each_fit_keeps_to_one_thread_and_leaves_the_limits_as_they_were(
    threads: Callable[[int], None], count: int
) -> None:
    """Fits end in another order than they begin in, which mixes up limits that each puts back for itself."""
    seen: list[int] = []

    class Slow(_Known):
        def fit(self, values: Floats, targets: Ints) -> None:
            time.sleep(0.001 * float(values[:, 0].sum() % 7))
            seen.extend([*threads_of("blas"), *threads_of("openmp")])

    targets = np.tile(np.arange(2), 8)
    members = tuple(member_of(lambda _task, _seed: Slow(answers(targets, np.full(16, 0.9))), "index") for _ in range(6))
    threads(count)
    with threadpool_limits(2):
        before = threads_of("blas"), threads_of("openmp")
        assert set(before[0]) == {2}
        learn(targets, indexed(16), members=members)
        assert (threads_of("blas"), threads_of("openmp")) == before
    assert set(seen) == {1}


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
    expected = SVC(C=teaching.PENALTY, gamma=1.0).fit(scaled, targets).predict(scaled)
    assert np.array_equal(probs.argmax(axis=1), expected)


def test_each_part_of_the_values_has_its_share_whatever_its_unit() -> None:
    generator = np.random.default_rng(0)
    values = generator.normal(5, [1, 3, 1000, 0.001, 7], size=(50, 5)).astype(np.float32)
    values[:, 4] = 7  # a part that tells nothing
    machine = SupportVectors((2, 1, 1, 1), (0.5, 3.0))
    machine.fit(values, np.arange(50) % 2)
    squares = (machine._scaled(values) ** 2).mean(axis=0)
    assert [squares[:2].sum(), *squares[2:]] == pytest.approx([0.5, 1.0, 1.0, 0.0], rel=1e-3)
    assert squares[1] / squares[0] == pytest.approx(values[:, 1].var() / values[:, 0].var(), rel=1e-3)


def test_the_log_odds_of_two_classes_are_the_decision_value_doubled() -> None:
    """As if each class had a decision value of its own, half of it and opposite: `_softmax` doubles them."""
    targets = np.tile(np.arange(2), 10)
    values = make_features(targets, apart=2.0)["bands"]
    machine = SupportVectors((2,), (1.0, 0.0))
    machine.fit(values, targets)
    odds = np.diff(np.log(machine.predict_proba(values)), axis=1)[:, 0]
    assert odds == pytest.approx(2 * machine.model.decision_function(machine._scaled(values)))


# ---- weights, temperature and honesty, with members whose answers are known ------------------------------------------


class _Known:
    """Stands in for a classifier: answers with the given probabilities of the two classes by an index of pixels."""

    def __init__(self, probs: NDArray[np.float64]) -> None:
        self.probs = probs

    def fit(self, values: Floats, targets: Ints) -> None:
        pass

    def predict_proba(self, values: Floats) -> NDArray[np.float64]:
        return np.asarray(self.probs[values[:, 0].astype(int)])


def answers(targets: Ints, right: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probabilities of two classes, those of the right one (n,) given."""
    probs = np.stack([1 - right, 1 - right], axis=1)
    probs[np.arange(len(targets)), targets] = right
    return probs


def knowing(targets: Ints, *rights: NDArray[np.float64]) -> tuple[Member, ...]:
    """Members that give the right class the probability (n,) that is told."""

    def member(right: NDArray[np.float64]) -> Member:
        return member_of(lambda _task, _seed: _Known(answers(targets, right)), "index")

    return tuple(member(right) for right in rights)


def learn_known(targets: Ints, *rights: NDArray[np.float64]) -> tuple[Trust, Lessons]:
    return learn(targets, indexed(len(targets)), members=knowing(targets, *rights))


TWO_CLASSES = np.tile(np.arange(2), 20)


def voted(prob: float) -> float:
    """What a member's probability of its likeliest class becomes with its vote."""
    return teaching.VOTE + (1 - teaching.VOTE) * prob


def test_timid_members_outvote_a_bold_one() -> None:
    timid = np.full(40, 0.55)
    bold = np.where(np.arange(40) < 4, 0.01, 0.99)
    trust, lessons = learn_known(TWO_CLASSES, timid, timid, timid, bold)
    assert trust.weights @ [0.55, 0.55, 0.55, 0.01] < 0.5, "their mean is wrong"
    assert (lessons.probs.argmax(axis=1) == TWO_CLASSES).all()


@pytest.mark.parametrize("pixels", [40, 400, 4000])
def test_the_weight_falls_with_the_error_and_the_faster_the_more_labels_there_are(pixels: int) -> None:
    targets = np.tile(np.arange(2), pixels // 2)
    sure, always_wrong = np.full(pixels, 0.9), np.full(pixels, 0.1)
    mistaken = (np.where(np.arange(pixels) < pixels * share, 0.1, 0.9) for share in (0.05, 0.1))
    weights = learn_known(targets, sure, *mistaken, always_wrong)[0].weights
    assert weights.sum() == pytest.approx(1)
    power = teaching.POWER * pixels / (pixels + teaching.LABELS_TO_TRUST)
    worth = np.array([1, 1.5, 2, 11]) ** -power  # errors 0, 0.05, 0.1, 1
    counts = worth >= LEAST_WEIGHT
    assert counts.sum() == {40: 4, 400: 2, 4000: 1}[pixels], "all kinds are seen"
    assert np.array_equal(weights > 0, counts)
    assert weights[counts] / weights[0] == pytest.approx(worth[counts], rel=1e-9)


def test_a_member_that_is_worth_little_is_not_fitted() -> None:
    """Each member is fitted for every fold, of units and of pixels, and those that count once more."""
    targets = np.tile(np.arange(2), 200)
    fits: list[tuple[int, bool]] = []

    def member(number: int, right: NDArray[np.float64]) -> Member:
        def make(task: Task, _seed: int) -> Classifier:
            class Counting(_Known):
                def fit(self, values: Floats, targets: Ints) -> None:
                    fits.append((number, task.validating))

            return Counting(answers(targets, right))

        return member_of(make, "index")

    right = np.full(400, 0.9)
    members = (member(0, right), member(1, 1 - right), member(2, right))
    trust, lessons = learn(targets, indexed(400), members=members)
    assert trust.weights.tolist() == [0.5, 0.0, 0.5]
    assert [fits.count((number, True)) for number in range(3)] == [2 * FOLDS] * 3
    assert [fits.count((number, False)) for number in range(3)] == [1, 0, 1]
    assert np.array_equal(lessons.probs, learn(targets, indexed(400), members=members[::2])[1].probs)


def test_accuracy_is_that_of_the_classes_and_not_of_the_pixels() -> None:
    targets = np.repeat([0, 1], [36, 4])
    knows_the_rare, knows_the_frequent = np.where(targets == 1, 0.9, 0.1), np.where(targets == 0, 0.9, 0.1)
    weights = learn_known(targets, knows_the_rare, knows_the_frequent)[0].weights
    assert weights == pytest.approx([0.5, 0.5])


@pytest.mark.parametrize(
    ("right", "wrong", "temperature"),
    [(0.7, 0.0, TEMPERATURES[0]), (0.95, 0.4, 1.0), (0.99, 0.5, 1.0)],
    ids=["timid and always right", "too bold", "as good as chance"],
)
def test_the_temperature_makes_the_probabilities_likely_within_its_bounds(
    right: float, wrong: float, temperature: float
) -> None:
    trust, lessons = learn_known(TWO_CLASSES, np.where(np.arange(40) < 40 * wrong, 1 - right, right))
    assert trust.calibration.temperatures == pytest.approx([temperature] * 2)
    odds = np.log(lessons.probs[-1, 1] / lessons.probs[-1, 0])
    told = voted(right)
    assert odds == pytest.approx(np.log(told / (1 - told)) / temperature, rel=1e-4), "exponents are divided by it"


def test_the_temperature_in_between() -> None:
    """Nine of ten are right that are told with 0.6, with the vote 0.8: the likeliest T makes of it 0.9."""
    right = np.where(np.arange(40) < 4, 0.4, 0.6)
    likeliest = np.log(0.8 / 0.2) / np.log(0.9 / 0.1)
    expected = min(TEMPERATURES, key=lambda t: abs(np.log(t / likeliest)))
    assert learn_known(TWO_CLASSES, right)[0].calibration.temperatures == (expected, expected)


def test_pixels_are_told_the_surer_the_nearer_a_label_is() -> None:
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


class _ByHeart:
    """Knows the classes of the units that it has seen, and tells of any other that it is of class 0."""

    def fit(self, values: Floats, targets: Ints) -> None:
        self.seen = dict(zip(values[:, 0].tolist(), targets.tolist(), strict=True))
        self.count = len(np.unique(targets))

    def predict_proba(self, values: Floats) -> NDArray[np.float64]:
        certain = np.eye(self.count)[[self.seen.get(unit, 0) for unit in values[:, 0].tolist()]]
        return 0.6 * certain + 0.4 / self.count


BY_HEART = (member_of(lambda _task, _seed: _ByHeart(), "unit"),)


def in_units(units: Ints) -> Features:
    """The number of its unit of each pixel; pixels lie side by side."""
    return {"unit": units.astype(np.float32)[:, None], "position": in_a_row(len(units))}


def test_whole_units_held_out_tell_how_sure_to_be_far_from_labels() -> None:
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
    far_off = teach(Ensemble(BY_HEART, 2, 0), features, targets, away, trust=trust)
    assert at_labels.probs.max(axis=1).mean() > 0.99
    assert far_off.probs.max(axis=1).mean() < 0.91


@pytest.mark.parametrize("pixels", [1, 7])
def test_cross_validation_asks_only_who_has_not_seen_the_unit(pixels: int) -> None:
    """Were any pixel of its unit known, its class would be told right; so every answer is class 0."""
    units = np.repeat(np.arange(30), pixels)
    targets = np.random.default_rng(0).permutation(np.repeat(np.arange(3), 10))[units]
    trust, lessons = learn(targets, in_units(units), units=units, members=BY_HEART)
    assert (trust.cross_validated.argmax(axis=1) == 0).all()
    assert np.array_equal(lessons.probs.argmax(axis=1), targets), "the final models know all"


def test_labels_by_chance_are_not_taken_for_knowledge() -> None:
    """Pixels of one polygon are alike; folds that tore it apart would find any labels learnable.

    Unless they lie side by side: then those that are alike are too near to be learnt from.
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
    """Features whose far scales tell of each pixel in which of some places it lies, and nothing of its class."""
    of_place = np.random.default_rng(seed).normal(size=(places.max() + 1, 4)).astype(np.float32)
    far = [scale for scale in SCALES if scale not in teaching.NEAR_SCALES]
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
    ensemble = Ensemble((members["near values"], members["components"]), 2, 0)
    near, far = cross_validate(ensemble, features, targets, units).weights
    assert near > 2 * far
    near, far = cross_validate(ensemble, features, targets, units, buffer=0).weights
    assert far > near, "who looks around the same polygons again is always right"


# ---- a buffer around what is held out --------------------------------------------------------------------------------


def apart(positions: Floats, targets: Ints, inside: Ints, buffer: int) -> list[int]:
    """Which pixels are learnt from where some are held out."""
    mask = np.isin(np.arange(len(targets)), inside)
    return np.flatnonzero(teaching._apart(positions, targets, mask, buffer)).tolist()


def test_pixels_near_to_what_is_held_out_are_not_learnt_from() -> None:
    targets, inside = np.zeros(40, np.int64), np.array([10, 11, 12])
    assert apart(in_a_row(40), targets, inside, 3) == [*range(7), *range(16, 40)]
    assert apart(in_a_row(40), targets, inside, 15) == [0, *range(22, 40)], "half of them, the farthest"
    around = np.array([[0, 0], [9, 12], [9, 13], [-12, -9], [0, 15], [-16, 0]], np.float32)
    assert apart(around, targets[:6], np.array([0]), 11) == [1, 2, 3, 4, 5]
    assert apart(around, targets[:6], np.array([0]), 12) == [2, 4, 5], "12 pixels along either axis"


def test_half_of_each_class_is_learnt_from_however_near() -> None:
    targets = np.zeros(40, np.int64)
    targets[[8, 14]] = 1  # both too near
    targets[[9, 38]] = 2  # one of them is
    targets[11] = 3  # held out itself
    inside = np.array([10, 11, 12])
    for buffer in (15, 100):
        assert apart(in_a_row(40), targets, inside, buffer) == [0, 8, *range(23, 40)]


@pytest.mark.parametrize("buffer", [0, 15])
def test_without_a_buffer_and_without_pixels_on_both_sides_nothing_is_excluded(buffer: int) -> None:
    targets, every = np.tile(np.arange(2), 10), np.arange(20)
    assert apart(in_a_row(20), targets, np.array([], np.int64), buffer) == every.tolist()
    assert apart(in_a_row(20), targets, every, buffer) == []
    assert apart(in_a_row(20), targets, np.array([3, 7]), 0) == [i for i in every if i not in (3, 7)]


@given(seed=st.integers(0, 2**32 - 1), buffer=st.integers(0, 30))
def test_what_is_learnt_from_lies_apart_or_is_the_farther_half_of_its_class(seed: int, buffer: int) -> None:
    generator = np.random.default_rng(seed)
    count = int(generator.integers(1, 60))
    positions = generator.integers(60, size=(count, 2)).astype(np.float32)
    targets, inside = generator.integers(3, size=count), generator.random(count) < generator.random()
    found = teaching._apart(positions, targets, inside, buffer)
    assert not (found & inside).any()
    distances = np.abs(positions[:, None] - positions[None, inside]).max(axis=2).min(axis=1, initial=np.inf)
    for number in range(3):
        own = (targets == number) & ~inside
        far = own & ((distances > buffer) | (buffer == 0))
        assert found[far].all()
        assert found[own].sum() == max(far.sum(), -(-own.sum() // 2))
        assert distances[own & found].min(initial=np.inf) >= distances[own & ~found].max(initial=-np.inf)


# ---- what classifiers are made for -----------------------------------------------------------------------------------


def test_classifiers_are_told_what_they_are_made_for() -> None:
    made: list[tuple[Task, int]] = []

    def make(task: Task, seed: int) -> Classifier:
        made.append((task, seed))
        return _ByHeart()

    member = member_of(make, "unit", "position")
    for units in (np.arange(40), np.arange(40) // 2):
        made.clear()
        features = in_units(units) | {"position": far_apart(40)}
        learn(TWO_CLASSES, features, units=units, seed=5, members=(member,))
        validating = (Task(30, 2, (1, 2), validating=True), 5)
        final = (Task(40, 2, (1, 2), validating=False), 5)
        assert made == [validating] * 2 * FOLDS + [final], "unit by unit, pixel by pixel"


def task(labels: int, classes: int, *, validating: bool = False) -> Task:
    return Task(labels, classes, (3,), validating)


def test_forests_get_smaller_where_they_would_hold_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(teaching, "TREES", 200)
    monkeypatch.setattr(teaching, "TREES_TO_VALIDATE", 50)

    def trees(of: Task) -> int:
        count: int = extra_trees(of, 0).n_estimators  # type: ignore[attr-defined]
        return count

    assert (trees(task(500, 10)), trees(task(500, 10, validating=True))) == (200, 50)
    assert trees(task(50_000, 255)) == trees(task(50_000, 255, validating=True)) == teaching.FEWEST_TREES
    labels, classes = 5000, 40
    assert teaching.FEWEST_TREES < trees(task(labels, classes)) < 200
    assert trees(task(labels, classes)) * 2 * labels * classes <= teaching.VALUES
    counts = [trees(task(200 * classes, classes)) for classes in range(2, 256)]
    assert counts == sorted(counts, reverse=True)


def test_boosting_grows_fewer_and_bolder_trees_for_many_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(teaching, "ROUNDS", 100)

    def made(classes: int) -> Any:
        return boosting(task(1000, classes), 0)

    for classes, rounds, rate in ((2, 100, 0.1), (15, 100, 0.1), (60, 25, 0.2)):
        assert made(classes).max_iter == rounds
        assert made(classes).learning_rate == pytest.approx(rate)
    assert made(255).max_iter == teaching.FEWEST_ROUNDS
    for classes in range(2, teaching.BOOSTED_TREES // teaching.FEWEST_ROUNDS):
        assert made(classes).max_iter * classes <= teaching.BOOSTED_TREES


def test_the_seed_is_handed_on_to_forests_and_boosting() -> None:
    for make in (extra_trees, boosting):
        model: Any = make(task(10, 2), 123)
        assert model.random_state == 123


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


# ---- what members look at, and a second image ------------------------------------------------------------------------


def all_features(count: int, bands: int, *, seconds: int = 1, seed: int = 0) -> Features:
    """Features that tell nothing."""
    generator = np.random.default_rng(seed)
    widths = dict.fromkeys([*names_of("bands"), *SHAPES], bands) | dict.fromkeys(names_of("components"), 4)
    widths |= dict.fromkeys(names_of("aux"), seconds) if seconds else {}
    if bands > FEW_BANDS:  # surroundings of so many bands are not told
        widths = {name: width for name, width in widths.items() if not name.startswith("bands ")}
    features = {name: generator.normal(size=(count, width)).astype(np.float32) for name, width in widths.items()}
    return features | {"position": in_a_row(count)}


def two_images(targets: Ints, *, bands: int, height: float, seed: int = 0) -> Features:
    """Spectra that tell nothing of the classes, and heights so far apart in deviations of what is left over."""
    features = all_features(len(targets), bands, seed=seed)
    for name in names_of("aux"):
        features[name] = (features[name] + height * targets[:, None]).astype(np.float32)
    return features


@pytest.mark.parametrize("bands", [1, FEW_BANDS, FEW_BANDS + 1, 200])
@pytest.mark.parametrize("seconds", [0, 1, 3])
def test_members_look_at_what_there_is(bands: int, seconds: int) -> None:
    features = all_features(5, bands, seconds=seconds)
    scales, near, few = 2 * len(SCALES) + 1, 2 * len(teaching.NEAR_SCALES) + 1, bands <= FEW_BANDS
    values = bands * scales if few else bands + 4 * scales
    differences = (bands if few else 4) * (len(SCALES) + 1)
    expected = [
        values + differences + seconds * (scales + len(SCALES) + 1),
        (4 + seconds) * scales,
        (bands * near if few else bands + 4 * near) + 2 * bands + seconds * near,
        2 * bands + seconds,
        values + bands * (len(SHAPE_SCALES) + 1) + seconds * scales,
        2 + (4 + seconds) * len(SCALES),
        2,
    ]
    assert MEMBERS_AMONG_LABELS[: len(MEMBERS)] == MEMBERS
    for member, width in zip(MEMBERS_AMONG_LABELS, expected, strict=True):
        parts = member.see(features)
        assert all(part.shape[0] == 5 for part in parts)
        assert sum(part.shape[1] for part in parts) == width, member.name
        seen_at = np.concatenate(parts, axis=1)
        elsewhere = member.see(features | {"position": features["position"] + 7})
        assert np.array_equal(np.concatenate(elsewhere, axis=1), seen_at) == (member in MEMBERS)


@pytest.mark.parametrize("bands", [3, FEW_BANDS + 1])
@pytest.mark.parametrize("seconds", [0, 2])
def test_some_members_look_at_what_is_near_alone(bands: int, seconds: int) -> None:
    """And so tell little of the place: nothing that they see reaches farther than three pixels."""
    features = all_features(5, bands, seconds=seconds)
    kinds = [*(["bands"] if bands <= FEW_BANDS else ["components"]), *(["aux"] if seconds else [])]
    around = [f"{kind} {what} {scale}" for kind in kinds for scale in (3, 7) for what in ("mean", "deviation")]
    near, pixel = {"bands", "shape", "shape mean 3", *kinds, *around}, {"bands", "shape", *(["aux"] if seconds else [])}
    for see, expected in ((teaching.see_near, near), (teaching.see_pixel, pixel)):
        parts = see(features)
        seen = [name for part in parts for name, values in features.items() if np.array_equal(part, values)]
        assert len(seen) == len(parts)
        assert sorted(seen) == sorted(expected)
    by_name = {member.name: member.see for member in FORESTS}
    assert by_name["extra trees of near values"] is teaching.see_near
    assert by_name["extra trees of single pixels"] is teaching.see_pixel
    assert BOOSTING.see is teaching.see_shapes


def test_differences_are_those_of_means_at_neighbouring_scales() -> None:
    features = all_features(5, 2)
    seen = teaching.see_differences(features)
    for kind in ("bands", "aux"):
        means = [features[kind], *(features[f"{kind} mean {scale}"] for scale in SCALES)]
        for near, far in [*itertools.pairwise(means), (means[-1], means[0])]:
            assert sum(np.array_equal(part, near - far) for part in seen) == 1


def only(member: Member, features: Features, targets: Ints) -> Lessons:
    """What a single member says of what it learnt from."""
    unknown = np.full((len(targets), 2), np.nan)
    return teach(Ensemble((member,), 2, 0), features, targets, features, trust=Trust(np.ones(1), UNCHANGED, unknown))


@pytest.mark.parametrize("member", [m for m in MEMBERS if m.make is extra_trees], ids=lambda member: member.name)
@pytest.mark.parametrize("bands", [3, 30])
def test_the_use_of_the_second_image_is_what_forests_look_at(member: Member, bands: int) -> None:
    """All of it, or nothing, where one of the images is the same everywhere."""
    features = two_images(TWO_CLASSES, bands=bands, height=1)
    for first in (False, True):
        constant = {
            name: values * 0 if name.startswith("aux") == first else values for name, values in features.items()
        }
        assert only(member, constant, TWO_CLASSES).use_of_second == pytest.approx(0 if first else 1)


def test_differences_of_the_second_image_are_its_use_too() -> None:
    features = {name: np.zeros((40, 1), np.float32) for name in names_of("bands", "aux")} | {"position": in_a_row(40)}
    features["aux mean 7"][:, 0] = TWO_CLASSES
    member = Member("differences", lambda f: [f["bands"], f["aux"] - f["aux mean 7"]], extra_trees)
    assert only(member, features, TWO_CLASSES).use_of_second == pytest.approx(1)


def test_the_use_of_the_second_image_is_that_of_forests_by_their_weights() -> None:
    features = {"bands": TWO_CLASSES.astype(np.float32)[:, None], "aux": TWO_CLASSES.astype(np.float32)[:, None]}
    features["position"] = in_a_row(40)
    first, second = (member_of(extra_trees, name) for name in ("bands", "aux"))
    other = member_of(boosting, "aux")

    def use(members: tuple[Member, ...], *weights: float) -> float | None:
        trust = Trust(np.array(weights), UNCHANGED, np.full((40, 2), np.nan))
        return teach(Ensemble(members, 2, 0), features, TWO_CLASSES, features, trust=trust).use_of_second

    assert use((first, second), 0.75, 0.25) == pytest.approx(0.25)
    assert use((first, second, other), 0.3, 0.1, 0.6) == pytest.approx(0.25)
    assert use((first, second, other), 0.0, 0.4, 0.6) == pytest.approx(1)
    assert use((other,), 1.0) is None, "there is no forest"


def test_a_second_image_of_noise_is_hardly_used_and_one_that_alone_tells_is_used_most() -> None:
    targets = np.tile(np.arange(3), 20)
    noise = make_features(targets) | {n: v for n, v in two_images(targets, bands=2, height=0).items() if "aux" in n}
    use = learn(targets, noise)[1].use_of_second
    assert use is not None
    assert use < 0.1
    use = learn(targets, two_images(targets, bands=2, height=8))[1].use_of_second
    assert use is not None
    assert use > 0.8
    assert learn(targets)[1].use_of_second is None


def test_a_height_that_tells_classes_is_not_lost_among_hundreds_of_bands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(teaching, "TREES", 60)
    monkeypatch.setattr(teaching, "TREES_TO_VALIDATE", 20)
    targets, others = np.tile(np.arange(3), 20), np.tile(np.arange(3), 100)
    features, asked = (two_images(part, bands=200, height=8, seed=seed) for part, seed in ((targets, 0), (others, 1)))
    _, lessons = learn(targets, features, asked=asked)
    assert np.mean(lessons.probs.argmax(axis=1) == others) > 0.95
    forest = ExtraTreesClassifier(60, random_state=0).fit(features["bands"], targets)
    assert np.mean(forest.predict(asked["bands"]) == others) < 0.6, "without the height nothing tells them"


@pytest.mark.parametrize(("bands", "dense"), [(4, False), (4, True), (40, False), (40, True)])
def test_members_are_chosen_by_bands_and_by_how_densely_labels_lie(bands: int, *, dense: bool) -> None:
    """Boosting takes minutes with many bands, and position misleads away from the labels."""
    chosen = choose_members({"bands": np.zeros((1, bands), np.float32)}, dense=dense)
    assert set(FORESTS) <= set(chosen)
    assert (BOOSTING in chosen) == (bands == 4)
    assert (set(POSITION) <= set(chosen)) == dense
    assert len(set(chosen) & set(POSITION)) == (len(POSITION) if dense else 0)
