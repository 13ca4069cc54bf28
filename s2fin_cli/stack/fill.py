"""Values that stand for no data although the files do not declare it."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from rasterio.windows import Window

from s2fin_cli.stack.sampling import QUICK, SMALL, sample_pixels

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from s2fin_cli.stack.layer import Layer
    from s2fin_cli.stack.stack import Stack

#: Least share of the border's and of all pixels that have the value.
BORDER_SHARE, SHARE = 0.05, 0.01
#: Least share of a band's pixels that hold a void's value, and least number of the other values that it is far from.
VOID_SHARE, FEWEST_OTHERS = 0.01, 16
#: Length of the pieces of each border that are examined, and how many at most; each block that they are in
#: has to be decoded as a whole.
PIECE, PIECES = 128, 3


@dataclass(frozen=True)
class Fill:
    """The value that fills a border.

    Attributes:
        value: what all bands hold there.
        share: share of the image's pixels that hold it in all bands.
        is_declared_otherwise: whether the files declare in another way where there is no data.
    """

    value: float
    share: float
    is_declared_otherwise: bool = False


@dataclass(frozen=True)
class Void:
    """A value that may stand for no data.

    Attributes:
        value: as it is stored.
        share: share of the pixels that hold it, at most, in one of the bands.
        numbers: numbers of the bands.
        others: least and greatest of the other values of these bands.
    """

    value: float
    share: float
    numbers: tuple[int, ...]
    others: tuple[float, float]


@dataclass(frozen=True)
class Undeclared:
    """Values that stand, or may stand, for no data although the files do not declare it.

    Attributes:
        fill: the value that fills the passive image's border, or None.
        voids: other values that may stand for no data, with the layers that hold them.
        pixels: the sample in which they were found: float32 (n, bands of all layers) as stored, NaN where there is no
            data, including pixels with a fill value that no file contradicts.
    """

    fill: Fill | None
    voids: list[tuple[Layer, Void]]
    pixels: NDArray[np.float32]


def find_undeclared(
    stack: Stack,
    pixels: NDArray[np.float32] | None = None,
    *,
    may_be_filled: bool = True,
    most_at_once: int = SMALL.values,
) -> Undeclared:
    """Look for values that stand for no data although the files do not declare it.

    Args:
        stack: the stack, with the nodata values that are known.
        pixels: a sample of it as stored (n, bands of all layers); None takes one.
        may_be_filled: whether to look for a value that fills the passive image's border.
        most_at_once: an image with at most this many values is read as a whole to examine its border, which is faster
            than reading pieces.
    """
    stored = stack.as_stored()
    border = _find_border_value(stored, most_at_once) if may_be_filled else None
    if pixels is None:
        # NOTE: few tiles suffice for voids, but not for the share that a fill has.
        pixels = sample_pixels(stored, QUICK if border is None else SMALL)
    image = np.s_[:, : len(stack.image.numbers)]
    fill = None if border is None else _fill_of(pixels[image], border)
    if fill is not None and not fill.is_declared_otherwise:
        is_filled = (pixels[image] == fill.value).all(axis=1)
        pixels = pixels.copy()
        pixels[image][is_filled] = np.nan
    voids = [
        (layer, void)
        for layer, void in _find_voids(stack, pixels)
        if fill is None or layer is not stack.image or void.value != fill.value
    ]
    return Undeclared(fill, voids, pixels)


def _find_voids(stack: Stack, pixels: NDArray[np.float32]) -> list[tuple[Layer, Void]]:
    """Values that many pixels of a band hold and that are far from all others, as -9999 is among heights.

    The lowest and the highest value of each band with data are candidates. A void fills at least `VOID_SHARE` of the
    pixels, and is farther from the next value than all other values are from each other.
    """
    found = []
    for layer, bands in stack.slices():
        voids: dict[float, list[Void]] = {}
        for number, values in zip(layer.numbers, pixels[:, bands].T, strict=True):
            void = _void_of(values[np.isfinite(values)], number)
            if void is not None:
                voids.setdefault(void.value, []).append(void)
        found += [(layer, _joined(parts)) for parts in voids.values()]
    return found


def _void_of(values: NDArray[np.float32], number: int) -> Void | None:
    """The void's value among the values (n,) of a band."""
    distinct, counts = np.unique(values.astype(np.float64), return_counts=True)
    if len(distinct) <= FEWEST_OTHERS:
        return None
    for end, others in ((0, distinct[1:]), (-1, distinct[:-1])):
        share = float(counts[end] / len(values))
        if share >= VOID_SHARE and np.abs(others - distinct[end]).min() > others[-1] - others[0]:
            return Void(float(distinct[end]), share, (number,), (float(others[0]), float(others[-1])))
    return None


def _joined(parts: list[Void]) -> Void:
    """The void of several bands."""
    numbers = tuple(number for part in parts for number in part.numbers)
    lows, highs = zip(*(part.others for part in parts), strict=True)
    return Void(parts[0].value, max(part.share for part in parts), numbers, (min(lows), max(highs)))


def _find_border_value(stored: Stack, most_at_once: int) -> Fill | None:
    """The value that all bands of the passive image have along at least `BORDER_SHARE` of its border, or None.

    Only images of two bands or more without a mask are examined. The share is that of the border.
    """
    layer = stored.image
    if len(layer.numbers) < 2 or any(info.alpha_indexes for info in layer.rasters):
        return None
    border = _border_pixels(stored, most_at_once)
    has_data = np.isfinite(border).all(axis=1)
    value, share = _most_common(border[has_data])
    if share * has_data.mean() < BORDER_SHARE:
        return None
    is_declared = not has_data.all() or any(info.nodata is not None for info in layer.rasters)
    return Fill(value, share, is_declared)


def _fill_of(image: NDArray[np.float32], border: Fill) -> Fill | None:
    """The fill value, if at least `SHARE` of all pixels hold it, and it is 0 or the lowest or highest value of all.

    Args:
        image: sampled pixels (n, bands) of the passive image as stored.
        border: the value that most pixels on the border hold.
    """
    share = float((image == border.value).all(axis=1).mean())
    if share < SHARE or (border.value != 0 and np.nanmin(image) < border.value < np.nanmax(image)):
        return None
    return replace(border, share=share)


def _border_pixels(stack: Stack, most_at_once: int) -> NDArray[np.float32]:
    """Pixels (n, bands) of the passive image along its border."""
    height, width = stack.grid.shape
    windows = list(_border((height, width)))
    if height * width * len(stack.image.numbers) > most_at_once:
        parts = stack.read_scattered(windows, lambda tile: tile.images.image)
    else:
        with stack.open() as opened:
            image = opened.image.read(opened.grid.window)
        parts = [image[:, *window.toslices()] for window in windows]
    masks = [_is_border(window, (height, width)) for window in windows]
    return np.concatenate([part[:, mask].T for part, mask in zip(parts, masks, strict=True)])


def _border(shape: tuple[int, int]) -> Iterator[Window]:
    """Windows along the border: its corners, and pieces between them.

    Reading all of it would decode all blocks along the border, and in a raster in strips every block.
    """
    height, width = shape
    for row, col in itertools.product(_pieces(height), _pieces(width)):
        piece = Window(col, row, min(PIECE, width), min(PIECE, height))
        rows, cols = np.nonzero(_is_border(piece, shape))
        if len(rows):
            (top, bottom), (left, right) = ((int(at.min()), int(at.max()) + 1) for at in (rows, cols))
            yield Window(col + left, row + top, right - left, bottom - top)


def _is_border(window: Window, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Mask (height, width) of a window's pixels that are on the border of a raster of a shape."""
    rows, cols = (
        np.isin(np.arange(start, start + length), (0, size - 1))
        for start, length, size in zip(
            (window.row_off, window.col_off), (window.height, window.width), shape, strict=True
        )
    )
    return np.asarray(rows[:, None] | cols)


def _pieces(length: int) -> list[int]:
    """Where the pieces of a row or column begin: all but the last at a multiple of their length, as blocks do."""
    last = length - min(PIECE, length)
    starts = np.linspace(0, last, min(PIECES, -(-length // PIECE)))
    return [round(start / PIECE) * PIECE for start in starts[:-1]] + [last]


def _most_common(pixels: NDArray[np.float32]) -> tuple[float, float]:
    """The most frequent value among pixels whose bands all hold one value, and the share of these pixels."""
    if not len(pixels):
        return 0.0, 0.0
    uniform = pixels[(pixels == pixels[:, :1]).all(axis=1), 0]
    if not len(uniform):
        return 0.0, 0.0
    values, counts = np.unique(uniform, return_counts=True)
    return float(values[counts.argmax()]), float(counts.max() / len(pixels))
