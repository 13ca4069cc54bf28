"""Whether the findings in a model file are those of a training: anyone may write one, with a right checksum."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from s2fin_cli.core.run_record import RunRecord

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from s2fin_cli.model.info import BandSet

#: Runs of training that have losses, epochs of one, members of an ensemble, letters of a member's name, bands of an
#: image whose values are kept, and intervals of confidence, at most.
MOST_RUNS, MOST_EPOCHS, MOST_MEMBERS, MOST_LETTERS, MOST_BANDS, MOST_INTERVALS = 2, 10_000, 100, 100, 64, 100
#: No value of an image is larger: it is more than a float32 holds.
LARGEST_VALUE = 1e39


def check_findings(findings: Mapping[str, Any], bands: Sequence[BandSet], *, num_classes: int) -> None:
    """Refuse findings whose values are of wrong kinds or sizes, or do not fit the model's bands and classes.

    Args:
        findings: as `training/description.py` makes them; a part that is missing is not known.
        bands: the model's bands.
        num_classes: number of its classes.

    Raises:
        ValueError: they are wrong; the message names the first such value.
        TypeError, KeyError, AttributeError, OverflowError: values are missing or of wrong kinds.
    """
    losses = findings.get("losses", [])
    _require(_is_list(losses, MOST_RUNS), "losses", losses)
    for part in losses:
        _require(_is_list(part, MOST_EPOCHS) and all(map(_is_value, part)), "losses", part)
    members = findings.get("members", [])
    _require(_is_list(members, MOST_MEMBERS), "members", members)
    for member in members:
        _check_member(member)
    if (reliability := findings.get("reliability")) is not None:
        _check_reliability(reliability)
    images = findings.get("values", [])
    _require(_is_list(images, len(bands)), "values", images)
    for image in images:
        _check_image(image, bands, num_classes)
    if (run := findings.get("run")) is not None:
        RunRecord.from_dict(run)


def _check_member(member: Mapping[str, Any]) -> None:
    name = member["name"]
    _require(isinstance(name, str) and len(name) <= MOST_LETTERS, "name of a member", name)
    _require(_is_share(member["weight"]), "weight", member["weight"])
    use = member["use_of_second_image"]
    _require(use is None or _is_share(use), "use_of_second_image", use)


def _check_reliability(reliability: Mapping[str, Any]) -> None:
    intervals = reliability["intervals"]
    _require(_is_list(intervals, MOST_INTERVALS), "intervals", intervals)
    for interval in intervals:
        pixels, right, mean = (interval[key] for key in ("pixels", "right", "mean_confidence"))
        _require(_is_count(pixels) and _is_count(right) and right <= pixels, "pixels of an interval", (pixels, right))
        _require(mean is None or _is_share(mean), "mean_confidence", mean)


def _check_image(image: Mapping[str, Any], bands: Sequence[BandSet], num_classes: int) -> None:
    modality, indexes, classes = image["modality"], image["indexes"], image["classes"]
    found = [own for own in bands if own.modality == modality]
    _require(bool(found), "modality", modality)
    most = min(MOST_BANDS, len(found[0].indexes))
    is_right = _is_list(indexes, most) and all(_is_count(i) and 1 <= i <= len(found[0].indexes) for i in indexes)
    _require(is_right and bool(indexes), "indexes", indexes)
    _require(_is_list(classes, num_classes) and len(classes) == num_classes, "classes", classes)
    for values in classes:
        _require(_is_count(values["pixels"]), "pixels", values["pixels"])
        for key in ("mean", "std"):
            _require(values[key] is None or _are_values(values[key], len(indexes)), key, values[key])
        _require((values["mean"] is None) == (values["std"] is None), "std", values["std"])


def _are_values(values: Any, count: int) -> bool:
    return _is_list(values, count) and len(values) == count and all(map(_is_value, values))


def _is_list(values: Any, most: int) -> bool:
    return isinstance(values, list) and len(values) <= most


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 53


def _is_value(value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and math.isfinite(value) and abs(value) <= LARGEST_VALUE


def _is_share(value: Any) -> bool:
    return _is_value(value) and 0 <= value <= 1


def _require(condition: bool, name: str, value: object) -> None:
    if not condition:
        raise ValueError(f"{name}: {value!r:.100}")
