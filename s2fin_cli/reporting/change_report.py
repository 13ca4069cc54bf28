"""The report on changes between two maps: one object, which the terminal, JSON, CSV and Markdown show."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from s2fin_cli.core.figures import known
from s2fin_cli.reporting.derived import with_derived
from s2fin_cli.reporting.findings import Findings

if TYPE_CHECKING:
    from s2fin_cli.assess.area_adjusted import AreaAdjusted
    from s2fin_cli.assess.change_estimates import ChangeEstimates
    from s2fin_cli.assess.metrics import Accuracy
    from s2fin_cli.core.transitions import Pair, Transitions


#: The findings of a report on a change map, where nothing is known of its accuracy.
OF_CHANGE_MAP = Findings(
    "This is a change map: its classes are the transitions between two maps. How much of the change is real is not "
    "known.",
    worst=None,
    worst_class=None,
    worst_id=None,
    confused=(),
    label_next=(
        "Estimate what really changed: draw points with s2fin sample, fill in the classes before and after, and give "
        "the points to s2fin compare as its reference.",
    ),
)


@dataclass(frozen=True)
class Cover:
    """How much of the maps something covers.

    Attributes:
        pixels: number of pixels.
        share: of the pixels that have a class in both maps.
        area: square metres, None without a CRS.
    """

    pixels: int
    share: float
    area: float | None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; the area only where it is known."""
        area = {} if self.area is None else {"area_m2": known(self.area)}
        return {"pixels": self.pixels, "share": self.share, **area}


# NOTE: eq=False because arrays do not compare to one truth value.
@dataclass(frozen=True, eq=False)
class ChangeReport:
    """What changed between two maps.

    Attributes:
        before, after: paths of the maps.
        transitions: the classes, and the transitions, those that only the reference has among them.
        pixels: number of pixels by transition, of those that occur in the maps.
        areas: square metres by transition; None without a CRS.
        nodata_pixels: pixels without a class only in the map "before", only in the map "after", and in "both".
        reference: path of the interpreted points.
        accuracy: accuracy of the sample; its classes are the transitions by their numbers.
        estimates: accuracies and areas of the transitions with their margins.
        changed: the same of all changes together.
        warnings: what comparing the maps warned of.
    """

    before: str
    after: str
    transitions: Transitions
    pixels: dict[Pair, int]
    areas: dict[Pair, float] | None
    nodata_pixels: dict[str, int]
    reference: str | None = None
    accuracy: Accuracy | None = None
    estimates: AreaAdjusted | None = None
    changed: ChangeEstimates | None = None
    warnings: tuple[str, ...] = ()

    @property
    def occurring(self) -> list[Pair]:
        """The transitions that occur in the maps, in the order of their numbers."""
        return [pair for pair in self.transitions.pairs.values() if pair in self.pixels]

    @property
    def changes(self) -> list[Pair]:
        """The changes among them, the largest one first."""
        return sorted((pair for pair in self.occurring if pair[0] != pair[1]), key=lambda pair: -self.pixels[pair])

    @property
    def class_ids(self) -> list[int]:
        """Numbers of the classes that occur in a map."""
        present = {class_id for pair in self.pixels for class_id in pair}
        return [class_id for class_id in self.transitions.names if class_id in present]

    @cached_property
    def _compared(self) -> int:
        """Pixels that have a class in both maps."""
        return sum(self.pixels.values())

    def cover(self, pairs: list[Pair]) -> Cover:
        """What some transitions cover together."""
        pixels = sum(self.pixels.get(pair, 0) for pair in pairs)
        area = None if self.areas is None else sum(self.areas.get(pair, 0.0) for pair in pairs)
        return Cover(pixels, pixels / self._compared, area)

    def of_class(self, class_id: int) -> dict[str, Cover]:
        """What a class covers before and after, what of it is unchanged, and what it lost and gained."""
        own = [pair for pair in self.pixels if class_id in pair]
        return {
            "before": self.cover([pair for pair in own if pair[0] == class_id]),
            "after": self.cover([pair for pair in own if pair[1] == class_id]),
            "unchanged": self.cover([(class_id, class_id)]),
            "lost": self.cover([pair for pair in own if pair[1] != class_id]),
            "gained": self.cover([pair for pair in own if pair[0] != class_id]),
        }

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; what is not known is left out."""
        names, ids = self.transitions.names, self.class_ids
        values, areas = self.transitions.values, self.areas
        matrix: dict[str, Any] = {
            "rows": "before", "columns": "after", "class_ids": ids,
            "pixels": [[self.pixels.get((before, after), 0) for after in ids] for before in ids],
        }  # fmt: skip
        if areas is not None:
            matrix["area_m2"] = [[known(areas.get((before, after), 0.0)) for after in ids] for before in ids]
        found: dict[str, Any] = {
            "before": self.before,
            "after": self.after,
            "changed": self.cover(self.changes).to_dict(),
            "nodata_pixels": self.nodata_pixels,
            "classes": [
                {"id": i, "name": names[i], **{key: part.to_dict() for key, part in self.of_class(i).items()}}
                for i in ids
            ],
            "transitions": [
                {"id": values[pair], "name": self.transitions.name_of(pair), "before": pair[0], "after": pair[1],
                 "changed": pair[0] != pair[1], **self.cover([pair]).to_dict()}
                for pair in self.occurring
            ],
            "matrix": matrix,
        }  # fmt: skip
        return found | self._assessed() | ({"warnings": list(self.warnings)} if self.warnings else {})

    def _assessed(self) -> dict[str, Any]:
        """What follows from the reference."""
        if self.accuracy is None or self.estimates is None or self.changed is None:
            return {}
        return {
            "reference": self.reference,
            "sample": with_derived(self.accuracy.to_dict(), self.estimates),
            "area_adjusted": {**self.estimates.to_dict(), "changed": self.changed.to_dict()},
        }
