"""A classification in shards: making some of them, and a map of all of them."""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
from rasterio.windows import Window

from s2fin_cli.core.classes import map_encoding
from s2fin_cli.core.progress import Progress, silent
from s2fin_cli.inference.engine import Engine
from s2fin_cli.inference.sinks import Counts
from s2fin_cli.shards.agreement import agree, agreed_maker, check_agreed
from s2fin_cli.shards.folder import check_makers
from s2fin_cli.shards.maker import Maker
from s2fin_cli.shards.raster import ShardBands, create_shard, read_shard
from s2fin_cli.workflows.unreadable import take_unreadable, unreadable_blocks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from s2fin_cli.shards.folder import WorkFolder
    from s2fin_cli.shards.plan import Plan
    from s2fin_cli.shards.receipt import Receipt
    from s2fin_cli.workflows.classify_job import ClassifyJob
    from s2fin_cli.workflows.map_files import Rasters

logger = logging.getLogger(__name__)


def maker_of(job: ClassifyJob) -> Maker:
    """What makes a job's shards."""
    return Maker.here(job.predictor.device, getattr(job.predictor, "batches_at_once", None))


def part_of(plan: Plan, part: int, parts: int) -> Sequence[int]:
    """The numbers of the shards in one of several equal parts, counted from 1; they are neighbours."""
    first, end = (len(plan) * number // parts for number in (part - 1, part))
    return plan.numbers[first:end]


def make_shard(
    job: ClassifyJob, folder: WorkFolder, plan: Plan, number: int, *, progress: Progress = silent
) -> Receipt:
    """Make a shard and its receipt, unless another process has made it meanwhile.

    Args:
        job: the job.
        folder: keeps the shard.
        plan: of the job.
        number: the shard's.
        progress: called after each tile.

    Raises:
        InputError: the folder has shards of another kind of machine.
        OutputError: it cannot be written.
        S2finError: the device has too little memory.
    """
    kept = folder.receipt(number, plan)
    while kept is None:
        settle(job, folder)
        kept = _attempt(job, folder, plan, number, progress=progress)
    return kept


def settle(job: ClassifyJob, folder: WorkFolder) -> None:
    """Compute as many batches together as for the shards that are finished; refuse what would not fit to them.

    Raises:
        InputError: they were made by another kind of machine.
    """
    agreed, predictor = None if job.options.mixed else agreed_maker(folder), job.predictor
    if isinstance(predictor, Engine):
        predictor.fix_batches(None if agreed is None else agreed.batches)
    if agreed is not None:
        check_agreed(folder, maker_of(job))


def _attempt(
    job: ClassifyJob, folder: WorkFolder, plan: Plan, number: int, *, progress: Progress = silent
) -> Receipt | None:
    """Make a shard; None if it would not fit to others, because memory ran out or another process decided otherwise."""
    window, counts, maker = plan.window(number), Counts(job.class_ids), maker_of(job)
    with folder.new_shard() as path:
        grid = job.stack.grid.crop(window)
        with create_shard(path, grid, _bands(job, plan)) as sink:
            job.classify([sink, counts], window=window, uncertainty=plan.has_uncertainty, progress=progress)
        fits = job.options.mixed or (maker_of(job) == maker and agree(folder, maker) == maker)
        if not fits:
            return None
        unreadable = unreadable_blocks(job.stack, window)
        return folder.keep(path, number, plan, pixels=counts.pixels, maker=maker_of(job), unreadable=unreadable)


def _bands(job: ClassifyJob, plan: Plan) -> ShardBands:
    """The bands of a job's shards."""
    return ShardBands(tuple(job.class_ids), plan.has_probabilities, plan.has_uncertainty)


def check_own_maker(job: ClassifyJob, folder: WorkFolder, plan: Plan) -> None:
    """Refuse to add shards to those of another kind of machine, before any is made.

    Raises:
        InputError: there are such shards.
    """
    settle(job, folder)
    for number in plan.numbers:
        receipt = folder.receipt(number, plan)
        if receipt is not None:
            check_makers([receipt], folder.path, own=maker_of(job))
            return


def assemble(
    job: ClassifyJob,
    folder: WorkFolder,
    plan: Plan,
    rasters: Rasters,
    *,
    mixed: bool = False,
    progress: Progress = silent,
) -> dict[int, int]:
    """Fill a map's rasters from its shards, in order.

    Args:
        job: the job.
        folder: keeps the shards.
        plan: of the job.
        rasters: they cover the extent of the job's stack.
        mixed: whether shards of different makers may be combined.
        progress: called after each shard.

    Returns:
        number of pixels by class id.

    Raises:
        InputError: shards are missing or damaged, or were made by machines that differ.
    """
    stamps = folder.stamps(plan)
    receipts, extent = folder.receipts(plan, mixed=mixed), job.stack.extent
    take_unreadable(job.stack, receipts, folder.path)
    pixels: Counter[int] = Counter(dict.fromkeys(job.class_ids, 0))
    for receipt in receipts:
        placed = plan.window(receipt.number)
        row_off, col_off = placed.row_off - extent.row_off, placed.col_off - extent.col_off
        for part, values in read_shard(folder.shard_path(receipt.number)):
            window = Window(col_off + part.col_off, row_off + part.row_off, part.width, part.height)
            _fill(rasters, window, values, _bands(job, plan))
        pixels.update(receipt.pixels)
        progress("assembling", receipt.number, len(plan))
    folder.check_unchanged(plan, stamps)
    return dict(pixels)


def _fill(rasters: Rasters, window: Window, values: NDArray[np.float32], bands: ShardBands) -> None:
    """Fill a window of a map's rasters with values (bands, height, width) of a shard."""
    dtype, nodata = map_encoding(list(bands.class_ids))
    classes = np.where(np.isnan(values[0]), nodata, values[0]).astype(dtype)
    rasters.map.write(classes[None], window)
    if rasters.confidence is not None:
        rasters.confidence.write(values[1:2], window)
    if rasters.probabilities is not None:
        rasters.probabilities.write(values[bands.of_probabilities], window)
    if rasters.uncertainty is not None:
        rasters.uncertainty.write(values[bands.of_uncertainty], window)
