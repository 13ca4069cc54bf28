"""Which bands of an image make a picture, and how its values become colours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from s2fin_cli.stack.layer import Layer

#: Nanometres of red, green and blue, and of near infrared, red and green; and how far a band may be from them.
TRUE_COLOR, FALSE_COLOR, FARTHEST_NM = (660.0, 560.0, 480.0), (850.0, 660.0, 560.0), 45.0
#: An image of at least so many bands without wavelengths is taken for one of the solar spectrum, in which red, green
#: and blue are about at these shares of the bands.
MANY_BANDS, SHARES = 30, (0.15, 0.1, 0.05)
#: Names of the bands of Sentinel-2 that show red, green and blue, and a name that no other sensor has.
_SENTINEL_2, _ONLY_SENTINEL_2 = ("B4", "B3", "B2"), "B8A"
#: Percentiles of a band that become black and white.
STRETCH = (2, 98)
#: The grey of pixels without data, which is calm on a light page and on a dark one.
EMPTY = 127


@dataclass(frozen=True)
class DisplayBands:
    """The bands that make a picture.

    Attributes:
        numbers: numbers of the bands among the data bands, three for red, green and blue, or one for grey.
        caption: what they show.
    """

    numbers: tuple[int, ...]
    caption: str


def display_bands(layer: Layer) -> DisplayBands:
    """The bands of an image that make a picture: true colour, else false colour, else some bands that exist."""
    colors = dict(zip(layer.colors, layer.numbers, strict=True))
    if {"red", "green", "blue"} <= colors.keys():
        return _three([colors[name] for name in ("red", "green", "blue")], "true colour", layer)
    for wanted, caption in ((TRUE_COLOR, "true colour"), (FALSE_COLOR, "false colour (near infrared, red, green)")):
        found = [_nearest(layer.known_wavelengths, place) for place in wanted]
        numbers = [number for number in found if number is not None]
        if len(set(numbers)) == 3:
            return _three(numbers, caption, layer)
    names = {name.upper().replace("B0", "B"): number for name, number in _named(layer)}
    if {*_SENTINEL_2, _ONLY_SENTINEL_2} <= names.keys():
        return _three([names[name] for name in _SENTINEL_2], "true colour", layer)
    if len(layer.numbers) < 3:
        return one_band(layer)
    if len(layer.numbers) >= MANY_BANDS:
        return _three([layer.numbers[int(share * len(layer.numbers))] for share in SHARES], "", layer)
    return _three(list(layer.numbers[2::-1]), "", layer)


def one_band(layer: Layer) -> DisplayBands:
    """The first band of an image, in grey."""
    numbers = layer.numbers[:1]
    return DisplayBands(numbers, f"band {_described(layer, numbers)}")


def _named(layer: Layer) -> list[tuple[str, int]]:
    return list(zip((name.strip() for name in layer.band_names), layer.numbers, strict=True))


def _nearest(wavelengths: dict[int, float], wanted: float) -> int | None:
    near = {number: abs(place - wanted) for number, place in wavelengths.items() if abs(place - wanted) <= FARTHEST_NM}
    return min(near, key=lambda number: near[number]) if near else None


def _three(numbers: Sequence[int], caption: str, layer: Layer) -> DisplayBands:
    bands = f"bands {_described(layer, numbers)} as red, green and blue"
    return DisplayBands(tuple(numbers), f"{caption}: {bands}" if caption else bands)


def _described(layer: Layer, numbers: Sequence[int]) -> str:
    """Bands by their number, with name or wavelength where it is known."""
    names, places = {number: name for name, number in _named(layer)}, layer.known_wavelengths
    texts = []
    for number in numbers:
        more = names.get(number) or (f"{places[number]:.0f} nm" if number in places else "")
        texts.append(f"{number} ({more})" if more else str(number))
    return ", ".join(texts)


@dataclass(frozen=True, eq=False)
class Stretched:
    """Values as bytes.

    Attributes:
        pixels: uint8 (bands, height, width), `EMPTY` where there is no data.
        ranges: the values of each band that are black and white; None for a band without data.
    """

    pixels: NDArray[np.uint8]
    ranges: tuple[tuple[float, float] | None, ...]


def stretched(values: NDArray[np.float32], valid: NDArray[np.bool_] | None = None) -> Stretched:
    """Values (bands, height, width) as bytes, each band from black to white between its percentiles `STRETCH`.

    Args:
        values: NaN where there is no data, which becomes a grey.
        valid: mask (height, width) of the pixels that decide the percentiles, while others become grey; None is all.
    """
    pixels = np.full(values.shape, EMPTY, np.uint8)
    ranges: list[tuple[float, float] | None] = []
    for band, out in zip(values, pixels, strict=True):
        counted = np.isfinite(band) if valid is None else np.isfinite(band) & valid
        if not counted.any():
            ranges.append(None)
            continue
        shown = band[counted].astype(np.float64)
        low, high = np.percentile(shown, STRETCH).tolist()
        out[counted] = (np.clip((shown - low) / max(high - low, 1e-9), 0, 1) * 255).round()
        ranges.append((low, high))
    return Stretched(pixels, tuple(ranges))
