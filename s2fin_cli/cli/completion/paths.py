"""Completion of paths: folders, and the files that are of the kind that an option takes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from click.shell_completion import CompletionItem

from s2fin_cli.core.formats import FORMATS, RASTER_SUFFIXES
from s2fin_cli.core.names import looks_like_dataset_name

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Types of completion items besides click's: a path, which goes on if it is a folder, and another value that goes on.
PATH, OPEN = "path", "open"
#: Suffixes of rasters in formats that remote sensing uses; GDAL reads more.
RASTERS = (
    *RASTER_SUFFIXES, ".vrt", ".img", ".jp2", ".nc", ".hdf", ".h5", ".asc", ".dat", ".bsq", ".bil", ".bip", ".png",
    ".jpg", ".ntf", ".kea", ".sdat", ".rst", ".grd", ".hgt", ".pix",
)  # fmt: skip
_PARTS = {suffix for each in FORMATS for suffix in each.parts}
#: Suffixes of the files that features are read from, without those that are parts of a dataset.
VECTORS = tuple(s for each in FORMATS if not each.is_raster for s in each.suffixes if s not in _PARTS)
#: Suffixes of files by their kind, as the help names it; of another kind are all files, and a folder is no file.
KINDS: Mapping[str, tuple[str, ...]] = {
    "RASTER": RASTERS,
    "MAP": RASTERS,
    "LABELS": (*VECTORS, *RASTERS),
    "POLYGONS": VECTORS,
    "POINTS": VECTORS,
    "MODEL": (".s2fin",),
    "PROJECT": (".toml",),
    "REPORT": (".html", ".json", ".csv", ".md"),
    "SCENES": (".csv", ".json", ".geojson"),
    "CSV": (".csv",),
    "ITEM": (".json",),
    "MATLAB": (".mat",),
    "PNG": (".png",),
    "FOLDER": (),
}
#: What a shell replaces in a word before it is a path.
_EXPANDED = ("$", "`")


def paths(incomplete: str, kind: str) -> list[CompletionItem[str]]:
    """Folders and files that a path may go on to.

    Args:
        incomplete: the beginning of the path, with the user's `~`.
        kind: one of `KINDS`; where neither a folder nor a file of it has such a name, all files are offered.

    Returns:
        items whose values begin with `incomplete`; none for a name of GDAL's own, such as a URL.
    """
    if looks_like_dataset_name(incomplete):
        return []
    if any(sign in incomplete for sign in _EXPANDED):
        return [CompletionItem(incomplete, type="file")]  # which the shell itself completes
    if incomplete == "~":
        return [CompletionItem("~/", type=PATH)]
    start = incomplete.rpartition("/")[2]
    head = incomplete.removesuffix(start)
    try:
        with os.scandir(os.path.expanduser(head) or ".") as found:
            entries = [each for each in found if each.name.startswith(start)]
    except OSError:
        return []
    if not start.startswith("."):
        entries = [entry for entry in entries if not entry.name.startswith(".")]
    entries.sort(key=lambda entry: entry.name)
    folders = {entry.name for entry in entries if entry.is_dir()}
    files = {entry.name: entry.path for entry in entries if entry.name not in folders}
    chosen = folders | {name for name, path in files.items() if is_of_kind(path, kind)}
    if not chosen and kind != "FOLDER":
        chosen = {*files}
    names = [f"{entry.name}/" if entry.name in folders else entry.name for entry in entries if entry.name in chosen]
    return [CompletionItem(head + name, type=PATH) for name in names]


def is_of_kind(path: str, kind: str) -> bool:
    """Whether a file is of a kind, by its suffix or, for a raster, by the ENVI header beside it."""
    suffixes = KINDS.get(kind)
    if suffixes is None:
        return True
    return path.lower().endswith(suffixes) or (set(RASTERS) <= set(suffixes) and _has_header(path))


def _has_header(path: str) -> bool:
    stem, suffix = os.path.splitext(path)
    return suffix.lower() != ".hdr" and (os.path.isfile(f"{path}.hdr") or os.path.isfile(f"{stem}.hdr"))
