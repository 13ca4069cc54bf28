"""The findings of a report in plain words."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from s2fin_cli.assess.area_adjusted import AreaAdjusted
from s2fin_cli.assess.metrics import Accuracy
from s2fin_cli.reporting.basis import Basis
from s2fin_cli.reporting.findings import Findings, Known, find
from tests.reporting.pages import make_report

NAMES = ("forest", "meadow", "water", "9")
NOTHING = Known()
SUGGEST = "Let s2fin suggest choose the places: it writes those where a label is worth most to a file that you fill in."


def accuracy(*rows: tuple[int, ...]) -> Accuracy:
    return Accuracy.from_matrix(rows, class_ids=range(1, len(rows) + 1), class_names=NAMES[: len(rows)])


CONFUSED = accuracy((70, 30, 0, 0), (5, 95, 0, 0), (0, 0, 50, 0), (0, 0, 4, 36))


def found(kind: str = "reference", of: Accuracy = CONFUSED, **more: Any) -> Findings:
    return find(Basis(of, kind), Known(names={**dict(enumerate(NAMES, 1)), 5: "reef"}, **more))


def test_the_worst_class_and_what_it_is_confused_with() -> None:
    findings = found()
    assert findings.summary == "The map is good: it agrees with 86.6 % of 290 reference pixels."
    assert findings.worst_class == "forest"
    assert findings.worst == (
        "The worst class is forest (F1 80.0 %). Of its 100 reference pixels, 30 (30.0 %) are mapped as meadow. "
        "Of the 75 pixels mapped as forest, 5 (6.7 %) are really meadow."
    )
    assert findings.pairs_in_words == [
        "30 of the 100 reference pixels of forest (30.0 %) are mapped as meadow.",
        "5 of the 100 reference pixels of meadow (5.0 %) are mapped as forest.",
        "4 of the 40 reference pixels of class 9 (10.0 %) are mapped as water.",
    ]
    assert findings.label_next == (
        "Label more of forest and meadow, in places where the two look alike and where the confidence is low.",
        SUGGEST,
    )


def test_suggest_is_not_advised_where_its_places_are_shown() -> None:
    filled_in = "Fill in the classes of the suggested places, and train again with their file beside the labels."
    assert filled_in in found(has_suggestions=True).label_next
    assert SUGGEST not in found(has_suggestions=True).label_next
    shown = make_report()
    assert shown.suggestions
    assert filled_in in shown.findings.label_next
    assert SUGGEST in replace(shown, suggestions=()).findings.label_next


def test_the_confusion_of_the_most_pixels_is_named_where_it_is_another_one() -> None:
    findings = found(of=accuracy((9000, 1500, 0), (500, 9500, 0), (3, 0, 1)))
    assert findings.worst_class == "water"
    assert findings.label_next == (
        "Label more of water and forest, in places where the two look alike and where the confidence is low.",
        "Label more of forest and meadow, too: no other confusion costs as many pixels (1,500).",
        SUGGEST,
    )
    assert findings.pairs_in_words[0] == (
        "1,500 of the 10,500 reference pixels of forest (14.3 %) are mapped as meadow."
    )


def test_what_training_knew_is_called_so() -> None:
    findings = found("validation")
    assert findings.summary.startswith("The model is good: of 290 labelled pixels held out of training, 86.6 %")
    assert "Of its 100 labelled pixels" in str(findings.worst)
    assert "labelled pixels of forest" in findings.pairs_in_words[0]
    assert "draw points with s2fin sample" in findings.label_next[-1]
    assert "Classify the scene" in found("validation", has_map=False).label_next[-1]
    assert "in cross-validation" in found("cross_validation").summary


def test_few_labels_low_confidence_and_classes_without_reference_are_next() -> None:
    findings = found(
        labelled={"forest": 400, "meadow": 300, "water": 12, "9": 25},
        confidence={1: 0.9, 3: 0.55, 2: 0.6},
        covered={1: 10, 2: 10, 5: 4},
    )
    assert findings.label_next[1:] == (
        "Label more of the classes with few labelled pixels: water (12).",
        "Look at the places mapped as water: their mean confidence is the lowest (55.0 %).",
        "Add reference pixels of classes that the map has and the reference lacks: reef.",
        SUGGEST,
    )
    sure = found(labelled={"forest": 40, "meadow": 30}, confidence={1: 0.9})
    assert len(sure.label_next) == 2


def test_places_unlike_the_training_data_are_to_be_labelled() -> None:
    findings = found(covered={1: 900, 2: 100}, outside={1: 0.1, 2: 0.5})
    assert findings.label_next[1] == (
        "Label places that look unlike all training data, with a new class if need be: about 14.0 % of the map, most "
        "of it mapped as forest. Their classes are guesses."
    )
    assert len(found(covered={1: 900, 2: 100}, outside={1: 0.005, 2: 0.01}).label_next) == 2


def test_nothing_confused_says_nothing_about_what_to_label() -> None:
    findings = found(of=accuracy((4, 0), (0, 5)))
    assert (findings.worst, findings.worst_class, findings.worst_id, findings.confused) == (None, None, None, ())
    assert "cannot say what to label next" in findings.label_next[0]


def test_labels_of_training_say_little() -> None:
    findings = find(Basis(CONFUSED, "reference", trained_share=0.8), NOTHING)
    assert findings.summary == (
        "The map agrees with 86.6 % of 290 reference pixels, but its model was trained on about 80.0 % of them, so "
        "this says little about the rest of the map."
    )
    assert "not used for training" in findings.label_next[-1]


def test_classes_of_one_name_are_told_apart_by_their_numbers() -> None:
    twins = Accuracy.from_matrix(
        [[5, 5, 0], [0, 9, 0], [0, 1, 3]], class_ids=[1, 2, 3], class_names=["tree", "soil", "tree"]
    )
    findings = found(of=twins)
    assert (findings.worst_class, findings.worst_id) == ("tree", 1)
    assert "Of its 10 reference pixels, 5 (50.0 %) are mapped as soil." in str(findings.worst)


def test_without_an_accuracy() -> None:
    nothing = find(None, Known(labelled={"forest": 3}))
    assert nothing.summary == "The accuracy of this map is not known: no reference was given."
    model = find(None, Known(has_map=False))
    assert model.summary == "The accuracy of this model is not known: no labels were held out of training."
    assert nothing.label_next[0] == "Label more of the classes with few labelled pixels: forest (3)."
    assert "not known" in found(of=accuracy((0, 0), (0, 0))).summary


def test_estimates_for_the_whole_map_decide_the_worst_class() -> None:
    """Water is rarely right in the sample's terms, but it is the wide forest whose area is missed."""
    sample = accuracy((20, 0, 0), (10, 20, 0), (0, 5, 15))
    estimates = AreaAdjusted(sample, np.array([100.0, 900.0, 50.0]), "pixels")
    findings = find(Basis(sample, "reference", estimates), NOTHING)
    overall = float(estimates.overall_accuracy.value)
    assert findings.summary.startswith(f"The map is fair: {100 * overall:.1f} % ± ")
    users, producers = estimates.users_accuracy.value, estimates.producers_accuracy.value
    worst = int(np.argmin(2 * users * producers / (users + producers)))
    assert findings.worst_class == NAMES[worst] == "water"
    assert [(pair.reference, pair.mapped) for pair in findings.confused] == [("water", "meadow"), ("meadow", "forest")]
    assert [pair.extent for pair in findings.confused] == pytest.approx([900 * 5 / 25, 100 * 10 / 30])


def test_a_class_that_is_mapped_and_not_in_the_reference_is_the_worst() -> None:
    findings = found(of=accuracy((8, 0, 2), (0, 9, 0), (0, 0, 0)))
    assert findings.worst_class == "water"
    assert "No reference pixel is water, but some are mapped as it." in str(findings.worst)
    held_out = found("validation", accuracy((8, 0, 2), (0, 9, 0), (0, 0, 0)))
    assert "No labelled pixel is water, but some are mapped as it." in str(held_out.worst)


def test_advice_on_a_change_map_with_a_reference_is_to_estimate_changes() -> None:
    report = make_report(("forest", "meadow", "water"))
    assert report.facts is not None
    changes = replace(report, facts=replace(report.facts, is_change_map=True)).findings
    assert (changes.summary, changes.confused) == (report.findings.summary, report.findings.confused)
    (advice,) = changes.label_next
    assert "give the points to s2fin compare as its reference" in advice
