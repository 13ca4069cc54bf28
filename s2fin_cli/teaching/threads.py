"""Calls of classifiers in threads, each of which keeps to one."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import torch
from joblib import Parallel, delayed  # type: ignore[import-untyped]
from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]

if TYPE_CHECKING:
    from collections.abc import Callable


def in_threads(function: Callable[..., Any], calls: list[tuple[Any, ...]]) -> list[Any]:
    """The function's results, in order, computed by as many threads as torch may use.

    NOTE: each call keeps to one thread. Threads that share one small piece of work wait for each other at its end, and
    wait long where another process takes one of their cores.

    NOTE: OpenMP keeps its limit by thread. Those of BLAS and the filters of warnings are the whole process's: threads
    that set them and put them back at their own times would leave each other's behind.
    """
    controller = ThreadpoolController()  # to look for the libraries takes some milliseconds

    def alone(*arguments: Any) -> Any:
        with controller.limit(limits=1, user_api="openmp"):
            return function(*arguments)

    with controller.limit(limits=1, user_api="blas"), warnings.catch_warnings():
        # few pixels of many classes look to scikit-learn like numbers to regress on
        warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)
        return list(Parallel(torch.get_num_threads(), require="sharedmem")(delayed(alone)(*call) for call in calls))
