"""What tells whether the inputs of a plan are still the same, on any machine and wherever their folders are mounted."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from s2fin_cli.core import virtual
from s2fin_cli.core.errors import RasterError, S2finError
from s2fin_cli.core.names import is_dataset_name
from s2fin_cli.core.sidecars import PAM_SUFFIX
from s2fin_cli.geo.windows import evenly_spread, spread_windows
from s2fin_cli.raster.info import read_info
from s2fin_cli.raster.opening import open_raster
from s2fin_cli.stac.images import files_of, is_elsewhere, rasters_of
from s2fin_cli.workflows.input_files import input_files

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import rasterio

#: Files beside a raster that other software writes when it only looks at it: statistics and overviews. What else a
#: sidecar declares is in the description of the raster.
IGNORED = (PAM_SUFFIX, ".ovr")
#: The option whose files are vectors.
VECTOR = "aoi"
#: What is compared of the description of a raster, by what a message calls it.
DECLARED = {
    "number of bands": "count",
    "alpha bands": "alpha_indexes",
    "bad bands": "bad_indexes",
    "data type": "dtype",
    "nodata value": "nodata",
    "scales": "scales",
    "offsets": "offsets",
    "units": "units",
    "wavelengths": "wavelengths",
    "colors": "colors",
    "mask": "has_mask",
}
#: Bytes up to which the checksum is that of the whole file, and of all files together, so that virtual rasters of
#: thousands of tiles are not read twice.
WHOLE, WHOLE_OF_ALL = 16 << 20, 256 << 20
#: Bytes of a piece of a larger file; and the pieces that its checksum is made of, evenly spread from its first to its
#: last byte: at least, and at most.
PIECE, LEAST_PIECES, MOST_PIECES = 64 << 10, 3, 64
#: Seconds to which a time of change is rounded down: file systems and copies keep no more of it.
TIME_UNIT = 2
#: Of a remote raster, what is compared: windows, their pixels a side, bands, and places of storage blocks.
WINDOWS, SIDE, BANDS, BLOCKS = 16, 32, 3, 64


def facts_of_inputs(inputs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """What inputs are, by what a message calls it.

    Files go by their names, because their folder may be mounted elsewhere on another machine. Of a STAC file what
    counts is which assets are meant, what they contain, and what the item says of them. Each has its size and a
    checksum; a file that is too large for a checksum of the whole has its time of change too. Rasters that are not on
    this machine are known by a checksum of what a few requests give. Each raster also has what its header and its
    sidecar declare.

    Args:
        inputs: option and path of each.

    Raises:
        S2finError: a raster that is not on this machine cannot be read.
    """
    rasters = [(option, name) for option, path in inputs for name in ([path] if option == VECTOR else rasters_of(path))]
    given = [(option, path, _files(option, path)) for option, path in rasters]
    share = WHOLE_OF_ALL // max(sum(len(files) for _, _, files in given), 1)
    whole = min(max(share, LEAST_PIECES * PIECE), WHOLE)
    facts: dict[str, Any] = {}
    labels: Counter[str] = Counter()
    declared: Counter[str] = Counter()
    for option, path, files in given:
        if (folder := _folder(option, path)) is not None:
            facts[_numbered(f"the contents of `{option}` {_without_folder(path)}", labels)] = _facts_of_folder(folder)
        for file in files:
            label = _numbered(f"`{option}` {os.path.basename(file)}", labels)
            facts |= {f"the {name} of {label}": value for name, value in _facts_of_file(file, whole).items()}
        if virtual.is_elsewhere(path) if option == VECTOR else is_elsewhere(path):
            facts[_numbered(f"the contents of `{option}` {_without_folder(path)}", labels)] = _sampled(option, path)
        if option != VECTOR:
            label = _numbered(f"`{option}` {_without_folder(path)}", declared)
            facts |= {f"the {name} of {label}": value for name, value in _declared(path).items()}
    return facts | _lists(rasters)


def _lists(inputs: Sequence[tuple[str, str]]) -> dict[str, str]:
    """What checksums of files do not tell: the order of several, and which part of a file is meant."""
    lists: dict[str, list[str]] = {}
    for option, path in inputs:
        lists.setdefault(option, []).append(path)
    return {
        f"the list of files of `{option}`": ", ".join(map(_without_folder, paths))
        for option, paths in lists.items()
        if len(paths) > 1 or is_dataset_name(paths[0])
    }


def _without_folder(path: str) -> str:
    """A path without the folder of its file, where that is on this machine."""
    if not is_dataset_name(path):
        return os.path.basename(path)
    folder = os.path.dirname(virtual.local_file(path) or "")
    return path.replace(f"{folder}/", "", 1) if folder else path


def _files(option: str, path: str) -> list[str]:
    """The files of this machine that an input consists of, links followed; of a STAC file, its assets alone."""
    parts = input_files([path] if option == VECTOR else files_of(path))
    files = [file for file in parts if os.path.isfile(file) and not file.lower().endswith(IGNORED)]
    return list(dict.fromkeys(map(os.path.realpath, files)))


def _numbered(label: str, labels: Counter[str]) -> str:
    """A label with a number where files of several folders have the same name."""
    labels[label] += 1
    return label if labels[label] == 1 else f"{label} ({labels[label]})"


def _folder(option: str, path: str) -> str | None:
    """The folder that a raster of many files is, such as one of Zarr; None of any other input."""
    if option == VECTOR:
        return None
    places = [virtual.local_file(file) if is_dataset_name(file) else file for file in files_of(path)]
    return next((place for place in places if place is not None and os.path.isdir(place)), None)


def _facts_of_folder(folder: str) -> str:
    """A checksum of the files in a folder by their names, sizes and contents; of many, by times instead of contents."""
    found = sorted(os.path.join(place, name) for place, _, names in os.walk(folder) for name in names)
    statuses = {path: os.stat(path) for path in found}
    is_small = sum(status.st_size for status in statuses.values()) <= WHOLE
    digest = hashlib.sha256()
    for path, status in statuses.items():
        state = _checksum(path, [0], WHOLE) if is_small else int(status.st_mtime) // TIME_UNIT
        digest.update(repr((os.path.relpath(path, folder), status.st_size, state)).encode())
    return digest.hexdigest()[:16]


def _facts_of_file(path: str, whole: int) -> dict[str, Any]:
    """Size and checksum of a file, and its time of change if it has more bytes than are read as a whole."""
    status = os.stat(path)
    if status.st_size <= whole:
        return {"size": status.st_size, "checksum": _checksum(path, [0], whole)}
    starts = evenly_spread(status.st_size - PIECE, most=min(whole // PIECE, MOST_PIECES)).tolist()
    changed = datetime.fromtimestamp(int(status.st_mtime) // TIME_UNIT * TIME_UNIT, UTC)
    found = {"size": status.st_size, "checksum": _checksum(path, starts, PIECE)}
    return {**found, "time of change": f"{changed:%Y-%m-%d %H:%M:%S} UTC"}


def _checksum(path: str, starts: Sequence[int], size: int) -> str:
    """A checksum of pieces of a file, of some bytes each."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for start in starts:
            file.seek(start)
            digest.update(file.read(size))
    return digest.hexdigest()[:16]


def _declared(path: str) -> dict[str, str]:
    """What the header and the sidecar of a raster declare, as texts; nothing of a file that is no raster.

    Raises:
        S2finError: it is not on this machine and cannot be read.
    """
    try:
        info = read_info(path)
    except S2finError:
        if is_elsewhere(path):
            raise
        return {}  # which reading it reports
    values = {name: _text(getattr(info, field)) for name, field in DECLARED.items()}
    values |= {"rows and columns": _text(info.grid.shape), "transform": _text(tuple(info.grid.transform)[:6])}
    values["CRS"] = "" if info.grid.crs is None else info.grid.crs.to_string()
    return {name: text for name, text in values.items() if text}


def _text(value: object) -> str:
    """A value as a text, in which one that all bands share is there once; empty where nothing is declared."""
    if isinstance(value, tuple):
        return str(value[0]) if len(set(map(str, value))) == 1 else ", ".join(map(str, value))
    return "" if value is None else str(value)


def _sampled(option: str, path: str) -> str:
    """A checksum of a raster by its header, by where its storage blocks are in the file, and by a few of its pixels.

    Raises:
        RasterError: it cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with open_raster(path) as src:
            for part in _samples(src):
                digest.update(part)
    except RasterError:
        if option == VECTOR:
            return "unknown"
        raise
    return digest.hexdigest()[:16]


def _samples(src: rasterio.DatasetReader) -> Iterator[bytes]:
    yield repr((src.profile, src.tags())).encode()
    for row, col in _spread_blocks(src):
        yield str(src.get_tag_item(f"BLOCK_OFFSET_{col}_{row}", "TIFF", bidx=1)).encode()
    bands = [int(index) + 1 for index in evenly_spread(src.count - 1, most=BANDS)]
    for window in spread_windows(src.shape, SIDE, most=WINDOWS):
        yield src.read(bands, window=window).tobytes()


def _spread_blocks(src: rasterio.DatasetReader) -> Sequence[tuple[int, int]]:
    """Rows and columns of storage blocks that are evenly spread over a raster, the first and the last among them."""
    height, width = src.block_shapes[0]
    rows, cols = -(-src.height // height), -(-src.width // width)
    return [divmod(int(number), cols) for number in evenly_spread(rows * cols - 1, most=BLOCKS)]
