"""The machine: its processor, memory, CUDA devices and disks."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch

from s2fin_cli.installation.finding import GOOD, HINT, PROBLEM, Finding

GIB = 1 << 30
#: Memory below which maps and training need smaller pieces of work, and free space below which maps may not fit.
LEAST_MEMORY, LEAST_SPACE = 4 * GIB, GIB
#: Where Linux says how much memory this process may take, in the versions of control groups.
_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


@dataclass(frozen=True)
class CudaDevice:
    """A CUDA device.

    Attributes:
        name: its name.
        free: bytes of memory that are free.
        total: bytes of memory.
    """

    name: str
    free: int
    total: int


def examine_machine() -> list[Finding]:
    """What the machine has."""
    found = [processor(cores(), torch.get_num_threads()), memory(available_memory())]
    found += devices(cuda_devices(), build=torch.version.cuda, has_driver=shutil.which("nvidia-smi") is not None)
    return [*found, space("this folder", Path.cwd()), space("temporary files", Path(tempfile.gettempdir()))]


def cores() -> int:
    """Cores of the processor that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def processor(usable: int, threads: int) -> Finding:
    """Whether the processor is used.

    Args:
        usable: cores that this process may use.
        threads: that torch computes with.
    """
    found = f"{threads} thread{'s' * (threads != 1)} on {usable} usable core{'s' * (usable != 1)}"
    if 2 * threads > usable:
        return Finding("processor", GOOD, found)
    given = [f"{name}={os.environ[name]}" for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS") if name in os.environ]
    remedy = f"unset {' '.join(name.partition('=')[0] for name in given)}" if given else f"set OMP_NUM_THREADS={usable}"
    return Finding("processor", HINT, ", ".join([found, *given]), f"to use all cores: {remedy}")


def available_memory() -> int | None:
    """Bytes of memory that this process can get; None where the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        free = next(int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError):
        return None
    return min([free, *filter(None, map(_limit, _LIMITS))])


def _limit(path: str) -> int | None:
    try:
        return int(Path(path).read_text(encoding="ascii"))
    except (OSError, ValueError):  # "max" where there is no limit
        return None


def memory(available: int | None) -> Finding:
    """Whether there is memory enough."""
    if available is None:
        return Finding("memory", GOOD, "this system does not say how much is available")
    found = f"{available / GIB:.1f} GiB available"
    if available >= LEAST_MEMORY:
        return Finding("memory", GOOD, found)
    remedy = "close other programs, and if memory runs out, give a smaller `tile_size` or `batch_size`"
    return Finding("memory", HINT, found, remedy)


def cuda_devices() -> list[CudaDevice]:
    """The CUDA devices that torch can use."""
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    return [CudaDevice(torch.cuda.get_device_name(i), *torch.cuda.mem_get_info(i)) for i in range(count)]


def devices(found: list[CudaDevice], *, build: str | None, has_driver: bool) -> list[Finding]:
    """Which devices compute.

    Args:
        found: the CUDA devices that torch can use.
        build: the version of CUDA that torch was built for; None for a CPU build.
        has_driver: whether the machine has NVIDIA's driver.
    """
    if found:
        texts = [f"{d.name}, {d.free / GIB:.1f} of {d.total / GIB:.1f} GiB free" for d in found]
        return [Finding("device", GOOD, f"CUDA {build}: {text}") for text in texts]
    if not has_driver:
        return [Finding("device", GOOD, "the processor; no NVIDIA driver is installed")]
    if build is None:
        what, remedy = "a CPU build of torch", "install a build of torch for CUDA, see https://pytorch.org/get-started"
    else:
        what, remedy = f"torch for CUDA {build} finds no device", "look at what nvidia-smi prints; update the driver"
    return [Finding("device", HINT, f"the processor, although NVIDIA's driver is installed: {what}", remedy)]


def space(what: str, folder: Path) -> Finding:
    """Whether files can be written to a folder.

    Args:
        what: what the folder is, for the finding.
        folder: the folder.
    """
    part = f"disk of {what}"
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"s2fin")
        free = shutil.disk_usage(folder).free
    except OSError as error:
        is_needed = what != "this folder"
        remedy = "let TMPDIR be a folder that you may write to" if is_needed else "write outputs to another folder"
        why = f"{folder} cannot be written to: {error.strerror or error}"
        return Finding(part, PROBLEM if is_needed else HINT, why, remedy)
    found = f"{free / GIB:.1f} GiB free in {folder}"
    if free >= LEAST_SPACE:
        return Finding(part, GOOD, found)
    return Finding(part, HINT, found, "make room before you write large maps")
