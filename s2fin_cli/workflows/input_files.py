"""The files that inputs consist of, which no output may replace."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pyogrio.errors
import pyogrio.raw

from s2fin_cli.core.errors import S2finError
from s2fin_cli.core.names import followed, is_dataset_name, vector_name
from s2fin_cli.core.sidecars import written_beside
from s2fin_cli.core.virtual import local_file, sources_of
from s2fin_cli.raster.opening import open_raster
from s2fin_cli.stac.images import files_of, named_file
from s2fin_cli.stac.reference import find_reference

if TYPE_CHECKING:
    from collections.abc import Iterable

    from s2fin_cli.core.options import StrPath

#: Suffixes of single-file formats that some driver of GDAL would read from end to end.
_PLAIN = (".csv", ".tsv", ".txt", ".xyz", ".geojson", ".s2fin", ".mat")


def input_files(inputs: Iterable[StrPath | None]) -> dict[str, str]:
    """The files that inputs consist of, each with the input that it belongs to.

    Besides the inputs themselves these are the assets of STAC items, the sources of virtual datasets, the files that
    GDAL lists for a raster (headers, masks, overviews, world files), the containers and archives behind GDAL's own
    names, the targets of links, and the files of a folder. Only headers are read, and a missing input has no files.

    Args:
        inputs: paths and names of GDAL's own; None stands for an input that was not given.
    """
    found: dict[str, str] = {}
    for given in dict.fromkeys(str(path) for path in inputs if path is not None):
        for whole in _wholes(given):
            found.setdefault(whole, given)
            for path in _parts(whole):
                found.setdefault(path, given)
    return found


def _wholes(given: str) -> list[str]:
    """The datasets that an input consists of: itself, or a STAC file and its assets."""
    try:
        file = named_file(given)
        return [file, *files_of(given)] if file != given or find_reference(given) is not None else [given]
    except S2finError:  # which reading it reports
        return [given]


def _parts(given: str) -> list[str]:
    """The files that one input consists of."""
    if is_dataset_name(given):
        main = local_file(given)
        parts = _listed(given)
    else:
        main = followed(given)
        parts = [] if main.lower().endswith(_PLAIN) or os.path.isdir(main) else _listed(given)
    if main is None:
        return parts
    if os.path.isdir(main):
        return [main, *(entry.path for entry in os.scandir(main) if entry.is_file())]
    beside = [str(path) for path in written_beside(Path(main))]
    named = [local_file(source.path) or source.path for source in sources_of(main)]
    return [main, *beside, *parts, *named]


def _listed(given: str) -> list[str]:
    """The files of a raster that GDAL lists and that are on this machine."""
    try:
        with open_raster(given) as src:
            files = list(src.files)
            if src.driver == "GTI":
                files += _tiles(given)
    except (S2finError, OSError):  # which reading it reports
        return []
    return [path for name in files if (path := local_file(name)) is not None]


def _tiles(given: str) -> list[str]:
    """The rasters that an index of tiles names, which GDAL does not list."""
    main = local_file(given) or given
    indexes = [main, *(source.path for source in sources_of(main))]
    found: list[str] = []
    for index in indexes:
        with contextlib.suppress(pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, ValueError):
            with vector_name(index) as name:
                fields = pyogrio.raw.read(name, columns=["location"], read_geometry=False)[3]
            found += [str(place) for column in fields for place in column if place]
    # NOTE: GDAL looks for them in the current folder, later versions beside the index too.
    return [os.path.join(folder, place) for place in found for folder in ("", os.path.dirname(main))]
