"""What tells whether the inputs of a plan are still the same, on any machine and wherever their folders are mounted."""

from __future__ import annotations

import hashlib
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from s2fin_cli.core.errors import RasterError
from s2fin_cli.core.gdal import GDAL_ERRORS
from s2fin_cli.core.sidecars import PAM_SUFFIX
from s2fin_cli.core.virtual import is_elsewhere
from s2fin_cli.geo.windows import evenly_spread, spread_windows
from s2fin_cli.raster.opening import open_raster
from s2fin_cli.workflows.input_files import input_files

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import rasterio

#: Files beside a raster that other software writes when it only looks at it: statistics and overviews.
IGNORED = (PAM_SUFFIX, ".ovr")
#: Bytes up to which the checksum is that of the whole file.
WHOLE = 16 << 20
#: Pieces of a larger file that the checksum is made of, evenly spread from its first to its last byte, and their bytes.
PIECES, PIECE = 64, 64 << 10
#: Seconds to which a time of change is rounded down: file systems and copies keep no more of it.
TIME_UNIT = 2
#: Of a remote raster, what is compared: windows, their pixels a side, bands, and places of storage blocks.
WINDOWS, SIDE, BANDS, BLOCKS = 16, 32, 3, 64


def facts_of_inputs(inputs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """What inputs are, by what a message calls it.

    Files go by their names, because their folder may be mounted elsewhere on another machine. Each has its size and a
    checksum; a file that is too large for a checksum of the whole has its time of change too. Rasters that are not on
    this machine are known by a checksum of what a few requests give.

    Args:
        inputs: option and path of each.
    """
    facts: dict[str, Any] = {}
    for option, path in inputs:
        files = [file for file in input_files([path]) if os.path.isfile(file) and not file.lower().endswith(IGNORED)]
        for file in dict.fromkeys(map(os.path.realpath, files)):
            label = _unused(f"`{option}` {os.path.basename(file)}", facts)
            facts |= {f"the {name} of {label}": value for name, value in _facts_of_file(file).items()}
        if is_elsewhere(path):
            facts[f"the contents of {_unused(f'`{option}` {path}', facts)}"] = _sampled(path)
    return facts


def _unused(label: str, facts: dict[str, Any]) -> str:
    """A label for a file, with a number where files of several folders have the same name."""
    number, found = 1, label
    while any(f"the {name} of {found}" in facts for name in ("size", "contents")):
        number += 1
        found = f"{label} ({number})"
    return found


def _facts_of_file(path: str) -> dict[str, Any]:
    status = os.stat(path)
    facts = {"size": status.st_size, "checksum": _checksum(path, status.st_size)}
    if status.st_size > WHOLE:
        changed = datetime.fromtimestamp(int(status.st_mtime) // TIME_UNIT * TIME_UNIT, UTC)
        facts["time of change"] = f"{changed:%Y-%m-%d %H:%M:%S} UTC"
    return facts


def _checksum(path: str, size: int) -> str:
    """A checksum of a file: of all of it, or of pieces of it where it is large."""
    digest = hashlib.sha256()
    starts = evenly_spread(size - PIECE, most=PIECES).tolist() if size > WHOLE else [0]
    with open(path, "rb") as file:
        for start in starts:
            file.seek(start)
            digest.update(file.read(PIECE if size > WHOLE else WHOLE))
    return digest.hexdigest()[:16]


def _sampled(path: str) -> str:
    """A checksum of a raster by its header, by where its storage blocks are in the file, and by a few of its pixels."""
    digest = hashlib.sha256()
    try:
        with open_raster(path) as src:
            for part in _samples(src):
                digest.update(part)
    except RasterError:  # it is a vector file, or reading it reports the error
        return "unknown"
    return digest.hexdigest()[:16]


def _samples(src: rasterio.DatasetReader) -> Iterator[bytes]:
    yield repr((src.profile, src.tags())).encode()
    for row, col in _spread_blocks(src):
        yield str(src.get_tag_item(f"BLOCK_OFFSET_{col}_{row}", "TIFF", bidx=1)).encode()
    bands = [int(index) + 1 for index in evenly_spread(src.count - 1, most=BANDS)]
    for window in spread_windows(src.shape, SIDE, most=WINDOWS):
        try:
            yield src.read(bands, window=window).tobytes()
        except GDAL_ERRORS:  # an unreadable storage block, which classification reports
            yield b"unreadable"


def _spread_blocks(src: rasterio.DatasetReader) -> Sequence[tuple[int, int]]:
    """Rows and columns of storage blocks that are evenly spread over a raster, the first and the last among them."""
    height, width = src.block_shapes[0]
    rows, cols = -(-src.height // height), -(-src.width // width)
    return [divmod(int(number), cols) for number in evenly_spread(rows * cols - 1, most=BLOCKS)]
