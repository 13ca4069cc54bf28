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
NO_TEMPORARY = "let TMPDIR be a folder that you may write to"
#: Where Linux says how much memory this process's control group may take and takes, and the name of what it would free
#: of that, in the versions of control groups.
_LIMITS = (
    ("sys/fs/cgroup/memory.max", "memory.current", "inactive_file"),
    ("sys/fs/cgroup/memory/memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)


@dataclass(frozen=True)
class CudaDevice:
    """A CUDA device.

    Attributes:
        name: its name.
        free: bytes of memory that are free, None where it cannot say.
        total: bytes of memory.
        error: why it cannot say.
    """

    name: str
    free: int | None = None
    total: int = 0
    error: str | None = None

    @classmethod
    def of(cls, number: int) -> CudaDevice:
        """A device by its number."""
        name = f"device {number}"
        try:
            name = torch.cuda.get_device_name(number)
            return cls(name, *torch.cuda.mem_get_info(number))
        except RuntimeError as error:  # such as one that is taken by another process, or that has failed
            return cls(name, error=str(error).strip().partition("\n")[0])


def examine_machine() -> list[Finding]:
    """What the machine has."""
    found = [processor(cores(), torch.get_num_threads()), memory(available_memory())]
    found += devices(cuda_devices(), build=torch.version.cuda, has_driver=shutil.which("nvidia-smi") is not None)
    here = space("this folder", Path.cwd(), otherwise=HINT, remedy="write outputs to another folder")
    return [*found, here, temporary_space()]


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


def available_memory(root: Path = Path("/")) -> int | None:
    """Bytes of memory that this process can get; None where the system does not say.

    Args:
        root: the folder of the system's files.
    """
    try:
        lines = (root / "proc/meminfo").read_text(encoding="ascii").splitlines()
        free = next(int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError):
        return None
    limits = (_left(root / limit, usage, reclaimed) for limit, usage, reclaimed in _LIMITS)
    return min([free, *(left for left in limits if left is not None)])


def _left(limit: Path, usage: str, reclaimed: str) -> int | None:
    """Bytes that a control group may still take; None where it has no limit."""
    try:
        most, used = int(limit.read_text(encoding="ascii")), int((limit.parent / usage).read_text(encoding="ascii"))
    except (OSError, ValueError):  # "max" where there is no limit
        return None
    return max(most - max(used - _stated(limit.parent / "memory.stat", reclaimed), 0), 0)


def _stated(path: Path, name: str) -> int:
    """A number of a control group's statistics, 0 where it is not there."""
    try:
        pairs = [line.split() for line in path.read_text(encoding="ascii").splitlines()]
        return next(int(value) for key, value in pairs if key == name)
    except (OSError, StopIteration, ValueError):
        return 0


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
    return [CudaDevice.of(number) for number in range(count)]


def devices(found: list[CudaDevice], *, build: str | None, has_driver: bool) -> list[Finding]:
    """Which devices compute.

    Args:
        found: the CUDA devices that torch can use.
        build: the version of CUDA that torch was built for; None for a CPU build.
        has_driver: whether the machine has NVIDIA's driver.
    """
    if found:
        return [_device(each, build) for each in found]
    if not has_driver:
        return [Finding("device", GOOD, "the processor; no NVIDIA driver is installed")]
    if build is None:
        what, remedy = "a CPU build of torch", "install a build of torch for CUDA, see https://pytorch.org/get-started"
    else:
        what, remedy = f"torch for CUDA {build} finds no device", "look at what nvidia-smi prints; update the driver"
    return [Finding("device", HINT, f"the processor, although NVIDIA's driver is installed: {what}", remedy)]


def _device(found: CudaDevice, build: str | None) -> Finding:
    if found.free is None:
        remedy = 'look at what nvidia-smi prints; until it works, compute with `device="cpu"`'
        return Finding("device", PROBLEM, f"CUDA {build}: {found.name} does not answer: {found.error}", remedy)
    text = f"{found.name}, {found.free / GIB:.1f} of {found.total / GIB:.1f} GiB free"
    return Finding("device", GOOD, f"CUDA {build}: {text}")


def temporary_space() -> Finding:
    """Whether temporary files can be written."""
    try:
        folder = Path(tempfile.gettempdir())
    except OSError as error:  # none of the folders that Python tries can be written to
        return Finding("disk of temporary files", PROBLEM, str(error.strerror or error), NO_TEMPORARY)
    return space("temporary files", folder, otherwise=PROBLEM, remedy=NO_TEMPORARY)


def space(what: str, folder: Path, *, otherwise: str, remedy: str) -> Finding:
    """Whether files can be written to a folder.

    Args:
        what: what the folder is, for the finding.
        folder: the folder.
        otherwise: the status if they cannot.
        remedy: what to do then.
    """
    part = f"disk of {what}"
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"s2fin")
        free = shutil.disk_usage(folder).free
    except OSError as error:
        return Finding(part, otherwise, f"{folder} cannot be written to: {error.strerror or error}", remedy)
    found = f"{free / GIB:.1f} GiB free in {folder}"
    if free >= LEAST_SPACE:
        return Finding(part, GOOD, found)
    return Finding(part, HINT, found, "make room before you write large maps")
