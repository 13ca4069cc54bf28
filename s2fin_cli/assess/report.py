"""The report on a map: its classes, how much of it they cover, and how accurate it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Mapping

    from s2fin_cli.assess.area_adjusted import AreaAdjusted
    from s2fin_cli.assess.metrics import Accuracy

Color = tuple[int, int, int]


@dataclass(frozen=True)
class MappedClass:
    """One class of a map, and how much of the map it covers.

    Attributes:
        id: the number in the map.
        name: the name, or the number as text where the map has none.
        color: red, green and blue, 0 to 255 each; None where the map has no colour table.
        pixels: pixels of the class in the whole map, None where they were not counted.
        area: their area in square metres, None where it was not measured or the map has no CRS.
    """

    id: int
    name: str
    color: Color | None = None
    pixels: int | None = None
    area: float | None = None


# NOTE: eq=False because arrays do not compare to one truth value.
@dataclass(frozen=True, eq=False)
class MapReport:
    """A map's classes, areas and accuracy; the terminal, JSON, CSV and Markdown show this one object.

    Attributes:
        classes: the classes in the order of the confusion matrix.
        accuracy: compared with the reference.
        estimates: accuracies and areas of the whole map with their margins, where the reference is a stratified random
            sample; then `accuracy` is that of the sample.
    """

    classes: tuple[MappedClass, ...]
    accuracy: Accuracy
    estimates: AreaAdjusted | None = None

    @classmethod
    def of(
        cls,
        accuracy: Accuracy,
        estimates: AreaAdjusted | None = None,
        *,
        colors: Mapping[int, Color] | None = None,
        pixels: Mapping[int, int] | None = None,
        areas: Mapping[int, float] | None = None,
    ) -> Self:
        """The report of an accuracy's classes.

        Args:
            accuracy: compared with the reference.
            estimates: for the whole map.
            colors: by class id.
            pixels: number of pixels of the whole map by class id; None where they were not counted.
            areas: areas of the whole map in square metres by class id; None where they were not measured.
        """
        classes = tuple(
            MappedClass(
                class_id,
                name,
                (colors or {}).get(class_id),
                None if pixels is None else pixels.get(class_id, 0),
                None if areas is None else areas.get(class_id, 0.0),
            )
            for class_id, name in zip(accuracy.class_ids, accuracy.class_names, strict=True)
        )
        return cls(classes, accuracy, estimates)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values: `Accuracy.to_dict`, and `AreaAdjusted.to_dict` under the key "area_adjusted"."""
        return self.accuracy.to_dict() | ({} if self.estimates is None else {"area_adjusted": self.estimates.to_dict()})
