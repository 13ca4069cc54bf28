"""The modalities: one table of the kinds of images.

The options of the command line and their help, the order of a stack, and the checks that depend on what values mean
derive from it. To add a modality, add an entry to `MODALITIES`, and a field of its name to `ImageOptions`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection


class Role(Enum):
    """What an image is used as."""

    #: Its grid is that of the map; of several such images the first one in the table is the passive image.
    PASSIVE = "passive image"
    #: It is warped onto the passive image's grid.
    SECOND = "second image"


class PlausibleRange(NamedTuple):
    """The range of values that are possible in one unit.

    Attributes:
        unit: its name, for messages.
        low, high: least and greatest value.
    """

    unit: str
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Modality:
    """A kind of image.

    Attributes:
        name: name of the option, and in a model file.
        role: what it is used as.
        help: help text of the option on the command line.
        help_of_role: what the help adds in the commands whose map has the grid of such an image.
        is_hyperspectral: whether bands in which water vapour absorbs are expected, and left out where they are noise.
        is_height: whether values are heights: those that a file declares in feet are read in metres.
        varies_by_place: whether values of the same unit may be of another magnitude at another place or time, so that
            a model must not refuse them.
        plausible: the ranges in which values in the usual units are; empty where any value is plausible.
    """

    name: str
    role: Role
    help: str
    help_of_role: str = ""
    is_hyperspectral: bool = False
    is_height: bool = False
    varies_by_place: bool = False
    plausible: tuple[PlausibleRange, ...] = ()

    def is_plausible(self, low: float, high: float) -> bool:
        """Whether values from one to another are in the range of one unit."""
        return not self.plausible or any(unit.low <= low and high <= unit.high for unit in self.plausible)

    def describe_plausible(self) -> str:
        """The plausible ranges, for messages."""
        return " or ".join(f"{low:g} to {high:g} {unit}" for unit, low, high in self.plausible)


#: All modalities by name, in the order in which they are stacked.
MODALITIES = {
    modality.name: modality
    for modality in (
        Modality(
            name="hsi",
            role=Role.PASSIVE,
            help="Hyperspectral image.",
            help_of_role="Its grid is the map's.",
            is_hyperspectral=True,
        ),
        Modality(
            name="msi",
            role=Role.PASSIVE,
            help="Multispectral image.",
            help_of_role="It is the passive image where there is no hyperspectral one.",
        ),
        Modality(
            name="lidar",
            role=Role.SECOND,
            help="LiDAR raster, e.g. heights above ground.",
            is_height=True,
            varies_by_place=True,
        ),
        Modality(
            name="dsm",
            role=Role.SECOND,
            help="Surface or terrain heights.",
            is_height=True,
            varies_by_place=True,
        ),
        Modality(
            name="sar",
            role=Role.SECOND,
            help="SAR image.",
        ),
        Modality(
            name="thermal",
            role=Role.SECOND,
            help="Thermal infrared image, e.g. brightness or surface temperature.",
            varies_by_place=True,
            plausible=(PlausibleRange("kelvin", 150, 400), PlausibleRange("degrees Celsius", -100, 150)),
        ),
    )
}
#: The names of the modalities that can be the passive image, the preferred one first.
PASSIVE_NAMES = tuple(name for name, modality in MODALITIES.items() if modality.role is Role.PASSIVE)


def passive_of(given: Collection[str]) -> str | None:
    """The given modality that is the passive image; None if there is none."""
    return next((name for name in PASSIVE_NAMES if name in given), None)


def no_passive_image() -> str:
    """The message that no passive image was given."""
    return f"no passive image was given; name it with {' or '.join(f'`{name}`' for name in PASSIVE_NAMES)}"
