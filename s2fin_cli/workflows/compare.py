"""Two class maps compared: what changed, a map and polygons of the changes, and what of it is real."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from s2fin_cli.assess.comparison import read_map_info
from s2fin_cli.core.classes import NO_CLASS
from s2fin_cli.core.errors import GeoreferencingError, RasterError, warp_like
from s2fin_cli.core.files import check_outputs
from s2fin_cli.core.names import without_credentials
from s2fin_cli.core.progress import Progress, Stop, silent, stoppable
from s2fin_cli.core.run_record import recorded_warnings
from s2fin_cli.geo.windows import check_size
from s2fin_cli.raster.change import tally_pairs
from s2fin_cli.reporting.change_report import ChangeReport
from s2fin_cli.reporting.files import write_report
from s2fin_cli.vector.write import check_vector_crs
from s2fin_cli.workflows.change_files import ChangeFiles, write_changes
from s2fin_cli.workflows.change_parts import Changes, Sampled, assess_changes
from s2fin_cli.workflows.input_files import input_files
from s2fin_cli.workflows.run_record import public, record_files

if TYPE_CHECKING:
    from pathlib import Path

    from s2fin_cli.workflows.options.compare import CompareOptions


@dataclass(frozen=True, eq=False)
class CompareResult:
    """The result of a comparison.

    Attributes:
        report: what changed.
        output: path of the change map, if one was written.
        polygons: path of the polygons of the changes, if they were written.
        report_file: path of the report file, if one was requested.
    """

    report: ChangeReport
    output: Path | None
    polygons: Path | None
    report_file: Path | None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values for scripts."""
        paths = {"output": self.output, "polygons": self.polygons}
        return {**{key: str(path) for key, path in paths.items() if path is not None}, **self.report.to_dict()}


def run(options: CompareOptions, *, progress: Progress = silent, stop: Stop | None = None) -> CompareResult:
    """Compare two class maps, and write a map and polygons of the changes and a report, as requested.

    Classes are matched by name where both maps have names, else by number, see `common_classes`. Where one of the maps
    has no class, the change map has none.

    Args:
        options: the options.
        progress: called as the work advances.
        stop: ends the work at its next step once it is set.

    Returns:
        what changed, and where the files are.

    Raises:
        RasterError: a map is no class map, or the maps have no class at a common pixel.
        GeoreferencingError: the maps are on different grids.
        LabelError: the maps have no class in common, or the reference does not go with them.
        OutputError, UsageError: a file cannot be written; nothing is.
    """
    progress = progress if stop is None else stoppable(progress, stop)
    outputs = ChangeFiles.of(options)
    inputs = input_files([options.before, options.after, options.reference])
    check_outputs(outputs.wanted, overwrite=options.overwrite, inputs=inputs)
    with recorded_warnings() as of_maps:
        found = _look(options, outputs, progress)
    with recorded_warnings() as of_reference:
        sampled = None if options.reference is None else _sampled(options, found)
    report = replace(_report(found, sampled, options), warnings=public([*of_maps, *of_reference], inputs))
    # NOTE: the reference does not change the map, which is the same without it
    alone = replace(options, reference=None, label_field=None)
    record = record_files("compare", alone, named={"before": alone.before, "after": alone.after}, warnings=of_maps)
    write_changes(outputs, found, options, record=record, progress=progress)
    if outputs.report is not None:
        write_report(report, outputs.report)
    return CompareResult(report, outputs.map, outputs.polygons, outputs.report)


def _look(options: CompareOptions, outputs: ChangeFiles, progress: Progress) -> Changes:
    """Read both maps once, and find their transitions."""
    paths = str(options.before), str(options.after)
    before, after = (read_map_info(path) for path in paths)
    grid = before.grid
    check_size(grid.window, paths[0], remedy="give smaller maps")
    if not grid.matches(after.grid):
        raise GeoreferencingError(
            f"{paths[0]} and {paths[1]} are on different grids ({grid.describe()}; {after.grid.describe()}); bring the "
            f"second one to the grid of the first one with: {warp_like(paths[1], paths[0])}"
        )
    if outputs.polygons is not None:
        check_vector_crs(outputs.polygons, grid)
    tally = tally_pairs(*paths, grid, progress=lambda done, rows: progress("comparing", done, rows))
    if not any(NO_CLASS not in pair for pair in tally.pixels):
        raise RasterError(f"{paths[0]} and {paths[1]} have no pixel with a class in both; check their nodata values")
    return Changes.of(paths, grid, tally)


def _sampled(options: CompareOptions, found: Changes) -> Sampled:
    """The maps at the interpreted points."""
    return assess_changes(found, str(options.reference), label_field=options.label_field)


def _report(found: Changes, sampled: Sampled | None, options: CompareOptions) -> ChangeReport:
    empty = Counter[str]()
    for (before, after), number in found.tally.pixels.items():
        if NO_CLASS in (before, after):
            empty["both" if before == after else "before" if before == NO_CLASS else "after"] += number
    nodata = {which: empty[which] for which in ("before", "after", "both")}
    before_path, after_path = (without_credentials(path) for path in found.paths)
    report = ChangeReport(before_path, after_path, found.transitions, found.pixels, found.areas, nodata)
    if sampled is None:
        return report
    return replace(
        report,
        transitions=sampled.transitions,
        reference=without_credentials(str(options.reference)),
        accuracy=sampled.estimates.sample,
        estimates=sampled.estimates,
        changed=sampled.changed,
    )
