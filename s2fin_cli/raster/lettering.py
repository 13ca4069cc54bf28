"""Text in pictures: captions and legends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

#: Size of letters, height of a line and white pixels around text, in pixels.
_SIZE, _LINE, _MARGIN = 14, 22, 5
#: Side of a class's square in a legend.
_SQUARE = 12
#: Longest name in a legend; longer ones are cut.
_MOST_LETTERS = 40
_BLACK, _WHITE = (0, 0, 0), (255, 255, 255)


def caption(text: str, width: int) -> NDArray[np.uint8]:
    """A strip (3, height, width) with black text on white; text that does not fit is cut."""
    picture = Image.new("RGB", (width, _LINE), _WHITE)
    _write(ImageDraw.Draw(picture), (_MARGIN, _LINE // 2), text)
    return _as_bands(picture)


def legend(entries: Sequence[tuple[str, tuple[int, int, int]]], height: int) -> NDArray[np.uint8]:
    """A legend (3, height, width) on white: a square of each class's colour with its name, in columns that fit.

    Args:
        entries: names and colours.
        height: in pixels.
    """
    rows = max((height - 2 * _MARGIN) // _LINE, 1)
    columns = [entries[start : start + rows] for start in range(0, len(entries), rows)]
    font = _font()
    widths = [max(font.getlength(_cut(name)) for name, _ in part) + _SQUARE + 3 * _MARGIN for part in columns]
    picture = Image.new("RGB", (int(sum(widths)) + 2 * _MARGIN, height), _WHITE)
    draw, left = ImageDraw.Draw(picture), 2 * _MARGIN
    for part, width in zip(columns, widths, strict=True):
        for row, (name, color) in enumerate(part):
            middle = _MARGIN + row * _LINE + _LINE // 2
            corner = (left, middle - _SQUARE // 2)
            draw.rectangle((corner, (corner[0] + _SQUARE, corner[1] + _SQUARE)), fill=color, outline=(128, 128, 128))
            _write(draw, (left + _SQUARE + _MARGIN, middle), _cut(name))
        left += int(width)
    return _as_bands(picture)


def _cut(name: str) -> str:
    return name if len(name) <= _MOST_LETTERS else f"{name[: _MOST_LETTERS - 1]}\N{HORIZONTAL ELLIPSIS}"


def _write(draw: ImageDraw.ImageDraw, place: tuple[int, int], text: str) -> None:
    """Write text from a place on, which is the middle of its left side."""
    shown = "".join(character if character.isprintable() else " " for character in text)
    draw.text(place, shown, fill=_BLACK, font=_font(), anchor="lm")


def _font() -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(_SIZE)
    assert isinstance(font, ImageFont.FreeTypeFont)  # noqa: S101  Pillow's wheels have FreeType
    return font


def _as_bands(picture: Image.Image) -> NDArray[np.uint8]:
    return np.asarray(picture).transpose(2, 0, 1).copy()
