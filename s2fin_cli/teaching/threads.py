"""Calls of classifiers in parallel threads, with one thread per call."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import torch
from joblib import Parallel, delayed  # type: ignore[import-untyped]
from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]

from s2fin_cli.core.progress import Stop

if TYPE_CHECKING:
    from collections.abc import Callable


def in_threads(function: Callable[..., Any], calls: list[tuple[Any, ...]], *, stop: Stop | None = None) -> list[Any]:
    """The function's results, in order, computed by as many threads as torch may use.

    Args:
        function: what to call.
        calls: the arguments of each call.
        stop: once it is set no other call begins.

    Raises:
        Stopped: it was asked to end; calls that had begun are complete.

    NOTE: each call uses one thread. Threads that share one small piece of work wait for each other at its end, and
    wait long where another process takes one of their cores.

    NOTE: OpenMP's limit is per thread. Those of BLAS and the filters of warnings are global: threads that set and
    restore them at different times would leave each other's settings behind.
    """
    stop = stop or Stop()
    controller = ThreadpoolController()  # looking for the libraries takes some milliseconds

    def alone(*arguments: Any) -> Any:
        # NOTE: an exception here would leave other threads at work, with the limits already restored
        if stop.is_set:
            return None
        with controller.limit(limits=1, user_api="openmp"):
            return function(*arguments)

    with controller.limit(limits=1, user_api="blas"), warnings.catch_warnings():
        # scikit-learn takes few pixels of many classes for a regression task
        warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)
        results = Parallel(torch.get_num_threads(), require="sharedmem")(delayed(alone)(*call) for call in calls)
    stop.check()
    return list(results)
