"""Processes on this machine that make shards. One that dies is replaced, and its shard is given to another."""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import signal
import sys
import threading
import warnings
from collections import Counter, deque
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import wait
from typing import TYPE_CHECKING

import torch

from s2fin_cli.core.errors import S2finError, UsageError
from s2fin_cli.core.leftovers import sweep
from s2fin_cli.core.progress import Progress, silent
from s2fin_cli.shards.folder import WorkFolder
from s2fin_cli.shards.plan import read_plan
from s2fin_cli.workflows.classify_job import prepare
from s2fin_cli.workflows.shards import make_shards

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from multiprocessing.connection import Connection
    from multiprocessing.context import SpawnProcess
    from pathlib import Path
    from types import FrameType

    from s2fin_cli.workflows.classify_job import ClassifyJob
    from s2fin_cli.workflows.options.classify import ClassifyOptions

logger = logging.getLogger(__name__)

#: How often a shard is tried whose worker dies.
TRIES = 4
#: Seconds between two reports of progress, which is also where a request to end is noticed.
PAUSE = 0.5
#: Seconds that a worker has to end by itself.
GRACE = 5.0


@dataclass
class _Worker:
    """A process and the shard that it makes, None where it has none."""

    process: SpawnProcess
    connection: Connection
    number: int | None = None


def check_workers(job: ClassifyJob, count: int) -> None:
    """Refuse more workers than there are CUDA devices: those that share one would compute in smaller batches.

    Raises:
        UsageError: there are more.
    """
    devices = torch.cuda.device_count() if job.predictor.device.type == "cuda" else count
    if count > devices:
        raise UsageError(f"`workers` is {count}, and there are {devices} CUDA devices; use at most one for each")


class Workers:
    """Worker processes while a `with` block runs; afterwards there are none."""

    def __init__(self, options: ClassifyOptions, folder: Path, count: int) -> None:
        """Take what they need to begin.

        Args:
            options: of the classification.
            folder: the work folder, whose plan is there.
            count: how many processes.
        """
        self._options, self._folder, self._count = options, folder, count
        self._workers: list[_Worker] = []
        self._started = 0

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *error: object) -> None:
        """End all of them: those that are idle by themselves, the others at once."""
        for worker in self._workers:
            worker.connection.close()
            if worker.number is not None:
                worker.process.terminate()
        for worker in self._workers:
            worker.process.join(GRACE)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
        self._workers.clear()
        sweep(self._folder, level=logging.DEBUG)

    def make(self, numbers: Sequence[int], *, progress: Progress = silent) -> None:
        """Make shards.

        Args:
            numbers: the shards to make.
            progress: called again and again with the number of shards so far.

        Raises:
            S2finError: a shard failed, or its worker died at each of several tries.
        """
        waiting, deaths, finished = deque(numbers), Counter[int](), 0
        progress("shards", 0, len(numbers))
        while waiting or any(worker.number is not None for worker in self._workers):
            self._hand_out(waiting)
            for worker in self._answering():
                number, error = self._answer_of(worker)
                if error is not None:
                    raise error
                if number is not None:
                    finished += 1
                    continue
                lost = self._bury(worker)
                if lost is not None:
                    deaths[lost] += 1
                    _check_deaths(lost, deaths[lost], worker.process.exitcode)
                    waiting.appendleft(lost)
            progress("shards", finished, len(numbers))

    def _hand_out(self, waiting: deque[int]) -> None:
        """Give each idle worker a shard, and start workers for the others as far as there may be more."""
        while waiting:
            idle = next((worker for worker in self._workers if worker.number is None), None)
            if idle is None and len(self._workers) == self._count:
                return
            idle = idle or self._start()
            idle.number = waiting.popleft()
            with contextlib.suppress(OSError):  # a worker that is dead is noticed when it is listened to
                idle.connection.send(idle.number)

    def _start(self) -> _Worker:
        context = multiprocessing.get_context("spawn")  # a fork of a process with threads may hang
        own, other = context.Pipe()
        arguments = (other, self._options, self._folder, self._started)
        process = context.Process(target=_work, args=arguments, name=f"s2fin-{self._started}", daemon=True)
        with _signals_later(), _without_ctrl_c():
            process.start()
        other.close()  # so that the end of the process ends the connection
        self._started += 1
        worker = _Worker(process, own)
        self._workers.append(worker)
        return worker

    def _answering(self) -> list[_Worker]:
        ready = wait([worker.connection for worker in self._workers], PAUSE)
        return [worker for worker in self._workers if worker.connection in ready]

    def _answer_of(self, worker: _Worker) -> tuple[int | None, S2finError | None]:
        """The shard that a worker has finished, or why it failed; neither where it is dead."""
        try:
            error = worker.connection.recv()
        except (EOFError, OSError):
            return None, None
        number, worker.number = worker.number, None
        return number, error

    def _bury(self, worker: _Worker) -> int | None:
        """Forget a worker that is dead, and remove what it left; gives the shard that it was making, if any."""
        worker.connection.close()
        worker.process.join(GRACE)
        self._workers.remove(worker)
        sweep(self._folder, level=logging.DEBUG)
        return worker.number


def _check_deaths(number: int, deaths: int, exit_code: int | None) -> None:
    """Give up a shard whose workers die again and again.

    Raises:
        S2finError: they do.
    """
    by = f"signal {-exit_code}" if exit_code is not None and exit_code < 0 else f"exit code {exit_code}"
    if deaths >= TRIES:
        raise S2finError(
            f"shard {number} was tried {deaths} times, and each time its worker process ended abruptly ({by}), as "
            "it does where memory runs out; use fewer `workers` or a smaller `shard_size`"
        )
    logger.warning("the worker process of shard %d ended abruptly (%s); the shard is tried again", number, by)


@contextlib.contextmanager
def _signals_later() -> Iterator[None]:
    """Handle signals when the block ends: a process that is started meanwhile must receive all that it is sent."""
    received: list[tuple[int, FrameType | None]] = []
    handlers = {}
    if threading.current_thread() is threading.main_thread():  # no other thread handles signals
        numbers = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
        handlers = {number: handler for number in numbers if callable(handler := signal.getsignal(number))}
    for number in handlers:
        signal.signal(number, lambda number, frame: received.append((number, frame)))
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    for number, frame in received:
        handlers[signal.Signals(number)](number, frame)


@contextlib.contextmanager
def _without_ctrl_c() -> Iterator[None]:
    """Let a process that is started meanwhile never be interrupted by Ctrl-C, not even while it imports its modules.

    Ctrl-C reaches the whole group of processes.
    """
    if sys.platform == "win32":
        yield
        return
    resource_tracker.ensure_running()  # starting it would end the blocking
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _work(connection: Connection, options: ClassifyOptions, folder_path: Path, position: int) -> None:
    """What a worker process does: make the shards whose numbers come, and answer each with None or an error."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends this process
    threading.Thread(target=_end_with_parent, daemon=True).start()
    warnings.simplefilter("ignore")  # the parent has said all of it
    logging.getLogger("s2fin_cli").setLevel(logging.CRITICAL)
    with contextlib.suppress(EOFError, OSError):  # the parent wants no more
        number = connection.recv()
        try:
            if options.device != "cpu" and torch.cuda.is_available():
                torch.cuda.set_device(position % torch.cuda.device_count())
            job, folder = prepare(options, writes=False), WorkFolder(folder_path)
            plan = read_plan(folder.plan_path)
            while True:
                make_shards(job, folder, plan, [number])
                connection.send(None)
                number = connection.recv()
        except S2finError as error:
            connection.send(error)
        except EOFError:
            raise
        except Exception as error:  # noqa: BLE001  the parent reports it
            connection.send(S2finError(f"shard {number} failed: unexpected {type(error).__name__}: {error}"))


def _end_with_parent() -> None:
    """End this process as soon as its parent has ended, however that came."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
