from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_info, threadpool_limits  # type: ignore[import-untyped]

from s2fin_cli.core.progress import Stop, Stopped
from s2fin_cli.stack.cells import Places
from s2fin_cli.teaching.calibration import TEACHER_TEMPERATURES
from s2fin_cli.teaching.classifiers import Classifier, Task, extra_trees
from s2fin_cli.teaching.ensemble import EnsembleTeacher, ask_members
from s2fin_cli.teaching.members import FORESTS, Member, choose_members
from s2fin_cli.teaching.propagation import average_similar, guide_of, propagate
from s2fin_cli.teaching.teacher import Questions
from s2fin_cli.teaching.validation import cross_validate
from tests.recipes import SMALL_ENSEMBLE
from tests.teaching.lessons import (
    MEMBERS,
    MEMBERS_AMONG_LABELS,
    TWO_CLASSES,
    Floats,
    Ints,
    Known,
    answers,
    indexed,
    learn,
    make_features,
    make_lesson,
    member_of,
)

# ---- the ensemble ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("members", [MEMBERS, MEMBERS_AMONG_LABELS], ids=["sparse", "dense"])
@pytest.mark.parametrize("num_classes", [2, 3, 12])
def test_classes_that_are_far_apart_are_separated_without_error(num_classes: int, members: tuple[Member, ...]) -> None:
    targets, others = np.tile(np.arange(num_classes), 12), np.tile(np.arange(num_classes), 20)
    trust, answered = learn(targets, asked=make_features(others, seed=1), members=members)
    probs = answered.probs
    assert probs.dtype == np.float32
    assert probs.shape == (len(others), num_classes)
    assert probs.sum(axis=1) == pytest.approx(np.ones(len(others)), abs=1e-5)
    assert (probs > 0).all(), "nothing is impossible"
    assert np.array_equal(probs.argmax(axis=1), others)
    assert answered.use_of_second is None
    assert trust.cross_validated.shape == (len(targets), num_classes)
    assert trust.cross_validated.sum(axis=1) == pytest.approx(np.ones(len(targets)))
    assert np.array_equal(trust.cross_validated.argmax(axis=1), targets)
    assert len(trust.weights) == len(members)
    assert trust.weights.sum() == pytest.approx(1)
    assert (trust.weights >= 0).all()
    for temperature in trust.calibration.temperatures:
        assert TEACHER_TEMPERATURES.min() <= temperature <= TEACHER_TEMPERATURES.max()


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
    """Nothing can be cross-validated; all members count the same, and what they learnt by heart they know."""
    targets = np.arange(num_classes)
    trust, answered = learn(targets)
    assert not recwarn.list, "scikit-learn warns of many classes, which does not concern the user"
    assert np.isnan(trust.cross_validated).all()
    assert trust.weights == pytest.approx(np.full(len(MEMBERS), 1 / len(MEMBERS)))
    assert trust.calibration.temperatures == (1, 1)
    assert np.array_equal(answered.probs.argmax(axis=1), targets)


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


def test_it_does_not_matter_how_many_pixels_are_asked_about_at_once() -> None:
    targets = np.tile(np.arange(3), 8)
    whole = learn(targets, members=MEMBERS_AMONG_LABELS)[1].probs
    few_at_once = replace(SMALL_ENSEMBLE, pixels_at_once=7)
    assert learn(targets, members=MEMBERS_AMONG_LABELS, recipe=few_at_once)[1].probs == pytest.approx(whole, abs=1e-6)


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
    for trust, answered in found[1:]:
        assert np.array_equal(trust.weights, found[0][0].weights)
        assert trust.calibration == found[0][0].calibration
        assert np.array_equal(trust.cross_validated, found[0][0].cross_validated)
        assert np.array_equal(answered.probs, found[0][1].probs)


def threads_of(api: str) -> list[int]:
    """How many threads the libraries of a kind, "blas" or "openmp", may use where this is called."""
    return [library["num_threads"] for library in threadpool_info() if library["user_api"] == api]


@pytest.mark.parametrize("count", [1, 3])
def test_each_fit_keeps_to_one_thread_and_leaves_the_limits_as_they_were(
    threads: Callable[[int], None], count: int
) -> None:
    """Fits end in another order than they begin in, which mixes up limits that each puts back for itself."""
    seen: list[int] = []

    class Slow(Known):
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


# ---- the teacher -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dense", [True, False])
def test_similar_neighbours_share_the_answers(*, dense: bool) -> None:
    """Between dense labels they spread from pixel to pixel, elsewhere they are averaged in each cell."""
    targets = np.tile(np.arange(2), 8)
    features = make_features(targets, apart=1.0)
    lesson = make_lesson(targets, features, dense=dense, buffer=0)
    rows, cols = np.divmod(np.arange(64), 8)
    asked = make_features(rows // 4, seed=1, apart=1.0) | {
        "position": np.stack([rows, cols], axis=1).astype(np.float32)
    }
    labels = np.where(np.arange(64) % 9 == 0, rows // 4, -1)
    questions = Questions(asked, labels, Places(np.zeros(64, np.int64), rows, cols))
    teacher = EnsembleTeacher(SMALL_ENSEMBLE)
    trust = teacher.examine(lesson)
    members = choose_members(features, dense=dense)
    assert trust.weights.tolist() == cross_validate(members, lesson, SMALL_ENSEMBLE).weights.tolist()
    answered = teacher.teach(lesson, questions, trust)
    alone = ask_members(members, lesson, asked, trust=trust, recipe=SMALL_ENSEMBLE)
    guide = guide_of(asked["components"])
    expected = (
        propagate(alone.probs, labels, guide, asked["position"])
        if dense
        else average_similar(alone.probs, guide, questions.places)
    )
    assert np.array_equal(answered.probs, expected)
    assert np.abs(answered.probs - alone.probs).max() > 0.01
    assert answered.nearly_right is dense
    assert answered.use_of_second is None


def test_a_request_to_end_is_honoured_between_the_members() -> None:
    lesson = make_lesson(TWO_CLASSES, make_features(TWO_CLASSES))
    questions = Questions(
        lesson.features, TWO_CLASSES, Places(TWO_CLASSES * 0, TWO_CLASSES * 0, np.arange(len(TWO_CLASSES)))
    )
    teacher = EnsembleTeacher(SMALL_ENSEMBLE)
    trust = teacher.examine(lesson)
    teacher.stop.set()
    with pytest.raises(Stopped):
        teacher.examine(lesson)
    with pytest.raises(Stopped):
        teacher.teach(lesson, questions, trust)


@pytest.mark.parametrize("asked_in", ["cross-validation", "teaching"])
def test_no_other_member_is_fitted_after_a_request_to_end(asked_in: str) -> None:
    stop, made = Stop(), []

    def make(task: Task, seed: int) -> Classifier:
        made.append(task.validating)
        if task.validating is (asked_in == "cross-validation"):
            stop.set()
        return extra_trees(task, seed)

    members = tuple(replace(FORESTS[0], make=make) for _ in range(6))
    lesson = make_lesson(TWO_CLASSES, make_features(TWO_CLASSES))
    if asked_in == "cross-validation":
        with pytest.raises(Stopped):
            cross_validate(members, lesson, SMALL_ENSEMBLE, stop=stop)
        assert 1 <= len(made) <= torch.get_num_threads()
        return
    trust = cross_validate(members, lesson, SMALL_ENSEMBLE, stop=stop)
    made.clear()
    with pytest.raises(Stopped):
        ask_members(members, lesson, lesson.features, trust=trust, recipe=SMALL_ENSEMBLE, stop=stop)
    assert 1 <= len(made) <= torch.get_num_threads()
