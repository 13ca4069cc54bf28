"""What workers of every kind are given and give back, and how a process does it."""

from __future__ import annotations

import logging
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, Self

from s2fin_cli.core.device import threads
from s2fin_cli.core.errors import InputError, S2finError
from s2fin_cli.core.leftovers import sweep
from s2fin_cli.core.progress import Progress, Stopped, silent
from s2fin_cli.model.header import find_model
from s2fin_cli.shards.folder import WorkFolder
from s2fin_cli.shards.plan import check_same, read_plan
from s2fin_cli.workflows.classify_job import load_model, prepare
from s2fin_cli.workflows.shard_plan import make_plan, options_anywhere
from s2fin_cli.workflows.shards import make_shard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from s2fin_cli.shards.plan import Plan
    from s2fin_cli.shards.receipt import Receipt
    from s2fin_cli.workflows.classify_job import ClassifyJob, LoadedModel
    from s2fin_cli.workflows.options.classify import ClassifyOptions

logger = logging.getLogger(__name__)

#: How often a shard is tried whose worker dies.
TRIES = 4


@dataclass(frozen=True)
class Task:
    """A shard to make.

    Attributes:
        folder: the work folder, whose plan is there; an absolute path.
        number: the shard's.
        plan: identity of the plan.
        options: of the classification that the folder belongs to, with absolute paths.
    """

    folder: Path
    number: int
    plan: str
    options: ClassifyOptions = field(compare=False, repr=False)


def tasks_of(job: ClassifyJob, folder: WorkFolder, plan: Plan, numbers: Iterable[int]) -> list[Task]:
    """Tasks to make shards of a job whose plan is in a folder."""
    path, options = folder.path.absolute(), options_anywhere(job)
    return [Task(path, number, plan.identity, options) for number in numbers]


@dataclass(frozen=True)
class Outcome:
    """What became of a task.

    Attributes:
        task: the task.
        receipt: of its shard, which is finished; None if it failed.
        error: why it failed.
        is_defect: whether it failed by a defect, after which the process that found it is not to be trusted.
    """

    task: Task
    receipt: Receipt | None = None
    error: S2finError | None = None
    is_defect: bool = False

    @classmethod
    def of_defect(cls, task: Task, error: Exception) -> Outcome:
        """The outcome of a task that failed by an error that nobody expects."""
        why = f"shard {task.number} in {task.folder} failed: unexpected {type(error).__name__}: {error}"
        return cls(task, error=S2finError(why), is_defect=True)


class Workers(Protocol):
    """What makes shards, while a `with` block runs: this process, processes of this machine, or a cluster."""

    def __enter__(self) -> Self:
        """Begin."""

    def __exit__(self, *error: object) -> None:
        """End all work, finished or not."""

    def make(self, tasks: Iterable[Task], *, on_pause: Callable[[], None]) -> Iterator[Outcome]:
        """Do tasks, of one map or of several, in any order.

        Args:
            tasks: they are drawn one by one as workers become free.
            on_pause: called at least about every second; what it raises ends the work.

        Yields:
            the outcome of each task, as soon as it is known. A task that failed does not end the others. Iterate to the
            end before you give more tasks.
        """


class Backlog:
    """Tasks that are still to be done: those that are tried again come first."""

    def __init__(self, tasks: Iterable[Task]) -> None:
        """Take tasks, which are drawn when they are needed."""
        self._new, self._again, self._deaths = iter(tasks), deque[Task](), Counter[Task]()

    def __bool__(self) -> bool:
        """Whether there is a task to do now."""
        if not self._again and (task := next(self._new, None)) is not None:
            self._again.append(task)
        return bool(self._again)

    def draw(self) -> Task | None:
        """A task to do now; None if there is none, though one may have to be tried again later."""
        return self._again.popleft() if self._again else next(self._new, None)

    def after_death(self, task: Task, how: str, *, deaths: int = 1) -> Outcome | None:
        """Keep a task whose worker died for another try.

        Args:
            task: the task.
            how: how the worker ended, for messages.
            deaths: how often it died, if it was replaced and tried the same task again.

        Returns:
            its outcome if it was tried often enough.
        """
        self._deaths[task] += deaths
        if self._deaths[task] >= TRIES:
            return Outcome(task, error=S2finError(
                f"shard {task.number} in {task.folder} was tried {self._deaths[task]} times, and each time its worker "
                f"process ended abruptly ({how}), as it does where memory runs out; use fewer workers on each machine "
                'or a smaller `tile_size`; in a script, call s2fin below if __name__ == "__main__":'
            ))  # fmt: skip
        logger.warning(
            "the worker process of shard %d in %s ended abruptly (%s); the shard is tried again",
            task.number, task.folder, how,
        )  # fmt: skip
        self._again.append(task)
        return None


class ShardMaker:
    """Does tasks in this process, one after the other. It keeps the job of the last one for the next."""

    def __init__(
        self, job: ClassifyJob | None = None, folder: WorkFolder | None = None, *, threads: int | None = None
    ) -> None:
        """Begin with nothing, or with a job that is prepared already and its work folder.

        Args:
            job: the job.
            folder: its work folder.
            threads: that this process computes with; None takes those of the plan.
        """
        self._threads = threads
        self._job, self._plan = job, None if folder is None else read_plan(folder.plan_path)
        #: Folder, plan and options of the tasks that the job is for.
        self._job_of: tuple[object, ...] = ()
        if job is not None and folder is not None and self._plan is not None:
            self._job_of = (folder.path.absolute(), self._plan.identity, options_anywhere(job))
        self._model: LoadedModel | None = None
        self._model_of: tuple[object, ...] = ()

    def do(self, task: Task, *, progress: Progress = silent) -> Outcome:
        """Do a task.

        Args:
            task: the task.
            progress: called after each tile.

        Raises:
            Stopped: the listener asked for it.
        """
        try:
            job, plan = self._prepared(task)
            with threads(self._threads or plan.threads):
                receipt = make_shard(job, WorkFolder(task.folder), plan, task.number, progress=progress)
        except Stopped:
            raise
        except S2finError as error:
            return Outcome(task, error=error)
        return Outcome(task, receipt)

    def _prepared(self, task: Task) -> tuple[ClassifyJob, Plan]:
        """The job that a shard is part of, and its plan.

        Raises:
            S2finError: the job cannot be prepared here, or the plan is for another model, other options or inputs.
        """
        # NOTE: this process may outlive the command that gave the last task, and the next one may use the same folder.
        job_of = (task.folder, task.plan, task.options)
        if self._job is None or self._plan is None or job_of != self._job_of:
            self._job = self._plan = None
            sweep(task.folder, level=logging.DEBUG)  # what killed workers of this machine left
            plan = read_plan(WorkFolder(task.folder).plan_path)
            if plan.identity != task.plan:
                raise InputError(
                    f"the plan in {task.folder} was changed by another program; let no two maps use one folder, and "
                    "give the command again"
                )
            job = prepare(task.options, model=self._loaded(task.options), writes=False)
            own = make_plan(job, size=plan.size, workers=None).normalised()
            check_same(plan, own, task.folder, mixed=True)  # versions of software are compared with other shards'
            self._job, self._plan, self._job_of = job, plan, job_of
        return self._job, self._plan

    def _loaded(self, options: ClassifyOptions) -> LoadedModel:
        """The model of a task: that of the last task if it is the same, with the same options."""
        path = find_model(options.model)
        changed = path.stat().st_mtime_ns if path.exists() else None
        key = (path, changed, options.stride, tuple(options.prior), options.precision, options.device)
        if self._model is None or key != self._model_of:
            self._model, self._model_of = load_model(path, options), key
        return self._model


class ThisProcess:
    """Makes shards in this process, one after the other; `Workers`."""

    def __init__(self, job: ClassifyJob | None = None, folder: WorkFolder | None = None) -> None:
        """Begin with nothing, or with a job that is prepared already and its work folder."""
        self._maker = ShardMaker(job, folder)

    def __enter__(self) -> ThisProcess:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def make(self, tasks: Iterable[Task], *, on_pause: Callable[[], None]) -> Iterator[Outcome]:
        """Do tasks, see `Workers`; `on_pause` is called after each tile."""

        def report(stage: str, done: int, total: int, **figures: float) -> None:
            on_pause()

        for task in tasks:
            yield self._maker.do(task, progress=report)
