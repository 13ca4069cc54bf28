"""Outputs that appear whole or not at all: written beside the target, then renamed."""

from __future__ import annotations

import contextlib
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

from s2fin_cli.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

logger = logging.getLogger(__name__)

#: What GDAL may put beside a file under the file's own name.
SIDECAR_SUFFIXES = (".aux.xml", ".ovr", ".msk", "-journal", "-wal", "-shm")


def check_outputs(dst_paths: Sequence[Path], *, overwrite: bool) -> None:
    """Refuse outputs that cannot or must not be written, before any work is done.

    Raises:
        OutputError: the folder is missing or not writable, two outputs share a name, or a file is already there.
    """
    for dst_path in dst_paths:
        folder = dst_path.absolute().parent
        if not folder.is_dir():
            raise OutputError(f"{dst_path} cannot be written: the folder {folder} does not exist; make it first")
        if not os.access(folder, os.W_OK):
            raise OutputError(f"{dst_path} cannot be written: no permission to write in {folder}")
        if dst_path.is_dir():
            raise OutputError(f"{dst_path} is a folder; give the name of a file")
        if dst_path.exists() and not overwrite:
            raise OutputError(f"{dst_path} is already there; give --overwrite to replace it, or another name")
    resolved = [path.resolve() for path in dst_paths]
    if len(set(resolved)) < len(resolved):
        raise OutputError(f"two outputs have the same name: {', '.join(map(str, dst_paths))}")


@contextlib.contextmanager
def staged(dst_paths: Sequence[Path], *, overwrite: bool) -> Iterator[list[Path]]:
    """Give temporary paths to write to, and rename them to the targets when the block ends well.

    If it fails, the temporary files are removed and the targets stay as they were. A target's old sidecars are removed
    with it; new sidecars are renamed along.

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
        for tmp_path, dst_path in zip(temporary, dst_paths, strict=True):
            _move_with_sidecars(tmp_path, dst_path)
    except OutputError:
        raise
    except OSError as error:
        if error.filename is not None and Path(error.filename) not in temporary:
            raise
        raise OutputError(f"writing {_names(dst_paths)} failed: {error.strerror or error}; nothing is left") from error
    finally:
        for tmp_path in temporary:
            for path in (tmp_path, *_sidecars(tmp_path)):
                path.unlink(missing_ok=True)


def _move_with_sidecars(tmp_path: Path, dst_path: Path) -> None:
    for stale in _sidecars(dst_path):
        stale.unlink(missing_ok=True)
    os.replace(tmp_path, dst_path)
    for new, target in zip(_sidecars(tmp_path), _sidecars(dst_path), strict=True):
        if new.exists():
            os.replace(new, target)


def _sidecars(path: Path) -> list[Path]:
    return [path.with_name(path.name + suffix) for suffix in SIDECAR_SUFFIXES]


def _names(paths: Sequence[Path]) -> str:
    return ", ".join(map(str, paths))
