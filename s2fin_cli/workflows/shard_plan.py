"""The plan of a classification in shards: which options and inputs its map depends on."""

from __future__ import annotations

import dataclasses
import json
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import torch

from s2fin_cli.core.names import is_dataset_name
from s2fin_cli.core.options import InputOptions
from s2fin_cli.core.sidecars import PAM_SUFFIX
from s2fin_cli.shards.layout import shard_size_for, shard_windows, whole_batches
from s2fin_cli.shards.maker import software
from s2fin_cli.shards.plan import Plan
from s2fin_cli.shards.receipt import checksum
from s2fin_cli.workflows.input_files import input_files

if TYPE_CHECKING:
    from s2fin_cli.core.options import StrPath
    from s2fin_cli.stack.layer import Layer
    from s2fin_cli.workflows.classify_job import ClassifyJob

#: Options that the pixels of a map depend on, besides its inputs and the stride.
OPTIONS = ("bidx", "nodata", "bounds", "resampling", "coregister", "smooth", "prior", "precision")
#: Files beside a raster that other software writes when it only looks at it: statistics and overviews.
IGNORED = (PAM_SUFFIX, ".ovr")


def make_plan(job: ClassifyJob, *, size: int | None, workers: int | None) -> Plan:
    """The plan of a job.

    Args:
        job: the job.
        size: pixels a side of a shard, which are rounded up to whole batches of windows; None chooses.
        workers: processes that will share this machine; None for this one alone.
    """
    stack, batch_side, options = job.stack, job.predictor.batch_side, job.options
    extent = stack.extent
    chosen = shard_size_for(extent.height * extent.width, batch_side=batch_side) if size is None else size
    size = whole_batches(chosen, batch_side=batch_side)
    windows = shard_windows(extent, size, area=stack.area)
    return Plan(
        facts={
            "the checksum of the model": checksum(job.model_path),
            "`aoi`": None if options.aoi is None else _absolute(options.aoi),
            **_facts_of_files(options.inputs),
            "`stride`": job.stride,
            **{f"`{name}`": getattr(options, name) for name in OPTIONS},
            "the grid": [*stack.grid.shape, *stack.grid.transform[:6]],
            "the CRS": None if stack.grid.crs is None else stack.grid.crs.to_wkt(),
            "the mapped part of the grid": [extent.col_off, extent.row_off, extent.width, extent.height],
            **{f"what is read of `{layer.modality}`": _facts_of_layer(layer) for layer in stack.layers},
            "`shard_size`": size,
        },
        versions=software(),
        options=_options(job),
        size=size,
        windows=tuple((int(w.col_off), int(w.row_off), int(w.width), int(w.height)) for w in windows),
        has_probabilities=job.outputs.probabilities is not None,
        threads=max(torch.get_num_threads() // (workers or 1), 1),
    )


def _facts_of_files(inputs: list[str]) -> dict[str, Any]:
    """Sizes in bytes and times of change of the files that inputs consist of."""
    facts: dict[str, Any] = {}
    for path in input_files(inputs):
        if os.path.isfile(path) and not path.lower().endswith(IGNORED):
            status = os.stat(path)
            facts[f"the size of {os.path.abspath(path)}"] = status.st_size
            facts[f"the time of change of {os.path.abspath(path)}"] = _time(status.st_mtime_ns)
    return facts


def _time(nanoseconds: int) -> str:
    """A time since 1970 as a text, to the nanosecond."""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}.{rest:09d} UTC"


def _facts_of_layer(layer: Layer) -> str:
    """What is read of a modality, as a text: files without a local name have no other identity."""
    values: list[Any] = [layer.numbers, layer.shift, layer.fill, layer.nodata]
    values += [
        [info.grid.shape, info.grid.transform[:6], info.dtype, info.nodata, info.scales, info.offsets]
        for info in layer.rasters
    ]
    return json.dumps(values)


def _options(job: ClassifyJob) -> dict[str, Any]:
    """The options of a job that read its inputs and make its map, with absolute paths, in JSON values."""
    options = job.options
    kept = {field.name: getattr(options, field.name) for field in dataclasses.fields(InputOptions)}
    kept |= {modality: [_absolute(path) for path in paths] for modality, paths in options.src_paths.items() if paths}
    kept |= {"aoi": None if options.aoi is None else _absolute(options.aoi), "model": _absolute(job.model_path)}
    kept |= {name: getattr(options, name) for name in ("stride", "smooth", "prior", "precision")}
    return kept


def _absolute(path: StrPath) -> str:
    """A path that any process understands; names of GDAL's own stay as they are."""
    return str(path) if is_dataset_name(path) else os.path.abspath(path)
