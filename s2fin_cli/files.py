"""Outputs that appear whole or not at all: written beside the target, then renamed."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from s2fin_cli.errors import OutputError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from s2fin_cli.config import StrPath

logger = logging.getLogger(__name__)

#: A disk with less room than this is full for all that is written here.
FULL_BYTES = 1 << 16
#: What GDAL may put beside a file under the file's own name.
SIDECAR_SUFFIXES = (".aux.xml", ".ovr", ".msk", "-journal", "-wal", "-shm")
#: What a Shapefile consists of beside its `.shp`, and the indexes and metadata that a GIS may add.
SHAPEFILE_SUFFIXES = (".shx", ".dbf", ".prj", ".cpg", ".qix", ".sbn", ".sbx", ".shp.xml")


def check_outputs(dst_paths: Sequence[Path], *, overwrite: bool, inputs: Iterable[StrPath | None] = ()) -> None:
    """Refuse outputs that cannot or must not be written, before any work is done.

    Args:
        dst_paths: the outputs.
        overwrite: whether they may already be there.
        inputs: what is read and must stay, even so; None stands for an input that was not given.

    Raises:
        UsageError: an output is an input.
        OutputError: the folder is missing or not writable, two outputs share a name, or a file is already there.
    """
    given = [Path(path) for path in inputs if path is not None]
    kept = {part.resolve() for path in given for part in (path, *companions(path))}
    for dst_path in dst_paths:
        if dst_path.resolve() in kept:
            raise UsageError(f"{dst_path} is an input, which would be lost; give the output another name")
        folder = dst_path.absolute().parent
        if not folder.is_dir():
            raise OutputError(f"{dst_path} cannot be written: the folder {folder} does not exist; make it first")
        if not os.access(folder, os.W_OK):
            raise OutputError(f"{dst_path} cannot be written: no permission to write in {folder}")
        if dst_path.is_dir():
            raise OutputError(f"{dst_path} is a folder; give the name of a file")
        there = [part for part in (dst_path, *_shapefile_parts(dst_path)) if part.exists()]
        if there and not overwrite:
            raise OutputError(f"{there[0]} is already there; give --overwrite to replace it, or another name")
    resolved = [path.resolve() for path in dst_paths]
    if len(set(resolved)) < len(resolved):
        raise OutputError(f"two outputs have the same name: {', '.join(map(str, dst_paths))}")


@contextlib.contextmanager
def staged(dst_paths: Sequence[Path], *, overwrite: bool) -> Iterator[list[Path]]:
    """Give temporary paths to write to, and rename them to the targets when the block ends well.

    If it fails, be it at the last renaming, the temporary files are removed and the targets stay as they were. A
    target's old sidecars are removed with it; new sidecars are renamed along.

    Args:
        dst_paths: the targets, in different folders if need be.
        overwrite: whether a target may already be there.

    Raises:
        OutputError: a target cannot or must not be written, or the disk is full.
    """
    check_outputs(dst_paths, overwrite=overwrite)
    temporary = [path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}") for path in dst_paths]
    try:
        yield temporary
        _replace_all(temporary, dst_paths)
    except OSError as error:  # an OutputError is one too
        if (folder := _full_folder(dst_paths)) is not None:
            raise OutputError(
                f"writing {_names(dst_paths)} failed: no space is left in {folder}; make room or take another folder; "
                "nothing is left"
            ) from error
        if isinstance(error, OutputError) or (error.filename is not None and Path(error.filename) not in temporary):
            raise
        raise OutputError(f"writing {_names(dst_paths)} failed: {error.strerror or error}; nothing is left") from error
    finally:
        for tmp_path in temporary:
            for path in (tmp_path, *companions(tmp_path)):
                path.unlink(missing_ok=True)


def _full_folder(dst_paths: Sequence[Path]) -> Path | None:
    """The first folder of the targets on whose disk there is no room, if any; libraries tell of it in many ways."""
    folders = (path.absolute().parent for path in dst_paths)
    return next((folder for folder in folders if shutil.disk_usage(folder).free < FULL_BYTES), None)


def _replace_all(tmp_paths: Sequence[Path], dst_paths: Sequence[Path]) -> None:
    """Put all files, each with its sidecars, in the places of the old ones; none if one cannot be moved."""
    old = [path for dst_path in dst_paths for path in (dst_path, *companions(dst_path)) if path.exists()]
    aside = [(path, path.with_name(f".{path.name}.{os.getpid()}.old")) for path in old]
    new = list(zip(tmp_paths, dst_paths, strict=True))
    new += [
        (sidecar, target)
        for tmp_path, dst_path in new
        for sidecar, target in zip(companions(tmp_path), companions(dst_path), strict=True)
        if sidecar.exists()
    ]
    with contextlib.ExitStack() as undo:
        for source, target in (*aside, *new):
            undo.callback(_move_back, target, source)
            try:
                os.replace(source, target)
            except OSError as error:
                reason = f"{source if source in old else target} cannot be replaced ({error.strerror or error})"
                raise OutputError(f"writing {_names(dst_paths)} failed: {reason}; nothing is left") from error
        undo.pop_all()
    for _, path in aside:
        try:
            path.unlink()
        except OSError as error:
            logger.warning("%s, what was there before, cannot be removed (%s)", path, error.strerror or error)


def _move_back(path: Path, former: Path) -> None:
    try:
        if path.exists():  # it does not where the move itself failed
            os.replace(path, former)
    except OSError as error:
        logger.error("%s cannot be put back to %s (%s); rename it yourself", path, former, error.strerror or error)


def companions(path: Path) -> list[Path]:
    """What may lie beside a file and belong to it, whether it is there or not."""
    if not path.name:  # as "." and "/" have none
        return []
    beside = [path.with_name(path.name + suffix) for suffix in SIDECAR_SUFFIXES]
    if path.suffix.lower() in (".tif", ".tiff"):
        beside.append(path.with_suffix(".tfw"))
    return beside + _shapefile_parts(path)


def _shapefile_parts(path: Path) -> list[Path]:
    """What a Shapefile consists of besides, for any other file nothing."""
    return [path.with_suffix(suffix) for suffix in SHAPEFILE_SUFFIXES] if path.suffix.lower() == ".shp" else []


def _names(paths: Sequence[Path]) -> str:
    return ", ".join(map(str, paths))
