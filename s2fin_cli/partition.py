"""Labels parted into training and test labels that lie apart."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.neighbors import KDTree

from s2fin_cli.errors import LabelError, UsageError
from s2fin_cli.files import check_outputs, staged
from s2fin_cli.geo.classes import map_encoding
from s2fin_cli.geo.classmap import check_raster_path, create_class_map
from s2fin_cli.geo.labels import LabelledPixels, read_labels, rules_of
from s2fin_cli.geo.picture import map_panel, write_picture
from s2fin_cli.geo.rasters import read_info
from s2fin_cli.learn.splits import split_labels

if TYPE_CHECKING:
    from s2fin_cli.config import SplitOptions
    from s2fin_cli.geo.grid import Grid

logger = logging.getLogger(__name__)

#: Splits that are tried: which polygons or blocks are held out is left to chance, and some leave little of a class.
TRIES = 20


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


def split(options: SplitOptions) -> SplitResult:
    """Part labels into training and test labels, and write both as label rasters on the grid of an image.

    Training pixels that lie nearer than the distance to a test pixel are left out.

    Args:
        options: the options.

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
    check_outputs(wanted, overwrite=options.overwrite, inputs=[str(options.like), *options.label_inputs])
    grid = read_info(str(options.like)).grid
    labels = read_labels(str(options.labels), grid, rules_of(options))
    train, test = _part(labels, options)
    with staged(wanted, overwrite=options.overwrite) as tmp_paths:
        for tmp_path, part in zip(tmp_paths, (train, test), strict=False):
            _write(tmp_path, part, grid)
        if options.picture is not None:
            write_picture(tmp_paths[2], [map_panel(tmp_path) for tmp_path in tmp_paths[:2]])
    both = zip(train.counts().values(), test.counts().values(), strict=True)
    counts = {c.name: pair for c, pair in zip(labels.classes, both, strict=True)}
    picture = None if options.picture is None else wanted[2]
    return SplitResult(wanted[0], wanted[1], picture, counts, len(labels) - len(train) - len(test))


def _part(labels: LabelledPixels, options: SplitOptions) -> tuple[LabelledPixels, LabelledPixels]:
    """The best of some splits: the fewest classes lost, then the fewest pixels."""
    generator = np.random.default_rng(options.seed)
    train, test = min((_try(labels, options, generator) for _ in range(TRIES)), key=lambda parts: _loss(*parts))
    if not len(test):
        raise LabelError(
            f"{options.labels}: every class lies in one polygon or block, so that none can be tested; take another "
            "--method or a shorter --distance, or draw more labels elsewhere"
        )
    if lost := _lost(train, test):
        raise LabelError(
            f"{options.labels}: all training labels of {', '.join(lost)} lie within {options.distance} pixels of test "
            "labels, however they are parted; take a shorter --distance, a smaller --share or another --method"
        )
    untested = [c.name for c in labels.classes if not test.counts()[c.id]]
    if untested:
        logger.warning("classes that lie in one place only are trained on and not tested: %s", ", ".join(untested))
    return train, test


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


def _write(dst_path: Path, labels: LabelledPixels, grid: Grid) -> None:
    ids = [c.id for c in labels.classes]
    dtype, nodata = map_encoding(ids)
    values = np.full(grid.shape, nodata, dtype)
    values[labels.rows, labels.cols] = labels.class_ids
    with create_class_map(dst_path, grid, labels.classes) as writer:
        writer.write(values[None], grid.window)
