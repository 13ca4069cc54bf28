"""The device that computes, and what makes it do so well."""

import ctypes
import sys

import torch

from s2fin_cli.errors import UsageError

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
