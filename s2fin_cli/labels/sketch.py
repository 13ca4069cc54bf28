"""A sketch of labelled pixels: a few bytes that tell whether other labels are the same ones."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from affine import Affine

from s2fin_cli.labels.thinning import pixel_hashes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray
    from rasterio.crs import CRS

    from s2fin_cli.geo.grid import Grid
    from s2fin_cli.labels.pixels import LabelledPixels

#: Tag of a map that holds the sketch of the labels that its model was trained on.
LABELS_TAG = "S2FIN_TRAINED_ON"
#: Hashes that a sketch keeps at most.
MOST_HASHES = 256
#: Of a sketch that keeps a part of its pixels, fewer hashes found again may be there by chance.
FEWEST_FOUND = 4
#: How far the pixels of two grids may be apart, in pixels, and still be the same.
TOLERANCE = 0.01


@dataclass(frozen=True, eq=False)
class LabelSketch:
    """The pixels with the smallest hashes of position (a bottom-k sketch, Cohen and Kaplan 2007, PODC, 225-234).

    Attributes:
        transform: of the grid whose rows and columns are hashed.
        shape: height and width of this grid.
        pixels: number of labelled pixels.
        hashes: uint32 (k,), the smallest hashes, all of them if there are at most `MOST_HASHES`.
    """

    transform: Affine
    shape: tuple[int, int]
    pixels: int
    hashes: NDArray[np.uint32]

    @classmethod
    def of(cls, labels: LabelledPixels, grid: Grid) -> Self:
        """The sketch of labels on a grid."""
        found = np.unique(_hashes(labels.rows, labels.cols))
        return cls(grid.transform, grid.shape, len(labels), found[:MOST_HASHES])

    @property
    def density(self) -> float:
        """Share of the grid's pixels that are labelled, which is also their share of a random sample."""
        return self.pixels / (self.shape[0] * self.shape[1])

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values, at most 1.5 kB."""
        hashes = base64.b64encode(self.hashes.astype("<u4").tobytes()).decode("ascii")
        transform, shape = list(self.transform[:6]), list(self.shape)
        return {"transform": transform, "shape": shape, "pixels": self.pixels, "hashes": hashes}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Build from what `to_dict` gave.

        Raises:
            ValueError: the values are no sketch.
        """
        try:
            transform, (height, width) = Affine(*map(float, values["transform"])), values["shape"]
            hashes = np.frombuffer(base64.b64decode(values["hashes"], validate=True), dtype="<u4")
            found = cls(transform, (int(height), int(width)), int(values["pixels"]), hashes.astype(np.uint32))
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise ValueError(f"not a sketch of labels ({error!r})") from error
        is_grid = np.isfinite(transform[:6]).all() and not transform.is_degenerate
        if not is_grid or min(found.shape) < 1 or not 0 < len(hashes) <= min(found.pixels, MOST_HASHES):
            raise ValueError("not a sketch of labels")
        return found

    def may_hold(self, grid: Grid, crs: CRS | None) -> bool:
        """Whether the pixels are at the same places on another grid, given the CRS that the sketch was made in.

        Without a CRS, only the very same grid is taken for the same place.
        """
        if grid.crs != crs:
            return False
        is_same = grid.shape == self.shape and grid.transform.almost_equals(self.transform)
        return is_same if crs is None else self._offset(grid) is not None

    def share_in(self, strips: Iterable[LabelledPixels], grid: Grid) -> float:
        """Approximate share of labels that are pixels of the sketch.

        Args:
            strips: the labels.
            grid: their grid, in the CRS of the sketch.

        Returns:
            0 to 1; 0 also where the grids' pixels do not coincide, or too few are found to tell.
        """
        offset = self._offset(grid)
        if offset is None:
            return 0.0
        total, found = 0, np.zeros(len(self.hashes), dtype=bool)
        for labels in strips:
            rows, cols = labels.rows + offset[0], labels.cols + offset[1]
            inside = (rows >= 0) & (rows < self.shape[0]) & (cols >= 0) & (cols < self.shape[1])
            found |= np.isin(self.hashes, _hashes(rows[inside], cols[inside]))
            total += len(labels)
        is_whole = len(self.hashes) == self.pixels
        if not total or (not is_whole and found.sum() < FEWEST_FOUND):
            return 0.0
        return min(float(found.mean()) * self.pixels / total, 1.0)

    def _offset(self, grid: Grid) -> tuple[int, int] | None:
        """Rows and columns of a grid's first pixel in that of the sketch; None where pixels do not coincide."""
        own = ~self.transform * grid.transform
        if not np.isfinite(own[:6]).all():
            return None
        far = max(grid.shape) * max(abs(own.a - 1), abs(own.b), abs(own.d), abs(own.e - 1))
        row, col = round(own.f), round(own.c)
        is_near = far <= TOLERANCE and abs(own.f - row) <= TOLERANCE and abs(own.c - col) <= TOLERANCE
        return (row, col) if is_near else None


def _hashes(rows: NDArray[np.int64], cols: NDArray[np.int64]) -> NDArray[np.uint32]:
    return (pixel_hashes(rows, cols, 0) >> np.uint64(32)).astype(np.uint32)
