"""Outputs that appear complete or not at all: written beside the target, then renamed."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import re
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from s2fin_cli.core.checks import NO_PATH, is_no_path
from s2fin_cli.core.errors import DiskFullError, OutputError, UsageError
from s2fin_cli.core.formats import RASTER_SUFFIXES, format_of, parts_of
from s2fin_cli.core.leftovers import mark, sweep
from s2fin_cli.core.moves import RECORD, Moves, put_in_place
from s2fin_cli.core.sidecars import PAM_SUFFIX, names_read_beside, written_beside

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from s2fin_cli.core.options import StrPath

logger = logging.getLogger(__name__)

#: A disk with less free space than this counts as full.
FULL_BYTES = 1 << 16
#: Suffixes of folders that are one dataset.
DATASET_FOLDERS = (".gdb", ".zarr", ".safe")
#: Bytes that a file's name may have if the system does not report a limit.
NAME_MAX = 255
#: Bytes of a path that SQLite opens, with room for its journal's suffix.
SQLITE_MAX = 500
#: Characters of a name that are kept in the name of a temporary file beside it.
_KEPT_CHARACTERS = 60

#: Files that no output may replace although they are not inputs of the command.
_protected: list[Path] = []


@contextlib.contextmanager
def protected(path: Path) -> Iterator[None]:
    """Let no output replace a file, such as the project file, while the block runs."""
    _protected.append(path)
    try:
        yield
    finally:
        _protected.remove(path)


def check_outputs(
    dst_paths: Sequence[Path], *, overwrite: bool, inputs: Iterable[StrPath | None] | Mapping[str, str] = ()
) -> None:
    """Refuse outputs that cannot or must not be written, before any work is done.

    What killed processes left of the same outputs is removed first, or moved to its place where it was finished.

    Args:
        dst_paths: the outputs.
        overwrite: whether they may already be there.
        inputs: what is read and must stay, even so; None stands for an input that was not given. A mapping, as
            `input_files` makes it, gives for each file the input that it belongs to.

    Raises:
        UsageError: an output, or what is replaced along with it, is an input or belongs to one; or the name of either
            is one that GDAL cannot open, see `check_name`.
        OutputError: the folder is missing or not writable, a name is too long, two outputs share a name, or a file is
            already there.
    """
    for parent, stem in _places(dst_paths):
        sweep(parent, stem)
    kept = _Kept(inputs)
    old = [path for path in dst_paths if os.path.lexists(path)]
    for dst_path in dst_paths:
        check_name(dst_path.absolute())
        kept.check(dst_path, old)
        _check_place(dst_path)
        there = [part for part in (dst_path, *parts_of(dst_path)) if os.path.lexists(part)]
        if there and not overwrite:
            raise OutputError(f"{there[0]} already exists; give `overwrite=True` to replace it, or another name")
    resolved = [path.resolve() for path in dst_paths]
    for dst_path, place in zip(dst_paths, resolved, strict=True):
        if resolved.count(place) > 1:
            raise OutputError(f"two outputs have the same name, {dst_path}; give one of them another")


def _check_place(dst_path: Path) -> None:
    """Refuse an output that its folder cannot take."""
    folder = dst_path.absolute().parent
    if os.path.isfile(folder):
        raise OutputError(f"{dst_path} cannot be written: {folder} is a file, not a folder")
    if not os.path.isdir(folder):
        why = f"the folder {folder} does not exist; make it first" if not is_no_path(dst_path) else NO_PATH
        raise OutputError(f"{dst_path} cannot be written: {why}")
    if not os.access(folder, os.W_OK):
        raise OutputError(f"{dst_path} cannot be written: no permission to write in {folder}")
    # NOTE: a raster's classes go into a sidecar, whose name is longer.
    beside = PAM_SUFFIX if dst_path.suffix.lower() in RASTER_SUFFIXES else ""
    most, size = _name_max(folder) - len(beside), len(os.fsencode(dst_path.name))
    if size > most:
        raise OutputError(
            f"{dst_path} cannot be written: its name has {size} bytes, and at most {most} are possible"
            + f" with the {beside} beside it" * bool(beside)
            + "; give a shorter one"
        )
    deep = len(os.fsencode(folder / _temporary_name(dst_path, 0)))
    found = format_of(dst_path)
    if found is not None and found.is_sqlite and deep > SQLITE_MAX:
        raise OutputError(
            f"{dst_path} cannot be written: SQLite, which writes {found.name} files, opens paths of about {SQLITE_MAX} "
            f"bytes at most, and this would need {deep}; take a folder with a shorter path, or another format"
        )
    if os.path.isdir(dst_path):
        raise OutputError(f"{dst_path} is a folder; give the name of a file")


def _name_max(folder: Path) -> int:
    try:
        return os.pathconf(folder, "PC_NAME_MAX")
    except (AttributeError, OSError, ValueError):  # Windows has no pathconf
        return NAME_MAX


def check_name(path: StrPath, error: type[Exception] = UsageError) -> None:
    """Refuse a name that GDAL cannot open: one that is not UTF-8, or that it takes for the text of a dataset.

    Args:
        path: a path, or a name of GDAL's own.
        error: the kind of error to raise.
    """
    text = str(path)
    try:
        text.encode()
    except UnicodeEncodeError:
        shown = text.encode(errors="backslashreplace").decode()
        raise error(f"{shown} has a name that is not UTF-8, which GDAL cannot open; rename it first") from None
    if "<VRTDataset" in text and (not text.lstrip().startswith("<") or os.path.lexists(path)):
        raise error(f"{text} has a name that GDAL takes for the text of a virtual raster; rename it first")


class _Kept:
    """The files that no output may replace."""

    def __init__(self, inputs: Iterable[StrPath | None] | Mapping[str, str]) -> None:
        given = inputs if isinstance(inputs, Mapping) else {str(path): str(path) for path in inputs if path is not None}
        for owner in dict.fromkeys(given.values()):
            check_name(owner)
        self._owners: dict[Path, str] = {}
        self._groups: dict[tuple[Path, str], list[tuple[str, str]]] = {}
        self._given: dict[str, str] = {**given, **{str(path): str(path) for path in _protected}}
        self._sidecars: dict[tuple[Path, str], dict[str, str]] = {}
        self._folders: dict[str, Path] = {}
        for path, owner in self._given.items():
            for place in self._places(path):
                self._owners.setdefault(place, owner)
                self._groups.setdefault((place.parent, _stem(place)), []).append((place.name, owner))

    def _places(self, path: StrPath) -> list[Path]:
        """Where a file is: under the name given, in a folder without links, and its target if it is a link."""
        folder, name = os.path.split(path)
        if name in ("", ".", ".."):
            return [Path(os.path.realpath(path))]
        if folder not in self._folders:
            self._folders[folder] = Path(os.path.realpath(folder))
        place = self._folders[folder] / name
        return [place, Path(os.path.realpath(path))] if os.path.islink(path) else [place]

    def check(self, dst_path: Path, old: Sequence[Path]) -> None:
        """Refuse an output that is an input, belongs to one, or would remove a file of one.

        Args:
            dst_path: the output.
            old: the existing outputs.
        """
        # NOTE: a style beside an old map is that map's, whatever else has the same name; as are a dataset's parts.
        is_own = dst_path.suffix.lower() == ".qml" and any(
            path.stem == dst_path.stem for path in old if path != dst_path
        )
        owner = self._owner(dst_path) or self._same_file(dst_path) or (None if is_own else self._beside(dst_path))
        if owner is not None:
            why = "" if self._places(owner)[0] in self._places(dst_path) else f" (it belongs to {owner})"
            raise UsageError(f"{dst_path} is an input, which would be lost{why}; give the output another name")
        for part in filter(os.path.lexists, written_beside(dst_path)):
            is_own = dst_path in old and part in parts_of(dst_path)
            owner = self._owner(part) or (None if is_own else self._beside(part))
            if owner is not None:
                raise UsageError(
                    f"{part} belongs to the input {owner} and would be lost with {dst_path}; "
                    "give the output another name"
                )

    def _owner(self, path: Path) -> str | None:
        """The input that a file is, or belongs to; also the geodatabase or the like in whose folder it is."""
        for place in self._places(path):
            folders = (folder for folder in place.parents if folder.suffix.lower() in DATASET_FOLDERS)
            for known in (place, *folders):
                if known in self._owners:
                    return self._owners[known]
        return None

    def _beside(self, path: Path) -> str | None:
        """The input to which an existing file belongs by its name."""
        if not os.path.lexists(path):
            return None
        place = self._places(path)[0]
        key = (place.parent, _stem(place))
        if key not in self._sidecars:
            group = self._groups.get(key, ())
            self._sidecars[key] = {name: owner for main, owner in group for name in names_read_beside(main)}
        return self._sidecars[key].get(place.name.lower())

    def _same_file(self, path: Path) -> str | None:
        """The input that is the same file under another name."""
        if not os.path.isfile(path):
            return None
        for other, owner in self._given.items():
            with contextlib.suppress(OSError, ValueError):  # which is not there, or no path
                if os.path.samefile(other, path):
                    return owner
        return None


def _stem(path: Path) -> str:
    """The common beginning of the names of a file and of all that belongs to it."""
    return path.name.split(".")[0].lower()


@contextlib.contextmanager
def staged(dst_paths: Sequence[Path], *, overwrite: bool) -> Iterator[list[Path]]:
    """Give temporary paths to write to, and rename them to the targets when the block succeeds.

    If it fails, even at the last renaming, the temporary files are removed and the targets stay as they were. A
    target's old sidecars are removed with it; new sidecars are renamed along. If the process is killed while it renames
    them, the next one that writes there goes on, see `s2fin_cli.core.moves`.

    Args:
        dst_paths: the targets, in different folders if need be.
        overwrite: whether a target may already be there.

    Raises:
        OutputError: a target cannot or must not be written, or the disk is full.
    """
    check_outputs(dst_paths, overwrite=overwrite)
    temporary = [path.with_name(_temporary_name(path, number)) for number, path in enumerate(dst_paths)]
    records = [
        parent / f".{stem}.{mark()}-{number}{RECORD}" for number, (parent, stem) in enumerate(_places(dst_paths))
    ]
    _remove(temporary)  # of an earlier process of the same number
    try:
        yield temporary
        if not overwrite:
            _check_still_absent(dst_paths)
        _put_in_place(_moves(temporary, dst_paths), records, dst_paths)
    except OSError as error:  # an OutputError is one too
        folders = [path.absolute().parent for path in dst_paths]
        if full := [folder for folder in folders if is_disk_full(folder, error)]:
            raise DiskFullError(
                f"writing {_names(dst_paths)} failed: no space is left in {full[0]}; make room or take another folder; "
                "no file was written"
            ) from error
        if isinstance(error, OutputError) or (error.filename is not None and Path(error.filename) not in temporary):
            raise
        raise OutputError(
            f"writing {_names(dst_paths)} failed: {error.strerror or error}; no file was written"
        ) from error
    finally:
        if not any(map(os.path.lexists, records)):  # else the next process moves the files
            _remove(temporary)


def _remove(tmp_paths: Sequence[Path]) -> None:
    """Remove temporary files and what is beside them."""
    for tmp_path in tmp_paths:
        for path in (tmp_path, *written_beside(tmp_path)):
            path.unlink(missing_ok=True)


def _temporary_name(path: Path, number: int) -> str:
    """A name for a temporary file beside one: short, and of characters that every library leaves as they are."""
    # NOTE: GDAL writes x.shp and x.tab when it is given x.SHP and x.TAB.
    suffix = path.suffix.lower() if re.fullmatch(r"\.\w{1,16}", path.suffix, re.ASCII) else ""
    return f".{_plain(path.stem)}.{mark()}-{number}.part{suffix}"


def _name_aside(path: Path) -> Path:
    """A new name for what an output replaces, until it is certain that it need not be restored."""
    return path.with_name(f".{_plain(path.name)}.{secrets.token_hex(4)}.old")


def _plain(name: str) -> str:
    return re.sub(r"[^\w.-]+", "_", name, flags=re.ASCII)[:_KEPT_CHARACTERS]


def is_disk_full(folder: Path, error: OSError) -> bool:
    """Whether writing into a folder may have failed because its disk is full; ask before anything is removed.

    Libraries report a full disk in many ways, often without an error number. Virtual file systems have size 0.
    """
    number = error.errno or getattr(error.__cause__, "errno", None)
    if isinstance(number, int) and number not in (errno.ENOSPC, errno.EDQUOT):
        return False
    usage = shutil.disk_usage(folder)
    return usage.total > 0 and usage.free < FULL_BYTES


def _check_still_absent(dst_paths: Sequence[Path]) -> None:
    """Refuse to replace files that were not there when the work began."""
    for path in dst_paths:
        for part in (path, *parts_of(path)):
            if os.path.lexists(part):
                raise OutputError(
                    f"{part} was written by another program meanwhile and is kept; no file was written; take another "
                    "name, or give `overwrite=True` to replace it"
                )


def _put_in_place(moves: Moves, records: Sequence[Path], dst_paths: Sequence[Path]) -> None:
    try:
        put_in_place(moves, records)
    except OutputError as error:
        raise OutputError(f"writing {_names(dst_paths)} failed: {error}; no file was written") from error


def _moves(tmp_paths: Sequence[Path], dst_paths: Sequence[Path]) -> Moves:
    """How the old files make way for the new ones, each with its sidecars."""
    old = [path for dst_path in dst_paths for path in (dst_path, *written_beside(dst_path)) if os.path.lexists(path)]
    new = list(zip(tmp_paths, dst_paths, strict=True))
    new += [
        (sidecar, target)
        for tmp_path, dst_path in new
        for sidecar, target in zip(written_beside(tmp_path), written_beside(dst_path), strict=True)
        if os.path.lexists(sidecar)
    ]
    aside = tuple((path.absolute(), _name_aside(path.absolute())) for path in old)
    return Moves(aside, tuple((source.absolute(), target.absolute()) for source, target in reversed(new)))


def _places(dst_paths: Sequence[Path]) -> list[tuple[Path, str]]:
    """Folders of outputs, and what the names of their temporary files begin with."""
    return list(dict.fromkeys((path.absolute().parent, _plain(path.stem)) for path in dst_paths))


def _names(paths: Sequence[Path]) -> str:
    return ", ".join(map(str, paths))
