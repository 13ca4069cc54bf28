"""The plan of a classification in shards: which options and inputs its map depends on."""

from __future__ import annotations

import dataclasses
import json
import os
from typing import TYPE_CHECKING, Any

import torch

from s2fin_cli.core.names import absolute
from s2fin_cli.core.options import InputOptions
from s2fin_cli.shards.layout import shard_size_for, shard_windows, whole_batches
from s2fin_cli.shards.maker import software
from s2fin_cli.shards.plan import Plan
from s2fin_cli.shards.receipt import checksum
from s2fin_cli.workflows.input_identity import facts_of_inputs

if TYPE_CHECKING:
    from s2fin_cli.stack.layer import Layer
    from s2fin_cli.workflows.classify_job import ClassifyJob
    from s2fin_cli.workflows.options.classify import ClassifyOptions

#: Options that the pixels of a map depend on, besides its inputs and the stride.
OPTIONS = ("bidx", "nodata", "bounds", "resampling", "coregister", "smooth", "prior", "precision")


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
            "`aoi`": None if options.aoi is None else os.path.basename(options.aoi),
            **facts_of_inputs(options.named_inputs),
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
        has_uncertainty=job.outputs.uncertainty is not None,
        threads=max(torch.get_num_threads() // (workers or 1), 1),
    )


def _facts_of_layer(layer: Layer) -> str:
    """What is read of a modality, as a text, besides what its files declare."""
    return json.dumps([layer.numbers, layer.shift, layer.fill, layer.nodata])


def options_anywhere(job: ClassifyJob) -> ClassifyOptions:
    """The options of a job for a process in any folder that makes shards: with absolute paths of its inputs."""
    options = job.options
    paths = {modality: [absolute(path) for path in paths] for modality, paths in options.src_paths.items() if paths}
    aoi = None if options.aoi is None else absolute(options.aoi)
    return dataclasses.replace(options, **paths, aoi=aoi, model=absolute(job.model_path), scheduler=None)  # type: ignore[arg-type]


def _options(job: ClassifyJob) -> dict[str, Any]:
    """The options of a job that read its inputs and make its map, with absolute paths, in JSON values."""
    options = options_anywhere(job)
    kept = {field.name: getattr(options, field.name) for field in dataclasses.fields(InputOptions)}
    kept |= {"model": options.model}
    kept |= {name: getattr(options, name) for name in ("stride", "smooth", "prior", "precision")}
    return kept
