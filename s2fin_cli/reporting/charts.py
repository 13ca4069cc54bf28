"""The geometry of a report's charts, in the units of their drawings; the page's template draws them."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from s2fin_cli.geo.windows import evenly_spread

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Width of a chart, and its margins: left (for numbers or for names), top, right and bottom; labels stand in them.
WIDTH = 400
LEFT, LEFT_OF_NAMES, TOP, RIGHT, BOTTOM = 48, 120, 24, 14, 36
#: Labels of axes on which only whole numbers make sense.
WHOLE = ("epoch", "band")
#: Lines of a grid along an axis, about.
TICKS = 5
#: Values that differ by less than this share of them count as equal, and digits after the point of a mark at most.
SMALLEST_SPAN, MOST_DIGITS = 1e-12, 15
#: Epochs of one run that are drawn at most, so that a page stays small.
MOST_EPOCHS = 300


@dataclass(frozen=True)
class Axis:
    """One axis: values from the least to the most, on places from a start to an end.

    Attributes:
        least, most: the values at its ends.
        start, end: their places.
        is_whole: whether only whole numbers are marked.
    """

    least: float
    most: float
    start: float
    end: float
    is_whole: bool = False

    def __call__(self, value: float) -> float:
        """The place of a value."""
        span = span_of(self.least, self.most)
        share = (value - self.least) / span if span else 0.5
        return round(self.start + share * (self.end - self.start), 2)

    def ticks(self) -> list[tuple[float, str]]:
        """Places and texts of round values."""
        values = [value for value in round_values(self.least, self.most) if not self.is_whole or value == round(value)]
        digits = max(0, -math.floor(math.log10(values[1] - values[0]))) if len(values) > 1 else 0
        form = f",.{digits}f" if digits <= MOST_DIGITS else ".4g"
        return [(self(value), f"{value:{form}}") for value in values]


@dataclass(frozen=True)
class Chart:
    """A chart with two axes.

    Attributes:
        width, height: of the drawing.
        x, y: the axes.
        x_label, y_label: what they show.
    """

    x: Axis
    y: Axis
    x_label: str
    y_label: str
    height: int
    width: int = WIDTH

    @property
    def plot(self) -> tuple[float, float, float, float]:
        """Left, top, width and height of the area between the axes."""
        return self.x.start, TOP, self.x.end - self.x.start, self.height - TOP - BOTTOM

    def line(self, xs: Sequence[float], ys: Sequence[float]) -> str:
        """The points of a line."""
        return " ".join(f"{self.x(x)},{self.y(y)}" for x, y in zip(xs, ys, strict=True))


def span_of(least: float, most: float) -> float:
    """How far two values are apart; 0 where rounding hides it, or where it is more than a double holds."""
    span = most - least
    smallest = max(SMALLEST_SPAN * max(abs(least), abs(most)), sys.float_info.min)
    return span if math.isfinite(span) and abs(span) > smallest else 0.0


def round_values(least: float, most: float) -> list[float]:
    """Round numbers between two, about `TICKS` of them."""
    span = span_of(least, most)
    if not span:
        return [least]
    power = 10 ** math.floor(math.log10(span / TICKS))
    step = next(s * power for s in (1, 2, 2.5, 5, 10) if span / (s * power) <= TICKS)
    first = math.ceil(least / step - 1e-9)
    return [i * step for i in range(first, math.floor(most / step + 1e-9) + 1)]


def chart(
    x: tuple[float, float], y: tuple[float, float], labels: tuple[str, str], *, height: int = 260, left: int = LEFT
) -> Chart:
    """A chart with axes from a least to a most value each."""
    is_whole = labels[0] in WHOLE
    return Chart(Axis(*x, left, WIDTH - RIGHT, is_whole), Axis(*y, height - BOTTOM, TOP), *labels, height)


def learning_curve(losses: Sequence[Sequence[float]]) -> Chart | None:
    """Loss by epoch, None without any."""
    values = [value for part in losses for value in part]
    if not values:
        return None
    epochs = max(len(part) for part in losses)
    low, high = min(values), max(values)
    room = 0.1 * span_of(low, high) or 0.1 * abs(high) or 1.0
    return chart((1, max(epochs, 2)), (low - room, high + room), ("epoch", "loss"))


def drawn_losses(losses: Sequence[float]) -> list[tuple[int, float]]:
    """Epochs from 1 and their losses, the first and the last among them, as many as a drawing shows."""
    return [(int(i) + 1, losses[i]) for i in evenly_spread(len(losses) - 1, most=MOST_EPOCHS)] if losses else []


def reliability() -> Chart:
    """Accuracy by confidence, both from 0 to 1."""
    return chart((0, 1), (0, 1), ("confidence", "share of pixels that are right"), height=314)


def spectrum(image: dict[str, Any]) -> Chart:
    """Values by band or wavelength, of one image of a training's report."""
    xs = image["wavelengths_nm"] or image["bands"]
    pairs = [pair for c in image["classes"] for pair in zip(c["mean"], c["std"], strict=True)]
    low, high = min(mean - std for mean, std in pairs), max(mean + std for mean, std in pairs)
    label = "wavelength in nanometres" if image["wavelengths_nm"] else "band"
    return chart((min(xs), max(xs)), (low, high), (label, "value"))


def band_rows(image: dict[str, Any], band: int) -> Chart:
    """Values of one band, a row for each class."""
    pairs = [(c["mean"][band], c["std"][band]) for c in image["classes"]]
    low, high = min(mean - std for mean, std in pairs), max(mean + std for mean, std in pairs)
    rows = len(pairs)
    return chart((low, high), (rows - 0.5, -0.5), ("value", ""), height=TOP + BOTTOM + 24 * rows, left=LEFT_OF_NAMES)


def upper(land_cover: dict[str, Any]) -> list[float]:
    """Means plus deviations of a class."""
    return [mean + std for mean, std in zip(land_cover["mean"], land_cover["std"], strict=True)]


def lower(land_cover: dict[str, Any]) -> list[float]:
    """Means minus deviations of a class."""
    return [mean - std for mean, std in zip(land_cover["mean"], land_cover["std"], strict=True)]


def scale_bar(metres: float | None, *, share: float = 0.4) -> tuple[float, str] | None:
    """The length of a scale bar in percent of the room for it, and its text.

    Args:
        metres: metres on the ground across the drawing.
        share: the room for the bar, of the drawing's width.
    """
    if not metres:
        return None
    room = metres * share
    power = 10 ** math.floor(math.log10(room))
    # NOTE: room just below a power of ten has its logarithm rounded up, and then only the last step fits
    length = next(step * power for step in (5, 2, 1, 0.5) if step * power <= room)
    return round(100 * length / room, 2), f"{length / 1000:g} km" if length >= 1000 else f"{length:g} m"
