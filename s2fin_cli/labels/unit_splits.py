"""Splits of more labelled pixels than are held at a time: chosen by counts of units, and applied strip by strip.

The rule is that of `splits`: whole polygons or blocks. Only blocks may be larger, and single pixels are chosen by
hashes instead of one by one.
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from s2fin_cli.geo.windows import row_ranges
from s2fin_cli.labels.blocks import block_side, reach_into
from s2fin_cli.labels.distances import are_apart_in_strip
from s2fin_cli.labels.splits import choose_units, resolved
from s2fin_cli.labels.thinning import pixel_hashes, thin_per_class

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from s2fin_cli.labels.pixels import LabelledPixels
    from s2fin_cli.labels.read import Labels

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Units:
    """The units that are held out as a whole.

    Attributes:
        method: "polygons", "blocks" or "random".
        side: pixels a side of a block.
        shape: blocks along height and width; of polygons, their number and 1.
    """

    method: str
    side: int
    shape: tuple[int, int]

    @classmethod
    def of(cls, labels: Labels, method: str, radius: int) -> Units:
        """The units of labels.

        Args:
            labels: the labels.
            method: as for `split_labels`.
            radius: least distance between training and test pixels, in pixels.

        Raises:
            LabelError: as for `split_labels`.
        """
        method = resolved(method, labels.kind)
        if method != "blocks":
            return cls(method, 1, (labels.group_count if method == "polygons" else 0, 1))
        height, width = labels.grid.shape
        wanted = block_side(radius)
        side = max(wanted, math.ceil(math.sqrt(height * width / labels.limits.blocks)))
        if side > wanted:
            logger.info("the labels are many: blocks are %d pixels a side instead of %d", side, wanted)
        return cls(method, side, (-(-height // side), -(-width // side)))

    def numbers(self, pixels: LabelledPixels) -> NDArray[np.int64]:
        """Number of the unit that each pixel (n,) is in."""
        if self.method == "polygons":
            return pixels.groups
        return pixels.rows // self.side * self.shape[1] + pixels.cols // self.side


@dataclass(frozen=True)
class Draw:
    """One choice of what is held out.

    Attributes:
        units: what is held out together.
        held: mask over the units, those of blocks row by row.
        limits: for single pixels, uint64 by class id: those with smaller hashes are held out.
        radius: least distance between the two parts, in pixels.
        seed: seed of the hashes.
    """

    units: Units
    held: NDArray[np.bool_]
    limits: NDArray[np.uint64]
    radius: int
    seed: int

    @property
    def holds_out(self) -> bool:
        """Whether anything is held out."""
        return bool(self.held.any() or self.limits.any())

    def held_out(self, pixels: LabelledPixels) -> NDArray[np.bool_]:
        """Mask over pixels (n,) of those that are held out."""
        if self.units.method == "random":
            return np.asarray(pixel_hashes(pixels.rows, pixels.cols, self.seed) < self.limits[pixels.class_ids])
        return np.asarray(self.held[self.units.numbers(pixels)])

    def near(self, pixels: LabelledPixels) -> NDArray[np.bool_]:
        """Mask over pixels (n,) of those whose square of the radius reaches into a block that is held out."""
        if self.units.method != "blocks":
            return np.zeros(len(pixels), dtype=bool)
        held, (height, width) = self.held.reshape(self.units.shape), self.units.shape

        def is_held(rows: NDArray[np.int64], cols: NDArray[np.int64]) -> NDArray[np.bool_]:
            row, col = rows // self.units.side, cols // self.units.side
            return np.asarray(held[np.clip(row, 0, height - 1), np.clip(col, 0, width - 1)])

        return reach_into(is_held, pixels.rows, cols=pixels.cols, radius=self.radius)


@dataclass(frozen=True)
class Candidates:
    """What random splits are made from, and compared by.

    Attributes:
        units: what is held out together.
        counts: int64 (units, classes), number of pixels.
        sample: some of the pixels, with a limit per class.
    """

    units: Units
    counts: NDArray[np.int64]
    sample: LabelledPixels

    @classmethod
    def of(cls, labels: Labels, *, method: str, radius: int, seed: int) -> Candidates:
        """Those of labels; arguments as for `Units.of`."""
        units = Units.of(labels, method, radius)
        ids = np.array([c.id for c in labels.classes])
        counts = np.zeros((math.prod(units.shape), len(ids)), dtype=np.int64)

        def counted() -> Iterator[LabelledPixels]:
            for pixels in labels.strips():
                if len(counts):
                    code = units.numbers(pixels) * len(ids) + np.searchsorted(ids, pixels.class_ids)
                    first = code.min()
                    numbers = np.bincount(code - first)
                    counts.ravel()[first : first + len(numbers)] += numbers
                yield pixels

        sample = thin_per_class(counted(), most=max(labels.limits.sample_pixels // len(ids), 1), seed=seed)
        assert sample is not None  # noqa: S101  (labels without a pixel are an error before)
        return cls(units, counts, sample)

    def draw(self, labels: Labels, *, share: float, radius: int, generator: np.random.Generator) -> Draw:
        """Hold out a share of each class's pixels, as nearly as the units allow."""
        seed = int(generator.integers(1 << 62))
        limits = np.zeros(max(labels.totals) + 1, dtype=np.uint64)
        if self.units.method == "random":
            for class_id, total in labels.totals.items():
                limits[class_id] = self._limit(class_id, total, share=share, seed=seed)
        return Draw(self.units, choose_units(self.counts, share=share, generator=generator), limits, radius, seed)

    def _limit(self, class_id: int, total: int, *, share: float, seed: int) -> int:
        """The limit below which the hashes of a class's held-out pixels are."""
        own = self.sample.select(self.sample.class_ids == class_id)
        if len(own) < total:
            return int(share * 2.0**64)
        # the sample has all pixels of a rare class: hold out the exact number, and leave at least one on each side
        wanted = min(max(round(share * total), 1), total - 1)
        return int(np.sort(pixel_hashes(own.rows, own.cols, seed))[wanted])


@dataclass(frozen=True)
class Parts:
    """Both parts of some rows.

    Attributes:
        pixels: all labelled pixels of the rows.
        test: mask (n,) of those that are held out.
        apart: mask of the others that are far enough from all that are held out.
        train: mask of those of them that do not reach into a block that is held out either.
    """

    pixels: LabelledPixels
    test: NDArray[np.bool_]
    apart: NDArray[np.bool_]
    train: NDArray[np.bool_]


def iter_parts(labels: Labels, draw: Draw) -> Iterator[tuple[int, int, Parts]]:
    """First and last row (exclusive) of strips that cover the grid, with both parts of the labels there."""
    height, width = labels.grid.shape
    # NOTE: powers of two, so that strips and the blocks of written rasters coincide
    rows = 1 << max((labels.limits.split_pixels // width).bit_length() - 1, 0)
    while rows < 2 * draw.radius:  # or most of what is read would be read again
        rows *= 2
    with labels.open() as read:
        for start, stop in row_ranges(height, rows):
            yield start, stop, _parts_of(read, draw, start=start, stop=stop, shape=(height, width))


def _parts_of(
    read: Callable[[int, int], LabelledPixels], draw: Draw, *, start: int, stop: int, shape: tuple[int, int]
) -> Parts:
    halo = max(draw.radius - 1, 0)
    top, bottom = max(start - halo, 0), min(stop + halo, shape[0])
    around = read(top, bottom)
    held = draw.held_out(around)
    inner = slice(*np.searchsorted(around.rows, (start, stop)).tolist())
    pixels, test = around.select(inner), held[inner]
    apart = ~test & are_apart_in_strip(
        pixels, around.select(held), distance=draw.radius, rows=(top, bottom), width=shape[1]
    )
    return Parts(pixels, test, apart, apart & ~draw.near(pixels))


def count_parts(labels: Labels, draw: Draw) -> tuple[dict[int, int], dict[int, int], set[int]]:
    """Count both parts of all labels.

    Returns:
        training and test pixels by class id, and the classes that would have none to train on if all were left out that
        reach into a block that is held out: of them, those that are far enough from test pixels are trained on.
    """
    size = max(labels.totals) + 1
    counts = np.zeros((3, size), dtype=np.int64)
    for _, _, parts in iter_parts(labels, draw):
        for row, mask in enumerate((parts.test, parts.apart, parts.train)):
            counts[row] += np.bincount(parts.pixels.class_ids[mask], minlength=size)
    test, apart, train = counts
    rescued = {c.id for c in labels.classes if not train[c.id]}
    trained = {c.id: int(apart[c.id] if c.id in rescued else train[c.id]) for c in labels.classes}
    return trained, {c.id: int(test[c.id]) for c in labels.classes}, rescued
