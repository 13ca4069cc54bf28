"""The use case of assembly: finished shards in, a map and polygons out."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from s2fin_cli.core.map_options import OutputOptions
from s2fin_cli.core.progress import Progress, Stop, silent, stoppable
from s2fin_cli.shards.folder import WorkFolder
from s2fin_cli.shards.plan import read_plan
from s2fin_cli.workflows.classify import ClassifyResult, map_of_shards
from s2fin_cli.workflows.classify_job import prepare
from s2fin_cli.workflows.options.classify import ClassifyOptions
from s2fin_cli.workflows.shard_plan import make_plan
from s2fin_cli.workflows.uploading import check_space, redirected, upload_map

if TYPE_CHECKING:
    from s2fin_cli.workflows.options.assemble import AssembleOptions


@dataclass(frozen=True)
class AssembleResult(ClassifyResult):
    """What an assembly wrote: the same as a classification."""


def run(options: AssembleOptions, *, progress: Progress = silent, stop: Stop | None = None) -> AssembleResult:
    """Assemble a map from its shards.

    Args:
        options: the options.
        progress: called with how far it is.
        stop: ends the assembly at its next step once it is set.

    Returns:
        where the outputs are, and what the map holds.

    Raises:
        S2finError: shards are missing or damaged or do not fit together, the model or an input is not what it was, or
            something is wrong with options or outputs; nothing is written.
        Stopped: it was asked to end; nothing is written.
    """
    listener = progress if stop is None else stoppable(progress, stop)
    folder = WorkFolder(Path(options.work))
    with redirected(options) as (local, uploads):
        job = prepare(_job_options(local, folder), name=options.output, stop=stop)
        check_space(job, uploads)
        plan = folder.begin(make_plan(job, size=folder.size_begun_with(), workers=None), mixed=options.mixed)
        made = map_of_shards(job, folder, plan, progress=listener)
        return AssembleResult(**{**vars(made), "urls": upload_map(made.outputs, uploads)})


def _job_options(options: AssembleOptions, folder: WorkFolder) -> ClassifyOptions:
    """The options of the classification that the shards belong to, with the outputs that are wanted now.

    Raises:
        InputError: the folder holds no plan.
    """
    wanted = {field.name: getattr(options, field.name) for field in dataclasses.fields(OutputOptions)}
    wanted |= {"work": options.work, "mixed": options.mixed}
    planned = {**read_plan(folder.plan_path).options, "device": "cpu", "on_read_error": "skip"}  # nothing is computed
    return ClassifyOptions.from_kwargs({**planned, **wanted})
