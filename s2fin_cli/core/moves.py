"""Files that are renamed to their places together, so that a process that is killed meanwhile loses and mixes nothing.

Before the first file is moved, a record of all moves is written beside the targets. From then on the new files are the
valid ones: if the process is killed, the next one that writes there makes the remaining moves, unless other files have
been written there since. Old files are moved
aside first, the main file before its companions, and the main file comes last of the new ones. So at no moment old and
new files are there under their names together, and whenever the main file is there, so are its companions.
"""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from s2fin_cli.core.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

logger = logging.getLogger(__name__)

#: Suffix of records of moves.
RECORD = ".moves"
#: What systems answer that cannot flush a file.
_CANNOT_FLUSH = (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS)


@dataclass(frozen=True)
class Moves:
    """What is moved where, in order; all paths are absolute.

    Attributes:
        old: existing files, and where they are put until the new ones are in place.
        new: finished files, and their places.
    """

    old: tuple[tuple[Path, Path], ...]
    new: tuple[tuple[Path, Path], ...]

    @property
    def is_atomic(self) -> bool:
        """Whether one renaming does it all."""
        targets = [target for _, target in self.new]
        return len(targets) == 1 and all(path in targets for path, _ in self.old)

    def carry_out(self) -> None:
        """Make all moves; if one fails, those before it are undone.

        Raises:
            OutputError: a file cannot be moved.
        """
        with contextlib.ExitStack() as undo:
            for source, target in (*self.old, *self.new):
                undo.callback(_move_back, target, source)
                try:
                    os.replace(source, target)
                except OSError as error:
                    path = source if (source, target) in self.old else target
                    raise OutputError(f"{path} cannot be replaced ({error.strerror or error})") from error
            undo.pop_all()

    def forget_old(self) -> None:
        """Remove the files that were put aside, with a warning where that fails."""
        for _, aside in self.old:
            try:
                aside.unlink(missing_ok=True)
            except OSError as error:
                logger.warning("%s, the previous output, cannot be removed (%s)", aside, error.strerror or error)

    def states(self) -> dict[str, list[int] | None]:
        """Size and time of change of the old files, by their paths."""
        return {str(path): _state(path) for path, _ in self.old}

    def is_outdated(self, states: Mapping[str, list[int] | None]) -> bool:
        """Whether other files were written to the places of the new ones since the moves were recorded.

        Args:
            states: of the old files, when the moves were recorded.
        """
        aside = dict(self.old)
        for source, target in self.new:
            if not os.path.lexists(source) or not os.path.lexists(target) or target.is_dir():
                continue
            if target not in aside or os.path.lexists(aside[target]) or states.get(str(target)) != _state(target):
                return True
        return False

    def complete(self) -> None:
        """Make the moves that a killed process did not make. Several processes may do so at once.

        Raises:
            OSError: a file cannot be moved or removed.
            ValueError: none of the new files is there, as when their folder was renamed.
        """
        if not any(os.path.lexists(path) for pair in self.new for path in pair):
            raise ValueError("none of them is there")
        for source, target in self.new:
            with contextlib.suppress(FileNotFoundError):  # it was moved already
                os.replace(source, target)
        targets = {target for _, target in self.new}
        for path, aside in self.old:
            for stale in (path, aside) if path not in targets else (aside,):
                stale.unlink(missing_ok=True)


def put_in_place(moves: Moves, records: Sequence[Path]) -> None:
    """Flush new files to the disk and move them to their places, all or none of them.

    Args:
        moves: what to move.
        records: names for records of the moves that `complete_moves` understands, the first one and one for each
            other folder or name under which it is to be found. They are removed at the end.

    Raises:
        OutputError: a file cannot be moved.
        OSError: a record cannot be written, or a file cannot be flushed.
    """
    for path, _ in moves.new:
        flush(path)
    if moves.is_atomic:
        Moves((), moves.new).carry_out()
    else:
        with _recorded(moves, records):
            moves.carry_out()
            _flush_folders(moves)
            moves.forget_old()
    _flush_folders(moves)


@contextlib.contextmanager
def _recorded(moves: Moves, records: Sequence[Path]) -> Iterator[None]:
    """Keep records while the block runs, and after it where it was interrupted while it undid its moves."""
    main, *others = records
    values: dict[str, Any] = {
        name: [[str(source), str(target)] for source, target in pairs]
        for name, pairs in (("old", moves.old), ("new", moves.new))
    }
    values |= {"states": moves.states()}
    try:
        for other in others:
            _write(other, json.dumps({"record": str(main)}))
        _write(main, json.dumps(values))
        yield
    except BaseException as error:
        if isinstance(error, Exception) or not any(os.path.lexists(aside) for _, aside in moves.old):
            _remove(records)
        raise
    _remove(records)


def _write(path: Path, text: str) -> None:
    new = path.with_name(f"{path.name}.part")
    try:
        new.write_text(text, encoding="utf-8")
        flush(new)
        os.replace(new, path)
    finally:
        new.unlink(missing_ok=True)


def _remove(records: Sequence[Path]) -> None:
    """Remove records, the main one first: without it the others mean nothing."""
    for path in records:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            logger.warning("%s cannot be removed (%s); remove it yourself", path, error.strerror or error)


def complete_moves(record: Path) -> bool:
    """Make the moves that a killed process recorded and did not make.

    A record that another user wrote is not followed, as it could name any file.

    Args:
        record: its record, one of those that `put_in_place` was given.

    Returns:
        whether all is done; if not, what the process left must stay.
    """
    try:
        if not _is_own(record):
            logger.warning("%s was written by another user and is not followed; remove it if no run uses it", record)
            return False
        values = json.loads(record.read_text(encoding="utf-8"))
        if "record" in values:
            main = Path(values["record"])
            if not main.parent.is_dir():  # a disk that is not there now
                return False
            return complete_moves(main) if main.exists() else True
        moves = Moves(*(tuple((Path(a), Path(b)) for a, b in values[name]) for name in ("old", "new")))
        is_outdated = moves.is_outdated(dict(values["states"]))
        if is_outdated:
            moves.forget_old()
        else:
            moves.complete()
        record.unlink(missing_ok=True)
    except FileNotFoundError:  # another process was quicker
        return True
    except (OSError, ValueError, KeyError, TypeError) as error:
        logger.error(
            "a run that was killed left finished files that cannot be moved to their places (%s); %s names them; "
            "move them yourself, then remove it",
            getattr(error, "strerror", None) or error,
            record,
        )
        return False
    logger.warning(
        "%s: kept, as newer than the files of a run that was killed before it put them there"
        if is_outdated
        else "%s: moved to their places, as the run that wrote them was killed while it did so",
        ", ".join(str(target) for _, target in moves.new),
    )
    return True


def _state(path: Path) -> list[int] | None:
    """Size and time of change of a file; None if it is not there."""
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return [status.st_size, status.st_mtime_ns]


def _is_own(record: Path) -> bool:
    """Whether a record is a plain file of the user of this process, as far as the system knows users."""
    status = os.lstat(record)
    return stat.S_ISREG(status.st_mode) and (not hasattr(os, "geteuid") or status.st_uid == os.geteuid())


def flush(path: Path) -> None:
    """Have the system write a file to its disk, so that not even a power failure takes it.

    Raises:
        OSError: it cannot be written, for example because the disk is full.
    """
    number = os.open(path, os.O_RDWR | getattr(os, "O_BINARY", 0))
    try:
        os.fsync(number)
    except OSError as error:
        if error.errno not in _CANNOT_FLUSH:
            raise
    finally:
        os.close(number)


def _flush_folders(moves: Moves) -> None:
    """Have the system write the names of the files to disk, where it can."""
    for folder in dict.fromkeys(target.parent for _, target in moves.new):
        with contextlib.suppress(OSError):  # Windows cannot, nor can some network disks
            number = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(number)
            finally:
                os.close(number)


def _move_back(path: Path, former: Path) -> None:
    try:
        if os.path.lexists(path):  # it is not there where the move itself failed
            os.replace(path, former)
    except OSError as error:
        logger.error("%s cannot be put back to %s (%s); rename it yourself", path, former, error.strerror or error)
    except KeyboardInterrupt:
        _move_back(path, former)
        raise
