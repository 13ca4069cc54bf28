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
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import wait
from typing import TYPE_CHECKING

import torch

from s2fin_cli.core.device import take_device
from s2fin_cli.core.errors import UsageError
from s2fin_cli.core.leftovers import sweep
from s2fin_cli.workflows.shard_tasks import Backlog, Outcome, ShardMaker, Task

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from multiprocessing.connection import Connection
    from multiprocessing.context import SpawnProcess
    from types import FrameType

logger = logging.getLogger(__name__)

#: Seconds between two reports of progress, which is also where a request to end is noticed.
PAUSE = 0.5
#: Seconds that a worker has to end by itself.
GRACE = 5.0


@dataclass
class _Worker:
    """A process and the task that it does, None where it has none.

    Attributes:
        position: from 0, which no other worker has meanwhile: of several CUDA devices it takes that one.
    """

    process: SpawnProcess
    connection: Connection
    position: int
    task: Task | None = None


def check_workers(device: torch.device, count: int) -> None:
    """Refuse more workers than there are CUDA devices: those that share one would compute in smaller batches.

    Raises:
        UsageError: there are more.
    """
    devices = torch.cuda.device_count() if device.type == "cuda" else count
    if count > devices:
        raise UsageError(f"`workers` is {count}, but the number of CUDA devices is {devices}; use at most that many")


class LocalWorkers:
    """Processes on this machine that make shards; `Workers`. They start when there is work for them."""

    def __init__(self, count: int) -> None:
        """Take how many processes there may be."""
        self._count = count
        self._workers: list[_Worker] = []

    def __enter__(self) -> LocalWorkers:
        return self

    def __exit__(self, *error: object) -> None:
        """End all of them: those that are idle by themselves, the others at once."""
        for worker in self._workers:
            worker.connection.close()
            if worker.task is not None:
                worker.process.terminate()
        for worker in self._workers:
            _end(worker.process)
        _sweep(worker.task for worker in self._workers)
        self._workers.clear()

    def make(self, tasks: Iterable[Task], *, on_pause: Callable[[], None]) -> Iterator[Outcome]:
        """Do tasks, see `Workers`."""
        backlog = Backlog(tasks)
        on_pause()
        while self._hand_out(backlog) or any(worker.task for worker in self._workers):
            for worker in self._answering():
                outcome = self._answer_of(worker)
                if outcome is None:
                    lost = self._bury(worker)
                    outcome = None if lost is None else backlog.after_death(lost, _end_of(worker.process))
                if outcome is not None:
                    yield outcome
            on_pause()

    def _hand_out(self, backlog: Backlog) -> bool:
        """Give each idle worker a task, and start workers for the others as far as there may be more.

        Returns:
            whether there may be more tasks.
        """
        while True:
            idle = next((worker for worker in self._workers if worker.task is None), None)
            if idle is None and len(self._workers) == self._count:
                return True
            task = backlog.draw()
            if task is None:
                return False
            idle = idle or self._start()
            idle.task = task
            with contextlib.suppress(OSError):  # a worker that is dead is noticed when it is listened to
                idle.connection.send(task)

    def _start(self) -> _Worker:
        context = multiprocessing.get_context("spawn")  # a fork of a process with threads may hang
        own, other = context.Pipe()
        position = min(set(range(self._count)) - {worker.position for worker in self._workers})
        threads = max(torch.get_num_threads() // self._count, 1)
        process = context.Process(target=_work, args=(other, position, threads), name=f"s2fin-{position}", daemon=True)
        with _signals_later(), _without_ctrl_c():
            process.start()
        other.close()  # so that the end of the process ends the connection
        worker = _Worker(process, own, position)
        self._workers.append(worker)
        return worker

    def _answering(self) -> list[_Worker]:
        ready = wait([worker.connection for worker in self._workers], PAUSE)
        return [worker for worker in self._workers if worker.connection in ready]

    def _answer_of(self, worker: _Worker) -> Outcome | None:
        """What became of a worker's task; None if the worker is dead."""
        try:
            outcome: Outcome = worker.connection.recv()
        except (EOFError, OSError):
            return None
        worker.task = None
        if outcome.is_defect:  # the process ends
            self._bury(worker)
        return outcome

    def _bury(self, worker: _Worker) -> Task | None:
        """Forget a worker that is ending, and remove what it left; gives the task that it was doing, if any."""
        worker.connection.close()
        _end(worker.process)
        self._workers.remove(worker)
        _sweep([worker.task])
        return worker.task


def _end(process: SpawnProcess) -> None:
    """Let a process end, and end it if it does not."""
    process.join(GRACE)
    if process.is_alive():
        process.kill()
        process.join()


def _sweep(tasks: Iterable[Task | None]) -> None:
    """Remove what workers left in the work folders of their tasks."""
    for folder in {task.folder for task in tasks if task is not None}:
        sweep(folder, level=logging.DEBUG)


def _end_of(process: SpawnProcess) -> str:
    """How a process ended, for a message."""
    code = process.exitcode
    return f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"


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


def _work(connection: Connection, position: int, threads: int) -> None:
    """What a worker process does: the tasks that come, and it answers each with its outcome."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends this process
    threading.Thread(target=_end_with_parent, daemon=True).start()
    warnings.simplefilter("ignore")  # the parent has said all of it
    logging.getLogger("s2fin_cli").setLevel(logging.CRITICAL)
    maker = ShardMaker(threads=threads)
    with contextlib.suppress(EOFError, OSError):  # the parent wants no more
        while True:
            task: Task = connection.recv()
            take_device(task.options.device, position)
            try:
                connection.send(maker.do(task))
            except EOFError:
                raise
            except Exception as error:  # noqa: BLE001  the parent reports it
                connection.send(Outcome.of_defect(task, error))
                return


def _end_with_parent() -> None:
    """End this process as soon as its parent has ended, however that came."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
