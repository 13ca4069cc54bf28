"""Options of conversion."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from s2fin_cli.core.checks import check, is_real
from s2fin_cli.core.errors import UsageError
from s2fin_cli.core.options import Options, StrPath

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, kw_only=True)
class ConvertOptions(Options):
    """Options of `s2fin convert`.

    Attributes:
        src: MATLAB file, version 5 or 7.3.
        output: GeoTIFF to write.
        variable: array to convert, with dots between the fields of structures; None takes the only possible one.
        crs: CRS of the array, as a code or WKT; None for none.
        transform: affine transform of the grid in rasterio's order: a, b, c, d, e, f.
        wavelengths: wavelengths of the bands: a text file of numbers in nanometres, or a variable of the MATLAB file.
        classes: CSV table of classes: the array holds labels, and becomes a label raster with names and colours.
        overwrite: whether an existing `output` may be replaced.
    """

    src: StrPath
    output: StrPath
    variable: str | None = None
    crs: str | None = None
    transform: Sequence[float] | None = None
    wavelengths: StrPath | None = None
    classes: StrPath | None = None
    overwrite: bool = False

    def __post_init__(self) -> None:
        if self.transform is not None:
            whole = len(self.transform) == 6 and all(is_real(v) and math.isfinite(v) for v in self.transform)
            check("transform", self.transform, whole, "six numbers: a, b, c, d, e, f")
            a, b, _, d, e, _ = self.transform
            check("transform", self.transform, a * e != b * d, "six numbers that give pixels a size: a, b, c, d, e, f")
            check("transform", self.transform, b == d == 0, "of a grid that is not rotated: a, 0, c, 0, e, f")
        elif self.crs is not None:
            raise UsageError(
                f"`crs` is {self.crs!r}, but nothing gives the position of the pixels in it; give `transform` too"
            )
