"""Disks that are full, read-only or gone, or that know no hard links."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.faults.runs import run, running, wait_for
from tests.faults.setting import GOOD, SHARDS, Outcome, check_outputs, check_work, go_on, hidden, problem

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy as np

    from tests.faults.setting import Setting

#: Bytes of a disk on which everything fits.
ROOMY = 16 << 20


def can_mount(folder: Path) -> bool:
    """Whether this process may mount file systems."""
    place = folder / "mounted"
    place.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "tmpfs", place], capture_output=True, check=False)
    if done.returncode == 0:
        subprocess.run(["umount", place], check=True)
    place.rmdir()
    return done.returncode == 0


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[None]:
    """A disk of a number of bytes, in memory, mounted in a new folder."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


def remount(folder: Path, *options: str) -> bool:
    """Change a disk's options; False if it is in use."""
    command = ["mount", "-o", ",".join(("remount", *options)), str(folder)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def bytes_used(setting: Setting) -> int:
    """Bytes of disk that a run in shards takes at its end."""
    folder = setting.new.parent / "sized"
    with small_disk(folder, ROOMY):
        code, errors = run(folder, *setting.classify(*SHARDS))
        assert code == 0, errors
        used = shutil.disk_usage(folder).used
    folder.rmdir()
    return used


def full_disk(setting: Setting, folder: Path, at: float, draw: np.random.Generator) -> Outcome:
    """A disk of `at` of the bytes that a run needs; it goes on when there is room."""
    if ("bytes",) not in setting.seconds:
        setting.seconds["bytes",] = bytes_used(setting)
    page = os.sysconf("SC_PAGE_SIZE")
    size = max(int(at * setting.seconds["bytes",]) // page, 4) * page
    arguments = setting.classify(*SHARDS)
    with small_disk(folder, size):
        log = folder.with_name(f"{folder.name}.log")
        with running(folder, *arguments, log=log) as process:
            code = process.wait()
        seen = GOOD
        if code != 1 or process.errors.count("error: ") != 1 or "Traceback" in process.errors:
            seen = problem(f"{size} bytes: exit code {code}: {process.errors[-500:]}")
        left = hidden(folder) | (hidden(folder / "run") if (folder / "run").exists() else set())
        if left:
            seen += Outcome(identical=True, notes=(f"left: {left}",))
        seen += check_outputs(setting, folder) + check_work(folder / "run")
        assert remount(folder, f"size={ROOMY}")
        return seen + go_on(setting, folder, arguments)


def read_only(setting: Setting, folder: Path, at: float, draw: np.random.Generator) -> Outcome:
    """A disk that becomes read-only at a moment of a run."""
    arguments = setting.classify(*SHARDS)
    with small_disk(folder, ROOMY):
        log = folder.with_name(f"{folder.name}.log")
        seconds = setting.duration(arguments, lambda place: place.mkdir())
        with running(folder, *arguments, log=log) as process:
            time.sleep(at * seconds)
            wait_for(lambda: process.has_ended or remount(folder, "ro"))
            code = process.wait()
        seen = GOOD
        if code not in (0, 1) or "Traceback" in process.errors:
            seen = problem(f"exit code {code}: {process.errors[-500:]}")
        seen += check_outputs(setting, folder)
        if code == 1:
            code, errors = run(folder, *arguments, log=log)
            if code != 1 or "Traceback" in errors:
                seen = problem(f"on a read-only disk: exit code {code}: {errors[-500:]}")
        remount(folder, "rw")
        return seen + check_work(folder / "run") + go_on(setting, folder, arguments)


def deleted(setting: Setting, folder: Path, at: float, draw: np.random.Generator) -> Outcome:
    """A work folder that is deleted at a moment of a run: the run fails or makes the right map."""
    folder.mkdir()
    arguments = setting.classify(*SHARDS)
    seconds = setting.duration(arguments, lambda place: place.mkdir())
    with running(folder, *arguments) as process:
        time.sleep(at * seconds)
        wait_for(lambda: process.has_ended or (folder / "run").exists())
        os.rename(folder / "run", folder / ".gone")
        shutil.rmtree(folder / ".gone", ignore_errors=True)
        code = process.wait()
    shutil.rmtree(folder / ".gone", ignore_errors=True)
    seen = GOOD
    if code not in (0, 1) or "Traceback" in process.errors or "unexpected" in process.errors:
        seen = problem(f"exit code {code}: {process.errors[-500:]}")
    return seen + check_outputs(setting, folder) + go_on(setting, folder, arguments, sound={})


def without_links() -> None:
    """Let this process make no hard links, as on many network disks."""

    def refuse(*arguments: object, **how: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    os.link = refuse


def no_links(setting: Setting, folder: Path, at: float, draw: np.random.Generator) -> Outcome:
    """Two runs at once on a disk without hard links, one of them killed."""
    folder.mkdir()
    others = [folder / "a", folder]
    others[0].mkdir()
    arguments = setting.classify(*SHARDS)
    elsewhere = setting.classify("--work", folder / "run", "--shard-size", 16)
    seconds = setting.duration(arguments, lambda place: place.mkdir())
    with (
        running(others[0], *elsewhere, before=without_links) as one,
        running(folder, *arguments, before=without_links) as other,
    ):
        time.sleep(at * seconds)
        one.kill()
        code = other.wait()
    seen = GOOD if code == 0 else problem(f"exit code {code}: {other.errors[-500:]}")
    shutil.rmtree(others[0])
    return seen + check_outputs(setting, folder) + check_work(folder / "run") + go_on(setting, folder, arguments)
