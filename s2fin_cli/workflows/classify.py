"""The use case of classification: files and a model in, a map and polygons out."""

from __future__ import annotations

import contextlib
import logging
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from s2fin_cli.core.errors import UsageError, quoted
from s2fin_cli.core.leftovers import sweep, work_in_progress
from s2fin_cli.core.progress import Progress, Stop, silent, stoppable
from s2fin_cli.inference.sinks import Counts
from s2fin_cli.inference.uncertainty import BANDS as UNCERTAINTY
from s2fin_cli.raster.datasets import CLASS, OF_PIXELS, need_xarray, open_dataset
from s2fin_cli.shards.folder import WorkFolder
from s2fin_cli.vector.polygons import LAYER as POLYGON_LAYER
from s2fin_cli.vector.write import read_written
from s2fin_cli.workflows.classify_job import ClassifyJob, prepare
from s2fin_cli.workflows.local_workers import check_workers
from s2fin_cli.workflows.map_files import Rasters, write_map
from s2fin_cli.workflows.shard_plan import make_plan
from s2fin_cli.workflows.shard_tasks import tasks_of
from s2fin_cli.workflows.shards import assemble, check_own_maker, part_of
from s2fin_cli.workflows.unreadable import Unreadable, unreadable_of
from s2fin_cli.workflows.uploading import check_space, redirected, upload_map
from s2fin_cli.workflows.workers import workers_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import geopandas as gpd
    from xarray import Dataset

    from s2fin_cli.core.classes import LandCoverClass
    from s2fin_cli.core.options import StrPath
    from s2fin_cli.shards.plan import Plan
    from s2fin_cli.workflows.classify_outputs import Outputs
    from s2fin_cli.workflows.options.classify import ClassifyOptions

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ClassifyResult:
    """What a classification wrote.

    Attributes:
        outputs: paths of the files that were written.
        model: path of the model that was used.
        pixels: number of pixels by class id.
        areas: square metres by class id; None without a CRS, and for a part of the shards.
        nodata_pixels: pixels of the area of interest where an image that the model needs has no data.
        unreadable: what of the images could not be read and was skipped.
        classes: the model's classes.
        urls: URLs of outputs in an object store, by their names in `outputs`, whose paths are where they were made.
        outside_pixels: mapped pixels outside of the area of applicability; None without a raster of uncertainty.
        shards: numbers of the shards that were made instead of a map, from 1, where `shard` asked for a part of them:
            then no output is written, and `pixels` are those of the part. None for a map.
    """

    outputs: Outputs
    model: Path
    pixels: dict[int, int]
    areas: dict[int, float] | None
    nodata_pixels: int
    unreadable: Unreadable
    classes: tuple[LandCoverClass, ...]
    urls: Mapping[str, str] = field(default_factory=dict)
    outside_pixels: int | None = None
    shards: tuple[int, ...] | None = None

    @property
    def places(self) -> dict[str, StrPath | None]:
        """Where the outputs are, by name: paths, or URLs; None for those that are not wanted."""
        return {**vars(self.outputs), **self.urls}

    def to_xarray(self) -> Dataset:
        """The map and what was written with it as a dataset, whose pixels are read when they are asked for.

        Raises:
            UsageError: xarray is not installed, or no map was written to this machine.
        """
        need_xarray("`to_xarray`")
        self._check_files()
        of_variables = {CLASS: self.outputs.map, **{name: getattr(self.outputs, name) for name in OF_PIXELS}}
        paths = {name: path for name, path in of_variables.items() if path is not None}
        return open_dataset(paths, self.classes, {"uncertainty": UNCERTAINTY})

    def to_geodataframe(self) -> gpd.GeoDataFrame:
        """The polygons of the map.

        Raises:
            UsageError: none were written to this machine.
        """
        self._check_files()
        if self.outputs.polygons is None:
            raise UsageError("no polygons were written; classify the scene with `vector=True`")
        return read_written(self.outputs.polygons, layer=POLYGON_LAYER)

    def _check_files(self) -> None:
        """Refuse to read outputs that are not on this machine."""
        if self.shards is not None:
            raise UsageError("a part of the shards was made, and no map; assemble it first")
        if self.urls:
            raise UsageError(f"the map was written to {self.urls['map']}; open it from there")

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values for scripts."""
        is_map = self.shards is None
        paths = {name: path if is_map else None for name, path in self.places.items()}
        return {
            **{name: None if path is None else str(path) for name, path in {**paths, "model": self.model}.items()},
            "classes": [
                {
                    "id": c.id,
                    "name": c.name,
                    "pixels": self.pixels[c.id],
                    "area": None if self.areas is None else self.areas[c.id],
                }
                for c in self.classes
            ],
            "nodata_pixels": self.nodata_pixels,
            **self.unreadable.to_dict(),
            **({} if self.outside_pixels is None else {"outside_pixels": self.outside_pixels}),
            **({} if self.shards is None else {"shards": list(self.shards)}),
        }


def run(options: ClassifyOptions, *, progress: Progress = silent, stop: Stop | None = None) -> ClassifyResult:
    """Classify a scene and write the map, or make a part of its shards.

    Args:
        options: the options.
        progress: called with how far it is.
        stop: ends the classification at its next step once it is set.

    Returns:
        where the outputs are, and what the map holds.

    Raises:
        S2finError: something is wrong with the inputs, the model, options or outputs; no output is written, and
            finished shards are kept in the folder `work`.
        Stopped: it was asked to end, with the same consequences.
    """
    progress = progress if stop is None else stoppable(progress, stop)
    if options.shard is not None:  # which writes no map
        return carry_out_in_shards(prepare(options, writes=False, stop=stop), progress=progress)
    with redirected(options) as (local, uploads):
        job = prepare(local, name=options.output, stop=stop)
        check_space(job, uploads)
        carry = carry_out_in_shards if options.in_shards else carry_out
        result = carry(job, progress=progress)
        return replace(result, urls=upload_map(result.outputs, uploads))


def carry_out(job: ClassifyJob, *, progress: Progress = silent) -> ClassifyResult:
    """Carry out a classification, see `run`."""

    def fill(rasters: Rasters) -> dict[int, int]:
        counts = Counts(job.class_ids)
        sinks, uncertainty = [*rasters.sinks(job.class_ids), counts], rasters.uncertainty is not None
        job.classify(sinks, uncertainty=uncertainty, progress=progress)
        return counts.pixels

    counts = write_map(job, fill, progress=progress)
    return ClassifyResult(job.outputs, job.model_path, **counts._asdict(), classes=job.info.classes)


def carry_out_in_shards(job: ClassifyJob, *, progress: Progress = silent) -> ClassifyResult:
    """Make the shards of a classification that are missing and, unless it is for a part of them, the map."""
    options = job.options
    if options.workers is not None:
        check_workers(job.predictor.device, options.workers)
    with _work_folder(job) as folder:
        plan = begin_shards(job, folder)
        numbers = part_of(plan, *options.part)
        _complete(job, folder, plan, numbers, progress=progress)
        if options.shard is not None:
            return _part_result(job, folder, plan, numbers)
        return map_of_shards(job, folder, plan, progress=progress)


def begin_shards(job: ClassifyJob, folder: WorkFolder) -> Plan:
    """Begin a work folder with a job's plan, or check that the job goes on with what is there.

    Raises:
        InputError: it does not.
        OutputError: the folder cannot be used.
    """
    # NOTE: shards have the size that the folder was begun with, if none is given.
    size = job.options.shard_size or folder.size_begun_with()
    plan = folder.begin(make_plan(job, size=size, workers=job.options.workers), mixed=job.options.mixed)
    if not job.options.mixed and job.options.scheduler is None:
        check_own_maker(job, folder, plan)
    return plan


def map_of_shards(job: ClassifyJob, folder: WorkFolder, plan: Plan, *, progress: Progress = silent) -> ClassifyResult:
    """Write a job's map from its shards, all of which are finished.

    Raises:
        S2finError: shards are missing or damaged, or an output cannot be written.
    """

    def fill(rasters: Rasters) -> dict[int, int]:
        return assemble(job, folder, plan, rasters, mixed=job.options.mixed, progress=progress)

    counts = write_map(job, fill, progress=progress)
    return ClassifyResult(job.outputs, job.model_path, **counts._asdict(), classes=job.info.classes)


@contextlib.contextmanager
def _work_folder(job: ClassifyJob) -> Iterator[WorkFolder]:
    """The work folder: the one that was given, or one beside the map that is removed at the end."""
    if job.options.work is not None:
        yield WorkFolder(Path(job.options.work))
        return
    parent = job.outputs.map.absolute().parent
    sweep(parent)
    with work_in_progress(parent) as path:
        yield WorkFolder(path)


def _complete(job: ClassifyJob, folder: WorkFolder, plan: Plan, numbers: Sequence[int], *, progress: Progress) -> None:
    """Make those of some shards that are not finished."""
    missing = folder.unfinished(numbers, plan)
    if len(missing) < len(numbers):
        logger.info("%d of %d shards are finished in %s", len(numbers) - len(missing), len(numbers), folder.path)
    if not missing:
        return
    finished = 0

    def report() -> None:
        progress("shards", finished, len(missing))

    with workers_of(job.options.workers, job.options.scheduler, job=job, folder=folder) as workers:
        for outcome in workers.make(tasks_of(job, folder, plan, missing), on_pause=report):
            if outcome.error is not None:
                raise outcome.error
            finished += 1
            report()


def _part_result(job: ClassifyJob, folder: WorkFolder, plan: Plan, numbers: Sequence[int]) -> ClassifyResult:
    """What a part of the shards holds."""
    receipts = [receipt for number in numbers if (receipt := folder.receipt(number, plan)) is not None]
    blocks = {block for receipt in receipts for block in receipt.unreadable}
    unreadable = unreadable_of(job.stack, job.stack.extent, blocks)
    unreadable.warn()
    pixels = {class_id: sum(receipt.pixels[class_id] for receipt in receipts) for class_id in job.class_ids}
    logger.info("when all parts are finished: s2fin assemble %s -o %s", quoted(folder.path), quoted(job.options.output))
    return ClassifyResult(
        job.outputs, job.model_path, pixels, None, 0, unreadable, classes=job.info.classes, shards=tuple(numbers)
    )
