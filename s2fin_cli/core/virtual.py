"""The files that a dataset consists of: sources of virtual rasters and vectors, and files behind GDAL's own names."""

from __future__ import annotations

import contextlib
import graphlib
import os
import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from typing import TYPE_CHECKING

from s2fin_cli.core.errors import InputError, shortened
from s2fin_cli.core.files import DATASET_FOLDERS
from s2fin_cli.core.names import is_dataset_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from s2fin_cli.core.options import StrPath

#: Elements of virtual rasters and vectors that name a source.
_SOURCE_TAGS = ("SourceFilename", "SourceDataset", "SrcDataSource", "IndexDataset")
#: How a virtual dataset begins, and within how many bytes.
_VIRTUAL = re.compile(rb"<(VRTDataset|OGRVRTDataSource|GDALTileIndexDataset|VRTPansharpened)\b")
_HEAD_BYTES = 4096
#: Sources of one virtual raster that are opened before it is read; all are looked for.
MOST_OPENED = 256
#: GDAL's file systems and schemes of files that are not on this machine.
_REMOTE = re.compile(
    r"(https?|ftp|s3|gs|az|oss|adls|adl|abfs|swift|webhdfs|hdfs|curl|mem|stdin|stdout)(_streaming)?$", re.IGNORECASE
)


@dataclass(frozen=True)
class Source:
    """A source of a virtual dataset.

    Attributes:
        name: as the virtual dataset has it.
        path: where it is: a path, or a name of GDAL's own.
        parent: the virtual dataset.
    """

    name: str
    path: str
    parent: str


def sources_of(src_path: StrPath) -> list[Source]:
    """All sources of a virtual dataset, those of virtual sources included; none of any other file.

    Missing sources are listed too; a file that cannot be read as XML has none.
    """
    found: list[Source] = []
    seen: set[str] = set()
    waiting = [str(src_path)] if _is_virtual(str(src_path)) else []
    while waiting:
        path = waiting.pop()
        if (real := os.path.realpath(path)) in seen:
            continue
        seen.add(real)
        new = list(dict.fromkeys(_named_in(path)))
        found += new
        waiting += [source.path for source in new if source.path.lower().endswith((".vrt", ".xml"))]
    return found


def _is_virtual(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            return _VIRTUAL.search(file.read(_HEAD_BYTES)) is not None
    except (OSError, ValueError):
        return False


def _named_in(path: str) -> Iterator[Source]:
    """The sources that a virtual dataset itself names, in the order of the file."""
    with contextlib.suppress(ET.ParseError, OSError, ValueError):
        for _, element in ET.iterparse(path):  # noqa: S314  a local file of the user's own
            name = (element.text or "").strip("\r\n")
            if element.tag in _SOURCE_TAGS and name.strip() and not name.lstrip().startswith("<"):
                is_relative = (element.get("relativeToVRT") or element.get("relativetoVRT") or "0").strip() == "1"
                yield Source(name, _placed(name, path, is_relative=is_relative), path)
            element.clear()


def _placed(name: str, parent: str, *, is_relative: bool) -> str:
    """The path of a source, with its folder where it is relative to the file that names it."""
    if not is_relative or os.path.isabs(name):
        return name
    # NOTE: GDAL takes the folder of a link's target.
    parents = [os.path.realpath(parent), parent] if os.path.islink(parent) else [parent]
    places = [os.path.join(os.path.dirname(path), name) for path in parents]
    there = next((place for place in places if os.path.lexists(place)), None)
    if there is not None or not is_dataset_name(name):
        return there or places[0]
    # NOTE: of 'HDF5:"x.h5"://bands' the file's part alone is relative.
    for path in parents:
        if (found := local_file(name, os.path.dirname(path))) is not None:
            return name.replace(os.path.relpath(found, os.path.dirname(path) or "."), found, 1)
    return name


def check_sources(
    src_path: StrPath,
    *,
    why_not: Callable[[str], str | None],
    error: type[InputError],
    most_opened: int | None = MOST_OPENED,
) -> list[Source]:
    """Refuse a virtual dataset with a source that is missing or cannot be read, or that is made of itself.

    Args:
        src_path: the dataset; one that is not virtual passes.
        why_not: says why a source cannot be read, None where it can.
        error: the kind of error to raise.
        most_opened: sources that are opened at most, None for all of them; the others are looked for only.

    Returns:
        its sources, see `sources_of`.
    """
    sources = sources_of(src_path)
    if circle := _circle(sources):
        raise error(
            f"{src_path} is made of itself, or of a file that is ({' -> '.join(circle)}); make it again from the "
            "files that hold the data"
        )
    distinct = list({source.path: source for source in sources}.values())
    missing = [source for source in distinct if not is_dataset_name(source.path) and not os.path.exists(source.path)]
    opened = [] if missing else [source for source in distinct if not is_remote(source.path)][:most_opened]
    damaged = [(source, why) for source in opened if (why := why_not(source.path)) is not None]
    if not missing and not damaged:
        return sources
    lost = missing or [source for source, _ in damaged]
    it, does = ("it", "does") if len(lost) == 1 else ("them", "do")
    what = f"{does} not exist" if missing else f"cannot be read ({damaged[0][1]})"
    how = f"put {it} back" if missing else f"copy {it} there again"
    within = "" if lost[0].parent == str(src_path) else f" (by way of {lost[0].parent})"
    raise error(
        f"{src_path} is made of other files{within}, and {shortened([source.path for source in lost])} {what}; "
        f"{how}, or make the virtual file again from the files that exist"
    )


def _circle(sources: Iterable[Source]) -> list[str]:
    """Files of which each names the next, the last one being the first; none if there is no such circle."""
    # NOTE: once GDAL 3.10 has read such a raster, it reads sources that are missing as zeros, without an error.
    named: dict[str, set[str]] = {}
    for source in sources:
        named.setdefault(os.path.realpath(source.parent), set()).add(os.path.realpath(source.path))
    try:
        graphlib.TopologicalSorter(named).prepare()
    except graphlib.CycleError as error:
        circle: list[str] = error.args[1]
        return circle[::-1]  # it lists what is named before what names it
    return []


def is_remote(name: str) -> bool:
    """Whether a name of GDAL's own is that of a file that is not on this machine."""
    found = re.match(r"/vsi([a-z0-9_]+)/|([a-z][a-z0-9+.-]*)://", name, re.IGNORECASE)
    return found is not None and any(_REMOTE.match(part) for part in re.split(r"\+", found[1] or found[2]))


def is_elsewhere(path: StrPath) -> bool:
    """Whether a dataset, or a source of it, is not on this machine."""
    names = [str(path), *(source.path for source in sources_of(path))]
    return any(is_dataset_name(name) and is_remote(name) for name in names)


def local_file(name: str, folder: str = "") -> str | None:
    """The file or dataset folder on this machine behind one of GDAL's own names, e.g. an archive; or None.

    Args:
        name: such as "/vsizip/x.zip/a.tif", "zip://x.zip!a.tif", "GPKG:x.gpkg:layer" or 'HDF5:"x.h5"://bands'.
        folder: what it is relative to.
    """
    rest = name
    while not is_remote(rest):
        if (found := _shortened(rest, folder)) is not None:
            return found
        prefix = re.match(
            r"/vsisubfile/[^,]*,|/vsi[a-z0-9_]+/|[a-z][a-z0-9+.-]*://|[a-z]\w+:|\d+:", rest, re.IGNORECASE
        )
        if prefix is None:
            break
        rest = rest[prefix.end() :].lstrip('"{')
    return None


def _shortened(name: str, folder: str) -> str | None:
    """The file or dataset folder that a name begins with, before a layer, a band or a file in an archive."""
    while name:
        path = os.path.join(folder, name)
        if os.path.isfile(path) or (os.path.isdir(path) and path.lower().endswith(DATASET_FOLDERS)):
            return path
        shorter = re.sub(r'[:!/?,|"}]+[^:!/?,|"}]*$', "", name)
        if shorter == name:
            return None
        name = shorter
    return None
