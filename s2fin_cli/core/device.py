"""The device that computes, and what makes it do so well."""

import contextlib
import ctypes
import sys
from collections.abc import Iterator

import torch

from s2fin_cli.core.errors import UsageError

# glibc's names of limits of its allocator, from malloc.h, and what they are set to: bytes, and arenas
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8
TRIM_THRESHOLD, MMAP_THRESHOLD, ARENAS = 1 << 30, 32 << 20, 1


def pick_device(name: str) -> torch.device:
    """The device of an option's value: "auto" takes CUDA where there is one, else the CPU.

    Raises:
        UsageError: CUDA is asked for and there is none.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cuda" and not torch.cuda.is_available():
        built = torch.version.cuda or "none: this is a CPU build of torch"
        raise UsageError(f"no CUDA device can be used (CUDA version of torch: {built}); take --device cpu")
    return torch.device(name)


@contextlib.contextmanager
def one_thread_an_operation() -> Iterator[int]:
    """Let each of torch's operations keep to one thread; gives the number of threads to share the work among instead.

    Threads that share one small operation wait for each other at its end, and wait long where another process takes one
    of their cores: training was up to ten times slower so. Pieces of work that each have a thread do not.
    """
    count = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield count
    finally:
        torch.set_num_threads(count)


def keep_freed_memory() -> None:
    """Let glibc keep the memory of freed tensors for the next ones, where glibc there is.

    By default it gives tens of megabytes back to the system at each layer and gets them again as fresh pages, which
    took a third of the time of a classification on two cores. All threads share what is kept: with arenas of their own
    for those that read and write, a classification held 100 MB more. What was freed before is given back.
    """
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.malloc_trim(0)
        libc.mallopt(M_MMAP_THRESHOLD, MMAP_THRESHOLD)
        libc.mallopt(M_TRIM_THRESHOLD, TRIM_THRESHOLD)
        libc.mallopt(M_ARENA_MAX, ARENAS)
