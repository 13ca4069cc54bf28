"""Reading ahead and writing behind: one thread each, so that computing waits for neither."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, TypeVar

from s2fin_cli.core.pools import ThreadPool

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator
    from concurrent.futures import Future

T = TypeVar("T")
R = TypeVar("R")


def ahead(function: Callable[[T], R], items: Iterable[T]) -> Generator[R]:
    """Yield `function(item)` for each item in order, while the next one is already being computed in a thread.

    An error of the function is raised when its result is asked for. Close the generator if you leave it early; that
    waits for the call in progress.
    """
    with _one_thread() as pool:
        waiting: Future[R] | None = None
        for item in items:
            current, waiting = waiting, pool.submit(function, item)
            if current is not None:
                yield current.result()
        if waiting is not None:
            yield waiting.result()


class Behind:
    """Calls functions in order in a thread, one while the caller prepares the next."""

    def __init__(self, pool: ThreadPool) -> None:
        self._pool = pool
        self._last: Future[None] | None = None

    def call(self, function: Callable[[], None]) -> None:
        """Wait for the call before this one, and let the thread begin this one.

        Raises:
            Exception: whatever the call before this one raised.
        """
        self.wait()
        self._last = self._pool.submit(function)

    def wait(self) -> None:
        """Wait for the last call; raises what it raised."""
        if self._last is not None:
            self._last.result()


@contextlib.contextmanager
def behind() -> Iterator[Behind]:
    """A `Behind`, all of whose calls are done on leaving."""
    with _one_thread() as pool:
        calls = Behind(pool)
        yield calls
        calls.wait()


@contextlib.contextmanager
def _one_thread() -> Iterator[ThreadPool]:
    """A pool of one thread; after an error, calls that have not begun are cancelled."""
    pool = ThreadPool(1)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)
