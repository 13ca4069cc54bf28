"""Names of datasets: in the form in which GDAL's Python packages leave them as they are, links followed.

Both packages parse what they are given: "!", ";" and "?" separate an archive or a query from the rest, and what comes
before a colon is a protocol or a driver. Every function that opens a file with GDAL gets its name from here. A
GeoPackage with pending changes gets the name of a copy.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from s2fin_cli.core.copies import copy_at
from s2fin_cli.core.errors import InputError, OutputError
from s2fin_cli.core.files import check_name
from s2fin_cli.core.sidecars import names_read_beside
from s2fin_cli.core.snapshots import readable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from s2fin_cli.core.options import StrPath

logger = logging.getLogger(__name__)

#: Characters that pyogrio or OGR's drivers do not take for a part of a name, and what makes them open an archive.
_PARTED = re.compile(r"[!;?\\\x00-\x1f]")
#: Files beside another one that belong to QGIS, or to SQLite, which follows links itself.
_NOT_READ = (".qml", "-journal", "-wal", "-shm")
#: Bytes of an absolute path up to which GDAL opens GeoPackages under a relative one too.
_SHORT_BYTES = 400
#: Credentials in names of GDAL's own, and what stays of each. A query ends where a name, an archive or XML goes on.
_CREDENTIALS = (
    (re.compile(r"://[^/?\s]*@"), "://"),
    (re.compile(r"""\b(password|passwd|pwd)\s*=\s*('(\\.|[^'\\])*'|"[^"]*"|[^\s;"]+)""", re.IGNORECASE), r"\1="),
    (re.compile(r"""\?[^}<"#]*"""), ""),
)
#: What stands behind the name of a STAC file.
_STAC_PARTS = re.compile(r"#(assets|item|datetime|join|alternate|scale|offset)=.*", re.DOTALL)
#: Longest chain of links that is followed.
_MOST_LINKS = 40


def is_dataset_name(src_path: StrPath) -> bool:
    """Whether a path is a name of GDAL's own ("/vsi...", "scheme://...", "DRIVER:...", XML) and not a plain path.

    Such a name must never become a `pathlib.Path`, which folds its slashes. An existing file is a plain path, even if
    its name has a colon.
    """
    return looks_like_dataset_name(str(src_path)) and not os.path.lexists(src_path)


def absolute(path: StrPath) -> str:
    """A path that a process in any folder understands; names of GDAL's own stay as they are."""
    if is_dataset_name(path):
        return str(path)
    file, rest = _parted(str(path))
    return os.path.abspath(file) + rest


def _parted(path: str) -> tuple[str, str]:
    """A path in two parts: the file, and what says which part of a STAC file is meant, in which dots are no folders."""
    found = None if os.path.lexists(path) else _STAC_PARTS.search(path)
    return (path, "") if found is None else (path[: found.start()], found[0])


def without_credentials(path: StrPath) -> str:
    """A name as files may show it that are passed on; plain paths stay as they are.

    The query of a URL, which may be a signature, is cut, and so are user and password, and passwords of databases. A
    temporary file goes by the data that it holds.
    """
    if (copy := copy_at(path)) is not None:
        return copy.name
    if not is_dataset_name(path):
        return str(path)
    for secret, instead in _CREDENTIALS:
        path = secret.sub(instead, str(path))
    return str(path)


def looks_like_dataset_name(text: str) -> bool:
    """Whether a text has the form of one of GDAL's own names, whatever files there are."""
    # NOTE: a single letter before the colon is a drive of Windows.
    return re.match(r"/vsi|[a-z][a-z0-9+._-]*://|[a-z]\w+:|\s*<VRTDataset", text, re.IGNORECASE | re.ASCII) is not None


def in_folder(name: str, folder: Path) -> str:
    """A path that a file names relative to its folder; a name of GDAL's own stays, unless such a file is there."""
    if looks_like_dataset_name(name) and not os.path.lexists(folder / name):
        return name
    file, rest = _parted(name)
    return f"{folder / file}{rest}"


def plain_name(path: StrPath, *, error: type[Exception] = OutputError) -> str:
    """A path in a form in which GDAL and rasterio see nothing but a path.

    Args:
        path: the path.
        error: the kind of error to raise.

    Raises:
        Exception: GDAL cannot open it under its name, see `check_name`.
    """
    check_name(os.path.abspath(path), error)
    name = os.fspath(path)
    if os.name == "nt":
        return os.path.abspath(name)  # a drive before it keeps the rest from being parted
    name = re.sub("^/+", "/", name)
    if len(os.fsencode(whole := os.path.join(os.getcwd(), name))) > _SHORT_BYTES:
        return whole
    return name if name.startswith(("/", "./", "../")) else f"./{name}"


def gdal_name(src_path: StrPath, *, error: type[Exception] = InputError) -> str:
    """The name by which rasterio opens an input.

    Args:
        src_path: a path, or a name of GDAL's own, which is left as it is.
        error: the kind of error to raise.

    Raises:
        Exception: see `plain_name`.
    """
    src_path = readable(os.fspath(src_path))
    if is_dataset_name(src_path):
        check_name(src_path, error)
        return str(src_path)
    name = plain_name(followed(os.fspath(src_path)), error=error)
    # NOTE: a name that needs no help stays as it was given, as it is what GDAL calls the dataset.
    return name.removeprefix("./") if re.match(r"\./[\w.-]+(/|$)", name, re.ASCII) and ":" not in name else name


@contextlib.contextmanager
def vector_name(src_path: StrPath, *, error: type[Exception] = InputError) -> Iterator[str]:
    """The name by which pyogrio and geopandas open an input while the block runs; otherwise as `gdal_name`."""
    src_path = readable(os.fspath(src_path))
    if is_dataset_name(src_path):
        check_name(src_path, error)
        yield str(src_path)
        return
    path = followed(os.fspath(src_path))
    name = plain_name(path, error=error)
    # NOTE: GDAL leaves a schema beside a GML file that has none, which then goes among the links.
    if os.name == "nt" or not (_PARTED.search(name) or _leaves_schema(path)):
        yield name
        return
    with _other_name(Path(path), error) as other:
        try:
            yield other
        except Exception as cause:
            if other not in str(cause):
                raise
            raise OSError(str(cause).replace(other, str(src_path))) from cause


@contextlib.contextmanager
def vector_output_name(dst_path: Path) -> Iterator[str]:
    """The name by which pyogrio and geopandas write a file whose own name is plain, but whose folder's may not be.

    Raises:
        OutputError: see `plain_name`.
    """
    name = plain_name(dst_path)
    if os.name == "nt" or not _PARTED.search(name):
        yield name
        return
    if _PARTED.search(dst_path.name):
        raise OutputError(f"{dst_path} cannot be written by GDAL under this name; rename it afterwards")
    with _linked(OutputError, dst_path) as folder:
        (folder / "to").symlink_to(dst_path.absolute().parent, target_is_directory=True)
        yield str(folder / "to" / dst_path.name)


@contextlib.contextmanager
def _other_name(path: Path, error: type[Exception]) -> Iterator[str]:
    """Another name of a file, among links to all that belongs to it."""
    source = path.absolute()
    with _linked(error, path) as folder:
        if not _PARTED.search(path.name) and not _leaves_schema(str(path)):
            (folder / "to").symlink_to(source.parent, target_is_directory=True)
            yield str(folder / "to" / path.name)
            return
        # NOTE: a virtual dataset may name any of its neighbours.
        stem, beside = path.stem, os.listdir(source.parent) if source.parent.is_dir() else []
        wanted = beside if path.suffix.lower() == ".vrt" else [name for name in beside if name.startswith(stem)]
        for name in wanted:
            own = "data" + name.removeprefix(stem) if name.startswith(stem) else name
            if not _PARTED.search(own):
                (folder / own).symlink_to(source.parent / name)
        yield str(folder / f"data{path.suffix}")


def _leaves_schema(path: str) -> bool:
    return path.lower().endswith(".gml")


@contextlib.contextmanager
def _linked(error: type[Exception], path: Path) -> Iterator[Path]:
    """A folder for links, which is removed when the block ends."""
    with contextlib.ExitStack() as stack:
        try:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="s2fin-"))
        except OSError as cause:
            raise error(f"{path} cannot be opened under this name ({cause}); rename it first") from cause
        if _PARTED.search(folder):
            raise error(f"neither {path} nor the temporary folder {folder} has a name that GDAL leaves as it is")
        yield Path(folder)


def followed(path: str) -> str:
    """The path to open a file by: a link's target, if the files that belong to it are there and not beside the link.

    GDAL looks for masks, overviews, headers and world files beside the name that it is given. Of links that lead to
    links, the last place with such files counts; those beside the others are ignored, with a warning.
    """
    places = [path]
    while os.path.islink(places[-1]) and len(places) <= _MOST_LINKS:
        places.append(os.path.join(os.path.dirname(places[-1]), os.readlink(places[-1])))
    if len(places) == 1 or not os.path.exists(path):
        return path
    beside = [_beside(place) for place in places]
    chosen = next((number for number in range(len(places) - 1, 0, -1) if beside[number]), 0)
    known = {os.path.realpath(file) for file in beside[chosen]}
    if chosen == 0 or known <= {os.path.realpath(file) for file in beside[0]}:
        return path
    others = [file for number, files in enumerate(beside) if number != chosen for file in files]
    ignored = tuple(file for file in others if os.path.realpath(file) not in known)
    if ignored and logger.isEnabledFor(logging.WARNING):
        _warn_of_ignored(path, places[chosen], ignored)
    return places[chosen]


@functools.cache
def _warn_of_ignored(path: str, target: str, ignored: tuple[str, ...]) -> None:
    """Warn once."""
    logger.warning(
        "%s is a link, and files beside its target %s are read with it; ignored: %s",
        path, target, ", ".join(ignored),
    )  # fmt: skip


def _beside(path: str) -> list[str]:
    """The files beside another one that GDAL reads with it."""
    folder, name = os.path.split(path)
    stem = os.path.splitext(name)[0]
    names = {other for small in names_read_beside(name) for other in _spellings(small, name)}
    names |= {stem + suffix for suffix in (".prj", ".PRJ")}
    read = (other for other in names - {name} if not other.lower().endswith(_NOT_READ))
    return sorted(found for other in read if os.path.isfile(found := os.path.join(folder, other)))


def _spellings(sidecar: str, name: str) -> tuple[str, str]:
    """A sidecar's name, given in lower case, as it may be spelled beside a file: its suffix in lower or upper case."""
    kept = name if sidecar.startswith(name.lower()) else os.path.splitext(name)[0]
    suffix = sidecar[len(kept) :]
    return kept + suffix, kept + suffix.upper()
