"""Shards made by the workers of a Dask cluster that somebody started.

What travels is a task, which is the path of a work folder, the number of a shard and options, and a receipt comes back.
Each worker has one task at a time, so it is known which one it died of.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import queue
import socket
import time
import uuid
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from distributed import Client
from distributed.scheduler import KilledWorker

from s2fin_cli.core.errors import S2finError, UsageError
from s2fin_cli.shards.folder import WorkFolder
from s2fin_cli.workflows.cluster_task import VERSIONS, make_on_worker
from s2fin_cli.workflows.shard_tasks import Backlog, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from distributed import Future

    from s2fin_cli.workflows.shard_tasks import Task

logger = logging.getLogger(__name__)
#: Dask's own.
_LOG = logging.getLogger("distributed")

#: Seconds to wait for the scheduler to answer.
CONNECTING = 10.0
#: Seconds to wait while no worker is ready.
PATIENCE = 300.0
#: Seconds between two reports of progress, and between two looks at the workers.
PAUSE, LOOK = 0.5, 1.0
#: Seconds until a machine sees what another one wrote: network file systems keep for a while what they saw.
VISIBLE = 90.0
#: What a worker is asked first, in Python that any of them understands: its versions, or why it cannot help.
PROBE = "__import__('importlib').import_module('s2fin_cli.workflows.cluster_task').VERSIONS"


class ClusterWorkers:
    """Workers of a cluster; `Workers`. Those that connect later help."""

    def __init__(self, address: str, *, patience: float = PATIENCE) -> None:
        """Take what they need to begin.

        Args:
            address: of the scheduler, e.g. "tcp://host:8786".
            patience: seconds to wait while no worker is ready.
        """
        self._address, self._patience = address, patience
        #: Worker and task of what is being done; no task where a worker is asked for its versions.
        self._running: dict[Future[Any], tuple[str, Task | None]] = {}
        self._ended: queue.SimpleQueue[Future[Any]] = queue.SimpleQueue()
        #: Whether each worker that is connected can be used; None if it was asked.
        self._known: dict[str, bool | None] = {}
        self._paused = set[str]()
        self._seen = 0.0

    def __enter__(self) -> ClusterWorkers:
        self._client, self._level = _connected(self._address), _LOG.level
        _LOG.setLevel(logging.CRITICAL)  # our messages say what matters
        return self

    def __exit__(self, *error: object) -> None:
        """Ask the workers to stop what they do for this command."""
        with contextlib.suppress(OSError):  # the scheduler has ended
            self._client.cancel(list(self._running), force=True)
        self._running.clear()
        self._client.close()
        _LOG.setLevel(self._level)

    def make(self, tasks: Iterable[Task], *, on_pause: Callable[[], None]) -> Iterator[Outcome]:
        """Do tasks, see `Workers`.

        Raises:
            S2finError: the scheduler has ended, no worker was ready for too long, or none can be used.
        """
        backlog, looked = Backlog(tasks), -math.inf
        self._seen = time.monotonic()
        on_pause()
        while backlog or any(task for _, task in self._running.values()):
            if time.monotonic() - looked >= LOOK:
                looked = time.monotonic()
                yield from self._look(backlog)
            self._hand_out(backlog)
            outcome = self._next_outcome(backlog)
            if outcome is not None:
                yield self._seen_here(outcome, on_pause)
            on_pause()

    def _look(self, backlog: Backlog) -> Iterator[Outcome]:
        """Find out which workers are connected: ask new ones for their versions, and take back tasks of lost ones.

        Yields:
            outcomes of tasks whose workers died once too often.
        """
        try:
            workers: dict[str, Any] = self._client.scheduler_info(n_workers=-1)["workers"]
        except (OSError, RuntimeError) as error:
            raise self._lost() from error
        connected = workers.keys()
        self._note_paused({address for address, about in workers.items() if about["status"] == "paused"})
        self._check_patience(connected - self._paused)
        for future, (address, task) in list(self._running.items()):
            if address not in connected:
                del self._running[future]
                self._client.cancel([future], force=True)
                outcome = None if task is None else backlog.after_death(task, address)
                if outcome is not None:
                    yield outcome
        new = connected - self._known.keys()
        self._known = {address: self._known.get(address) for address in connected}
        for address in new:
            self._submit(address, None, eval, PROBE)

    def _note_paused(self, paused: set[str]) -> None:
        """Take note of workers that Dask has paused: they begin nothing."""
        for address in paused - self._paused:
            logger.warning(
                "Dask has paused the worker %s, which uses most of its memory limit; give it more "
                "(dask worker --memory-limit)",
                address,
            )
        self._paused = paused

    def _check_patience(self, ready: set[str]) -> None:
        """Give up if no worker has been ready for long, and none is at work."""
        if ready or any(task for _, task in self._running.values()):
            self._seen = time.monotonic()
        elif time.monotonic() - self._seen > self._patience:
            paused = f" ({len(self._paused)} are paused, because they use too much memory)" if self._paused else ""
            raise S2finError(
                f"no worker of the scheduler at {self._address} was ready for {self._patience:.0f} s{paused}; start "
                "workers and give the same command again, finished shards are kept"
            )

    def _hand_out(self, backlog: Backlog) -> None:
        """Give each idle worker a task."""
        busy = {address for address, _ in self._running.values()}
        for address, is_fit in self._known.items():
            if is_fit and address not in busy | self._paused and (task := backlog.draw()) is not None:
                key = _new_key()
                self._submit(address, task, make_on_worker, task, key, key=key)

    def _submit(
        self, address: str, task: Task | None, function: Callable[..., Any], *arguments: Any, key: str | None = None
    ) -> None:
        """Let a worker call a function, and `_ended` take what becomes of it."""
        future = self._client.submit(function, *arguments, key=key or _new_key(), workers=[address], pure=False)
        self._running[future] = (address, task)
        future.add_done_callback(self._ended.put)

    def _next_outcome(self, backlog: Backlog) -> Outcome | None:
        """Wait for what becomes of a task; None if there is nothing new of any."""
        try:
            future = self._ended.get(timeout=PAUSE)
        except queue.Empty:
            return None
        if future not in self._running:  # it was cancelled
            return None
        if future.status not in ("finished", "error"):
            raise self._lost()
        address, task = self._running.pop(future)
        error = future.exception()
        if task is None:
            self._judge(address, error, None if error is not None else future.result())
            return None
        if isinstance(error, KilledWorker):  # again and again, each time replaced under the same address
            return backlog.after_death(task, address, deaths=error.allowed_failures + 1)
        if error is not None:
            why = f"shard {task.number} in {task.folder} failed on {address}: {type(error).__name__}: {error}"
            return Outcome(task, error=S2finError(why))
        outcome: Outcome = future.result()
        return outcome

    def _judge(self, address: str, error: BaseException | None, versions: dict[str, str] | None) -> None:
        """Take note of whether a worker can be used.

        Raises:
            S2finError: it cannot, and no other can.
        """
        why = _why_unfit(error, versions or {})
        if address in self._known:
            self._known[address] = why is None
        if why is None:
            return
        if any(is_fit is not False for is_fit in self._known.values()):
            logger.warning("the worker %s is not used: %s", address, why)
            return
        raise S2finError(f"no worker of {self._address} can be used: {why} on {address}; install the same s2fin there")

    def _seen_here(self, outcome: Outcome, on_pause: Callable[[], None]) -> Outcome:
        """An outcome, once its shard is seen on this machine too."""
        task, end = outcome.task, time.monotonic() + VISIBLE
        path = WorkFolder(task.folder).receipt_path(task.number)
        while outcome.error is None and not path.exists():
            if time.monotonic() > end:
                why = f"shard {task.number} was made by {outcome.receipt and outcome.receipt.host}, and is not in "
                why += f"{task.folder} here; the work folder has to be on a disk that all machines share"
                return Outcome(task, error=S2finError(why))
            with contextlib.suppress(OSError):  # a network file system looks for new files when a folder is listed
                os.listdir(task.folder)
            on_pause()
            time.sleep(PAUSE)
        return outcome

    def _lost(self) -> S2finError:
        return S2finError(
            f"the connection to the scheduler at {self._address} was lost; give the same command again once it is "
            "back, finished shards are kept"
        )


def _new_key() -> str:
    return f"s2fin-{uuid.uuid4().hex}"


def _why_unfit(error: BaseException | None, versions: dict[str, str]) -> str | None:
    """Why a worker cannot be used, by its answer; None if it can."""
    if error is not None:
        return f"s2fin cannot be imported ({type(error).__name__}: {error})"
    for name, own in VERSIONS.items():
        if versions.get(name) != own:
            return f"{name} is {own} on this machine and {versions.get(name, 'unknown')}"
    return None


def _connected(address: str) -> Client:
    """A client of a scheduler.

    Raises:
        UsageError: the address is none.
        S2finError: no scheduler answers there.
    """
    try:
        place = urlsplit(address if "://" in address else f"tcp://{address}")
        host, port = place.hostname, place.port
    except ValueError:
        host = port = None
    if host is None or port is None:
        raise UsageError(
            f"`scheduler` is {address!r}; it must be the address of a Dask scheduler, e.g. tcp://host:8786"
        )
    try:
        socket.create_connection((host, port), CONNECTING).close()  # a client that fails has much to say
        return Client(address, timeout=CONNECTING, set_as_default=False)
    except (OSError, ValueError) as error:
        raise S2finError(
            f"no Dask scheduler answers at {address} ({error}); check `scheduler`, or start one by dask scheduler"
        ) from error
