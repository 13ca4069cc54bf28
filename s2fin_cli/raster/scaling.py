"""Scales and offsets that files declare: a value is what is stored times the scale, plus the offset."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from rasterio import DatasetReader


@dataclass(frozen=True)
class Scaling:
    """Declared scales and offsets of bands.

    Attributes:
        scales, offsets: float64 (bands,) each: value = stored * scale + offset.
    """

    scales: NDArray[np.float64]
    offsets: NDArray[np.float64]

    @classmethod
    def of(cls, scales: Sequence[float], offsets: Sequence[float]) -> Scaling:
        """The scaling of bands; there may be none."""
        return cls(np.array(scales, dtype=np.float64), np.array(offsets, dtype=np.float64))

    @classmethod
    def of_bands(cls, src: DatasetReader, indexes: Sequence[int]) -> Scaling:
        """What an open raster declares for some bands."""
        scales, offsets = src.scales, src.offsets  # each looks at all bands
        return cls.of([scales[index - 1] for index in indexes], [offsets[index - 1] for index in indexes])

    @property
    def is_identity(self) -> bool:
        """Whether all values equal the stored ones."""
        return bool((self.scales == 1).all() and (self.offsets == 0).all())

    def apply(self, stored: NDArray[np.float32]) -> None:
        """Apply scale and offset to stored values (bands, ...), in place."""
        for band, scale, offset in zip(stored, self.scales, self.offsets, strict=True):
            if (scale, offset) != (1, 0):
                band[...] = band * scale + offset  # in float64

    def describe(self) -> str:
        """The scales and offsets for messages."""
        parts = []
        for name, values in (("scale", self.scales), ("offset", self.offsets)):
            low, high = min(values), max(values)
            parts.append(f"{name} {low:g}" if low == high else f"{name}s {low:g} to {high:g}")
        return " and ".join(parts)

    def describe_values(self, dtype: str) -> str:
        """How values of a data type are stored, in words."""
        return dtype if self.is_identity else f"{dtype}, declared {self.describe()}"
