"""The classes of a report: what they are called, their colours, and what they cover."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from s2fin_cli.core.figures import known

if TYPE_CHECKING:
    from collections.abc import Mapping

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
        confidence: mean confidence of its pixels, None where it is not known.
        outside: share of its pixels that look unlike all training data, None where it is not known.
    """

    id: int
    name: str
    color: Color | None = None
    pixels: int | None = None
    area: float | None = None
    confidence: float | None = None
    outside: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; what is not known is left out, but for the number and the name."""
        found = {
            "color": None if self.color is None else "#{:02x}{:02x}{:02x}".format(*self.color),
            "pixels": self.pixels,
            "area_m2": None if self.area is None else known(self.area),
            "mean_confidence": self.confidence,
            "outside_share": self.outside,
        }
        return {"id": self.id, "name": self.name} | {key: value for key, value in found.items() if value is not None}


def make_classes(
    names: Mapping[int, str],
    *,
    colors: Mapping[int, Color] | None = None,
    pixels: Mapping[int, int] | None = None,
    areas: Mapping[int, float] | None = None,
    confidence: Mapping[int, float] | None = None,
    outside: Mapping[int, float] | None = None,
) -> tuple[MappedClass, ...]:
    """The classes of a map.

    Args:
        names: by class id, in the order of the classes.
        colors: by class id.
        pixels: number of pixels of the whole map by class id; None where they were not counted.
        areas: areas of the whole map in square metres by class id; None where they were not measured.
        confidence: mean confidence by class id.
        outside: share of the pixels that look unlike all training data by class id.
    """
    return tuple(
        MappedClass(
            class_id,
            name,
            (colors or {}).get(class_id),
            None if pixels is None else pixels.get(class_id, 0),
            None if areas is None else areas.get(class_id, 0.0),
            (confidence or {}).get(class_id),
            (outside or {}).get(class_id),
        )
        for class_id, name in names.items()
    )
