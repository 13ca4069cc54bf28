"""Reliability of confidence, and intervals of shares."""

from __future__ import annotations

import numpy as np
import pytest

from s2fin_cli.assess.intervals import wilson_interval
from s2fin_cli.assess.reliability import INTERVALS, Reliability


def test_pixels_are_counted_by_their_confidence() -> None:
    confidence = np.array([0.05, 0.5, 0.59, 1.0, 0.95, np.nan])
    found = Reliability.of(confidence, np.array([False, True, False, True, True, True]))
    assert found.counts.tolist() == [1, 0, 0, 0, 0, 2, 0, 0, 0, 2]
    assert found.right.tolist() == [0, 0, 0, 0, 0, 1, 0, 0, 0, 2]
    assert found.n == 5
    assert found.mean_confidence[5] == pytest.approx(0.545)
    assert found.accuracy[[0, 5, 9]].tolist() == [0, 0.5, 1]
    assert np.isnan(found.accuracy[1])
    assert found.bias == pytest.approx((0.05 + 0.5 + 0.59 + 1.95) / 5 - 3 / 5)
    assert found.expected_error == pytest.approx((0.05 + 0.09 + 0.05) / 5)


def test_a_round_trip_through_json_loses_nothing() -> None:
    rng = np.random.default_rng(0)
    found = Reliability.of(rng.random(500), rng.random(500) < 0.7)
    again = Reliability.from_dict(found.to_dict())
    assert again.counts.tolist() == found.counts.tolist()
    assert again.right.tolist() == found.right.tolist()
    np.testing.assert_allclose(again.confidence, found.confidence)
    nothing = Reliability.of(np.array([]), np.array([], bool)).to_dict()
    assert (nothing["n"], nothing["bias"], nothing["expected_calibration_error"]) == (0, None, None)
    assert Reliability.from_dict(nothing).n == 0
    with pytest.raises(ValueError, match=f"not {INTERVALS}"):
        Reliability.from_dict({"intervals": []})


def test_intervals_of_shares_are_wilsons() -> None:
    # Newcombe 1998, "Two-sided confidence intervals for the single proportion", table I, method 3
    known = (
        (81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718),
    )  # fmt: skip
    for part, whole, low, high in known:
        assert wilson_interval(part, whole) == pytest.approx((low, high), abs=1e-4)
    assert wilson_interval(20, 20) == pytest.approx((0.8389, 1.0), abs=1e-4)
    assert wilson_interval(0, 0) is None
