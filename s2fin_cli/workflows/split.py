"""Labels parted into training and test labels that lie apart."""

from __future__ import annotations

import contextlib
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from sklearn.neighbors import KDTree

from s2fin_cli.core.classes import map_encoding
from s2fin_cli.core.errors import LabelError, UsageError
from s2fin_cli.core.files import check_outputs, staged
from s2fin_cli.core.formats import BLOCK_SIZE
from s2fin_cli.geo.windows import iter_tiles
from s2fin_cli.labels.limits import DEFAULT_LIMITS, Limits
from s2fin_cli.labels.read import Labels, open_labels
from s2fin_cli.labels.rules import rules_of
from s2fin_cli.labels.splits import split_labels
from s2fin_cli.labels.unit_splits import Candidates, Draw, count_parts, iter_parts
from s2fin_cli.raster.classmap import create_class_map
from s2fin_cli.raster.creation import check_raster_path
from s2fin_cli.raster.info import check_placed, read_info
from s2fin_cli.raster.picture import map_panel, write_picture
from s2fin_cli.raster.write import RasterWriter
from s2fin_cli.workflows.members import input_files

if TYPE_CHECKING:
    from collections.abc import Generator

    from s2fin_cli.labels.pixels import LabelledPixels
    from s2fin_cli.workflows.options.split import SplitOptions

logger = logging.getLogger(__name__)

#: Splits that are tried: which polygons or blocks are held out is left to chance, and some leave little of a class.
TRIES = 20
#: Those of them that are counted in full, the best by a sample first, where labels are many and a class is lost.
EXACT_TRIES = 5
#: Columns of a row of blocks that are written at a time.
PIECE_COLUMNS = 4096


@dataclass(frozen=True)
class SplitResult:
    """What a split gave.

    Attributes:
        train, test: paths of the label rasters.
        picture: path of the picture, if one was asked for.
        counts: pixels of training and test by class name.
        dropped: pixels left out because they lie too near the other part.
    """

    train: Path
    test: Path
    picture: Path | None
    counts: dict[str, tuple[int, int]]
    dropped: int

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values for scripts."""
        return {
            "train": str(self.train),
            "test": str(self.test),
            "picture": None if self.picture is None else str(self.picture),
            "classes": {name: {"train": train, "test": test} for name, (train, test) in self.counts.items()},
            "dropped": self.dropped,
        }


def run(options: SplitOptions, *, limits: Limits = DEFAULT_LIMITS) -> SplitResult:
    """Part labels into training and test labels, and write both as label rasters on the grid of an image.

    Training pixels that lie nearer than the distance to a test pixel are left out.

    Args:
        options: the options.
        limits: how many labelled pixels are held or dealt with at a time.

    Returns:
        where they are and what they hold.

    Raises:
        S2finError: something is wrong with the inputs, options or outputs; nothing is written.
    """
    wanted = [Path(options.train), Path(options.test)]
    for path in wanted:
        check_raster_path(path)
    if options.picture is not None:
        wanted.append(Path(options.picture))
        if wanted[-1].suffix.lower() != ".png":
            raise UsageError(f"{options.picture} cannot be written: a picture is a PNG; give a name that ends in .png")
    check_outputs(wanted, overwrite=options.overwrite, inputs=input_files([str(options.like), *options.label_inputs]))
    image = read_info(str(options.like))
    check_placed(image, f"`like` {options.like}")
    grid = image.grid
    labels = open_labels(str(options.labels), grid, rules_of(options), limits=limits)
    parts = _Held(labels, *_part(labels.whole, options)) if labels.whole is not None else _choose(labels, options)
    with staged(wanted, overwrite=options.overwrite) as tmp_paths:
        _write(tmp_paths[0], tmp_paths[1], parts)
        if options.picture is not None:
            write_picture(tmp_paths[2], [map_panel(tmp_path) for tmp_path in tmp_paths[:2]])
    counts = {c.name: (parts.trained[c.id], parts.tested[c.id]) for c in labels.classes}
    picture = None if options.picture is None else wanted[2]
    dropped = len(labels) - sum(parts.trained.values()) - sum(parts.tested.values())
    return SplitResult(wanted[0], wanted[1], picture, counts, dropped)


class _Parts(Protocol):
    """Training and test pixels of labels, counted by class id."""

    labels: Labels
    trained: dict[int, int]
    tested: dict[int, int]

    def strips(self) -> Generator[tuple[int, int, LabelledPixels, LabelledPixels]]:
        """First and last row (exclusive) of strips that cover the grid, with training and test pixels there."""


class _Held:
    """Both parts of labels that are few enough to be held."""

    def __init__(self, labels: Labels, train: LabelledPixels, test: LabelledPixels) -> None:
        self.labels, self._parts = labels, (train, test)
        self.trained, self.tested = train.counts(), test.counts()

    def strips(self) -> Generator[tuple[int, int, LabelledPixels, LabelledPixels]]:
        height = self.labels.grid.height
        for start in range(0, height, BLOCK_SIZE):
            stop = min(start + BLOCK_SIZE, height)
            train, test = (
                part.select(slice(*np.searchsorted(part.rows, (start, stop)).tolist())) for part in self._parts
            )
            yield start, stop, train, test


class _Many:
    """Both parts of labels that are read strip by strip."""

    def __init__(self, labels: Labels, draw: Draw) -> None:
        self.labels, self._draw = labels, draw
        self.trained, self.tested, self._rescued = count_parts(labels, draw)

    @property
    def lost(self) -> list[str]:
        """Names of the classes that are tested and not trained on."""
        return [c.name for c in self.labels.classes if self.tested[c.id] and not self.trained[c.id]]

    def strips(self) -> Generator[tuple[int, int, LabelledPixels, LabelledPixels]]:
        for start, stop, parts in iter_parts(self.labels, self._draw):
            rescued = parts.apart & np.isin(parts.pixels.class_ids, list(self._rescued))
            yield start, stop, parts.pixels.select(parts.train | rescued), parts.pixels.select(parts.test)


def _choose(labels: Labels, options: SplitOptions) -> _Many:
    """The best of some splits of labels that are many, by a sample of them, in which no class is lost."""
    candidates = Candidates.of(labels, method=options.method, radius=options.distance, seed=options.seed)
    generator = np.random.default_rng(options.seed)
    draws = [
        candidates.draw(labels, share=options.share, radius=options.distance, generator=generator) for _ in range(TRIES)
    ]
    if not any(draw.holds_out for draw in draws):
        raise _untestable(options)
    draws.sort(key=lambda draw: _loss(*_sampled(candidates.sample, draw)))
    for draw in draws[:EXACT_TRIES]:
        parts = _Many(labels, draw)
        if sum(parts.tested.values()) and not parts.lost:
            _tell_of_untested([c.name for c in labels.classes if not parts.tested[c.id]])
            return parts
    raise _too_near(options, parts.lost)


def _sampled(sample: LabelledPixels, draw: Draw) -> tuple[LabelledPixels, LabelledPixels]:
    """Both parts of a sample of the labels, about as they are of all."""
    held, near = draw.held_out(sample), draw.near(sample)
    train, test = sample.select(~held & ~near), sample.select(held)
    return (train.select(_far_from(train, test, draw.radius)) if len(test) and len(train) else train), test


def _part(labels: LabelledPixels, options: SplitOptions) -> tuple[LabelledPixels, LabelledPixels]:
    """The best of some splits: the fewest classes lost, then the fewest pixels."""
    generator = np.random.default_rng(options.seed)
    train, test = min((_try(labels, options, generator) for _ in range(TRIES)), key=lambda parts: _loss(*parts))
    if not len(test):
        raise _untestable(options)
    if lost := _lost(train, test):
        raise _too_near(options, lost)
    _tell_of_untested([c.name for c in labels.classes if not test.counts()[c.id]])
    return train, test


def _untestable(options: SplitOptions) -> LabelError:
    return LabelError(
        f"{options.labels}: every class is in a single polygon or block, so none can be tested; use another "
        "`method` or a shorter `distance`, or draw more labels elsewhere"
    )


def _too_near(options: SplitOptions, lost: list[str]) -> LabelError:
    return LabelError(
        f"{options.labels}: all training labels of {', '.join(lost)} are within {options.distance} pixels of test "
        "labels in every split; use a shorter `distance`, a smaller `share` or another `method`"
    )


def _tell_of_untested(names: list[str]) -> None:
    if names:
        logger.warning("classes found in one place only are used for training and not tested: %s", ", ".join(names))


def _try(
    labels: LabelledPixels, options: SplitOptions, generator: np.random.Generator
) -> tuple[LabelledPixels, LabelledPixels]:
    parts = split_labels(
        labels, method=options.method, share=options.share, radius=options.distance, generator=generator
    )
    train, test = labels.select(parts.train), labels.select(parts.validation)
    return (train.select(_far_from(train, test, options.distance)) if len(test) else train), test


def _loss(train: LabelledPixels, test: LabelledPixels) -> tuple[bool, int, int]:
    return not len(test), len(_lost(train, test)), -len(train) - len(test)


def _lost(train: LabelledPixels, test: LabelledPixels) -> list[str]:
    """Names of the classes that are tested and not trained on."""
    trained, tested = train.counts(), test.counts()
    return [c.name for c in train.classes if tested[c.id] and not trained[c.id]]


def _far_from(pixels: LabelledPixels, others: LabelledPixels, distance: int) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Mask of the pixels whose rows or columns are at least so far from those of all others."""
    tree = KDTree(np.column_stack([others.rows, others.cols]), metric="chebyshev")
    nearest = tree.query(np.column_stack([pixels.rows, pixels.cols]))[0][:, 0]
    return np.asarray(nearest >= distance)


def _write(train_path: Path, test_path: Path, parts: _Parts) -> None:
    """Write both parts as label rasters, some rows at a time."""
    labels = parts.labels
    with (
        create_class_map(train_path, labels.grid, labels.classes) as train_writer,
        create_class_map(test_path, labels.grid, labels.classes) as test_writer,
    ):
        bands = [_Band(writer, labels) for writer in (train_writer, test_writer)]
        with contextlib.closing(parts.strips()) as strips:
            for start, stop, train, test in strips:
                for band, part in zip(bands, (train, test), strict=True):
                    band.add(part, start, stop)


class _Band:
    """Rows of a label raster, written once a whole row of its blocks is there.

    Args:
        writer: of the raster.
        labels: what it is of.
    """

    def __init__(self, writer: RasterWriter, labels: Labels) -> None:
        self._writer, self._grid = writer, labels.grid
        dtype, self._nodata = map_encoding([c.id for c in labels.classes])
        self._values = np.full((BLOCK_SIZE, self._grid.width), self._nodata, dtype)

    def add(self, pixels: LabelledPixels, start: int, stop: int) -> None:
        """Add the labels of rows from a first to a last one (exclusive); both follow on those added before."""
        for top in range(start // BLOCK_SIZE * BLOCK_SIZE, stop, BLOCK_SIZE):
            own = slice(*np.searchsorted(pixels.rows, (top, top + BLOCK_SIZE)).tolist())
            self._values[pixels.rows[own] - top, pixels.cols[own]] = pixels.class_ids[own]
            if stop >= min(top + BLOCK_SIZE, self._grid.height):
                self._flush(top)

    def _flush(self, top: int) -> None:
        height = min(BLOCK_SIZE, self._grid.height - top)
        for window in iter_tiles((height, self._grid.width), (height, PIECE_COLUMNS), offset=(top, 0)):
            _, cols = window.toslices()
            self._writer.write(self._values[None, :height, cols], window)
        self._values[:] = self._nodata
