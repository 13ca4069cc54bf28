"""The report: a map and what is known of it in, one file out."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from s2fin_cli.assess.comparison import read_map_info
from s2fin_cli.assess.map_reliability import map_reliability
from s2fin_cli.core.classes import make_classes as default_classes
from s2fin_cli.core.errors import RasterError
from s2fin_cli.core.figures import known
from s2fin_cli.core.files import check_outputs
from s2fin_cli.core.names import without_credentials
from s2fin_cli.core.run_record import recorded_warnings
from s2fin_cli.geo.crs import crs_name
from s2fin_cli.raster.change import read_transitions
from s2fin_cli.raster.class_names import read_class_names
from s2fin_cli.raster.tally import tally_classes
from s2fin_cli.reporting.classes import make_classes
from s2fin_cli.reporting.files import check_suffix, write_report
from s2fin_cli.reporting.map_report import MapFacts, MapReport, ReportedRun
from s2fin_cli.workflows.evaluate import Assessment, assess, read_colors, warn_of_change_map
from s2fin_cli.workflows.input_files import input_files
from s2fin_cli.workflows.options.evaluate import EvaluateOptions
from s2fin_cli.workflows.options.report import ReportOptions
from s2fin_cli.workflows.report_measures import Measured
from s2fin_cli.workflows.report_parts import MapView, Origin, images_of
from s2fin_cli.workflows.report_suggestions import read_suggestions
from s2fin_cli.workflows.run_record import public, record_files

if TYPE_CHECKING:
    from collections.abc import Sequence

    from s2fin_cli.geo.grid import Grid
    from s2fin_cli.model.info import ModelInfo
    from s2fin_cli.stack.layer import Layer

logger = logging.getLogger(__name__)


# NOTE: eq=False because a report's arrays do not compare to one truth value.
@dataclass(frozen=True, eq=False)
class ReportResult:
    """The result of reporting.

    Attributes:
        report: the report.
        output: path of the file.
    """

    report: MapReport
    output: Path

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values for scripts."""
        return {"output": str(self.output), **self.report.to_dict()}


def run(options: ReportOptions) -> ReportResult:
    """Report on a map in one file.

    Args:
        options: the options.

    Returns:
        the report, and where it is.

    Raises:
        S2finError: something is wrong with the map, a file given or the output; nothing is written.
    """
    dst_path = Path(options.output)
    check_suffix(dst_path)
    check_outputs([dst_path], overwrite=options.overwrite, inputs=input_files(options.inputs))
    with recorded_warnings() as warnings:
        report = describe(options)
    record = record_files("report", options, named=options.named_files)
    own = ReportedRun.of(record, str(dst_path))
    report = replace(report, warnings=public(warnings, options.inputs), runs=(*report.runs, own))
    write_report(report, dst_path)
    return ReportResult(report, dst_path)


# NOTE: eq=False because arrays do not compare to one truth value.
@dataclass(frozen=True, eq=False)
class NewMap:
    """A map that was made just now.

    Attributes:
        path: the map.
        name: what the user calls it: its path, or its URL in an object store.
        model: the model that made it.
        info: what the model says about itself.
        images: the images that it was made of.
        pixels: number of pixels by class id, of the classes that occur.
        areas: square metres by class id; None without a CRS.
        measured: what was measured of its pixels.
    """

    path: Path
    name: str
    model: Path
    info: ModelInfo
    images: Sequence[Layer]
    pixels: dict[int, int]
    areas: dict[int, float] | None
    measured: Measured


def report_of(made: NewMap, dst_path: Path) -> None:
    """Write the report on a map that was made just now, over an existing one."""
    with recorded_warnings() as warnings:
        report = describe(ReportOptions(map=made.path), made)
    images = [info.src_path for layer in made.images for info in layer.rasters]
    write_report(replace(report, warnings=public(warnings, images)), dst_path)


def describe(options: ReportOptions, made: NewMap | None = None) -> MapReport:
    """Gather a report.

    Args:
        options: the options, whose `output` does not matter.
        made: the map, if it was made just now.
    """
    # NOTE: a path would fold the slashes of a name like /vsicurl/https://...
    map_path = str(options.map)
    grid, origin = read_map_info(map_path).grid, _origin(map_path, options, made)
    assessment = _assess(options) if options.reference_paths else None
    pixels, areas = _counted(map_path, grid, assessment, made)
    if not pixels:
        raise RasterError(f"{map_path} holds no class, so there is nothing to report; classify a scene first")
    measured = Measured.of(map_path, grid, options.confidence, options.uncertainty) if made is None else made.measured
    names = _names(map_path, pixels, assessment)
    classes = make_classes(
        names,
        colors={c.id: c.color for c in default_classes(names)} | read_colors(map_path),
        pixels=pixels,
        areas=areas,
        confidence=measured.mean_confidence,
        outside=measured.outside_shares,
    )
    images, notes = images_of(origin, options.src_paths) if made is None else (made.images, [])
    pictures = MapView.of(map_path, grid, measured).draw(classes, images)
    name = without_credentials(map_path if made is None else made.name)
    report = MapReport(
        classes,
        facts=replace(_facts(name, grid, sum(pixels.values())), is_change_map=read_transitions(map_path) is not None),
        training=origin.training,
        suggestions=read_suggestions(options.suggestions, grid, images),
        runs=origin.runs(name),
        pictures=replace(pictures, notes=(*notes, *pictures.notes)),
    )
    return report if assessment is None else _with_reference(report, assessment, options)


def _origin(map_path: str, options: ReportOptions, made: NewMap | None) -> Origin:
    if made is not None:
        return Origin.of(map_path, made.model, made.info)
    origin = Origin.of(map_path, options.model)
    if origin.is_other_model():
        logger.warning("%s is not the model that made %s: its checksum differs", origin.model_path, map_path)
    return origin


def _counted(
    map_path: str, grid: Grid, assessment: Assessment | None, made: NewMap | None
) -> tuple[dict[int, int], dict[int, float] | None]:
    """Pixels and square metres by class id of the classes that occur; areas are None without a CRS."""
    if made is not None:
        return made.pixels, made.areas
    tally = None if assessment is None else assessment.compared.tally
    pixels, areas = tally_classes(map_path, grid) if tally is None else (tally.pixels, tally.areas)
    return pixels, None if grid.crs is None else areas


def _assess(options: ReportOptions) -> Assessment:
    warn_of_change_map(str(options.map))
    return assess(
        EvaluateOptions(
            map=options.map,
            reference=options.reference_paths,
            label_field=options.label_field,
            stratified=options.stratified,
        )
    )


def _with_reference(report: MapReport, found: Assessment, options: ReportOptions) -> MapReport:
    """A report with what a reference says."""
    confidence = options.confidence
    return replace(
        report,
        accuracy=found.accuracy,
        estimates=found.estimates,
        reference=", ".join(map(without_credentials, options.reference_paths)),
        trained_share=found.trained_share,
        reliability=None if confidence is None else map_reliability(found.compared, str(confidence)),
    )


def _names(map_path: str, pixels: dict[int, int], assessment: Assessment | None) -> dict[int, str]:
    """Names of all classes of a map and its reference by class id, in the order of their numbers."""
    names = read_class_names(map_path)
    if assessment is not None:
        names = dict(zip(assessment.accuracy.class_ids, assessment.accuracy.class_names, strict=True)) | names
    return {i: names.get(i, str(i)) for i in sorted(names.keys() | pixels.keys())}


def _facts(map_path: str, grid: Grid, mapped: int) -> MapFacts:
    return MapFacts(
        path=map_path,
        shape=grid.shape,
        crs=None if grid.crs is None else crs_name(grid.crs),
        res=grid.res,
        metres=known(float(f"{grid.metres:.3g}")),
        bounds=tuple(grid.bounds),
        nodata_pixels=grid.width * grid.height - mapped,
    )
