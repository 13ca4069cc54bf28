"""Two class maps of one grid, some rows at a time: how much of each transition there is, and the change map."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from s2fin_cli.core.classes import NO_CLASS, check_class_ids, map_encoding
from s2fin_cli.core.errors import MALFORMED
from s2fin_cli.core.transitions import TRANSITIONS_TAG, Pair, Transitions
from s2fin_cli.raster.class_ids import read_class_ids, strip_windows
from s2fin_cli.raster.opening import open_raster

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    from numpy.typing import NDArray
    from rasterio.windows import Window

    from s2fin_cli.geo.grid import Grid
    from s2fin_cli.raster.class_map import ClassMapWriter

    #: A window, and class ids (height, width) before and after, `NO_CLASS` for nodata.
    Strip = tuple[Window, NDArray[np.int64], NDArray[np.int64]]
    Progress = Callable[[int, int], None]


@dataclass
class PairTally:
    """How much of two maps has each pair of their values, `NO_CLASS` among them for nodata.

    Attributes:
        pixels: number of pixels by the values before and after.
        areas: square metres; NaN without a CRS.
    """

    pixels: dict[Pair, int] = field(default_factory=dict)
    areas: dict[Pair, float] = field(default_factory=dict)

    def add(self, before: NDArray[np.int64], after: NDArray[np.int64], areas: NDArray[np.float64]) -> None:
        """Add a strip.

        Args:
            before: values (height, width) of the map before.
            after: of the map after.
            areas: square metres of the pixels, of a shape that broadcasts to theirs.

        Raises:
            LabelError: there are numbers that no class has.
        """
        (ids, before), (other_ids, after) = _dense(before), _dense(after)
        places = (before * len(other_ids) + after).ravel()
        size = len(ids) * len(other_ids)
        pixels = np.bincount(places, minlength=size)
        measured = (
            pixels * areas.item()
            if areas.size == 1
            else np.bincount(places, np.broadcast_to(areas, before.shape).ravel(), size)
        )
        for place in np.flatnonzero(pixels).tolist():
            pair = int(ids[place // len(other_ids)]), int(other_ids[place % len(other_ids)])
            self.pixels[pair] = self.pixels.get(pair, 0) + int(pixels[place])
            self.areas[pair] = self.areas.get(pair, 0.0) + float(measured[place])

    def present(self, side: int) -> set[int]:
        """Class numbers that occur before (0) or after (1)."""
        return {pair[side] for pair in self.pixels} - {NO_CLASS}


def _dense(values: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The numbers that occur, and the position of each value among them."""
    if values.min() < 0 or values.max() > NO_CLASS:
        check_class_ids(np.unique(values[values != NO_CLASS]))
    present = np.bincount(values.ravel(), minlength=NO_CLASS + 1) > 0
    return np.flatnonzero(present), (np.cumsum(present) - 1)[values]


def iter_both(before_path: str, after_path: str) -> Generator[Strip]:
    """Full-width windows of two class maps of one grid, from top to bottom.

    Raises:
        RasterError: one cannot be read, or holds fractions.
    """
    with open_raster(before_path) as before, open_raster(after_path) as after:
        for window in strip_windows(before):
            yield window, read_class_ids(before, window, NO_CLASS), read_class_ids(after, window, NO_CLASS)


def tally_pairs(before_path: str, after_path: str, grid: Grid, *, progress: Progress) -> PairTally:
    """Count the pairs of values of two maps on a grid.

    Args:
        before_path: the map before.
        after_path: the map after.
        grid: their grid.
        progress: called with the rows that are done and those of the grid.

    Raises:
        RasterError: a map cannot be read, or holds fractions.
        LabelError: a map holds numbers that no class has.
    """
    tally = PairTally()
    with contextlib.closing(iter_both(before_path, after_path)) as strips:
        for window, before, after in strips:
            tally.add(before, after, grid.pixel_areas(window))
            progress(window.row_off + window.height, grid.height)
    return tally


def write_change(
    writer: ClassMapWriter,
    paths: tuple[str, str],
    transitions: Transitions,
    *,
    after_ids: Mapping[int, int],
    grid: Grid,
    progress: Progress,
) -> None:
    """Fill a change map: nodata where one of the maps has no class.

    Args:
        writer: the map.
        paths: of the maps before and after.
        transitions: the transitions with their numbers.
        after_ids: the number among the transitions' classes of each class of the map after.
        grid: the grid of all maps.
        progress: as of `tally_pairs`.
    """
    ids = list(transitions.names)
    dtype, nodata = map_encoding(list(transitions.pairs))
    before_places = _places({number: number for number in ids}, ids)
    after_places = _places(after_ids, ids)
    # one more row and column for nodata
    values = np.full((len(ids) + 1, len(ids) + 1), nodata, dtype=np.uint16)
    for (own, other), value in transitions.values.items():
        values[ids.index(own), ids.index(other)] = value
    values = values.astype(dtype)
    with contextlib.closing(iter_both(*paths)) as strips:
        for window, before, after in strips:
            writer.write(values[before_places[before], after_places[after]][None], window)
            progress(window.row_off + window.height, grid.height)


def _places(numbers: Mapping[int, int], ids: list[int]) -> NDArray[np.int64]:
    """The position of a class by a map's own number, the last one for nodata."""
    places = np.full(NO_CLASS + 1, len(ids), dtype=np.int64)
    for own, number in numbers.items():
        places[own] = ids.index(number)
    return places


def read_transitions(map_path: str) -> Transitions | None:
    """The transitions of a change map; None of any other map."""
    with open_raster(map_path) as src:
        text = src.tags().get(TRANSITIONS_TAG)
    try:
        return None if text is None else Transitions.from_dict(json.loads(text))
    except MALFORMED:
        return None
