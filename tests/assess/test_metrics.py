from __future__ import annotations

import dataclasses
import json
import math
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn import metrics as oracle

from s2fin_cli.assess.metrics import Accuracy, confusion_matrix
from s2fin_cli.core.errors import LabelError

NODATA = 255


@st.composite
def labels(
    draw: st.DrawFn, *, min_size: int = 0, unmapped: bool = False
) -> tuple[NDArray[np.int64], NDArray[np.int64], list[int]]:
    """Reference, map and class ids; some classes may be missing on either side, and ids are in no order."""
    ids = draw(st.lists(st.integers(-300, 70_000).filter(lambda i: i != NODATA), min_size=1, max_size=7, unique=True))
    in_reference = draw(st.lists(st.sampled_from(ids), min_size=1, unique=True))
    in_map = draw(st.lists(st.sampled_from([*ids, NODATA] if unmapped else ids), min_size=1, unique=True))
    pairs = draw(st.lists(st.tuples(st.sampled_from(in_reference), st.sampled_from(in_map)), min_size=min_size))
    table = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return table[:, 0], table[:, 1], ids


def quietly(function: Any, *args: Any, **options: Any) -> Any:
    """Call the oracle, which warns about undefined ratios."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(*args, **options)


@given(labels(min_size=1))
def test_matrix_agrees_with_the_oracle(drawn: tuple[Any, Any, list[int]]) -> None:
    reference, predicted, ids = drawn
    matrix = confusion_matrix(reference, predicted, class_ids=ids)
    assert matrix.dtype == np.int64
    np.testing.assert_array_equal(matrix[:, :-1], quietly(oracle.confusion_matrix, reference, predicted, labels=ids))
    assert not matrix[:, -1].any()


@given(labels(min_size=1))
def test_overall_figures_agree_with_the_oracle(drawn: tuple[Any, Any, list[int]]) -> None:
    reference, predicted, ids = drawn
    accuracy = Accuracy.from_labels(reference, predicted, class_ids=ids)
    assert accuracy.n == len(reference)
    assert accuracy.overall_accuracy == pytest.approx(oracle.accuracy_score(reference, predicted))
    expected = quietly(oracle.balanced_accuracy_score, reference, predicted)
    assert accuracy.average_accuracy == pytest.approx(expected)
    kappa = quietly(oracle.cohen_kappa_score, reference, predicted, labels=ids)
    one_and_the_same = len(set(reference.tolist()) | set(predicted.tolist())) == 1
    assert math.isnan(accuracy.kappa) == one_and_the_same
    if not one_and_the_same:
        assert accuracy.kappa == pytest.approx(kappa, abs=1e-12)


@given(labels(min_size=1))
def test_class_figures_agree_with_the_oracle(drawn: tuple[Any, Any, list[int]]) -> None:
    reference, predicted, ids = drawn
    accuracy = Accuracy.from_labels(reference, predicted, class_ids=ids)
    precision, recall, f1, support = oracle.precision_recall_fscore_support(
        reference, predicted, labels=ids, zero_division=np.nan
    )
    np.testing.assert_allclose(accuracy.users_accuracy, precision)
    np.testing.assert_allclose(accuracy.producers_accuracy, recall)
    np.testing.assert_allclose(accuracy.f1, f1)
    np.testing.assert_array_equal(accuracy.support, support)


@given(labels(unmapped=True))
def test_unmapped_pixels_are_counted_and_enter_no_figure(drawn: tuple[Any, Any, list[int]]) -> None:
    reference, predicted, ids = drawn
    mapped = predicted != NODATA
    accuracy = Accuracy.from_labels(reference, predicted, class_ids=ids)
    of_mapped = Accuracy.from_labels(reference[mapped], predicted[mapped], class_ids=ids)
    assert accuracy.unmapped.tolist() == [int((reference[~mapped] == i).sum()) for i in ids]
    assert accuracy.n + int(accuracy.unmapped.sum()) == len(reference)
    without = accuracy.to_dict() | {"unmapped": 0}
    without["classes"] = [row | {"unmapped": 0} for row in without["classes"]]
    assert without == of_mapped.to_dict()


@given(labels(unmapped=True), st.integers(0, 20))
def test_matrices_of_parts_add_up(drawn: tuple[Any, Any, list[int]], cut: int) -> None:
    reference, predicted, ids = drawn
    parts = [confusion_matrix(reference[s], predicted[s], class_ids=ids) for s in (slice(cut), slice(cut, None))]
    np.testing.assert_array_equal(sum(parts), confusion_matrix(reference, predicted, class_ids=ids))


@given(labels(unmapped=True))
def test_dict_is_plain_json(drawn: tuple[Any, Any, list[int]]) -> None:
    reference, predicted, ids = drawn
    report = Accuracy.from_labels(reference, predicted, class_ids=ids).to_dict()
    assert json.loads(json.dumps(report, allow_nan=False)) == report


def test_a_matrix_worked_by_hand() -> None:
    accuracy = Accuracy.from_matrix([[35, 5, 0, 1], [10, 30, 0, 2], [0, 0, 20, 3]], class_ids=[1, 2, 5])
    assert accuracy.class_names == ("1", "2", "5")
    assert accuracy.unmapped.tolist() == [1, 2, 3]
    assert accuracy.n == 100
    assert accuracy.overall_accuracy == pytest.approx(0.85)
    assert accuracy.average_accuracy == pytest.approx((35 / 40 + 30 / 40 + 1) / 3)
    expected_agreement = (40 * 45 + 40 * 35 + 20 * 20) / 100**2
    assert accuracy.kappa == pytest.approx((0.85 - expected_agreement) / (1 - expected_agreement))
    assert accuracy.users_accuracy.tolist() == pytest.approx([35 / 45, 30 / 35, 1])
    assert accuracy.f1.tolist() == pytest.approx([70 / 85, 60 / 75, 1])


def test_perfect_map() -> None:
    accuracy = Accuracy.from_labels([3, 1, 1, 2], [3, 1, 1, 2], class_ids=[1, 2, 3])
    assert (accuracy.overall_accuracy, accuracy.average_accuracy, accuracy.kappa) == (1, 1, 1)


def test_no_pixels_leave_everything_undefined() -> None:
    accuracy = Accuracy.from_labels([], [], class_ids=[1, 2], class_names=["water", "trees"])
    assert accuracy.n == 0
    assert all(math.isnan(v) for v in (accuracy.overall_accuracy, accuracy.average_accuracy, accuracy.kappa))
    assert np.isnan([accuracy.producers_accuracy, accuracy.users_accuracy, accuracy.f1]).all()
    assert accuracy.to_dict()["kappa"] is None


def test_one_class_has_no_kappa() -> None:
    accuracy = Accuracy.from_labels([7, 7], [7, 7], class_ids=[7])
    assert accuracy.overall_accuracy == 1
    assert math.isnan(accuracy.kappa)


def test_kappa_survives_counts_whose_square_overflows() -> None:
    size = 4_000_000_000
    accuracy = Accuracy.from_matrix([[size, 0], [0, size]], class_ids=[1, 2])
    assert accuracy.kappa == 1
    one_off = Accuracy.from_matrix([[size, 0], [1, 0]], class_ids=[1, 2])
    assert one_off.kappa == 0


def test_a_class_on_one_side_only() -> None:
    accuracy = Accuracy.from_labels([1, 1, 2], [1, 3, 1], class_ids=[1, 2, 3, 4])
    np.testing.assert_array_equal(accuracy.producers_accuracy, [0.5, 0, np.nan, np.nan])
    np.testing.assert_array_equal(accuracy.users_accuracy, [0.5, np.nan, 0, np.nan])
    np.testing.assert_array_equal(accuracy.f1, [0.5, 0, 0, np.nan])
    assert accuracy.average_accuracy == 0.25


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32, np.int64])
def test_images_of_any_integer_type(dtype: Any) -> None:
    reference = np.array([[1, 2], [2, 1]], dtype)
    matrix = confusion_matrix(reference, reference.astype(np.uint8), class_ids=np.array([2, 1], np.uint8).tolist())
    assert matrix.tolist() == [[2, 0, 0], [0, 2, 0]]


def test_nothing_can_be_changed_afterwards() -> None:
    matrix = np.eye(2, dtype=np.int64)
    accuracy = Accuracy.from_matrix(matrix, class_ids=[1, 2])
    matrix[0, 0] = 9
    assert accuracy.n == 2
    for array in (accuracy.matrix, accuracy.unmapped, accuracy.producers_accuracy, accuracy.f1):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 3
    with pytest.raises(dataclasses.FrozenInstanceError):
        accuracy.class_ids = (3, 4)  # type: ignore[misc]


def test_a_reference_class_that_is_not_assessed_is_named() -> None:
    with pytest.raises(LabelError, match=r"^the reference holds class 0, 9, but .* are 2, 1;.*[^.]$"):
        confusion_matrix([1, 9, 0, 2, 9], [1, 1, 1, 1, 1], class_ids=[2, 1])


@pytest.mark.parametrize(
    ("reference", "predicted", "class_ids", "message"),
    [
        ([1, 1], [1], [1], r"shape \(2,\), predicted has shape \(1,\)"),
        ([1.0], [1], [1], "reference must hold integers, got float64"),
        ([1], [True], [1], "predicted must hold integers, got bool"),
        ([1], [1], [1, 2, 1], r"id twice: \[1, 2, 1\]"),
        ([], [], [], "at least one class"),
    ],
)
def test_unusable_arrays(reference: Any, predicted: Any, class_ids: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        confusion_matrix(reference, predicted, class_ids=class_ids)


@pytest.mark.parametrize(
    ("matrix", "class_ids", "class_names", "message"),
    [
        ([[1, 0], [0, 1]], [1, 2, 3], None, r"shape \(3, 4\) or \(3, 3\) for 3 classes, got \(2, 2\)"),
        ([1, 2], [1, 2], None, r"got \(2,\)"),
        ([[1, 0], [0, -1]], [1, 2], None, "matrix holds the negative count -1"),
        ([[1, 0, -2], [0, 1, 0]], [1, 2], None, "unmapped holds the negative count -2"),
        ([[0.5]], [1], None, "matrix must hold integers"),
        ([[1, 0], [0, 1]], [1, 2], ["water"], "2 class ids but 1 class names"),
        ([[1, 0], [0, 1]], [2, 2], None, "id twice"),
    ],
)
def test_unusable_matrices(matrix: Any, class_ids: list[int], class_names: list[str] | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Accuracy.from_matrix(matrix, class_ids=class_ids, class_names=class_names)


def test_fields_that_do_not_fit_each_other() -> None:
    with pytest.raises(ValueError, match=r"unmapped must have shape \(1,\) for 1 classes, got \(2,\)"):
        Accuracy(class_ids=(1,), class_names=("a",), matrix=np.ones((1, 1), int), unmapped=np.ones(2, int))
