"""Suggested places for a report: read from the points that `suggest` wrote, and pictured from the passive image."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from rasterio.windows import Window

from s2fin_cli.core.errors import LabelError, S2finError
from s2fin_cli.core.figures import number_of
from s2fin_cli.core.modality import MODALITIES, Role
from s2fin_cli.geo.pixels import transformed
from s2fin_cli.labels.class_values import is_known
from s2fin_cli.reporting.suggestions import SuggestedPlace
from s2fin_cli.stack.display import display_bands, one_band, stretched
from s2fin_cli.stack.stack import Stack
from s2fin_cli.vector.on_grid import features_on_grid
from s2fin_cli.vector.read import read_features
from s2fin_cli.workflows.suggestion_fields import CLASS, LIKELIEST, PROB, PROB_SECOND, RANK, SECOND, WHY

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import geopandas as gpd
    from numpy.typing import NDArray

    from s2fin_cli.core.options import StrPath
    from s2fin_cli.geo.grid import Grid
    from s2fin_cli.stack.layer import Layer

logger = logging.getLogger(__name__)

#: Places that a report shows at most, and pixels on each side of one in its picture: they bound the report's size.
MOST_PLACES, REACH = 30, 24
#: The fields that `suggest` fills in.
_FIELDS = (RANK, LIKELIEST, PROB, SECOND, PROB_SECOND, WHY)
#: Those of them that hold numbers.
_NUMBERS = (RANK, PROB, PROB_SECOND)


def read_suggestions(src_path: StrPath | None, grid: Grid, images: Sequence[Layer]) -> tuple[SuggestedPlace, ...]:
    """The first places of a file of suggestions that have no class yet, with pictures of their surroundings.

    Args:
        src_path: points that `suggest` wrote; None for none.
        grid: the map's grid; places outside of it cause a warning.
        images: the images that the report shows; the passive one makes the pictures.

    Raises:
        LabelError: it is no such file.
    """
    if src_path is None:
        return ()
    src_path = str(src_path)
    frame = read_features(src_path, error=LabelError, grid=grid, wanted="points that s2fin suggest wrote")
    frame = _open_places(frame, src_path).sort_values(RANK, kind="stable").head(MOST_PLACES)
    if frame.empty:
        return ()
    placed = partial(features_on_grid, frame, src_path=src_path, name="suggested places")
    points = placed(grid)
    _warn_of_outside(_pixels(points, grid)[0], src_path)
    pictures = _pictures(lambda other: points if other.crs == grid.crs else placed(other), len(frame), images)
    rows_of = zip(*(frame[name].tolist() for name in _FIELDS), pictures, strict=True)
    return tuple(
        SuggestedPlace(int(rank), str(first), float(prob), str(second), float(prob_2nd), str(why), picture)
        for rank, first, prob, second, prob_2nd, why, picture in rows_of
    )


def _open_places(frame: gpd.GeoDataFrame, src_path: str) -> gpd.GeoDataFrame:
    """The suggested places without a class, and their ranks and probabilities as numbers.

    Raises:
        LabelError: the fields are not those that `suggest` writes.
    """
    if missing := [name for name in _FIELDS if name not in frame.columns]:
        raise LabelError(f"{src_path} has no field {missing[0]!r}; give points that s2fin suggest wrote")
    frame = frame.assign(**{name: _numbers(frame[name], src_path) for name in _NUMBERS})
    is_whole = np.isfinite(frame[[*_NUMBERS]]).all(axis=1) & frame[[*_FIELDS]].notna().all(axis=1)
    if not is_whole.all():
        logger.warning(
            "%s: the report leaves out %s without a rank, probabilities or another field that s2fin suggest writes",
            src_path, number_of(int((~is_whole).sum()), "feature"),
        )  # fmt: skip
    frame = frame[is_whole]
    if CLASS not in frame.columns:
        return frame
    is_filled = is_known(frame[CLASS])
    if is_filled.any():
        logger.warning(
            "%s: the report leaves out %s whose class is filled in",
            src_path, number_of(int(is_filled.sum()), "suggested place"),
        )  # fmt: skip
    return frame[~is_filled]


def _numbers(values: pd.Series, src_path: str) -> pd.Series:
    """Values of a field as numbers, NaN where there are none."""
    numbers = pd.to_numeric(values, errors="coerce").astype("Float64").astype(np.float64)
    if (is_text := numbers.isna() & is_known(values)).any():
        raise LabelError(
            f"{src_path} holds {str(values[is_text].iloc[0])!r:.40} in the field {values.name!r}, which is to hold "
            "numbers; give points as s2fin suggest wrote them"
        )
    return numbers


def _pixels(points: NDArray[np.object_], grid: Grid) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Which points are inside a grid of their CRS (n,), and rows and columns (2, n) of all."""
    x, y = (np.array([getattr(point.centroid, name) for point in points]) for name in ("x", "y"))
    cols, rows = transformed(~grid.transform, x, y)
    inside = (rows >= 0) & (rows < grid.height) & (cols >= 0) & (cols < grid.width)
    return inside, np.floor(np.where(inside, [rows, cols], 0)).astype(np.int64)


def _warn_of_outside(inside: NDArray[np.bool_], src_path: str) -> None:
    if not inside.all():
        logger.warning(
            "%s: %d of %s that the report shows lie outside of the map",
            src_path, (~inside).sum(), number_of(len(inside), "suggested place"),
        )  # fmt: skip


def _pictures(
    points_on: Callable[[Grid], NDArray[np.object_]], count: int, images: Sequence[Layer]
) -> Sequence[NDArray[np.uint8] | None]:
    """Pictures of the surroundings of points, all stretched in the same way; None outside of the image, or without one.

    Args:
        points_on: the points in the CRS of a grid.
        count: how many there are.
        images: the images, of which the passive one is taken.
    """
    layer = next((each for each in images if MODALITIES[each.modality].role is Role.PASSIVE), None)
    if layer is None:
        return [None] * count
    bands = display_bands(layer) if len(layer.numbers) > 2 else one_band(layer)
    stack, side, found = Stack(layer.select(bands.numbers)), 2 * REACH + 1, {}
    try:
        # NOTE: the image's own grid, because a map of a part of it has another one
        inside, (rows, cols) = _pixels(points_on(stack.grid), stack.grid)
        with stack.open(rows=side) as opened:
            for place in np.flatnonzero(inside).tolist():
                window = Window(int(cols[place]), int(rows[place]), 1, 1)
                found[place] = opened.read(window, halo=REACH).images.image
    except S2finError as error:
        logger.warning("the report shows no pictures of the suggested places: %s", error)
        return [None] * count
    if not inside.all():
        logger.warning(
            "the report shows no picture of %s outside of %s",
            number_of(int((~inside).sum()), "suggested place"), layer.describe(),
        )  # fmt: skip
    if not found:
        return [None] * count
    pixels = stretched(np.concatenate(list(found.values()), axis=1)).pixels
    shown = dict(zip(found, np.split(pixels, len(found), axis=1), strict=True))
    return [shown.get(place) for place in range(count)]
