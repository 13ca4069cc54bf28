"""Which workers make shards: the one place that chooses."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

from s2fin_cli.core.errors import UsageError
from s2fin_cli.workflows.local_workers import LocalWorkers
from s2fin_cli.workflows.shard_tasks import ThisProcess, Workers

if TYPE_CHECKING:
    from s2fin_cli.shards.folder import WorkFolder
    from s2fin_cli.workflows.classify_job import ClassifyJob


def workers_of(
    workers: int | None, scheduler: str | None, *, job: ClassifyJob | None = None, folder: WorkFolder | None = None
) -> Workers:
    """Workers of the kind that options ask for.

    Args:
        workers: how many processes on this machine, as the option; None for none.
        scheduler: address of a cluster's, as the option; None for no cluster. With neither, this process does it all.
        job: of the first tasks, if it is prepared already; only this process makes use of it.
        folder: the work folder of that job.

    Raises:
        UsageError: the cluster needs a package that is missing.
    """
    if scheduler is not None:
        if importlib.util.find_spec("distributed") is None:
            raise UsageError("`scheduler` needs Dask; pip install 's2fin[cluster]'")
        from s2fin_cli.workflows.cluster import ClusterWorkers

        return ClusterWorkers(scheduler)
    return ThisProcess(job, folder) if workers is None else LocalWorkers(workers)
