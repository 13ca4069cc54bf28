"""The report on a map or a model: one object, which the terminal, JSON, CSV, Markdown and HTML show."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

from s2fin_cli.reporting.basis import Basis
from s2fin_cli.reporting.change_report import OF_CHANGE_MAP
from s2fin_cli.reporting.classes import MappedClass, make_classes
from s2fin_cli.reporting.commands import command_of
from s2fin_cli.reporting.derived import with_derived
from s2fin_cli.reporting.findings import Findings, Known, find

if TYPE_CHECKING:
    from collections.abc import Mapping

    from s2fin_cli.assess.area_adjusted import AreaAdjusted
    from s2fin_cli.assess.metrics import Accuracy
    from s2fin_cli.assess.reliability import Reliability
    from s2fin_cli.core.run_record import RunRecord
    from s2fin_cli.reporting.classes import Color
    from s2fin_cli.reporting.pictures import Pictures
    from s2fin_cli.reporting.suggestions import SuggestedPlace
    from s2fin_cli.reporting.training_report import TrainingReport


@dataclass(frozen=True)
class MapFacts:
    """What a map is.

    Attributes:
        path: its path.
        shape: height and width in pixels.
        crs: name of its CRS, or None.
        res: pixel width and height in CRS units.
        metres: side of a pixel on the ground in metres, None where the map has no place.
        bounds: left, bottom, right and top in CRS units.
        nodata_pixels: pixels without a class.
        is_change_map: whether its classes are the transitions between two maps.
    """

    path: str
    shape: tuple[int, int]
    crs: str | None
    res: tuple[float, float]
    metres: float | None
    bounds: tuple[float, float, float, float]
    nodata_pixels: int
    is_change_map: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "path": self.path, "height": self.shape[0], "width": self.shape[1], "crs": self.crs,
            "res": list(self.res), "pixel_m": self.metres, "bounds": list(self.bounds),
            "nodata_pixels": self.nodata_pixels,
        }  # fmt: skip


@dataclass(frozen=True)
class ReportedRun:
    """A run of a command that led to what is reported, for its provenance.

    Attributes:
        record: the record of the run.
        output: path of the file that it wrote.
        command: the command that makes the file again, in the folder in which it ran.
    """

    record: RunRecord
    output: str
    command: str

    @classmethod
    def of(cls, record: RunRecord, output: str) -> Self:
        """A run with the command that its record gives."""
        return cls(record, output, command_of(record, output))

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {**self.record.to_dict(), "output": self.output, "again": self.command}


# NOTE: eq=False because arrays do not compare to one truth value.
@dataclass(frozen=True, eq=False)
class MapReport:
    """A map's classes, areas and accuracy, and what is known of how it was made; all but the classes may be unknown.

    Attributes:
        classes: the classes of the map or the model, those of the confusion matrix among them.
        accuracy: accuracy compared with a reference.
        estimates: accuracies and areas of the whole map with their margins, where the reference is a stratified random
            sample; then `accuracy` is that of the sample.
        reference: path of the reference.
        trained_share: share of the reference's pixels that the map's model was trained on, as far as that is known and
            large enough to matter; else 0.
        reliability: reliability of the map's confidence at the reference.
        facts: what the map is; None for a report on a model.
        training: what training found.
        suggestions: places to label, the first ones of those that were suggested.
        runs: the runs that made the map and its model, the first one first.
        warnings: what making the report warned of.
        pictures: pictures for the page; no other form shows them.
    """

    classes: tuple[MappedClass, ...]
    accuracy: Accuracy | None = None
    estimates: AreaAdjusted | None = None
    reference: str | None = None
    trained_share: float = 0.0
    reliability: Reliability | None = None
    facts: MapFacts | None = None
    training: TrainingReport | None = None
    suggestions: tuple[SuggestedPlace, ...] = ()
    runs: tuple[ReportedRun, ...] = ()
    warnings: tuple[str, ...] = ()
    pictures: Pictures | None = field(default=None, repr=False)

    @classmethod
    def of(
        cls,
        accuracy: Accuracy,
        estimates: AreaAdjusted | None = None,
        *,
        colors: Mapping[int, Color] | None = None,
        pixels: Mapping[int, int] | None = None,
        areas: Mapping[int, float] | None = None,
        **more: Any,
    ) -> Self:
        """The report of an accuracy's classes.

        Args:
            accuracy: compared with the reference.
            estimates: for the whole map.
            colors: by class id.
            pixels: number of pixels of the whole map by class id; None where they were not counted.
            areas: areas of the whole map in square metres by class id; None where they were not measured.
            more: other fields of the report.
        """
        names = dict(zip(accuracy.class_ids, accuracy.class_names, strict=True))
        classes = make_classes(names, colors=colors, pixels=pixels, areas=areas)
        return cls(classes, accuracy, estimates, **more)

    @property
    def basis(self) -> Basis | None:
        """The best accuracy that is known: by a reference, else on labels held out, else by cross-validation."""
        if self.accuracy is not None:
            return Basis(self.accuracy, "reference", self.estimates, self.trained_share)
        if self.training is None:
            return None
        for accuracy, kind in (
            (self.training.validation, "validation"), (self.training.cross_validation, "cross_validation"),
        ):  # fmt: skip
            if accuracy is not None:
                return Basis(accuracy, kind)
        return None

    @property
    def findings(self) -> Findings:
        """The findings in plain words."""
        known = Known(
            labelled={} if self.training is None else self.training.figures.get("labelled_pixels") or {},
            names={c.id: c.name for c in self.classes},
            confidence={c.id: c.confidence for c in self.classes if c.confidence is not None},
            covered={c.id: c.pixels for c in self.classes if c.pixels},
            outside={c.id: c.outside for c in self.classes if c.outside is not None},
            has_map=self.facts is not None or self.accuracy is not None,
            has_suggestions=bool(self.suggestions),
        )
        found = find(self.basis, known)
        if self.facts is None or not self.facts.is_change_map:
            return found
        return OF_CHANGE_MAP if self.basis is None else replace(found, label_next=OF_CHANGE_MAP.label_next)

    @property
    def all_warnings(self) -> tuple[str, ...]:
        """The warnings of all runs and of the report, each once."""
        return tuple(dict.fromkeys([*(text for run in self.runs for text in run.record.warnings), *self.warnings]))

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values: `Accuracy.to_dict` with what follows from it, and under further keys all that is known."""
        found = {} if self.accuracy is None else with_derived(self.accuracy.to_dict(), self.estimates)
        assessed = {entry["id"]: entry for entry in found.get("classes", ())}
        total = sum(c.pixels or 0 for c in self.classes)
        classes = [{**assessed.get(c.id, {}), **c.to_dict(), **_share(c, total)} for c in self.classes]
        parts: dict[str, Any] = {
            "reference": self.reference,
            "area_adjusted": None if self.estimates is None else self.estimates.to_dict(),
            "reliability": None if self.reliability is None else self.reliability.to_dict(),
            "map": None if self.facts is None else self.facts.to_dict(),
            "training": None if self.training is None else self.training.to_dict(),
            "pictures": None if self.pictures is None else self.pictures.to_dict(),
            "suggestions": [place.to_dict() for place in self.suggestions] or None,
            "warnings": list(self.all_warnings) or None,
            "runs": [run.to_dict() for run in self.runs] or None,
        }
        findings = self.findings.to_dict()
        known_parts = {key: value for key, value in parts.items() if value is not None}
        return {**found, "classes": classes, **known_parts, "findings": findings}


def _share(land_cover: MappedClass, total: int) -> dict[str, float]:
    """A class's share of the mapped pixels, where they were counted."""
    return {} if land_cover.pixels is None or not total else {"share": land_cover.pixels / total}
