"""Labels of several files on one grid; of a pixel that several files label, the last one decides."""

from __future__ import annotations

import contextlib
import logging
from collections import Counter
from dataclasses import replace
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

import numpy as np

from s2fin_cli.core.classes import NO_CLASS, make_classes, normalized
from s2fin_cli.core.errors import LabelError, shortened
from s2fin_cli.core.figures import number_of
from s2fin_cli.labels.class_values import EmptyFieldError
from s2fin_cli.labels.common_numbers import Numbering, number_together
from s2fin_cli.labels.overlaps import Claims
from s2fin_cli.labels.pixels import Found, counted
from s2fin_cli.labels.rules import LabelRules, OutsideError, check_no_buffer
from s2fin_cli.labels.sources import FileLabels, open_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from s2fin_cli.core.classes import LandCoverClass
    from s2fin_cli.geo.grid import Grid
    from s2fin_cli.labels.limits import Limits

logger = logging.getLogger(__name__)


def open_files(src_paths: Sequence[str], grid: Grid, *, rules: LabelRules, limits: Limits) -> SeveralLabels:
    """The labels of several files; arguments and errors are those of `open_labels`.

    A file without any class is skipped, with a warning, if another one has some.
    """
    files, empty = [], []
    among_others = replace(rules, is_alone=False)
    for path in src_paths:
        try:
            files.append(open_file(path, grid, rules=among_others, limits=limits))
        except EmptyFieldError as error:
            empty.append(error)
            logger.warning(
                "%s: skipped all %s, whose %r is empty", path, number_of(error.count, "feature"), error.field
            )
    if not files:
        fields = " and ".join(f"field {error.field!r} of {error.src_path}" for error in empty)
        raise LabelError(f"no label file holds a class: {fields} are empty in every feature; fill in some of them")
    _check_field(files, empty, rules=rules)
    kinds = sorted({file.kind for file in files})
    if not {"points", "lines"} & set(kinds):
        check_no_buffer(rules, " and ".join(kinds))
    return SeveralLabels(tuple(files), grid, rules)


def _check_field(files: Sequence[FileLabels], empty: Sequence[EmptyFieldError], *, rules: LabelRules) -> None:
    """Refuse a class field that no file has."""
    fields = [name for name in (*(file.field for file in files), *(error.field for error in empty)) if name is not None]
    if rules.field is None or normalized(rules.field) in map(normalized, fields):
        return
    paths = ", ".join(str(file.src_path) for file in files)
    if not fields:
        logger.warning("%s are rasters and have no fields; `label_field` (%r) is ignored", paths, rules.field)
        return
    raise LabelError(
        f"none of the label files has a field {rules.field!r} ({paths}); without `label_field` their classes would be "
        f"taken from: {', '.join(dict.fromkeys(fields))}"
    )


class SeveralLabels:
    """Labels of several files.

    Attributes:
        group_count: how many numbers groups have; those of a file follow those of the one before.
    """

    def __init__(self, files: tuple[FileLabels, ...], grid: Grid, rules: LabelRules) -> None:
        """Number the classes of the files.

        Args:
            files: the labels of each, the one that decides over the others last.
            grid: the grid that they are on.
            rules: how labels become pixels.

        Raises:
            LabelError: the classes cannot be numbered together.
        """
        self._files, self._grid, self._rules = files, grid, rules
        self._numbering = (
            number_together(files)
            if rules.classes is None
            else Numbering({c.id: c.name for c in rules.classes}, ({},) * len(files))
        )
        self._lookups = [_lookup(renumbered) for renumbered in self._numbering.renumbered]
        *self._offsets, self.group_count = accumulate((file.group_count for file in files), initial=0)
        self._own = [Counter[int]() for _ in files]
        self._outside: set[int] = set()
        self._disputed, self._disputing, self._overruled = 0, set[int](), set[int]()

    @property
    def kind(self) -> str:
        """The kind of all that have labels in the image, "raster" if any is one, else "mixed"."""
        kinds = {file.kind for place, file in enumerate(self._files) if place not in self._outside}
        return kinds.pop() if len(kinds) == 1 else "raster" if "raster" in kinds else "mixed"

    @property
    def ids_are_given(self) -> bool:
        """Whether the numbers are those of all files."""
        return all(file.ids_are_given for file in self._files)

    @property
    def strips(self) -> list[tuple[int, int]]:
        """Rows in which each file has few enough pixels."""
        starts = {start for file in self._files for start, _ in file.strips}
        return list(pairwise([*sorted(starts), self._grid.height]))

    @contextlib.contextmanager
    def open(self) -> Iterator[Callable[[int, int], Found]]:
        """The reader of the labelled pixels of rows from a first to a last one (exclusive)."""
        with contextlib.ExitStack() as opened:
            readers = [opened.enter_context(file.open()) for file in self._files]
            yield lambda start, stop: self._merged([read(start, stop) for read in readers])

    def _merged(self, parts: Sequence[Found]) -> Found:
        """One entry per pixel, of the file that decides; none where that file drops the pixel."""
        claims, undecided = [], np.empty(0, dtype=np.int64)
        order = range(len(parts)) if self._rules.on_conflict == "first" else reversed(range(len(parts)))
        for number in order:
            rows, cols, class_ids, groups = parts[number]
            pixels, is_decided = rows * self._grid.width + cols, class_ids != NO_CLASS
            self._own[number].update(counted(class_ids[is_decided]))
            class_ids = self._lookups[number][class_ids]
            is_free = ~np.isin(pixels, undecided)
            self._overruled.update(np.unique(class_ids[is_decided & ~is_free]).tolist())
            kept = is_decided & is_free
            claims.append((rows[kept], cols[kept], class_ids[kept], groups[kept] + self._offsets[number]))
            undecided = np.concatenate([undecided, pixels[~is_decided]])
        rows, cols, class_ids, groups = (np.concatenate(part) for part in zip(*claims, strict=True))
        found = Claims.of((rows, cols, class_ids, groups), self._grid.width)
        self._disputed += found.disputed_pixels
        self._disputing.update(found.disputing_classes)
        return found.resolved(keeps_disputed=True)

    def conclude(self, totals: Counter[int]) -> tuple[LandCoverClass, ...]:
        """The classes of all rows, from pixels by class number; warns of problems in the labels, or refuses them."""
        names = dict(self._numbering.names)
        for place, (file, renumbered) in enumerate(zip(self._files, self._numbering.renumbered, strict=True)):
            for c in self._classes_of(place):
                self._check_apart(file, c, renumbered)
                names.setdefault(renumbered.get(c.id, c.id), c.name)
        if self._disputed:
            self._report_disputed([names[number] for number in sorted(self._disputing)])
        if gone := sorted((self._disputing | self._overruled) - totals.keys()):
            logger.warning("classes all of whose pixels have another class in another label file: %s",
                           ", ".join(names[number] for number in gone))  # fmt: skip
        if self._rules.classes is not None:
            return tuple(c for c in self._rules.classes if c.id in totals)
        return make_classes({number: names[number] for number in sorted(totals)})

    def _classes_of(self, place: int) -> tuple[LandCoverClass, ...]:
        """The classes of a file; none, with a warning, if it has no labels in the image and another file has some."""
        file = self._files[place]
        try:
            return file.conclude(self._own[place])
        except OutsideError:
            if not any(self._own):
                raise
            self._outside.add(place)
            logger.warning(
                "%s: skipped the whole file, because none of its labels is in the image; if they are of this place, "
                "check its CRS", file.src_path,
            )  # fmt: skip
            return ()

    def _check_apart(self, file: FileLabels, c: LandCoverClass, renumbered: dict[int, int]) -> None:
        """Refuse a number of a raster that has no name, where a named class of the raster gets this number."""
        if c.id not in renumbered and c.id in renumbered.values():
            own = next(number for number, other in renumbered.items() if other == c.id)
            raise LabelError(
                f"class {c.id} of {file.src_path} has no name, and in the other label files this is the number of "
                f"{file.names[own]!r}; number the classes the same way in all label files"
            )

    def _report_disputed(self, names: Sequence[str]) -> None:
        """Say which file decides about pixels that files label with different classes, or refuse them."""
        has = "has" if self._disputed == 1 else "have"
        found = f"{number_of(self._disputed, 'pixel')} {has} different classes in several label files"
        if self._rules.on_conflict == "error":
            raise LabelError(
                f"{found} ({shortened(names)}); correct the labels, or choose which file decides with `on_conflict`"
            )
        decides = "first" if self._rules.on_conflict == "first" else "last"
        logger.warning("%s; the %s of these files decides (%s)", found, decides, shortened(names))


def _lookup(renumbered: dict[int, int]) -> NDArray[np.int64]:
    """The number of a class by the file's own, `NO_CLASS` included."""
    numbers = np.arange(NO_CLASS + 1)
    for own, number in renumbered.items():
        numbers[own] = number
    return numbers
