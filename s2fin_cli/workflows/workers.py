"""Which workers make shards: the one place that chooses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from s2fin_cli.workflows.local_workers import LocalWorkers
from s2fin_cli.workflows.shard_tasks import ThisProcess, Workers

if TYPE_CHECKING:
    from s2fin_cli.shards.folder import WorkFolder
    from s2fin_cli.workflows.classify_job import ClassifyJob


def workers_of(workers: int | None, *, job: ClassifyJob | None = None, folder: WorkFolder | None = None) -> Workers:
    """Workers of the kind that options ask for.

    Args:
        workers: how many processes on this machine, as the option; None for this process alone.
        job: of the first tasks, if it is prepared already; only this process makes use of it.
        folder: the work folder of that job.
    """
    return ThisProcess(job, folder) if workers is None else LocalWorkers(workers)
