"""Temporary files and folders that bear the mark of the process that made them, and the removal of those left behind.

A process that is killed cannot clean up. The mark in a name holds the machine and the process, so the next run on the
same machine removes what no running process owns. What other machines made on a shared disk is left alone.
"""

from __future__ import annotations

import contextlib
import logging
import os
import platform
import re
import shutil
import tempfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

logger = logging.getLogger(__name__)

#: What the names of folders for work in progress begin with, after a dot.
FOLDER_STEM = "s2fin"


def mark() -> str:
    """The mark of this process: eight hexadecimal digits of the machine's name, and the number of the process."""
    return f"{_machine()}-{os.getpid()}"


def _machine() -> str:
    return f"{zlib.crc32(platform.node().encode()):08x}"


@contextlib.contextmanager
def work_in_progress(parent: Path) -> Iterator[Path]:
    """A new folder inside another one, which is removed when the block ends.

    Raises:
        OSError: it cannot be made.
    """
    with tempfile.TemporaryDirectory(prefix=f".{FOLDER_STEM}.{mark()}.", dir=parent) as folder:
        yield Path(folder)


def sweep(folder: Path, stem: str = FOLDER_STEM, *, level: int = logging.WARNING) -> list[Path]:
    """Remove what killed processes of this machine left in a folder, with a message for each.

    Args:
        folder: where to look.
        stem: what the names begin with, between a dot and the mark.
        level: of the messages.

    Returns:
        what was removed.
    """
    pattern = re.compile(rf"\.{re.escape(stem)}\.{_machine()}-(\d+)[.-].*", re.DOTALL)
    removed = []
    with contextlib.suppress(OSError):  # a folder that cannot be listed is reported by whoever writes to it
        for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
            found = pattern.fullmatch(entry.name)
            if found is not None and not _is_running(int(found[1])) and _remove(entry):
                logger.log(level, "%s was left by a run that was killed, and is removed", entry.path)
                removed.append(Path(entry.path))
    return removed


def _is_running(process: int) -> bool:
    """Whether a process of this machine is running, as far as can be known."""
    if os.name == "nt":  # signal 0 is Ctrl-C there
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        pass
    return not _is_zombie(process)


def _is_zombie(process: int) -> bool:
    """Whether a process has ended, and nobody took note of it, as in a container without an init process."""
    try:
        return (
            Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace").rpartition(") ")[2][:1] == "Z"
        )
    except OSError:  # there is no /proc but on Linux
        return False


def _remove(entry: os.DirEntry[str]) -> bool:
    try:
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path)
        else:
            os.unlink(entry.path)
    except OSError:  # another run was quicker, or it is not ours to remove
        return False
    return True
