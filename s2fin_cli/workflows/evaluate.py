"""Accuracy assessment: a map and reference labels in, a report out."""

from __future__ import annotations

import contextlib
import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from s2fin_cli.assess.comparison import compare, read_map_info
from s2fin_cli.assess.strata import estimate_whole
from s2fin_cli.core.errors import MALFORMED
from s2fin_cli.core.files import check_outputs
from s2fin_cli.core.names import without_credentials
from s2fin_cli.labels.limits import DEFAULT_LIMITS, Limits
from s2fin_cli.labels.read import open_labels
from s2fin_cli.labels.rules import LabelRules
from s2fin_cli.labels.sketch import LABELS_TAG, LabelSketch
from s2fin_cli.raster.change import read_transitions
from s2fin_cli.raster.opening import open_raster
from s2fin_cli.reporting.files import check_suffix, write_report
from s2fin_cli.reporting.map_report import MapReport
from s2fin_cli.workflows.input_files import input_files

if TYPE_CHECKING:
    from s2fin_cli.assess.area_adjusted import AreaAdjusted
    from s2fin_cli.assess.comparison import Compared, Tally
    from s2fin_cli.assess.metrics import Accuracy
    from s2fin_cli.labels.read import Labels
    from s2fin_cli.reporting.classes import Color
    from s2fin_cli.workflows.options.evaluate import EvaluateOptions

logger = logging.getLogger(__name__)

#: By how much the share of training labels in a reference must exceed twice their share of a random sample before the
#: user is warned; and the share that always causes a warning.
WARNED_EXCESS, WARNED_SHARE = 0.1, 0.99


# NOTE: eq=False because a report's arrays do not compare to one truth value.
@dataclass(frozen=True, eq=False)
class EvaluateResult:
    """The result of an assessment.

    Attributes:
        report: the map's classes and accuracy; their pixels, areas and estimates if the reference is a stratified
            sample.
        output: path of the report file, if one was requested.
    """

    report: MapReport
    output: Path | None

    @property
    def accuracy(self) -> Accuracy:
        """The accuracy, over all classes of the map that occur in it where the labels are, or in the reference."""
        assert self.report.accuracy is not None  # noqa: S101  there was a reference
        return self.report.accuracy

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values for scripts."""
        return self.report.to_dict()


def run(options: EvaluateOptions, *, limits: Limits = DEFAULT_LIMITS) -> EvaluateResult:
    """Compare a class map with reference labels, and write the report if requested.

    Classes are matched by name if the map knows all the names that the reference uses, else by number. Case counts only
    if names of the map differ in nothing else. Any value of the map except nodata is a class, with or without a name.

    Args:
        options: the options.
        limits: how many labelled pixels are held or processed at a time.

    Raises:
        RasterError: the map is not a class map.
        LabelError: the reference holds classes that the map does not know; or a class of the map has no pixel in a
            reference that should be a stratified sample.
        OutputError, UsageError: the report cannot be written.
    """
    dst_path = None if options.output is None else Path(options.output)
    if dst_path is not None:
        check_suffix(dst_path)
        inputs = input_files([options.map, *options.reference_paths])
        check_outputs([dst_path], overwrite=options.overwrite, inputs=inputs)
    warn_of_change_map(str(options.map))
    found = assess(options, limits=limits)
    accuracy, tally = found.accuracy, found.compared.tally
    report = MapReport.of(
        accuracy,
        found.estimates,
        colors=read_colors(str(options.map)),
        pixels=None if tally is None else tally.pixels,
        areas=tally.areas if tally is not None and tally.has_areas else None,
        reference=", ".join(map(without_credentials, options.reference_paths)),
        trained_share=found.trained_share,
    )
    if dst_path is not None:
        write_report(report, dst_path)
    return EvaluateResult(report, dst_path)


@dataclass(frozen=True, eq=False)
class Assessment:
    """A map compared with a reference.

    Attributes:
        compared: map and reference.
        accuracy: the accuracy, of the sample where the reference is a stratified one.
        estimates: estimates for the whole map, where the reference is a stratified sample.
        trained_share: share of the reference's pixels that the map's model was trained on, as far as the map tells,
            where it is large enough for a warning; else 0.
    """

    compared: Compared
    accuracy: Accuracy
    estimates: AreaAdjusted | None
    trained_share: float


def assess(options: EvaluateOptions, *, limits: Limits = DEFAULT_LIMITS) -> Assessment:
    """Compare a map with a reference, see `run`."""
    map_path, reference = str(options.map), ", ".join(options.reference_paths)
    info, rules = read_map_info(map_path), LabelRules(options.label_field, takes_table=False)
    labels = open_labels(options.reference_paths, info.grid, rules=rules, limits=limits)
    trained_share = _warn_of_training_labels(map_path, reference, labels)
    compared = compare(map_path, reference, labels, info, whole=options.stratified)
    accuracy = compared.accuracy()
    estimates = None if compared.tally is None else _estimate(compared, accuracy, compared.tally)
    return Assessment(compared, accuracy, estimates, trained_share)


def _warn_of_training_labels(map_path: str, reference: str, labels: Labels) -> float:
    """Warn of a reference that holds labels that the map's model was trained on, as far as the map tells.

    Returns:
        their share of the reference's pixels, or 0 where it is no reason for a warning.
    """
    with open_raster(map_path) as src:
        text = src.tags().get(LABELS_TAG)
    if text is None:
        return 0.0
    try:
        sketch = LabelSketch.from_dict(json.loads(text))
    except MALFORMED:
        logger.info("%s: its tag %s cannot be read and is ignored", map_path, LABELS_TAG)
        return 0.0
    with contextlib.closing(labels.strips()) as strips:
        share = sketch.share_in(strips, labels.grid)
    if share < min(2 * sketch.density + WARNED_EXCESS, WARNED_SHARE):
        return 0.0
    logger.warning(
        "the model of %s was trained on about %.0f %% of the pixels of %s, so the map is probably less accurate "
        "elsewhere; assess it with other labels: those that s2fin split holds out, or a sample that s2fin sample draws",
        map_path, 100 * share, reference,
    )  # fmt: skip
    return share


def _estimate(compared: Compared, sample: Accuracy, tally: Tally) -> AreaAdjusted:
    """Estimates from a sample that was drawn at random within each class of the map."""
    kind, reference = compared.labels.kind, compared.reference
    if kind in ("polygons", "lines", "mixed"):
        logger.warning(
            "%s holds %s, whose pixels are not a random sample of each class; the margins apply to points that s2fin "
            "sample draws", reference, "polygons or lines" if kind == "mixed" else kind,
        )  # fmt: skip
    covered, unit = (tally.areas, "m2") if tally.has_areas else (tally.pixels, "pixels")
    return estimate_whole(sample, covered, names=compared.names, unit=unit, reference=reference)


def warn_of_change_map(map_path: str) -> None:
    """Say what a change map is, and which command takes what interpreters record for it."""
    if read_transitions(map_path) is not None:
        logger.warning(
            "%s is a change map: its classes are the transitions between two maps; points with the fields 'before' and "
            "'after' are a reference of s2fin compare, which estimates from them what really changed", map_path,
        )  # fmt: skip


def read_colors(map_path: str) -> dict[int, Color]:
    """Colours by class id from a map's colour table, none where it has none."""
    with open_raster(map_path) as src:
        try:
            table = src.colormap(1)
        except ValueError:
            return {}
    return {class_id: (red, green, blue) for class_id, (red, green, blue, _) in table.items()}
