"""Suggested places for a report: read from the points that `suggest` wrote, and pictured from the passive image."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np
from rasterio.windows import Window

from s2fin_cli.core.errors import LabelError, S2finError
from s2fin_cli.core.modality import MODALITIES, Role
from s2fin_cli.geo.pixels import transformed
from s2fin_cli.reporting.suggestions import SuggestedPlace
from s2fin_cli.stack.display import display_bands, one_band, stretched
from s2fin_cli.stack.stack import Stack
from s2fin_cli.vector.on_grid import features_on_grid
from s2fin_cli.vector.read import read_features

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from s2fin_cli.core.options import StrPath
    from s2fin_cli.geo.grid import Grid
    from s2fin_cli.stack.layer import Layer

logger = logging.getLogger(__name__)

#: Places that a report shows at most, and pixels on each side of one in its picture: they bound the report's size.
MOST_PLACES, REACH = 30, 24
#: The fields that `suggest` writes.
_FIELDS = ("rank", "likeliest", "prob", "second", "prob_2nd", "why")


def read_suggestions(src_path: StrPath | None, grid: Grid, images: Sequence[Layer]) -> tuple[SuggestedPlace, ...]:
    """The first places of a file of suggestions, with pictures of their surroundings.

    Args:
        src_path: points that `suggest` wrote; None for none.
        grid: the map's grid.
        images: the images that the report shows; the passive one makes the pictures.

    Raises:
        LabelError: it is no such file.
    """
    if src_path is None:
        return ()
    src_path = str(src_path)
    frame = read_features(src_path, error=LabelError, grid=grid, wanted="points that s2fin suggest wrote")
    if missing := [name for name in _FIELDS if name not in frame.columns]:
        raise LabelError(f"{src_path} has no field {missing[0]!r}; give points that s2fin suggest wrote")
    frame = frame.sort_values("rank", kind="stable").head(MOST_PLACES)
    points = features_on_grid(frame, grid, src_path=src_path)
    x, y = (np.array([getattr(point.centroid, name) for point in points]) for name in ("x", "y"))
    cols, rows = (np.floor(part).astype(np.int64) for part in transformed(~grid.transform, x, y))
    pictures = _pictures(grid, images, rows, cols)
    rows_of = zip(*(frame[name].tolist() for name in _FIELDS), pictures, strict=True)
    return tuple(
        SuggestedPlace(int(rank), str(first), float(prob), str(second), float(prob_2nd), str(why), picture)
        for rank, first, prob, second, prob_2nd, why, picture in rows_of
    )


def _pictures(
    grid: Grid, images: Sequence[Layer], rows: NDArray[np.int64], cols: NDArray[np.int64]
) -> Sequence[NDArray[np.uint8] | None]:
    """Pictures of the surroundings of pixels, stretched alike; None without an image on the map's grid."""
    layer = next((each for each in images if MODALITIES[each.modality].role is Role.PASSIVE), None)
    if layer is None:
        return [None] * len(rows)
    bands = display_bands(layer) if len(layer.numbers) > 2 else one_band(layer)
    stack = Stack(layer.select(bands.numbers))
    if not stack.grid.matches(grid):
        return [None] * len(rows)
    height, width = grid.shape
    inside = (rows >= 0) & (rows < height) & (cols >= 0) & (cols < width)
    side, found = 2 * REACH + 1, {}
    try:
        with stack.open(rows=side) as opened:
            for place in np.flatnonzero(inside).tolist():
                window = Window(int(cols[place]), int(rows[place]), 1, 1)
                found[place] = opened.read(window, halo=REACH).images.image
    except S2finError as error:
        logger.warning("the report shows no pictures of the suggested places: %s", error)
        return [None] * len(rows)
    if not found:
        return [None] * len(rows)
    pixels = stretched(np.concatenate(list(found.values()), axis=1)).pixels
    shown = dict(zip(found, np.split(pixels, len(found), axis=1), strict=True))
    return [shown.get(place) for place in range(len(rows))]
