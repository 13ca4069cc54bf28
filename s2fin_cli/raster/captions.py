"""Captions of pictures, in a small bitmap font of the letters that they need."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Rows of each letter from top to bottom, five pixels each, as bits.
_LETTERS = {
    "a": (0b00000, 0b00000, 0b01110, 0b00001, 0b01111, 0b10001, 0b01111),
    "e": (0b00000, 0b00000, 0b01110, 0b10001, 0b11111, 0b10000, 0b01110),
    "g": (0b00000, 0b00000, 0b01111, 0b10001, 0b01111, 0b00001, 0b01110),
    "i": (0b00100, 0b00000, 0b01100, 0b00100, 0b00100, 0b00100, 0b01110),
    "n": (0b00000, 0b00000, 0b10110, 0b11001, 0b10001, 0b10001, 0b10001),
    "r": (0b00000, 0b00000, 0b10110, 0b11001, 0b10000, 0b10000, 0b10000),
    "s": (0b00000, 0b00000, 0b01111, 0b10000, 0b01110, 0b00001, 0b11110),
    "t": (0b00100, 0b00100, 0b01110, 0b00100, 0b00100, 0b00101, 0b00010),
}
#: Pixels of the picture to a pixel of a letter, and white pixels around a caption.
_SCALE, _MARGIN = 2, 3


def caption(text: str, width: int) -> NDArray[np.uint8]:
    """A strip (3, height, width) with black letters on white; text that does not fit is cut.

    Args:
        text: text made of the letters in `_LETTERS`.
        width: in pixels.
    """
    rows = np.array([_LETTERS[letter] for letter in text])
    dots = (rows[:, :, None] >> np.arange(5, -1, -1)) & 1  # letters, rows, columns with one blank first
    line = np.concatenate(list(dots), axis=1).repeat(_SCALE, 0).repeat(_SCALE, 1)[:, : width - _MARGIN]
    strip = np.full((3, line.shape[0] + 2 * _MARGIN, width), 255, dtype=np.uint8)
    strip[:, _MARGIN:-_MARGIN, _MARGIN : _MARGIN + line.shape[1]] = 255 * (1 - line)
    return strip
