"""The geometry of charts."""

from __future__ import annotations

import math

import pytest

from s2fin_cli.reporting.charts import (
    MOST_EPOCHS,
    Axis,
    band_rows,
    chart,
    drawn_losses,
    learning_curve,
    reliability,
    round_values,
    scale_bar,
    spectrum,
)  # fmt: skip


@pytest.mark.parametrize(
    ("least", "most", "expected"),
    [
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (0, 100, [0, 20, 40, 60, 80, 100]),
        (-3, 7, [-2, 0, 2, 4, 6]),
        (450, 2500, [500, 1000, 1500, 2000, 2500]),
        (5, 5, [5]),
        (1, 1 + 3e-16, [1]),
        (0, 5e-324, [0]),
        (1e5 - 1.5e-11, 1e5 + 1.5e-11, [1e5 - 1.5e-11]),
        (-1.5e308, 1.5e308, [-1.5e308]),
    ],
)
def test_marks_are_round_values(least: float, most: float, expected: list[float]) -> None:
    assert round_values(least, most) == pytest.approx(expected)


def test_places_follow_values_and_marks_have_the_digits_that_they_need() -> None:
    axis = Axis(0, 0.05, 40, 90)
    assert [axis(0), axis(0.025), axis(0.05)] == [40, 65, 90]
    assert axis.ticks() == [(40, "0.00"), (50, "0.01"), (60, "0.02"), (70, "0.03"), (80, "0.04"), (90, "0.05")]
    assert [text for _, text in Axis(0, 20_000, 0, 1).ticks()][-1] == "20,000"
    assert [text for _, text in Axis(1, 3, 0, 1, is_whole=True).ticks()] == ["1", "2", "3"]
    assert Axis(3, 3, 0, 10)(3) == 5, "a single value is in the middle"


def test_the_loss_is_within_the_chart() -> None:
    found = learning_curve([[0.9, 0.5, 0.4], [0.41]])
    assert found is not None
    left, top, width, height = found.plot
    places = [tuple(map(float, pair.split(","))) for pair in found.line(range(1, 4), (0.9, 0.5, 0.4)).split()]
    assert [x for x, _ in places] == [left, left + width / 2, left + width]
    assert all(top < y < top + height for _, y in places)
    assert learning_curve([]) is learning_curve([[]]) is None
    assert learning_curve([[0.3]]) is not None


@pytest.mark.parametrize("losses", [[1, 1 + 3e-16], [1e39, -1e39], [0, 5e-324], [0, 1e-300], [1, 1 + 3e-12]])
def test_losses_of_any_size_have_marks_of_moderate_length(losses: list[float]) -> None:
    found = learning_curve([losses])
    assert found is not None
    texts = [text for _, text in found.y.ticks()]
    assert 0 < len(texts) == len(set(texts))
    assert all(len(text) < 60 for text in texts)


@pytest.mark.parametrize(("mean", "std"), [(1e5, 1.5e-11), (0, 5e-324), (1, 3e-16), (1e39, 1e39)])
def test_spreads_of_any_size_are_drawn(mean: float, std: float) -> None:
    image = {"wavelengths_nm": None, "bands": [1], "classes": [{"mean": [mean], "std": [std]}]}
    for axis in (spectrum(image).y, band_rows(image, 0).x):
        assert axis.ticks()
        assert min(axis.start, axis.end) <= axis(mean) <= max(axis.start, axis.end)


def test_long_learning_curves_are_drawn_from_some_epochs() -> None:
    losses = [1 / epoch for epoch in range(1, 10_001)]
    some = drawn_losses(losses)
    assert some[0] == (1, 1)
    assert some[-1] == (10_000, 1e-4)
    assert len(some) == MOST_EPOCHS
    assert all(loss == losses[epoch - 1] for epoch, loss in some)
    assert drawn_losses([0.5, 0.25]) == [(1, 0.5), (2, 0.25)]
    assert drawn_losses([]) == []


def test_upwards_is_more() -> None:
    found = reliability()
    assert found.y(1) < found.y(0)
    assert found.x(1) > found.x(0)
    assert chart((0, 1), (0, 1), ("band", "")).x.is_whole


@pytest.mark.parametrize(
    ("metres", "text", "share"), [(10_000, "2 km", 50), (1300, "500 m", 96.15), (12, "2 m", 41.67), (2.6, "1 m", 96.15)]
)
def test_scale_bars_are_round_and_fit(metres: float, text: str, share: float) -> None:
    found = scale_bar(metres)
    assert found is not None
    assert found[0] == pytest.approx(share, abs=0.01)
    assert found[1] == text


def test_a_scale_bar_where_the_room_is_a_hair_below_a_power_of_ten() -> None:
    metres = math.nextafter(2500, 0)  # 40 % of it are 999.9999999999999, whose logarithm is 3
    assert scale_bar(metres) == (50, "500 m")


def test_no_scale_bar_without_a_place() -> None:
    assert scale_bar(None) is None
