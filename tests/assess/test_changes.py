"""Classes that two maps have in common, and estimates of all changes together."""

from __future__ import annotations

import math

import numpy as np
import pytest

from s2fin_cli.assess.area_adjusted import AreaAdjusted
from s2fin_cli.assess.change_estimates import ChangeEstimates
from s2fin_cli.assess.common_classes import MapClasses, common_classes
from s2fin_cli.assess.metrics import Accuracy
from s2fin_cli.core.errors import LabelError


def estimates(counts: list[list[int]], areas: list[float], *, changed: list[bool]) -> ChangeEstimates:
    """From counts with the map in rows."""
    sample = Accuracy.from_matrix(np.array(counts).T, class_ids=range(1, len(counts) + 1))
    return ChangeEstimates(AreaAdjusted(sample, np.array(areas, dtype=float), "m2"), np.array(changed))


def test_changes_of_the_example_of_olofsson_and_others() -> None:
    """Deforestation and forest gain of Olofsson et al. 2014, section 5, together: their areas add up."""
    counts = [[66, 0, 5, 4], [0, 55, 8, 12], [1, 0, 153, 11], [2, 1, 9, 313]]
    found = estimates(counts, [18_000, 13_500, 288_000, 580_500], changed=[True, True, False, False])
    assert found.map_area == 31_500
    assert found.area.value == pytest.approx(21_158 + 11_686, abs=1)
    right = 18_000 * 66 / 75 + 13_500 * 55 / 75
    assert found.users_accuracy.value == pytest.approx(right / 31_500)
    assert found.producers_accuracy.value == pytest.approx(right / found.area.value)
    # sums over the strata of (area of the stratum)^2 p (1 - p) / (n - 1), with p the share that really changed
    of_changes = [18_000**2 * 0.88 * 0.12 / 74, 13_500**2 * (55 / 75) * (20 / 75) / 74]
    of_others = [288_000**2 * (1 / 165) * (164 / 165) / 164, 580_500**2 * (3 / 325) * (322 / 325) / 324]
    assert found.area.standard_error == pytest.approx(math.sqrt(sum(of_changes) + sum(of_others)))
    assert found.users_accuracy.standard_error == pytest.approx(math.sqrt(sum(of_changes)) / 31_500)
    share = right / float(found.area.value)
    variance = (1 - share) ** 2 * sum(of_changes) + share**2 * sum(of_others)
    assert found.producers_accuracy.standard_error == pytest.approx(math.sqrt(variance) / float(found.area.value))


def test_one_stratum_of_each_kind_has_the_figures_of_its_class() -> None:
    """Where change and no change are one stratum each, the published equations for classes hold."""
    found = estimates([[40, 10], [3, 147]], [50.0, 950.0], changed=[True, False])
    plain = found.transitions
    for own, of_classes in (
        (found.area, plain.areas), (found.users_accuracy, plain.users_accuracy),
        (found.producers_accuracy, plain.producers_accuracy),
    ):  # fmt: skip
        assert own.value == pytest.approx(of_classes.value[0])
        assert own.standard_error == pytest.approx(of_classes.standard_error[0])


def test_undefined_figures() -> None:
    nothing = estimates([[10, 0], [0, 10]], [60.0, 40.0], changed=[False, False])
    assert nothing.to_dict() == {
        "map_area": 0.0,
        "area": {"estimate": 0.0, "margin_95": 0.0},
        "users_accuracy": {"estimate": None, "margin_95": None},
        "producers_accuracy": {"estimate": None, "margin_95": None},
    }
    single = estimates([[1, 0], [0, 10]], [60.0, 40.0], changed=[True, False])
    assert single.area.value == 60
    assert math.isnan(single.area.standard_error)


def classes(path: str, declared: dict[int, str], *present: int) -> MapClasses:
    return MapClasses(path, declared, set(present or declared))


def test_classes_with_names_are_matched_by_name(caplog: pytest.LogCaptureFixture) -> None:
    before = classes("a.tif", {1: "forest", 2: "water", 3: "ice"}, 1, 2)
    after = classes("b.tif", {1: "Water", 2: "forest", 3: "town", 8: "road"})
    found = common_classes(before, after)
    assert found.names == {1: "forest", 2: "water", 3: "ice", 4: "town", 8: "road"}
    assert found.after_ids == {1: 2, 2: 1, 3: 4, 8: 8}
    assert (
        "b.tif has classes that a.tif does not know, so all of their pixels count as changed: town, road" in caplog.text
    )
    assert "a.tif has classes" not in caplog.text  # there is no ice


def test_classes_of_a_map_without_names_are_matched_by_number(caplog: pytest.LogCaptureFixture) -> None:
    before, after = classes("a.tif", {}, 1, 5), classes("b.tif", {1: "forest", 2: "water"}, 1)
    expected = {1: "forest", 2: "water", 5: "5"}
    assert common_classes(before, after).names == common_classes(after, before).names == expected
    assert "a.tif names none of its classes, so its numbers are taken for those of b.tif" in caplog.text
    caplog.clear()
    assert common_classes(before, classes("b.tif", {}, 1, 2)).after_ids == {1: 1, 2: 2}
    assert not caplog.text


def test_values_without_a_name_in_a_map_with_names(caplog: pytest.LogCaptureFixture) -> None:
    found = common_classes(classes("a.tif", {1: "forest"}, 1, 9), classes("b.tif", {1: "forest"}, 1, 9))
    assert found.names == {1: "forest", 9: "9"}
    assert found.after_ids == {1: 1, 9: 9}
    assert "a.tif has no name for 9, which counts as a class by its number" in caplog.text


def test_maps_with_no_name_in_common() -> None:
    with pytest.raises(LabelError, match=r"^a\.tif \(forest\) and b\.tif \(Wald\) have no class name in common; give"):
        common_classes(classes("a.tif", {1: "forest"}), classes("b.tif", {1: "Wald"}))
