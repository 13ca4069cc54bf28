"""Temporary files and folders that bear the mark of the process that made them, and the removal of those left behind.

A process that is killed cannot clean up. The mark in a name holds the machine and the process, so the next run on the
same machine removes what no running process owns. What other machines made on a shared disk is left alone. No clock is
asked. Containers count as machines of their own, as the numbers of processes in one mean nothing in another.
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

from s2fin_cli.core.moves import RECORD, complete_moves

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

logger = logging.getLogger(__name__)

#: What the names of folders for work in progress begin with, after a dot.
FOLDER_STEM = "s2fin"


def mark() -> str:
    """The mark of this process: eight hexadecimal digits of the machine, and the number of the process."""
    return f"{_machine()}-{os.getpid()}"


def _machine() -> str:
    """The machine's name and number and the space of process numbers, of which containers may have their own."""
    space = number = ""
    with contextlib.suppress(OSError):  # only Linux has it
        space = os.readlink("/proc/self/ns/pid")
    with contextlib.suppress(OSError):  # it tells apart machines that were given the same name
        number = Path("/etc/machine-id").read_text(encoding="utf-8", errors="replace").strip()
    return f"{zlib.crc32(f'{platform.node()} {number} {space}'.encode()):08x}"


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

    Files that such a process had finished and was moving to their places are moved there.

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
        left = {number for _, number in _marked(folder, pattern) if not _is_running(number)}
        # the folder is listed again: a process may have recorded moves just before it was killed
        found = [(entry, number) for entry, number in (_marked(folder, pattern) if left else ()) if number in left]
        records = [(Path(entry.path), number) for entry, number in found if entry.name.endswith(RECORD)]
        kept = {number for path, number in records if not complete_moves(path)}
        for entry, number in found:
            if number not in kept and _remove(entry):
                logger.log(level, "%s was left by a run that was killed, and is removed", entry.path)
                removed.append(Path(entry.path))
    return removed


def _marked(folder: Path, pattern: re.Pattern[str]) -> list[tuple[os.DirEntry[str], int]]:
    """Entries of a folder whose names match, in order, and the number of the process that made them."""
    entries = os.scandir(folder)
    found = [(entry, int(match[1])) for entry in entries if (match := pattern.fullmatch(entry.name)) is not None]
    return sorted(found, key=lambda pair: pair[0].name)


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


def warn_of_old(unwritten: Iterable[Path]) -> None:
    """Warn of files of an earlier map beside the new one.

    Args:
        unwritten: files that a map may have and that were not written this time, whether or not they exist.
    """
    for path in unwritten:
        if path.exists():
            logger.warning("%s was left by an earlier map and does not belong to the new one", path)
