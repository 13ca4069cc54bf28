"""A class map compared with reference labels, pixel by pixel, and its classes matched with theirs."""

from __future__ import annotations

import contextlib
import logging
import math
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from s2fin_cli.assess.metrics import Accuracy
from s2fin_cli.core.classes import NO_CLASS, find_name
from s2fin_cli.core.errors import LabelError, RasterError, edit_info, shortened
from s2fin_cli.geo.windows import iter_squares
from s2fin_cli.labels.pixels import LabelledPixels
from s2fin_cli.labels.read import Labels
from s2fin_cli.raster.class_ids import check_class_raster, iter_class_strips, read_class_ids
from s2fin_cli.raster.class_names import read_class_names
from s2fin_cli.raster.info import read_info
from s2fin_cli.raster.opening import open_raster
from s2fin_cli.raster.raster_info import RasterInfo
from s2fin_cli.raster.tally import tally_strips

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from numpy.typing import NDArray
    from rasterio import DatasetReader
    from rasterio.windows import Window

    from s2fin_cli.geo.grid import Grid

logger = logging.getLogger(__name__)

#: Stands for nodata where a map may hold numbers that no class has: no raster of whole numbers has this value.
NO_VALUE = np.iinfo(np.int64).min


@dataclass(frozen=True)
class Tally:
    """How much of a map its classes cover.

    Attributes:
        pixels: number of pixels by class id, of the classes that occur.
        areas: square metres by class id, NaN where the map has no CRS.
    """

    pixels: dict[int, int]
    areas: dict[int, float]

    @property
    def has_areas(self) -> bool:
        """Whether the areas are known."""
        return not any(map(math.isnan, self.areas.values()))


@dataclass(frozen=True)
class Pairs:
    """Labelled pixels counted by their class id and the map's value there, `NO_VALUE` for none."""

    counts: Counter[tuple[int, int]]

    def add(self, class_ids: NDArray[np.int64], values: NDArray[np.int64]) -> None:
        """Count pixels with these class ids (n,) of the reference and values (n,) of the map."""
        found, place = np.unique(values, return_inverse=True)
        # NOTE: class ids go up to 65535, and few values occur
        numbers = np.bincount(class_ids * len(found) + place)
        for position in np.flatnonzero(numbers).tolist():
            class_id, index = divmod(position, len(found))
            self.counts[class_id, int(found[index])] += int(numbers[position])


def read_map_info(map_path: str) -> RasterInfo:
    """The header of a class map.

    Raises:
        RasterError: it is not a class map.
    """
    info = read_info(map_path)
    check_class_raster(info, kind="map", error=RasterError)
    return info


def count_pairs(map_path: str, labels: Labels) -> Counter[tuple[int, int]]:
    """Compare labels with a map, of which only the storage blocks with labels are read."""
    pairs = Pairs(Counter())
    with open_raster(map_path) as src, contextlib.closing(labels.strips()) as strips:
        for pixels in strips:
            pairs.add(pixels.class_ids, read_pixels(src, pixels))
    return pairs.counts


def count_pairs_and_classes(map_path: str, labels: Labels, grid: Grid) -> tuple[Counter[tuple[int, int]], Tally]:
    """Compare labels with a map, and count its pixels, in one pass over the whole map.

    Raises:
        LabelError: the map holds numbers that no class has.
    """
    pairs = Pairs(Counter())
    with contextlib.closing(labels.strips()) as strips:
        tally = Tally(*tally_strips(_compared(iter_class_strips(map_path, NO_CLASS), strips, pairs), grid))
    counts: Counter[tuple[int, int]] = Counter()
    for (class_id, value), number in pairs.counts.items():
        counts[class_id, NO_VALUE if value == NO_CLASS else value] += number
    return counts, tally


def _compared(
    map_strips: Iterator[tuple[Window, NDArray[np.int64]]], label_strips: Iterator[LabelledPixels], pairs: Pairs
) -> Iterator[tuple[Window, NDArray[np.int64]]]:
    """Pass on full-width strips of a map, and count the labels in them by class and map value."""
    pixels = next(label_strips, None)
    for window, values in map_strips:
        end = window.row_off + window.height
        while pixels is not None and pixels.rows[0] < end:
            count = int(np.searchsorted(pixels.rows, end))
            here, rest = pixels.select(slice(count)), pixels.select(slice(count, None))
            pairs.add(here.class_ids, values[here.rows - window.row_off, here.cols])
            pixels = rest if len(rest) else next(label_strips, None)
        yield window, values


def read_pixels(src: DatasetReader, labels: LabelledPixels) -> NDArray[np.int64]:
    """An open map's values at labelled pixels, `NO_VALUE` where it has none."""
    values = np.empty(len(labels), dtype=np.int64)
    for positions, window in iter_squares(labels.rows, labels.cols):
        found = read_class_ids(src, window, NO_VALUE)
        values[positions] = found[labels.rows[positions] - window.row_off, labels.cols[positions] - window.col_off]
    return values


@dataclass(frozen=True)
class Compared:
    """A map and its reference.

    Attributes:
        map_path, reference: their paths.
        info: what the map declares.
        names: names of the map's classes by class id.
        labels: the reference.
        pairs: labelled pixels by class id and the map's value.
        tally: tally of the whole map, where it was counted.
    """

    map_path: str
    reference: str
    info: RasterInfo
    names: dict[int, str]
    labels: Labels
    pairs: Counter[tuple[int, int]]
    tally: Tally | None

    @property
    def _mapped(self) -> set[int]:
        """Values of the map where the labels are."""
        return {value for _, value in self.pairs if value != NO_VALUE}

    @cached_property
    def own_ids(self) -> dict[int, int]:
        """The map's class id by the reference's: all by name, else all by number.

        Raises:
            LabelError: the reference holds classes that the map does not know.
        """
        return self._match(self._mapped)

    def accuracy(self) -> Accuracy:
        """The accuracy over all classes of the map that occur in it where the labels are, or in the reference.

        Raises:
            LabelError: the reference holds classes that the map does not know.
        """
        mapped, own_ids = self._mapped, self.own_ids
        self._warn_of_unnamed(mapped)
        self._check_matched(mapped, own_ids.values())
        known = sorted(set(own_ids.values()) | mapped)
        all_names = {c.id: c.name for c in self.labels.classes} | self.names
        place = {class_id: position for position, class_id in enumerate(known)}
        matrix = np.zeros((len(known), len(known) + 1), dtype=np.int64)
        for (class_id, value), count in self.pairs.items():
            matrix[place[own_ids[class_id]], place.get(value, len(known))] += count
        return Accuracy.from_matrix(matrix, class_ids=known, class_names=[all_names.get(i, str(i)) for i in known])

    def _check_matched(self, mapped: set[int], own_ids: Collection[int]) -> None:
        """Refuse a reference with the map's nodata as a class, and a map with none of its classes."""
        if self.info.nodata in own_ids:
            raise LabelError(
                f"{self.reference} holds class {self.info.nodata:g}, which means no data in {self.map_path}; remove it "
                "from the reference, or, where it is a class of the map: "
                f"{edit_info(self.map_path, 'unset-nodata')}"
            )
        if mapped and not self.names and not self._holds_any(mapped, own_ids):
            raise LabelError(
                f"{self.map_path} has none of the classes of {self.reference}, but values such as "
                f"{shortened(sorted(mapped))} where its labels are; give a class map, and a reference with the same "
                "class numbers or names"
            )

    def _holds_any(self, mapped: set[int], class_ids: Collection[int]) -> bool:
        """Whether the map has any of some classes; the whole map is read only if it has none where the labels are."""
        if not mapped.isdisjoint(class_ids):
            return True
        if self.tally is not None:
            return not self.tally.pixels.keys().isdisjoint(class_ids)
        wanted = sorted(class_ids)
        return any(bool(np.isin(values, wanted).any()) for _, values in iter_class_strips(self.map_path, NO_VALUE))

    def _warn_of_unnamed(self, mapped: set[int]) -> None:
        """Warn of values without a name in a map with names; they are classes nonetheless."""
        unnamed = sorted(mapped - self.names.keys())
        if self.names and unnamed:
            logger.warning(
                "%s has no name for %s, which counts as a class by its number; if it means no data, declare it with: "
                "%s", self.map_path, shortened(unnamed), edit_info(self.map_path, "nodata", unnamed[0]),
            )  # fmt: skip

    def _match(self, mapped: set[int]) -> dict[int, int]:
        labels, names = self.labels, self.names
        by_name = {c.id: find_name(c.name, names) for c in labels.classes}
        unknown = [c.name for c in labels.classes if by_name[c.id] is None]
        if not unknown:
            return {class_id: number for class_id, number in by_name.items() if number is not None}
        if labels.ids_are_given:
            foreign = [c.name for c in labels.classes if names and c.id not in names and c.id not in mapped]
            if not foreign:
                self._warn_of_other_names(unknown)
                return {c.id: c.id for c in labels.classes}
            unknown = min(unknown, foreign, key=len)
        has = ", ".join(f"{name} ({class_id})" for class_id, name in names.items()) or "numbers without names only"
        raise LabelError(
            f"{self.reference} holds classes that the map does not know: {', '.join(unknown)}; the map has {has}; "
            "use the same names in both, or choose another field with `label_field`"
        )

    def _warn_of_other_names(self, unknown: list[str]) -> None:
        """Warn where classes are matched by number although the map has other names for them."""
        strange = [c.name for c in self.labels.classes if c.name in unknown and c.name != str(c.id)]
        if self.names and strange:
            logger.warning("%s: the map has no class %s; all are matched by number", self.reference, ", ".join(strange))


def compare(map_path: str, reference: str, labels: Labels, info: RasterInfo, *, whole: bool) -> Compared:
    """Compare a map with reference labels.

    Args:
        map_path: the map.
        reference: the reference's path, for messages.
        labels: the reference on the map's grid.
        info: what the map declares.
        whole: whether to count the pixels of the whole map too.

    Raises:
        RasterError: the map cannot be read, or holds fractions.
        LabelError: the whole map is to be counted and holds numbers that no class has.
    """
    pairs, tally = (
        count_pairs_and_classes(map_path, labels, info.grid) if whole else (count_pairs(map_path, labels), None)
    )
    # NOTE: a path would fold the slashes of a name like /vsicurl/https://...; such a map goes without names.
    return Compared(map_path, reference, info, read_class_names(map_path), labels, pairs, tally)
