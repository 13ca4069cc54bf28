"""Pools of threads that work for a caller: they know what the caller's thread knows of its run."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

R = TypeVar("R")


class ThreadPool(ThreadPoolExecutor):
    """A pool whose calls have the context variables of those who submit them, e.g. where warnings are recorded."""

    def submit(self, fn: Callable[..., R], /, *args: Any, **kwargs: Any) -> Future[R]:
        """Begin a call."""
        return super().submit(copy_context().run, fn, *args, **kwargs)
