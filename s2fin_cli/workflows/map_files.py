"""The files of a map: rasters that someone fills, and polygons, style and STAC item made from them."""

from __future__ import annotations

import contextlib
import json
import logging
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from s2fin_cli.core.classes import map_encoding
from s2fin_cli.core.errors import OutputError, RasterError
from s2fin_cli.core.files import staged
from s2fin_cli.core.leftovers import sweep, warn_of_old, work_in_progress
from s2fin_cli.core.progress import Progress, silent
from s2fin_cli.inference.sinks import ClassMap, Confidence, Probabilities, Sink, Uncertainty
from s2fin_cli.inference.uncertainty import BANDS as UNCERTAINTY
from s2fin_cli.inference.uncertainty import UncertaintyWriter
from s2fin_cli.labels.sketch import LABELS_TAG
from s2fin_cli.raster.class_map import ClassMapWriter, create_class_map
from s2fin_cli.raster.creation import RasterFormat
from s2fin_cli.raster.strips import iter_strips
from s2fin_cli.raster.styles import raster_style
from s2fin_cli.raster.write import AS_FLOATS, RasterWriter, create_image
from s2fin_cli.stack.sampling import SMALL, sample_pixels
from s2fin_cli.stack.statistics import band_statistics
from s2fin_cli.vector.polygons import map_regions, write_polygons
from s2fin_cli.workflows.classify_item import write_item
from s2fin_cli.workflows.classify_outputs import SCALED, Outputs
from s2fin_cli.workflows.report import NewMap, report_of
from s2fin_cli.workflows.report_measures import Measured
from s2fin_cli.workflows.unreadable import Unreadable, unreadable_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from s2fin_cli.stack.stack import Stack
    from s2fin_cli.workflows.classify_job import ClassifyJob

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Rasters:
    """The open rasters of a map, each None where it is not wanted, but for the map itself."""

    map: ClassMapWriter
    confidence: RasterWriter | None
    probabilities: RasterWriter | None
    uncertainty: UncertaintyWriter | None = None

    def sinks(self, class_ids: list[int]) -> list[Sink]:
        """Sinks that fill them, of classes whose ids are in the order of the probabilities."""
        sinks: list[Sink] = [ClassMap(self.map, class_ids)]
        if self.confidence is not None:
            sinks.append(Confidence(self.confidence))
        if self.probabilities is not None:
            sinks.append(Probabilities(self.probabilities))
        if self.uncertainty is not None:
            sinks.append(Uncertainty(self.uncertainty))
        return sinks


class MapCounts(NamedTuple):
    """How many pixels a map has.

    Attributes:
        pixels: number of pixels by class id.
        areas: square metres by class id; None without a CRS.
        nodata_pixels: pixels of the area of interest where an image that the model needs has no data.
        unreadable: what of the images could not be read and was skipped.
        outside_pixels: mapped pixels outside of the area of applicability; None without a raster of uncertainty.
    """

    pixels: dict[int, int]
    areas: dict[int, float] | None
    nodata_pixels: int
    unreadable: Unreadable
    outside_pixels: int | None = None


def write_map(job: ClassifyJob, fill: Callable[[Rasters], dict[int, int]], *, progress: Progress = silent) -> MapCounts:
    """Write all files of a map, or none.

    Args:
        job: the job.
        fill: fills the rasters, which cover the extent of the job's stack, and gives the number of pixels by class id.
        progress: called with how far the polygons are.

    Raises:
        RasterError: no pixel has a class.
        OutputError: a file cannot be written.
    """
    outputs, folder = job.outputs, job.outputs.map.absolute().parent
    sweep(folder)
    with (
        staged(outputs.of_map.wanted, overwrite=job.options.overwrite) as tmp_paths,
        work_in_progress(folder) as scratch,
    ):
        written = outputs.of_map.at(tmp_paths)
        written.style.write_bytes(raster_style(job.info.classes))
        # polygons and the report need the confidence, even if it is not an output
        is_needed = written.polygons is not None or outputs.report is not None
        confidence = written.confidence or (scratch / "confidence.tif" if is_needed else None)
        with open_rasters(job, replace(written, confidence=confidence)) as rasters:
            pixels = fill(rasters)
        if not any(pixels.values()):
            raise RasterError(why_empty(job.stack))
        counts = _counts(job, pixels, rasters)
        if written.polygons is not None:
            write_map_polygons(job, replace(written, confidence=confidence), progress=progress)
        if written.stac is not None:
            write_item(job, written)
        grid, measured = job.stack.grid.crop(job.stack.extent), None
        if outputs.report is not None:
            measured = Measured.of(written.map, grid, confidence, written.uncertainty)
    counts.unreadable.warn()
    if counts.outside_pixels is not None:
        warn_of_outside(counts.outside_pixels, sum(counts.pixels.values()))
    if outputs.report is not None and measured is not None:
        report_of(_made(job, counts, measured), outputs.report)
    if job.options.overwrite:
        warn_of_old(outputs.beside_unwritten)
    return counts


def _counts(job: ClassifyJob, pixels: dict[int, int], rasters: Rasters) -> MapCounts:
    # NOTE: the last digits of sums depend on the order in which the map was filled.
    areas = {class_id: float(f"{rasters.map.tally.areas[class_id]:.10g}") for class_id in job.class_ids}
    return MapCounts(
        pixels,
        None if any(map(math.isnan, areas.values())) else areas,
        job.stack.pixels_of_interest - sum(pixels.values()),
        unreadable_of(job.stack, job.stack.extent),
        None if rasters.uncertainty is None else rasters.uncertainty.outside,
    )


def _made(job: ClassifyJob, counts: MapCounts, measured: Measured) -> NewMap:
    images = [job.stack.image, *job.stack.aux]
    pixels = {class_id: number for class_id, number in counts.pixels.items() if number}
    return NewMap(
        job.outputs.map, job.name, job.model_path, job.info, images, pixels, counts.areas, measured,
    )  # fmt: skip


def warn_of_outside(outside: int, mapped: int) -> None:
    """Warn of the pixels that look like nothing in the training data, if there are any.

    Args:
        outside: how many there are.
        mapped: how many pixels were mapped.
    """
    if outside:
        logger.warning(
            "%d of %d mapped pixels (%.1f %%) look unlike all training data, with a dissimilarity above 1: their "
            "classes are guesses; label some of them and train again",
            outside, mapped, 100 * outside / mapped,
        )  # fmt: skip


@contextlib.contextmanager
def open_rasters(job: ClassifyJob, written: Outputs) -> Iterator[Rasters]:
    """Create a job's rasters: its map and, if wanted, confidence, probabilities and uncertainty.

    Args:
        job: the job.
        written: where to write. A confidence that is not an output of the job is stored with default settings.
    """
    options, grid = job.options, job.stack.grid.crop(job.stack.extent)
    fmt = RasterFormat.of(options.format, options.co)
    tags = {"S2FIN_MODEL": job.model_path.name}
    if options.prior:
        tags["S2FIN_PRIOR"] = ", ".join(options.prior)
    if (sketch := job.info.label_sketch(job.stack.grid)) is not None:
        tags[LABELS_TAG] = json.dumps(sketch.to_dict())
    stored: dict[str, Any] = {"tags": tags, "fmt": fmt, "encoding": SCALED if options.scaled else AS_FLOATS}
    with contextlib.ExitStack() as opened:

        def create(path: Path | None, names: list[str], **how: Any) -> RasterWriter | None:
            return None if path is None else opened.enter_context(create_image(path, grid, names, **how))

        class_map = opened.enter_context(
            create_class_map(written.map, grid, job.info.classes, tags=tags, fmt=fmt, run=job.record())
        )
        confidence = create(written.confidence, ["confidence"], **({} if job.outputs.confidence is None else stored))
        probabilities = create(written.probabilities, [c.name for c in job.info.classes], **stored)
        uncertainty = create(written.uncertainty, list(UNCERTAINTY), **{**stored, "encoding": AS_FLOATS})
        counted = None if uncertainty is None else UncertaintyWriter(uncertainty.dst)
        yield Rasters(class_map, confidence, probabilities, counted)


def why_empty(stack: Stack) -> str:
    """Why no pixel can be classified, for a message."""
    is_empty = band_statistics(sample_pixels(stack, SMALL)).is_empty
    lacking = [(layer, np.array(layer.numbers)[is_empty[bands]].tolist()) for layer, bands in stack.slices()]
    found = [
        f"{layer.describe()} has none in bands {layer.describe_bands(numbers)}" for layer, numbers in lacking if numbers
    ]
    why = f" ({'; '.join(found)})" if found else ""
    where = "" if stack.area is None else " inside the area of interest"
    return f"no pixel has data in all images{where}{why}, so there is nothing to map; check nodata values and extents"


def write_map_polygons(job: ClassifyJob, written: Outputs, *, progress: Progress = silent) -> None:
    """Write the polygons of a map.

    Args:
        job: the job.
        written: where the map and its confidence are for now, and where to write the polygons.
        progress: called with how far it is.
    """
    assert written.polygons is not None  # noqa: S101  the caller saw to it
    rows = 0

    def report(strip_rows: int) -> None:
        nonlocal rows
        rows += strip_rows
        progress("polygons", rows, job.stack.extent.height)

    try:
        # NOTE: closing the strips closes the rasters, which Windows could not remove while they are open.
        with contextlib.closing(iter_strips(written.map, written.confidence, mmu=job.options.mmu)) as strips:
            grid, nodata = job.stack.grid.crop(job.stack.extent), map_encoding(job.class_ids)[1]
            regions = map_regions(strips, grid, nodata=nodata, on_progress=report)
            simplify = job.options.simplify
            write_polygons(written.polygons, regions, grid=grid, classes=job.info.classes, simplify=simplify)
    except OutputError as error:  # it knows the temporary name only
        raise OutputError(
            f"writing {job.outputs.polygons} failed: {error.__cause__ or error}; no file was written"
        ) from error
