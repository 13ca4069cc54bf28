"""How long-running work tells how far it is, without knowing who listens."""

from typing import Protocol


class Progress(Protocol):
    """Called again and again while work goes on."""

    def __call__(self, stage: str, done: int, total: int, **figures: float) -> None:
        """Tell that `done` of `total` steps of a stage are done.

        Args:
            stage: what is being done, e.g. "training".
            done: steps done so far.
            total: steps in all.
            figures: numbers worth showing, e.g. the loss.
        """


def silent(stage: str, done: int, total: int, **figures: float) -> None:
    """A listener that shows nothing."""
