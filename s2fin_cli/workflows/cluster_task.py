"""What a Dask worker does with a task."""

from __future__ import annotations

import functools
import logging
import platform
import threading

from distributed import get_worker

from s2fin_cli.core.errors import S2finError
from s2fin_cli.core.progress import Stopped
from s2fin_cli.core.version import __version__
from s2fin_cli.shards.folder import WorkFolder
from s2fin_cli.workflows.shard_tasks import Outcome, ShardMaker, Task

#: What the machines of a cluster need the same of, so that they understand each other.
VERSIONS = {"s2fin": __version__, "Python": ".".join(platform.python_version_tuple()[:2])}
#: A process makes one shard at a time, even if Dask gives its worker several threads or if two maps are being made.
_ONE_AT_A_TIME = threading.Lock()
#: Seconds between two looks at whether a shard is still wanted.
PAUSE = 0.5


def make_on_worker(task: Task, key: str) -> Outcome:
    """Do a task in a thread of a Dask worker, with as many threads as Dask gave to the worker.

    Args:
        task: the task.
        key: Dask's name of it.

    Raises:
        Stopped: nobody waits for it any more.
    """

    def report(stage: str, done: int, total: int, **figures: float) -> None:
        _check_wanted(key)

    while not _ONE_AT_A_TIME.acquire(timeout=PAUSE):
        _check_wanted(key)
    try:
        if not WorkFolder(task.folder).plan_path.exists():
            why = f"{task.folder} is not there; the work folder has to be on a disk that all machines share"
            return Outcome(task, error=S2finError(_placed(why)))
        outcome = _maker().do(task, progress=report)
    except Stopped:
        raise
    except Exception as error:  # noqa: BLE001  the command reports it
        outcome = Outcome.of_defect(task, error)
    finally:
        _ONE_AT_A_TIME.release()
    if outcome.error is None:
        return outcome
    return Outcome(task, error=type(outcome.error)(_placed(str(outcome.error))))


@functools.cache
def _maker() -> ShardMaker:
    """What makes the shards of this process."""
    logging.getLogger("s2fin_cli").setLevel(logging.ERROR)  # the command has said the rest
    return ShardMaker(threads=get_worker().state.nthreads)


def _check_wanted(key: str) -> None:
    """Do nothing if a task is still wanted.

    Raises:
        Stopped: it was cancelled, or the command that gave it has ended.
    """
    state = get_worker().state.tasks.get(key)
    if state is None or state.state == "cancelled":
        raise Stopped


def _placed(message: str) -> str:
    """A message with the machine that it comes from."""
    return f"on {platform.node()}: {message}"
