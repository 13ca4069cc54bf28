"""Labels split into spatially separate training and test labels."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from s2fin_cli.core.classes import map_encoding
from s2fin_cli.core.errors import UsageError
from s2fin_cli.core.files import check_outputs, staged
from s2fin_cli.core.formats import BLOCK_SIZE
from s2fin_cli.geo.windows import check_size, iter_tiles
from s2fin_cli.labels.limits import DEFAULT_LIMITS, Limits
from s2fin_cli.labels.partition import Partition, partition
from s2fin_cli.labels.read import Labels, open_labels
from s2fin_cli.labels.rules import rules_of
from s2fin_cli.raster.class_map import create_class_map
from s2fin_cli.raster.creation import check_raster_path
from s2fin_cli.raster.info import check_placed, read_info
from s2fin_cli.raster.picture import map_panel, write_picture
from s2fin_cli.raster.write import RasterWriter
from s2fin_cli.workflows.input_files import input_files

if TYPE_CHECKING:
    from s2fin_cli.labels.pixels import LabelledPixels
    from s2fin_cli.workflows.options.split import SplitOptions


#: Columns of a row of storage blocks that are written at a time.
PIECE_COLUMNS = 4096


@dataclass(frozen=True)
class SplitResult:
    """The result of a split.

    Attributes:
        train, test: paths of the label rasters.
        picture: path of the picture, if one was requested.
        counts: pixels of training and test by class name.
        dropped: labelled pixels in neither part, because they are too close to test pixels.
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
    """Split labels into training and test labels, and write both as label rasters on the grid of an image.

    Training pixels closer than the distance to a test pixel are dropped.

    Args:
        options: the options.
        limits: how many labelled pixels are held or processed at a time.

    Returns:
        where the rasters are and what they hold.

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
    check_size(image.grid.window, f"`like` {options.like}", remedy="give an image of the labels' surroundings only")
    grid = image.grid
    labels = open_labels(options.label_paths, grid, rules=rules_of(options), limits=limits)
    parts = partition(
        labels,
        src_path=", ".join(options.label_paths),
        method=options.method,
        share=options.share,
        distance=options.distance,
        seed=options.seed,
    )
    with staged(wanted, overwrite=options.overwrite) as tmp_paths:
        _write(tmp_paths[0], tmp_paths[1], parts)
        if options.picture is not None:
            write_picture(
                tmp_paths[2], [map_panel(tmp_path) for tmp_path in tmp_paths[:2]], captions=("training", "test")
            )
    counts = {c.name: (parts.trained[c.id], parts.tested[c.id]) for c in labels.classes}
    picture = None if options.picture is None else wanted[2]
    return SplitResult(wanted[0], wanted[1], picture, counts, parts.dropped)


def _write(train_path: Path, test_path: Path, parts: Partition) -> None:
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
    """Rows of a label raster, written as soon as a row of its storage blocks is complete.

    Args:
        writer: writes the raster.
        labels: the labels that it holds.
    """

    def __init__(self, writer: RasterWriter, labels: Labels) -> None:
        self._writer, self._grid = writer, labels.grid
        dtype, self._nodata = map_encoding([c.id for c in labels.classes])
        self._values = np.full((BLOCK_SIZE, self._grid.width), self._nodata, dtype)

    def add(self, pixels: LabelledPixels, start: int, stop: int) -> None:
        """Add the labels of rows from a first to a last one (exclusive), which follow the rows added before."""
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
