"""Many scenes on the same workers: the shards of all in one stream, and each map as soon as its shards are there."""

from __future__ import annotations

import concurrent.futures
import contextlib
import warnings
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Self

from s2fin_cli.core.leftovers import sweep, work_in_progress
from s2fin_cli.core.progress import Progress, Stop, silent, stoppable
from s2fin_cli.shards.folder import WorkFolder
from s2fin_cli.workflows.classify import begin_shards, map_of_shards
from s2fin_cli.workflows.scene_steps import SKIPPED
from s2fin_cli.workflows.shard_tasks import tasks_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from s2fin_cli.shards.plan import Plan
    from s2fin_cli.workflows.classify_job import ClassifyJob
    from s2fin_cli.workflows.scene_steps import Common, Scene
    from s2fin_cli.workflows.shard_tasks import Task, Workers

#: Seconds between two looks at whether the run is to end, while it waits for a map.
PAUSE = 0.5
#: Maps that may wait to be assembled before no further scene is begun: their shards take space.
MOST_WAITING = 4


@dataclass
class _Begun:
    """A scene whose shards are being made.

    Attributes:
        scene: the scene.
        job: its classification.
        folder: keeps its shards.
        plan: of its shards.
        out: shards that workers are making.
        is_drawn: whether workers have been given all of its shards.
    """

    scene: Scene
    job: ClassifyJob
    folder: WorkFolder
    plan: Plan
    out: int = 0
    is_drawn: bool = False

    @property
    def is_over(self) -> bool:
        """Whether no shard is to be made any more."""
        return self.is_drawn and self.out == 0


class Pool:
    """Workers for many scenes, and a thread that assembles maps meanwhile, while a `with` block runs."""

    def __init__(
        self, workers: Workers, common: Common, maps: Path, *, on_end: Callable[[Scene], None], progress: Progress
    ) -> None:
        """Take what they need to begin.

        Args:
            workers: they make the shards.
            common: what all scenes share.
            maps: the folder of the maps, where shards are kept if no work folder is given.
            on_end: called in this thread with each scene that is done, skipped or failed.
            progress: called again and again with the number of shards so far.
        """
        self._workers, self._common, self._maps = workers, common, maps
        self._on_end, self._progress = on_end, progress
        self._begun: dict[Path, _Begun] = {}
        self._assembling: deque[tuple[Scene, Future[None]]] = deque()
        self._ending = Stop()
        self._resources = contextlib.ExitStack()
        self._finished = self._known = 0

    def __enter__(self) -> Self:
        sweep(self._maps)
        with contextlib.ExitStack() as stack:
            # NOTE: all threads have the same filters of warnings, and two that change and restore them undo each other.
            stack.enter_context(warnings.catch_warnings())
            warnings.simplefilter("ignore")
            self._scratch = stack.enter_context(work_in_progress(self._maps))
            self._thread = stack.enter_context(ThreadPoolExecutor(1))
            self._resources = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        """End the assembly of a map at its next step, if the block ended early."""
        self._ending.set()
        self._thread.shutdown(cancel_futures=True)
        self._resources.close()

    def make(self, scenes: Sequence[Scene]) -> None:
        """Make the maps of scenes.

        Raises:
            DiskFullError: the disk is full.
            Stopped: the run was asked to end.
        """
        with self._workers as workers:
            for outcome in workers.make(self._tasks(scenes), on_pause=self._look):
                begun = self._begun[outcome.task.folder]
                begun.out -= 1
                self._finished += 1
                if outcome.error is not None and begun.scene.is_waiting:
                    begun.scene.fail(outcome.error)
                self._end_if_over(begun)
        while self._assembling:
            self._look(wait=True)

    def _tasks(self, scenes: Sequence[Scene]) -> Iterator[Task]:
        """The shards of all scenes; each scene is begun when workers have nothing else to do."""
        for scene in scenes:
            while len(self._assembling) >= MOST_WAITING:
                self._look(wait=True)
            begun = scene.attempt(partial(self._begin, scene))
            if begun is None:
                self._on_end(scene)
                continue
            self._begun[begun.folder.path.absolute()] = begun
            missing = begun.folder.unfinished(begun.plan.numbers, begun.plan)
            self._known += len(missing)
            for task in tasks_of(begun.job, begun.folder, begun.plan, missing):
                if not scene.is_waiting:  # one of its shards has failed
                    break
                begun.out += 1
                yield task
            begun.is_drawn = True
            self._end_if_over(begun)

    def _begin(self, scene: Scene) -> _Begun | None:
        """Begin a scene; None if its map is finished."""
        job = scene.begin(self._common)
        if job is None:
            return None
        work = job.options.work
        folder = WorkFolder(self._scratch / scene.entry.name if work is None else Path(work))
        return _Begun(scene, job, folder, begin_shards(job, folder))

    def _end_if_over(self, begun: _Begun) -> None:
        """Let the map of a scene be assembled when its last shard is there."""
        if not begun.is_over:
            return
        del self._begun[begun.folder.path.absolute()]
        if begun.scene.is_waiting:
            self._assembling.append((begun.scene, self._thread.submit(self._assemble, begun)))
        else:
            if begun.scene.result.status == SKIPPED:  # another run has finished it
                begun.folder.remove(begun.plan)
            self._on_end(begun.scene)

    def _assemble(self, begun: _Begun) -> None:
        """Write the map of a scene, in the thread of its own."""
        listener = stoppable(silent, self._ending)

        def finish() -> None:
            made = map_of_shards(begun.job, begun.folder, begun.plan, progress=listener)
            begun.scene.finish(self._common, made)
            begun.folder.remove(begun.plan)

        begun.scene.attempt(finish)

    def _look(self, *, wait: bool = False) -> None:
        """See which maps are assembled, and report progress.

        Args:
            wait: whether to wait for the next one.

        Raises:
            DiskFullError, Stopped: as `make`.
        """
        while self._assembling:
            scene, future = self._assembling[0]
            while wait and not future.done():
                concurrent.futures.wait([future], PAUSE)
                self._common.stop.check()
            if not future.done():
                break
            self._assembling.popleft()
            future.result()
            self._on_end(scene)
            wait = False
        if self._known:
            self._progress("shards", self._finished, self._known)
        else:
            self._common.stop.check()
