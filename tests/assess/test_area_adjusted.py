"""Estimates from a stratified sample: the published example, exact cases, and their spread over many samples."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2fin_cli.assess.area_adjusted import AreaAdjusted
from s2fin_cli.assess.metrics import Accuracy


def adjusted(counts: list[list[int]], areas: list[float]) -> AreaAdjusted:
    """From counts with the map in rows, as the paper has them."""
    sample = Accuracy.from_matrix(np.array(counts).T, class_ids=range(1, len(counts) + 1))
    return AreaAdjusted(sample, np.array(areas, dtype=float), "m2")


def test_the_example_of_olofsson_and_others() -> None:
    """Olofsson et al. 2014, section 5: deforestation, forest gain, stable forest, stable non-forest; hectares."""
    counts = [[66, 0, 5, 4], [0, 55, 8, 12], [1, 0, 153, 11], [2, 1, 9, 313]]
    estimates = adjusted(counts, [18_000, 13_500, 288_000, 580_500])
    assert estimates.overall_accuracy.value == pytest.approx(0.95, abs=0.005)
    assert estimates.overall_accuracy.margin == pytest.approx(0.02, abs=0.005)
    users, producers = estimates.users_accuracy, estimates.producers_accuracy
    assert users.value == pytest.approx([0.88, 0.73, 0.93, 0.96], abs=0.005)
    assert users.margin == pytest.approx([0.07, 0.10, 0.04, 0.02], abs=0.005)
    assert producers.value == pytest.approx([0.75, 0.85, 0.93, 0.96], abs=0.005)
    assert producers.margin == pytest.approx([0.21, 0.25, 0.03, 0.02], abs=0.005)
    assert estimates.areas.value == pytest.approx([21_158, 11_686, 285_770, 581_386], abs=0.5)
    assert estimates.areas.margin == pytest.approx([6_158, 3_756, 15_510, 16_282], abs=0.5)


@given(st.integers(2, 5), st.integers(0, 2**32 - 1))
def test_a_sample_of_everything_gives_what_is_there(classes: int, seed: int) -> None:
    """Where each class is sampled in proportion to the map, the plain figures hold."""
    counts = np.random.default_rng(seed).integers(1, 50, (classes, classes))
    estimates = adjusted(counts.tolist(), counts.sum(axis=1).tolist())
    plain = estimates.sample
    assert estimates.overall_accuracy.value == pytest.approx(plain.overall_accuracy)
    assert estimates.users_accuracy.value == pytest.approx(plain.users_accuracy)
    assert estimates.producers_accuracy.value == pytest.approx(plain.producers_accuracy)
    assert estimates.areas.value == pytest.approx(plain.support)
    assert estimates.areas.value.sum() == pytest.approx(estimates.map_areas.sum())


def test_standard_errors_are_the_spread_over_many_samples() -> None:
    """Samples drawn from a known map: the mean of the estimates is the truth, their deviation the standard error."""
    truth = np.array([[900, 60, 40], [300, 4_000, 700], [200, 300, 93_500]])  # map in rows
    numbers = np.array([60, 80, 160])
    generator = np.random.default_rng(0)
    whole, areas = truth.sum(), truth.sum(axis=1).tolist()
    rows = list(zip(numbers, truth, strict=True))
    drawn = [
        adjusted(np.stack([generator.multinomial(n, row / row.sum()) for n, row in rows]).tolist(), areas)
        for _ in range(4_000)
    ]
    for name, expected in (
        ("overall_accuracy", truth.trace() / whole),
        ("users_accuracy", truth.diagonal() / truth.sum(axis=1)),
        ("areas", truth.sum(axis=0)),
    ):
        values = np.stack([getattr(part, name).value for part in drawn])
        errors = np.stack([getattr(part, name).standard_error for part in drawn])
        np.testing.assert_allclose(values.mean(axis=0), expected, rtol=0.02)
        np.testing.assert_allclose(np.sqrt((errors**2).mean(axis=0)), values.std(axis=0), rtol=0.06)


def test_classes_that_only_one_side_has() -> None:
    estimates = adjusted([[8, 2, 0], [1, 9, 0], [0, 0, 0]], [10, 90, 0])
    assert math.isnan(estimates.users_accuracy.value[2])
    assert math.isnan(estimates.producers_accuracy.value[2])
    assert estimates.areas.value[2] == 0
    found = adjusted([[8, 2, 0], [1, 8, 1], [0, 0, 0]], [10, 90, 0])  # the reference alone knows the third class
    assert found.producers_accuracy.value[2] == 0
    assert found.areas.value[2] == pytest.approx(9)


def test_one_point_of_a_class_has_no_standard_error() -> None:
    estimates = adjusted([[1, 0], [2, 8]], [10, 90])
    assert math.isnan(estimates.overall_accuracy.standard_error)
    assert estimates.overall_accuracy.value == pytest.approx(0.1 + 0.9 * 0.8)
    values = json.loads(json.dumps(estimates.to_dict(), allow_nan=False))
    assert values["overall_accuracy"] == {"estimate": pytest.approx(0.82), "margin_95": None}
    assert values["classes"][1]["users_accuracy"]["estimate"] == pytest.approx(0.8)
