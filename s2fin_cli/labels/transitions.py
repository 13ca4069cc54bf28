"""Points at which an interpreter recorded the class before and after, or the transition."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from s2fin_cli.core.classes import find_name, make_classes
from s2fin_cli.core.errors import LabelError, shortened
from s2fin_cli.core.figures import number_of
from s2fin_cli.labels.burning import burn_points
from s2fin_cli.labels.class_field import class_field
from s2fin_cli.labels.class_values import is_known, is_number_in_text
from s2fin_cli.labels.features import POINT_TYPES
from s2fin_cli.labels.overlaps import Claims
from s2fin_cli.labels.pixels import LabelledPixels
from s2fin_cli.vector.on_grid import features_on_grid
from s2fin_cli.vector.read import read_features
from s2fin_cli.vector.texts import is_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import geopandas as gpd
    import pandas as pd
    from numpy.typing import NDArray

    from s2fin_cli.core.transitions import Pair, Transitions
    from s2fin_cli.geo.grid import Grid

logger = logging.getLogger(__name__)

Found = TypeVar("Found")
#: The fields that interpreters fill in.
BEFORE, AFTER = "before", "after"


def read_transition_points(
    src_path: str | Path, grid: Grid, transitions: Transitions, *, label_field: str | None = None
) -> tuple[LabelledPixels, Transitions]:
    """Read points with interpreted transitions as pixels of a grid.

    Args:
        src_path: a vector file or table of points. It has the fields `before` and `after` with classes, as `s2fin
            sample` makes them, or one field with transitions, such as "forest -> water".
        grid: the grid of the maps.
        transitions: the classes of the maps, and the transitions that occur there.
        label_field: the field with transitions; None looks for `before` and `after` first.

    Returns:
        the pixels, whose class numbers are those of transitions, and the transitions with those that only the points
        have.

    Raises:
        LabelError: nothing can be used, or a class is none of the maps'.
        GeoreferencingError: points and maps do not go together.
    """
    frame = read_features(src_path, error=LabelError, grid=grid, wanted="a vector file of points")
    if not set(frame.geom_type) <= POINT_TYPES:
        raise LabelError(f"{src_path} holds other things than points; give points, as s2fin sample draws them")
    pairs = _pairs(frame, transitions, src_path=src_path, label_field=label_field)
    known = [pair for pair in pairs if pair is not None]
    filled = frame[[pair is not None for pair in pairs]]
    geometries = features_on_grid(filled, grid, src_path=src_path, name="points")
    rows, cols, points = burn_points(geometries, grid)
    if not len(rows):
        raise LabelError(
            f"{src_path}: none of its points is in the maps ({grid.describe()}); give points of that place"
        )
    if lost := len(known) - len(np.unique(points)):
        logger.warning("%s: skipped %s outside the maps", src_path, number_of(lost, "point"))
    transitions = transitions.with_pairs({known[point] for point in points})
    values = np.array([transitions.values[known[point]] for point in points], dtype=np.int64)
    claims = Claims.of((rows, cols, values, points), grid.width)
    if claims.disputed_pixels:
        logger.warning(
            "%s: skipped %s that several points claim for different transitions",
            src_path, number_of(claims.disputed_pixels, "pixel"),
        )  # fmt: skip
    found = claims.resolved(keeps_disputed=False)
    names = {value: transitions.name_of(pair) for value, pair in transitions.pairs.items()}
    return LabelledPixels(*found, make_classes(names), "points"), transitions


def _pairs(
    frame: gpd.GeoDataFrame, transitions: Transitions, *, src_path: str | Path, label_field: str | None
) -> list[Pair | None]:
    """The transition of each point, None where it is not filled in."""
    fields = {str(name).lower(): str(name) for name in frame.columns if name != frame.geometry.name}
    if label_field is None and BEFORE in fields and AFTER in fields:
        sides = [fields[BEFORE], fields[AFTER]]
        known = _filled(frame, sides, src_path)
        ids = [_each(frame[side], known, _class_finder(frame[side], transitions.names), src_path) for side in sides]
        return [
            None if before is None or after is None else (before, after) for before, after in zip(*ids, strict=True)
        ]
    field = class_field(frame, src_path, label_field=label_field)
    known = _filled(frame, [field], src_path)
    return _each(frame[field], known, lambda value: transitions.find(str(value)), src_path)


def _filled(frame: gpd.GeoDataFrame, fields: list[str], src_path: str | Path) -> NDArray[np.bool_]:
    """Mask of the points whose fields are all filled in."""
    known: NDArray[np.bool_] = np.logical_and.reduce([is_known(frame[field]).to_numpy() for field in fields])
    which = " or ".join(map(repr, fields))
    if not known.any():
        raise LabelError(f"{src_path}: {which} is empty in every feature; fill in what is seen at the points")
    if not known.all():
        logger.warning("%s: skipped %s whose %s is empty", src_path, number_of(int((~known).sum()), "point"), which)
    return known


def _each(
    values: pd.Series, known: NDArray[np.bool_], find: Callable[[object], Found | None], src_path: str | Path
) -> list[Found | None]:
    """What each value of a field stands for, None where it is not filled in.

    Raises:
        LabelError: a value stands for nothing.
    """
    found = {value: find(value) for value in values[known].unique()}
    if unknown := [str(value) for value, meaning in found.items() if meaning is None]:
        raise LabelError(
            f"{src_path}: field {values.name!r} holds {shortened(unknown)}, which the maps do not have; give names of "
            "their classes, or transitions such as 'forest -> water'"
        )
    return [found[value] if is_filled else None for value, is_filled in zip(values, known.tolist(), strict=True)]


def _class_finder(values: pd.Series, names: Mapping[int, str]) -> Callable[[object], int | None]:
    """Looks up a class by its name, or by its number in a field of numbers."""
    if is_text(values):
        as_numbers = is_number_in_text(values)

        def find(value: object) -> int | None:
            found = find_name(str(value), names)
            return found if found is not None or not as_numbers else _number(float(str(value).replace(",", ".")), names)

        return find
    return lambda value: _number(float(str(value)), names)


def _number(value: float, names: Mapping[int, str]) -> int | None:
    return int(value) if value.is_integer() and int(value) in names else None
