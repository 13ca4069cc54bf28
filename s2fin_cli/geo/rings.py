"""Edges of polygons on a grid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import shapely

if TYPE_CHECKING:
    from affine import Affine
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Rings:
    """The edges of polygons in columns and rows, one after the other.

    Attributes:
        middles, edges: (n, 2), columns and rows of the edges' middles, and of their ends less their starts.
        ring: number of the ring of each edge.
        polygon: number of the polygon of each ring.
        is_shell: whether a ring is the outer one of its part.
        count: number of polygons.
    """

    middles: NDArray[np.float64]
    edges: NDArray[np.float64]
    ring: NDArray[np.int64]
    polygon: NDArray[np.int64]
    is_shell: NDArray[np.bool_]
    count: int

    @classmethod
    def of(cls, polygons: NDArray[np.object_], to_pixels: Affine) -> Rings:
        """The edges of polygons, or of polygons of several parts, in the CRS."""
        parts, polygon = polygons, np.arange(len(polygons))
        if (shapely.get_type_id(polygons) != shapely.GeometryType.POLYGON).any():
            parts, polygon = shapely.get_parts(polygons, return_index=True)
        rings, part = shapely.get_rings(parts, return_index=True)
        a, b, c, d, e, f = to_pixels[:6]
        x, y = shapely.get_coordinates(rings).T
        cols, rows = a * x + b * y + c, d * x + e * y + f
        ring = np.repeat(np.arange(len(rings)), shapely.get_num_coordinates(rings))
        within = np.flatnonzero(ring[1:] == ring[:-1])
        middles, edges = np.empty((len(within), 2)), np.empty((len(within), 2))
        for axis, values in enumerate((cols, rows)):
            starts, ends = values[within], values[within + 1]
            middles[:, axis], edges[:, axis] = (starts + ends) / 2, ends - starts
        is_shell = np.diff(part, prepend=-1) != 0
        return cls(middles, edges, ring[within], polygon[part], is_shell, len(polygons))

    def areas(self, signed: NDArray[np.float64]) -> NDArray[np.float64]:
        """Areas of the polygons from what each edge adds to those of the rings."""
        of_rings = np.abs(_sums(self.ring, signed, len(self.polygon)))
        return np.asarray(
            np.bincount(self.polygon, np.where(self.is_shell, of_rings, -of_rings), self.count), np.float64
        )

    def sums(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sums by polygon of what each edge has."""
        return _sums(self.polygon[self.ring], values, self.count)


def _sums(numbers: NDArray[np.int64], values: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """Sums of values by number, for the numbers from 0 to `count` - 1."""
    return np.asarray(np.bincount(numbers, values, count), dtype=np.float64)
