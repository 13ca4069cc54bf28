"""The files of a comparison: the change map, its style, and the polygons of the changes."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from s2fin_cli.core.classes import make_classes, map_encoding
from s2fin_cli.core.errors import OutputError
from s2fin_cli.core.files import staged
from s2fin_cli.core.leftovers import warn_of_old
from s2fin_cli.core.transitions import TRANSITIONS_TAG, Color
from s2fin_cli.raster.change import write_change
from s2fin_cli.raster.class_map import create_class_map
from s2fin_cli.raster.creation import RasterFormat, check_raster_path
from s2fin_cli.raster.strips import iter_strips
from s2fin_cli.raster.styles import raster_style
from s2fin_cli.reporting.files import CHANGE_FORMS, check_suffix
from s2fin_cli.vector.polygons import map_regions, write_polygons
from s2fin_cli.vector.write import check_vector_path
from s2fin_cli.workflows.evaluate import read_colors

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from s2fin_cli.core.classes import LandCoverClass
    from s2fin_cli.core.progress import Progress
    from s2fin_cli.core.run_record import RunRecord
    from s2fin_cli.raster.strips import Strip
    from s2fin_cli.workflows.change_parts import Changes
    from s2fin_cli.workflows.options.compare import CompareOptions

#: Name of the layer that holds the polygons.
LAYER = "change"


@dataclass(frozen=True)
class ChangeFiles:
    """The files of a comparison, None for those that are not written."""

    map: Path | None
    style: Path | None
    polygons: Path | None
    report: Path | None

    @classmethod
    def of(cls, options: CompareOptions) -> ChangeFiles:
        """The files that options ask for.

        Raises:
            UsageError: a name is not that of a GeoTIFF, of a known vector format or of a report.
        """
        report = None if options.report is None else Path(options.report)
        if report is not None:
            check_suffix(report, CHANGE_FORMS)
        if options.output is None:
            return cls(None, None, None, report)
        change = Path(options.output)
        check_raster_path(change)
        polygons = None
        if options.vector:
            polygons = change.with_suffix(".gpkg") if options.polygons is None else Path(options.polygons)
            check_vector_path(polygons)
        return cls(change, change.with_suffix(".qml"), polygons, report)

    @property
    def of_map(self) -> list[Path]:
        """The files that appear together: the change map, its style and the polygons."""
        return [path for path in (self.map, self.style, self.polygons) if path is not None]

    @property
    def wanted(self) -> list[Path]:
        """The files to write."""
        return [*self.of_map, *([] if self.report is None else [self.report])]


def write_changes(
    outputs: ChangeFiles, found: Changes, options: CompareOptions, *, record: RunRecord, progress: Progress
) -> None:
    """Write the change map, its style and the polygons, as far as they are wanted; all of them or none.

    Args:
        outputs: the files.
        found: the changes.
        options: how they are written.
        record: the record of the run.
        progress: called with how far it is.

    Raises:
        OutputError: a file cannot be written.
    """
    if outputs.map is None:
        return
    classes = found.transitions.classes(_colors(found))
    with staged(outputs.of_map, overwrite=options.overwrite) as (map_path, style_path, *polygon_paths):
        style_path.write_bytes(raster_style(classes))
        tags = {TRANSITIONS_TAG: json.dumps(found.transitions.to_dict(), ensure_ascii=False)}
        fmt = RasterFormat.of(options.format, options.co)
        with create_class_map(map_path, found.grid, classes, tags=tags, fmt=fmt, run=record) as writer:
            write_change(
                writer,
                found.paths,
                found.transitions,
                after_ids=found.classes.after_ids,
                grid=found.grid,
                progress=lambda done, rows: progress("writing", done, rows),
            )
        for path in polygon_paths:
            try:
                _write_polygons(path, map_path, found, classes=classes, options=options, progress=progress)
            except OutputError as error:  # it knows the temporary name only
                raise OutputError(
                    f"writing {outputs.polygons} failed: {error.__cause__ or error}; no file was written"
                ) from error
    if options.overwrite and outputs.polygons is None:
        warn_of_old([outputs.map.with_suffix(".gpkg")])


def _colors(found: Changes) -> dict[int, Color]:
    """Colours of the classes: those of the map before, else of the map after, else our own."""
    colors: dict[int, Color] = {c.id: c.color for c in make_classes(found.classes.names)}
    before, after = found.sides
    numbers = found.classes.after_ids, {number: number for number in before.names}
    for side, own in zip((after, before), numbers, strict=True):
        colors |= {own[number]: color for number, color in read_colors(side.path).items() if number in own}
    return colors


def _write_polygons(
    dst_path: Path,
    map_path: Path,
    found: Changes,
    *,
    classes: Sequence[LandCoverClass],
    options: CompareOptions,
    progress: Progress,
) -> None:
    """Write the polygons of the changes of a change map."""
    grid, transitions = found.grid, found.transitions
    nodata = map_encoding(list(transitions.pairs))[1]
    unchanged = [value for value, (before, after) in transitions.pairs.items() if before == after]
    rows = 0

    def report(strip_rows: int) -> None:
        nonlocal rows
        rows += strip_rows
        progress("polygons", rows, grid.height)

    changed = [c for c in classes if c.id not in unchanged]
    texts = {
        side: {value: transitions.names[pair[place]] for value, pair in transitions.pairs.items()}
        for place, side in enumerate(("before", "after"))
    }
    # NOTE: closing the strips closes the raster, which Windows could not remove while it is open.
    with contextlib.closing(iter_strips(map_path, None, mmu=options.mmu)) as strips:
        regions = map_regions(_without(strips, unchanged, nodata), grid, nodata=nodata, on_progress=report)
        write_polygons(
            dst_path, regions, grid=grid, classes=changed, simplify=options.simplify, layer=LAYER, texts=texts
        )


def _without(strips: Iterator[Strip], values: list[int], nodata: int) -> Iterator[Strip]:
    """Strips of a map in which some values are nodata."""
    for classes, confidence in strips:
        yield np.where(np.isin(classes, values), classes.dtype.type(nodata), classes), confidence
