"""Outputs in an object store: made in a folder of this machine, and uploaded when all of them are complete."""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from s2fin_cli.core.errors import OutputError, UsageError
from s2fin_cli.core.formats import parts_of
from s2fin_cli.core.leftovers import sweep, work_in_progress
from s2fin_cli.core.sidecars import written_beside

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from s2fin_cli.core.options import StrPath

logger = logging.getLogger(__name__)

#: GDAL's file systems, and how the URLs of what is in them begin.
_SCHEMES = {"/vsis3/": "s3://", "/vsigs/": "gs://", "/vsiaz/": "az://", "/vsioss/": "oss://"}


def store_url(path: StrPath) -> str | None:
    """The URL of an output in an object store; None for a path of this machine.

    Raises:
        UsageError: it is neither.
    """
    text = os.fspath(path)
    for prefix, scheme in _SCHEMES.items():
        if text.startswith(prefix):
            return scheme + text.removeprefix(prefix)
    if text.lower().startswith(("http://", "https://", "ftp://")):
        raise UsageError(f"{text} cannot be written, as it is an address of the web; give a path, or a URL like s3://")
    if text.startswith("/vsi"):
        raise UsageError(f"{text} is a name of GDAL's that no output can have; give a path, or a URL like s3://")
    if re.match(r"[a-z][a-z0-9+.-]+://", text, re.IGNORECASE):
        return text
    if re.match(r"[a-z][a-z0-9+.-]+:/", text, re.IGNORECASE) and not os.path.lexists(text.split("/", 1)[0]):
        raise UsageError(f"{text} is a URL without its second slash; give it as a text instead of a `pathlib.Path`")
    return None


@dataclass(frozen=True)
class Uploads:
    """Outputs that are made in a folder and then uploaded.

    Attributes:
        folder: the folder; the places in it are those in the store.
        store: fsspec's file system.
        root: how the URLs begin, before these places.
        paths: paths of the outputs in the folder, by option.
    """

    folder: Path
    store: Any
    root: str
    paths: Mapping[str, Path]

    def url(self, path: Path) -> str:
        """The URL of a file in the folder."""
        return self.root + path.relative_to(self.folder).as_posix()

    def check(self, paths: Sequence[Path], *, overwrite: bool) -> None:
        """Refuse outputs that are there already, before any work is done.

        Args:
            paths: the outputs in the folder.
            overwrite: whether they may be there.

        Raises:
            OutputError: one is there, or the store cannot be reached.
        """
        for path in paths:
            for url in map(self.url, (path, *parts_of(path))):
                if self._is_there(url) and not overwrite:
                    raise OutputError(f"{url} already exists; give `overwrite=True` to replace it, or another name")

    def check_space(self, needed: int) -> None:
        """Warn if the folder's disk has less room than outputs may need, in bytes."""
        free = shutil.disk_usage(self.folder).free
        if free < needed:
            logger.warning(
                "the outputs are made in %s before they are uploaded, which has %.1f GB of room, and without "
                "compression they take %.1f GB; set TMPDIR to a folder on a larger disk if it runs full",
                self.folder.parent, free / 1e9, needed / 1e9,
            )  # fmt: skip

    def upload(self, paths: Sequence[Path]) -> None:
        """Upload outputs with the files beside them, the first output last: it is there only if all others are.

        If it fails, what was uploaded is deleted, and the files are kept on this machine.

        Args:
            paths: the outputs in the folder, which are complete.

        Raises:
            OutputError: it failed.
        """
        files = [
            file for path in (*paths[1:], paths[0]) for file in (*filter(os.path.exists, written_beside(path)), path)
        ]
        begun: list[str] = []
        try:
            old, new = self._old(paths), list(map(self.url, files))
            with contextlib.suppress(Exception):  # where nothing may be deleted, it is replaced at the end
                self._delete([url for url in old if url == new[-1]])
            self._delete([url for url in old if url not in new])
            for file in files:
                begun.append(self.url(file))
                self.store.put_file(str(file), begun[-1])
                self._check_whole(file)
        except BaseException as error:
            left = self._remove(begun)
            if not isinstance(error, Exception):  # Ctrl-C
                raise
            lost = f"{', '.join(left)} could not be deleted" if left else "nothing of this run is left there"
            raise OutputError(
                f"uploading {begun[-1] if begun else self.url(paths[0])} failed ({_reason(error)}); {lost}, and the "
                f"finished files are kept in {self._keep()}: upload them from there"
            ) from error

    def _is_there(self, url: str) -> bool:
        try:
            return bool(self.store.exists(url))
        except Exception as error:
            raise OutputError(
                f"{url} cannot be reached ({_reason(error)}); check its name, the credentials and the connection"
            ) from error

    def _old(self, paths: Sequence[Path]) -> list[str]:
        """What is in the store of earlier outputs and of files beside them."""
        there = {}
        for folder in {path.parent for path in paths}:
            with contextlib.suppress(FileNotFoundError):
                found = self.store.ls(self.url(folder), detail=False)
                there[folder] = {PurePosixPath(name).name for name in found}
        beside = [file for path in paths for file in (path, *written_beside(path))]
        return [self.url(file) for file in beside if file.name in there.get(file.parent, ())]

    def _delete(self, urls: Sequence[str]) -> None:
        for url in urls:
            self.store.rm_file(url)

    def _check_whole(self, file: Path) -> None:
        self.store.invalidate_cache()
        expected, found = file.stat().st_size, self.store.info(self.url(file))["size"]
        if found != expected:
            raise OSError(f"{found} of {expected} bytes have arrived")

    def _remove(self, urls: Sequence[str]) -> list[str]:
        """Delete objects as far as possible, and give those that are left."""
        left = []
        for url in urls:
            try:
                self.store.invalidate_cache()
                if self.store.exists(url):
                    self.store.rm_file(url)
            except Exception:  # noqa: BLE001  any kind of store may fail in its own way
                left.append(url)
        return left

    def _keep(self) -> Path:
        """Move the files to a folder that stays."""
        kept = Path(tempfile.mkdtemp(prefix="s2fin-outputs-", dir=self.folder.parent))
        for entry in list(self.folder.iterdir()):
            os.replace(entry, kept / entry.name)
        return kept


@contextlib.contextmanager
def uploads_of(given: Mapping[str, StrPath | None]) -> Iterator[Uploads | None]:
    """A folder for outputs that are in an object store, which is removed at the end; None where no output is.

    The folder is in `$TMPDIR`, else in the system's folder for temporary files.

    Args:
        given: outputs by option, None for those that are not wanted.

    Raises:
        UsageError: some outputs are in a store and others are not, or are in another store.
        OutputError: the store cannot be used.
    """
    outputs = {name: path for name, path in given.items() if path is not None}
    urls = {name: url for name, path in outputs.items() if (url := store_url(path)) is not None}
    if not urls:
        yield None
        return
    schemes = {name: urls[name].split("://")[0] if name in urls else "a path" for name in outputs}
    if len(set(schemes.values())) > 1:
        listed = ", ".join(f"`{name}` is {path}" for name, path in outputs.items())
        raise UsageError(f"{listed}; give all outputs the same kind of place")
    store, parent = _store(next(iter(urls.values()))), Path(tempfile.gettempdir())
    sweep(parent)
    with contextlib.ExitStack() as stack:
        try:
            folder = stack.enter_context(work_in_progress(parent))
        except OSError as error:
            raise OutputError(
                f"outputs for an object store are made in {parent} first, which cannot be used "
                f"({error.strerror or error}); set TMPDIR to another folder"
            ) from error
        try:
            yield _in(folder, store, urls)
        except OutputError as error:
            if str(folder) not in str(error):
                raise
            raise OutputError(
                f"{error} (outputs for an object store are made in {parent} first; set TMPDIR to take another folder)"
            ) from error


def _in(folder: Path, store: Any, urls: Mapping[str, str]) -> Uploads:
    """Uploads from a folder, with the folders in it that they need."""
    paths = {}
    for name, url in urls.items():
        scheme, _, place = url.partition("://")
        parts = [part for part in place.split("/") if part]
        if len(parts) < 2 or {".", ".."} & set(parts):
            raise UsageError(f"`{name}` is {url}; it must name an object in a bucket, like {scheme}://bucket/map.tif")
        paths[name] = folder.joinpath(*parts)
        paths[name].parent.mkdir(parents=True, exist_ok=True)
    return Uploads(folder, store, f"{scheme}://" + "/" * place.startswith("/"), paths)


def _store(url: str) -> Any:
    """The file system of a URL.

    Raises:
        UsageError: there is none.
        OutputError: it cannot be used.
    """
    try:
        return importlib.import_module("fsspec.core").url_to_fs(url)[0]
    except ImportError as error:
        raise UsageError(f"{url} cannot be written: {error} (for s3:// pip install 's2fin[cloud]')") from error
    except ValueError as error:
        raise UsageError(f"{url} cannot be written: {error}; give a path, or a URL like s3://bucket/map.tif") from error
    except Exception as error:
        raise OutputError(f"{url} cannot be reached ({_reason(error)}); check its name and the credentials") from error


def _reason(error: BaseException) -> str:
    return str(error) or type(error).__name__
