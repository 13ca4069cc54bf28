"""How long-running work reports its progress and is asked to end early, without knowing its caller.

The caller of a job gives it a `Progress` and a `Stop`. A job with nothing to keep combines them once, by `stoppable`,
and then ends wherever it reports progress. A job with something to keep catches `Stopped` there, and also calls
`Stop.check` at steps of its own.
"""

from __future__ import annotations

from typing import Protocol

from s2fin_cli.core.errors import S2finError

#: What a job says that ended before its end; what it had completed by then stays.
INTERRUPTED = "stopped before the end; no incomplete file was left"


class Progress(Protocol):
    """A function that is called repeatedly while work goes on."""

    def __call__(self, stage: str, done: int, total: int, **figures: float) -> None:
        """Report that `done` of `total` steps of a stage are done.

        Args:
            stage: what is being done, e.g. "training".
            done: steps done so far.
            total: steps in all.
            figures: numbers worth showing, e.g. the loss.
        """


def silent(stage: str, done: int, total: int, **figures: float) -> None:
    """A listener that ignores progress."""


class Stopped(S2finError):  # noqa: N818  (not an error, like StopIteration)
    """A job ended early because it was asked to, and left no output."""

    def __init__(self) -> None:
        super().__init__(INTERRUPTED)


class Stop:
    """A request to end a job early, made in any thread or signal handler and honoured at the job's next step.

    Attributes:
        has_result: set by the job once it has a result worth keeping. Until then a signal may end the process at once;
            from then on the job must be left to end by itself.
    """

    def __init__(self) -> None:
        self.has_result = False
        self._is_set = False

    @property
    def is_set(self) -> bool:
        """Whether the job is to end."""
        return self._is_set

    def set(self) -> None:
        """Ask the job to end."""
        self._is_set = True

    def check(self) -> None:
        """Do nothing if the job is to go on.

        Raises:
            Stopped: it is to end.
        """
        if self._is_set:
            raise Stopped


def stoppable(progress: Progress, stop: Stop) -> Progress:
    """A listener that passes progress on, and raises `Stopped` once the job is to end.

    Progress is passed on before the job ends, so that the last step is shown.
    """

    def report(stage: str, done: int, total: int, **figures: float) -> None:
        progress(stage, done, total, **figures)
        stop.check()

    return report
