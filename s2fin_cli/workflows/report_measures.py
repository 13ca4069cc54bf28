"""What was measured of a map's pixels, for a report: views that are drawn, and figures by class of all pixels."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from s2fin_cli.core.errors import RasterError
from s2fin_cli.inference.uncertainty import BANDS, INSIDE
from s2fin_cli.raster.info import read_info
from s2fin_cli.raster.measured import ClassMeans, iter_measured
from s2fin_cli.stack.preview import view_grid, view_values

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray
    from rasterio.windows import Window

    from s2fin_cli.core.options import StrPath
    from s2fin_cli.geo.grid import Grid

#: Band of the dissimilarity in a raster of uncertainty.
_BAND = BANDS.index("dissimilarity") + 1
#: How far above 1 rounding may take a confidence.
_ROUNDING = 1e-4


# NOTE: eq=False because arrays do not compare to one truth value.
@dataclass(frozen=True, eq=False)
class Measured:
    """What was measured of a map's pixels.

    Attributes:
        confidence: float32 (height, width) on the grid of a view of the map, NaN without data; None where it is not
            known.
        dissimilarity: the same of how unlike the training data pixels look.
        mean_confidence: by class id, of all pixels; empty where it is not known.
        outside_shares: share of all pixels of a class that look unlike all training data, by class id.
    """

    confidence: NDArray[np.float32] | None = None
    dissimilarity: NDArray[np.float32] | None = None
    mean_confidence: Mapping[int, float] = field(default_factory=dict)
    outside_shares: Mapping[int, float] = field(default_factory=dict)

    @classmethod
    def of(cls, map_path: StrPath, grid: Grid, confidence: StrPath | None, uncertainty: StrPath | None) -> Measured:
        """From a map and the rasters that were written with it, each None where there is none.

        Raises:
            RasterError: a raster cannot be read, has another grid than the map, or does not hold what it is to hold.
        """
        view, found = view_grid(grid), cls()
        if confidence is not None:
            _check(str(map_path), grid, str(confidence), "confidence")
            means = _mean_confidence(str(map_path), str(confidence))
            found = replace(found, confidence=view_values(str(confidence), view, [1])[0], mean_confidence=means)
        if uncertainty is not None:
            _check(str(map_path), grid, str(uncertainty), "uncertainty")
            shares = _outside_shares(str(map_path), str(uncertainty))
            values = view_values(str(uncertainty), view, [_BAND])[0]
            found = replace(found, dissimilarity=values, outside_shares=shares)
        return found


def _check(map_path: str, grid: Grid, src_path: str, name: str) -> None:
    """Refuse a raster of another grid than the map's, or of other bands than one of that name has."""
    info = read_info(src_path)
    if not info.grid.matches(grid):
        raise RasterError(f"{src_path} is not on the grid of {map_path}; give the {name} that was written with it")
    if name == "confidence" and info.count != 1:
        raise RasterError(
            f"{src_path} has {info.count} bands, and a confidence has one; give the raster that `confidence` of "
            "s2fin classify wrote with the map"
        )
    if name == "uncertainty" and info.band_names != BANDS:
        raise RasterError(
            f"{src_path} does not have the bands {', '.join(BANDS)}; give the raster that `uncertainty` of "
            "s2fin classify wrote with the map"
        )


def _mean_confidence(map_path: str, src_path: str) -> dict[int, float]:
    found = ClassMeans()
    for window, class_ids, values in iter_measured(map_path, src_path, 1):
        _check_confidence(values, window, src_path)
        found.add(class_ids, values)
    return _rounded(found)


def _check_confidence(values: NDArray[np.float64], window: Window, src_path: str) -> None:
    impossible = np.argwhere((values < 0) | (values > 1 + _ROUNDING))
    if len(impossible):
        row, col = impossible[0].tolist()
        raise RasterError(
            f"{src_path} holds {values[row, col]:.6g} at row {row + window.row_off}, column {col + window.col_off}, "
            "and a confidence is from 0 to 1; give the raster that `confidence` of s2fin classify wrote with the map"
        )


def _outside_shares(map_path: str, src_path: str) -> dict[int, float]:
    found = ClassMeans()
    for _, class_ids, values in iter_measured(map_path, src_path, _BAND):
        # NOTE: infinity is outside, as it is where s2fin_cli.inference.uncertainty counts
        found.add(class_ids, np.where(np.isnan(values), np.nan, values > INSIDE))
    return _rounded(found)


def _rounded(found: ClassMeans) -> dict[int, float]:
    return {class_id: round(mean, 4) for class_id, mean in found.means().items()}
