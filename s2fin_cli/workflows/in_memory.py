"""Data in memory in place of files: arrays of xarray and frames of geopandas, for the functions of the Python API.

They are written to temporary files, which every workflow reads like others and which are removed at its end.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from s2fin_cli.core.copies import ARRAY, FRAME, SERIES, SUFFIXES, Copy, described, named_copies
from s2fin_cli.core.errors import DiskFullError, OutputError, S2finError, UsageError
from s2fin_cli.core.files import is_disk_full
from s2fin_cli.core.formats import listed
from s2fin_cli.core.leftovers import sweep, work_in_progress
from s2fin_cli.core.modality import MODALITIES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import geopandas as gpd
    import xarray

    from s2fin_cli.core.options import StrPath
    from s2fin_cli.core.progress import Stop

    Image = StrPath | xarray.DataArray
    Features = StrPath | gpd.GeoDataFrame | gpd.GeoSeries
    Labels = StrPath | xarray.DataArray | gpd.GeoDataFrame

#: Types of data in memory, by the package that has them: those that are taken, and others that are often given instead.
_TYPES = {
    "xarray": (ARRAY, "Dataset"),
    "geopandas": (FRAME, SERIES),
    "pandas": ("DataFrame",),
    "numpy": ("ndarray",),
    "shapely": ("Geometry",),
}
#: How data of types that are not taken become those of a type that may be.
_REMEDIES = {
    "Dataset": (ARRAY, 'give one of its variables, or all as bands: dataset.to_dataarray(dim="band")'),
    "ndarray": (
        ARRAY,
        'give it a place first: xarray.DataArray(values, dims=("band", "y", "x")).rio.write_crs("EPSG:CODE")'
        ".rio.write_transform(transform)",
    ),
    "DataFrame": (FRAME, "give it geometries first: geopandas.GeoDataFrame(frame, geometry=..., crs=...)"),
    "Geometry": (SERIES, 'give it a CRS first: geopandas.GeoSeries([geometry], crs="EPSG:CODE")'),
}
#: The types that an option takes besides paths, and the name of them all in signatures.
IMAGE, FEATURES, LABELS = ("Image", (ARRAY,)), ("Features", (FRAME, SERIES)), ("Labels", (ARRAY, FRAME))
_OF_ALL_COMMANDS: dict[str, tuple[str, tuple[str, ...]]] = {
    **dict.fromkeys((*MODALITIES, "like", "map", "before", "after"), IMAGE),
    **dict.fromkeys(("labels", "reference"), LABELS),
    **dict.fromkeys(("aoi", "suggestions"), FEATURES),
}
#: Options that are inputs of these commands alone.
_OF_COMMANDS: dict[str, dict[str, tuple[str, tuple[str, ...]]]] = {
    "report": {"confidence": IMAGE, "uncertainty": IMAGE},
    "suggest": {"probabilities": IMAGE},
}
#: Options of maps that are continued later or made elsewhere, where there is no data in memory.
_ELSEWHERE = ("work", "scheduler", "shard")


@dataclass(frozen=True)
class Given:
    """Data in memory that an option was given.

    Attributes:
        option: the option.
        value: the data.
        kind: the name of their type.
        number: which of several values of the option it is, from 1; 0 for a single value.
    """

    option: str
    value: Any
    kind: str
    number: int = 0

    def copy(self, folder: Path) -> Copy:
        """The temporary file for them in a folder."""
        path = folder / f"{self.option}{self.number or ''}{SUFFIXES[self.kind]}"
        return Copy(str(path), self.option, f"{self.kind} {self.number}" if self.number else self.kind)


def takes(command: str) -> dict[str, tuple[str, tuple[str, ...]]]:
    """The options of a command that take data in memory: the name and the members of their type."""
    return {**_OF_ALL_COMMANDS, **_OF_COMMANDS.get(command, {})}


@contextlib.contextmanager
def as_files(command: str, keywords: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Keywords of a function with paths in place of data in memory, of which there are files while the block runs.

    Messages of what is raised and logged meanwhile name the data by their option and type.

    Args:
        command: name of the command that the function is of.
        keywords: the function's keywords.

    Raises:
        UsageError: data of such a type are not possible there, or a package is missing.
        InputError: they cannot be an image, labels or features.
        OutputError: there is no room for the files.
    """
    given = list(_given(command, keywords))
    if not given:
        yield dict(keywords)
        return
    _check_here(keywords, given)
    with contextlib.ExitStack() as stack:
        copies = stack.enter_context(_copies(given, keywords.get("stop")))
        stack.enter_context(_errors_describe_copies())
        yield {name: _with_paths(name, value, copies) for name, value in keywords.items()}


def _given(command: str, keywords: Mapping[str, Any]) -> Iterator[Given]:
    """Data in memory among keywords, checked for their types."""
    taken = takes(command)
    for option, value in keywords.items():
        parts = list(value) if isinstance(value, list | tuple) else [value]
        for number, part in enumerate(parts, start=1):
            kind = _kind(part)
            if kind is None:
                continue
            if option not in taken or kind not in taken[option][1]:
                raise UsageError(_why_not(option, kind, taken))
            yield Given(option, part, kind, number if len(parts) > 1 else 0)


def _kind(value: Any) -> str | None:
    """The name of the type of data in memory; None for anything else."""
    if value is None or isinstance(value, str | PathLike | int | float):
        return None
    for package, names in _TYPES.items():
        # NOTE: data of a package that nobody has imported cannot be there.
        types = [getattr(sys.modules.get(package), name, None) for name in names]
        for name, found in zip(names, types, strict=True):
            if found is not None and isinstance(value, found):
                return name
    return None


def _why_not(option: str, kind: str, taken: Mapping[str, tuple[str, tuple[str, ...]]]) -> str:
    if option not in taken:
        return f"`{option}` is of type {kind}, which it does not take; only images, labels and areas can be in memory"
    wanted = listed(("a path", *(f"a {name}" for name in taken[option][1])))
    becomes, remedy = _REMEDIES.get(kind, (None, ""))
    hint = f"; {remedy}" if becomes in taken[option][1] else ""
    return f"`{option}` is of type {kind}, and it must be {wanted}{hint}"


def _check_here(keywords: Mapping[str, Any], given: list[Given]) -> None:
    """Refuse data in memory for what other processes read at another time or place."""
    for name in _ELSEWHERE:
        if keywords.get(name) is not None:
            what = f"`{given[0].option}` is a {given[0].kind}"
            raise UsageError(
                f"`{name}` makes a map at another time or place, and {what} in memory, which is not there; write it "
                f"to a file first, or leave `{name}` out"
            )


@contextlib.contextmanager
def _copies(given: list[Given], stop: Stop | None) -> Iterator[list[tuple[Given, Copy]]]:
    """Temporary files of data in memory, known by name while the block runs."""
    with _temporary_folder() as folder:
        parent = folder.parent
        pairs = [(each, each.copy(folder)) for each in given]
        try:
            for each, copy in pairs:
                _write(each, copy, stop)
        except OSError as error:
            if is_disk_full(folder, error):
                raise DiskFullError(
                    f"copying {copy.name_in_messages} to {parent} failed: no space is left; make room, or name another "
                    "folder in the environment variable TMPDIR"
                ) from error
            if isinstance(error, S2finError):
                raise
            raise OutputError(f"copying {copy.name_in_messages} to {parent} failed: {error}") from error
        with named_copies([copy for _, copy in pairs]):
            yield pairs


@contextlib.contextmanager
def _temporary_folder() -> Iterator[Path]:
    """A new folder where the system has temporary files; what killed runs left there is removed."""
    with contextlib.ExitStack() as stack:
        try:
            parent = Path(tempfile.gettempdir())
            sweep(parent)
            folder = stack.enter_context(work_in_progress(parent))
        except OSError as error:
            raise OutputError(
                f"data in memory are copied to temporary files, which cannot be written ({error}); name a folder for "
                "them in the environment variable TMPDIR"
            ) from error
        yield folder


def _write(given: Given, copy: Copy, stop: Stop | None) -> None:
    """Write data to their temporary file; the packages that know them are imported here only."""
    if given.kind == ARRAY:
        from s2fin_cli.raster.datasets import need_xarray  # noqa: PLC0415

        need_xarray(copy.name_in_messages)
        import rioxarray  # noqa: F401, PLC0415  registers array.rio

        from s2fin_cli.raster.arrays import write_array  # noqa: PLC0415

        check = (lambda: None) if stop is None else stop.check
        write_array(Path(copy.path), given.value, name=copy.name_in_messages, on_block=check)
    else:
        from s2fin_cli.vector.frame_copies import write_frame  # noqa: PLC0415

        write_frame(Path(copy.path), given.value, name=copy.name_in_messages)


def _with_paths(option: str, value: Any, copies: list[tuple[Given, Copy]]) -> Any:
    """The value of an option with the paths of files in place of data in memory."""
    own = {each.number: copy.path for each, copy in copies if each.option == option}
    if not own:
        return value
    if not isinstance(value, list | tuple):
        return own[0]
    return [own.get(number if len(value) > 1 else 0, part) for number, part in enumerate(value, start=1)]


@contextlib.contextmanager
def _errors_describe_copies() -> Iterator[None]:
    """Let errors name copies by what they are copies of."""
    try:
        yield
    except S2finError as error:
        error.args = tuple(described(part) if isinstance(part, str) else part for part in error.args)
        raise
