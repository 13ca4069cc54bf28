"""The findings of a report in plain words: which class is worst, what it is confused with, what to label next."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from s2fin_cli.reporting.basis import confused_pairs, in_words, percent

if TYPE_CHECKING:
    from collections.abc import Mapping

    from s2fin_cli.assess.metrics import Accuracy
    from s2fin_cli.reporting.basis import Basis, Confused

#: Pairs of confused classes that are spelled out at most.
MOST_PAIRS = 5
#: A class with fewer labelled pixels than this, or than this share of the median class, is one to label.
FEW_LABELS, FEW_SHARE = 20, 0.1
#: A class whose mean confidence is below this is one to look at.
LOW_CONFIDENCE = 0.7
#: A smaller share of the map that looks unlike all training data is not worth a word.
LEAST_OUTSIDE = 0.01
#: Overall accuracies from which on a map is called very good, good and fair.
_WORDS = ((0.95, "very good"), (0.85, "good"), (0.7, "fair"), (0.0, "poor"))


@dataclass(frozen=True)
class Findings:
    """The findings of a report.

    Attributes:
        summary: how good the map is.
        worst: which class is worst, and why; None where nothing is confused or known.
        worst_class: name of that class.
        worst_id: its number.
        confused: the most confused pairs, those first that stand for most of the map.
        label_next: what to do next, a sentence each.
        noun: what kind of pixels they are based on, "reference" or "labelled".
    """

    summary: str
    worst: str | None
    worst_class: str | None
    worst_id: int | None
    confused: tuple[Confused, ...]
    label_next: tuple[str, ...]
    noun: str = "reference"

    @property
    def pairs_in_words(self) -> list[str]:
        """A sentence for each of the most confused pairs."""
        return [pair.describe(self.noun) for pair in self.confused]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        texts = zip(self.confused, self.pairs_in_words, strict=True)
        pairs = [{**asdict(pair), "text": text} for pair, text in texts]
        kept = {name: getattr(self, name) for name in ("summary", "worst", "worst_class", "worst_id")}
        return {**kept, "confused": pairs, "label_next": list(self.label_next)}


@dataclass(frozen=True)
class Known:
    """What is known besides an accuracy.

    Attributes:
        labelled: labelled pixels that training had, by name of their class.
        names: names of the classes by class id.
        confidence: mean confidence by class id.
        covered: pixels of the map by class id, of the classes that it has.
        outside: share of each class's pixels that look unlike all training data, by class id.
        has_map: whether there is a map already.
        has_suggestions: whether the report shows the places that `suggest` found.
    """

    labelled: Mapping[str, int] = field(default_factory=dict)
    names: Mapping[int, str] = field(default_factory=dict)
    confidence: Mapping[int, float] = field(default_factory=dict)
    covered: Mapping[int, int] = field(default_factory=dict)
    outside: Mapping[int, float] = field(default_factory=dict)
    has_map: bool = True
    has_suggestions: bool = False


def find(basis: Basis | None, known: Known) -> Findings:
    """The findings.

    Args:
        basis: the best accuracy that is known.
        known: what else is known.
    """
    last = _NO_REFERENCE if known.has_map else _NO_MAP
    suggest = _SUGGESTED if known.has_suggestions else _SUGGEST
    if basis is None or not basis.accuracy.n:
        advice = [*_unlike(known), *_few_labels(known.labelled), *_unsure(known), suggest, last]
        return Findings(_UNKNOWN if known.has_map else _UNKNOWN_MODEL, None, None, None, (), tuple(advice))
    accuracy, pairs = basis.accuracy, confused_pairs(basis)
    worst = _worst(basis) if pairs else None
    advice = [*_about_worst(basis, worst, pairs), *_unlike(known), *_few_labels(known.labelled), *_unsure(known)]
    if basis.kind == "reference":
        advice += _not_in_reference(accuracy, known)
    if not pairs:
        advice.insert(0, _NOTHING_CONFUSED)
    advice.append(suggest)
    if basis.kind != "reference" or basis.trained_share:
        advice.append(last)
    return Findings(
        _summary(basis),
        worst=None if worst is None else _describe_worst(basis, worst, pairs),
        worst_class=None if worst is None else accuracy.class_names[worst],
        worst_id=None if worst is None else accuracy.class_ids[worst],
        confused=tuple(pairs[:MOST_PAIRS]),
        label_next=tuple(advice),
        noun=basis.noun,
    )


_UNKNOWN = "The accuracy of this map is not known: no reference was given."
_UNKNOWN_MODEL = "The accuracy of this model is not known: no labels were held out of training."
_SUGGEST = (
    "Let s2fin suggest choose the places: it writes those where a label is worth most to a file that you fill in."
)
_SUGGESTED = "Fill in the classes of the suggested places, and train again with their file beside the labels."
_NO_REFERENCE = (
    "Check the map against labels that were not used for training: draw points with s2fin sample, fill in their class, "
    "and make this report with them as a stratified reference."
)
_NO_MAP = "Classify the scene, and look at the map where the model is least confident."
_NOTHING_CONFUSED = (
    "No class is confused with another here, so these labels cannot say what to label next: look where the confidence "
    "is low, and label places there."
)


def _summary(basis: Basis) -> str:
    overall = basis.overall_accuracy
    word = next(word for least, word in _WORDS if overall >= least)
    share = percent(overall)
    if basis.trained_share:
        return (
            f"The map agrees with {share} of {basis.accuracy.n:,} reference pixels, but its model was trained on about "
            f"{percent(basis.trained_share)} of them, so this says little about the rest of the map."
        )
    if basis.estimates is not None:
        margin = float(basis.estimates.overall_accuracy.margin)
        more = "" if math.isnan(margin) else f" ± {percent(margin)}"
        return f"The map is {word}: {share}{more} of its area is classified correctly, with 95 % confidence."
    pixels = f"{basis.accuracy.n:,} "
    return {
        "reference": f"The map is {word}: it agrees with {share} of {pixels}reference pixels.",
        "validation": f"The model is {word}: of {pixels}labelled pixels held out of training, {share} are classified "
        "correctly.",
        "cross_validation": f"The model is {word}: of {pixels}labelled pixels, the ensemble that taught it classified "
        f"{share} correctly in cross-validation.",
    }[basis.kind]


def _worst(basis: Basis) -> int | None:
    """The class with the lowest F1."""
    f1 = basis.f1
    return int(np.nanargmin(f1)) if np.isfinite(f1).any() else None


def _describe_worst(basis: Basis, worst: int, pairs: list[Confused]) -> str:
    accuracy = basis.accuracy
    name, support = accuracy.class_names[worst], int(accuracy.support[worst])
    missed = [pair for pair in pairs if pair.reference_id == accuracy.class_ids[worst]]
    taken = [pair for pair in pairs if pair.mapped_id == accuracy.class_ids[worst]]
    parts = [f"The worst class is {name} (F1 {percent(float(basis.f1[worst]))})."]
    if not support:
        parts.append(f"No {basis.noun} pixel is {in_words(name)}, but some are mapped as it.")
    sentences = []
    if missed:
        pair = missed[0]
        sentences.append(
            (
                pair.extent,
                f"Of its {pair.of_reference:,} {basis.noun} pixels, {pair.pixels:,} "
                f"({percent(pair.pixels / pair.of_reference)}) are mapped as {in_words(pair.mapped)}.",
            )
        )
    if taken:
        pair = taken[0]
        sentences.append(
            (
                pair.extent,
                f"Of the {pair.of_mapped:,} pixels mapped as {in_words(name)}, {pair.pixels:,} "
                f"({percent(pair.pixels / pair.of_mapped)}) are really {in_words(pair.reference)}.",
            )
        )
    return " ".join([*parts, *(text for _, text in sorted(sentences, key=lambda pair: -pair[0]))])


def _about_worst(basis: Basis, worst: int | None, pairs: list[Confused]) -> list[str]:
    if worst is None:
        return []
    accuracy = basis.accuracy
    name, class_id = accuracy.class_names[worst], accuracy.class_ids[worst]
    partners: dict[str, float] = {}
    for pair in pairs:
        if class_id == pair.reference_id:
            partners[pair.mapped] = partners.get(pair.mapped, 0) + pair.extent
        elif class_id == pair.mapped_id:
            partners[pair.reference] = partners.get(pair.reference, 0) + pair.extent
    if not partners:
        return [f"Label more of {in_words(name)}."]
    other = max(partners, key=lambda key: partners[key])
    advice = [
        f"Label more of {in_words(name)} and {in_words(other)}, in places where the two look alike and where the "
        "confidence is low."
    ]
    most = pairs[0]
    if class_id not in (most.reference_id, most.mapped_id):
        advice.append(
            f"Label more of {in_words(most.reference)} and {in_words(most.mapped)}, too: no other confusion "
            + (f"costs as many pixels ({most.pixels:,})." if basis.estimates is None else "covers as much of the map.")
        )
    return advice


def _few_labels(labelled: Mapping[str, int]) -> list[str]:
    counts = [count for count in labelled.values() if count]
    least = max(FEW_LABELS, FEW_SHARE * float(np.median(counts))) if counts else 0
    few = {name: count for name, count in labelled.items() if count < least}
    if not few:
        return []
    listed = ", ".join(f"{in_words(name)} ({count})" for name, count in sorted(few.items(), key=lambda pair: pair[1]))
    return [f"Label more of the classes with few labelled pixels: {listed}."]


def _unsure(known: Known) -> list[str]:
    if not known.confidence:
        return []
    least = min(known.confidence, key=lambda class_id: known.confidence[class_id])
    if known.confidence[least] >= LOW_CONFIDENCE:
        return []
    return [
        f"Look at the places mapped as {in_words(known.names[least])}: their mean confidence is the lowest "
        f"({percent(known.confidence[least])})."
    ]


def _unlike(known: Known) -> list[str]:
    """Advice on the part of the map that looks unlike all training data."""
    total = sum(known.covered.values())
    pixels = {i: share * known.covered.get(i, 0) for i, share in known.outside.items()}
    if not total or sum(pixels.values()) < LEAST_OUTSIDE * total:
        return []
    most = in_words(known.names[max(pixels, key=lambda class_id: pixels[class_id])])
    return [
        "Label places that look unlike all training data, with a new class if need be: about "
        f"{percent(sum(pixels.values()) / total)} of the map, most of it mapped as {most}. Their classes are guesses."
    ]


def _not_in_reference(accuracy: Accuracy, known: Known) -> list[str]:
    support = dict(zip(accuracy.class_ids, accuracy.support.tolist(), strict=True))
    missing = [known.names[class_id] for class_id in known.covered if not support.get(class_id)]
    if not missing:
        return []
    listed = ", ".join(map(in_words, missing))
    return [f"Add reference pixels of classes that the map has and the reference lacks: {listed}."]
