"""The device that computes, and settings that make it fast."""

from __future__ import annotations

import contextlib
import ctypes
import sys
from typing import TYPE_CHECKING, TypeVar

import torch

from s2fin_cli.core.errors import UsageError
from s2fin_cli.core.pools import ThreadPool

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from s2fin_cli.core.images import Images

T = TypeVar("T")
R = TypeVar("R")

#: glibc's names of limits of its allocator, from malloc.h, and the values that they are set to: bytes, and arenas.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8
TRIM_THRESHOLD, MMAP_THRESHOLD, ARENAS = 1 << 30, 32 << 20, 1


def pick_device(name: str) -> torch.device:
    """The device that the option `device` names: "auto" is CUDA if there is a device, else the CPU.

    Raises:
        UsageError: CUDA was asked for and there is none.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cuda" and not torch.cuda.is_available():
        built = torch.version.cuda or "none: this is a CPU build of torch"
        raise UsageError(f'there is no usable CUDA device (CUDA version of torch: {built}); use `device="cpu"`')
    return torch.device(name)


def take_device(name: str, position: int) -> None:
    """Make one of several CUDA devices that of this thread, if the option `device` allows CUDA.

    Args:
        name: the option.
        position: which device, counted from 0; beyond the last one it starts over.
    """
    if name != "cpu" and torch.cuda.is_available():
        torch.cuda.set_device(position % torch.cuda.device_count())


def tensors_on(device: torch.device, images: Images[NDArray[np.float32]]) -> Images[torch.Tensor]:
    """Images as tensors on a device."""
    return images.map(lambda values: torch.from_numpy(values).to(device))


@contextlib.contextmanager
def one_thread_an_operation() -> Iterator[int]:
    """Run each of torch's operations in one thread; gives the number of threads that can share the work instead.

    Threads that share one small operation wait for each other at its end, and for long if another process takes one of
    their cores, which made training up to ten times slower. Larger pieces of work in a thread each do not wait.
    """
    count = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield count
    finally:
        torch.set_num_threads(count)


def in_threads_of_their_own(function: Callable[[T], R], items: Sequence[T]) -> Generator[R]:
    """Yield `function(item)` for each item in order, each computed by one thread, as many at once as torch may use.

    So rounding, which depends on how many threads share an operation, does not depend on the number of threads. Close
    the generator if you leave it early.
    """
    with one_thread_an_operation() as count:
        if count == 1 or len(items) <= 1:
            yield from map(function, items)
            return
        # a new thread would compute its first item with all cores, which changes the last bits
        with ThreadPool(count, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            try:
                yield from pool.map(function, items)
            finally:
                pool.shutdown(cancel_futures=True)


@contextlib.contextmanager
def threads(count: int) -> Iterator[None]:
    """Let torch use a number of threads while the block runs."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def keep_freed_memory() -> None:
    """If glibc is the C library, make it keep the memory of freed tensors for the next ones.

    By default it returns tens of megabytes to the system after each layer and gets them again as fresh pages, which
    took a third of the time of a classification on two cores. All threads share what is kept: with arenas of their own
    for the threads that read and write, a classification held 100 MB more. What was freed before is returned.
    """
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.malloc_trim(0)
        libc.mallopt(M_MMAP_THRESHOLD, MMAP_THRESHOLD)
        libc.mallopt(M_TRIM_THRESHOLD, TRIM_THRESHOLD)
        libc.mallopt(M_ARENA_MAX, ARENAS)
