"""The record of a run, from its options: for the model file, the map, and the report of either."""

from __future__ import annotations

import functools
import os
import platform
from dataclasses import MISSING, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from s2fin_cli.core.copies import copy_at
from s2fin_cli.core.errors import S2finError
from s2fin_cli.core.names import absolute, without_credentials
from s2fin_cli.core.options import path_tuple
from s2fin_cli.core.run_record import RunRecord, UsedFile
from s2fin_cli.core.version import __version__
from s2fin_cli.shards.maker import Maker
from s2fin_cli.shards.receipt import checksum
from s2fin_cli.stac.images import files_of, named_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import torch

    from s2fin_cli.core.options import InputOptions, Options, StrPath

#: Options that change where a run computes and what it writes, but not the result, unless a file is damaged; and those
#: that name files.
NOT_KEPT = (
    "device", "tile_size", "work", "workers", "scheduler", "shard", "shard_size", "mixed", "overwrite", "output",
    "vector", "polygons", "mmu", "simplify", "confidence", "probabilities", "uncertainty", "scaled", "stac", "format",
    "co", "report", "on_read_error",
)  # fmt: skip
#: Bytes of all files of a run that are hashed at most, so that no run waits for it: of larger files only the size is
#: recorded.
HASHED_BYTES = 1 << 30


def record_run(
    command: str,
    options: InputOptions,
    *,
    named: Mapping[str, StrPath | Sequence[StrPath] | None],
    device: torch.device,
    warnings: Sequence[str] = (),
) -> RunRecord:
    """The record of a run.

    Args:
        command: name of the command.
        options: its options.
        named: files besides the images by option, one or several, such as the labels or the model; None stands for
            one not given.
        device: what computes.
        warnings: what it warned of.
    """
    maker = Maker.here(device, None)
    made_with = {
        **maker.versions, "Python": platform.python_version(), "system": platform.system(),
        "processor": maker.processor, "device": maker.device,
    }  # fmt: skip
    record = record_files(command, options, named={**options.src_paths, "aoi": options.aoi, **named}, warnings=warnings)
    return replace(record, made_with=made_with)


def record_files(
    command: str,
    options: Options,
    *,
    named: Mapping[str, StrPath | Sequence[StrPath] | None],
    warnings: Sequence[str] = (),
) -> RunRecord:
    """The record of a run whose result depends on its files and options alone; arguments as of `record_run`."""
    given = {name: found for name, paths in named.items() if (found := path_tuple(paths))}
    made_with = {"s2fin": __version__, "Python": platform.python_version(), "system": platform.system()}
    said = public(warnings, [path for paths in given.values() for path in paths])
    return RunRecord(command, _used_files(given), _kept(options, given), made_with, said)


def public(texts: Iterable[str], paths: Iterable[StrPath]) -> tuple[str, ...]:
    """Texts that name files, such as warnings, without credentials in the names."""
    named = [name for path in paths for name in (path, *_assets_of(path))]
    shown = [(str(name), without_credentials(name)) for name in named]
    return tuple(functools.reduce(lambda left, names: left.replace(*names), shown, text) for text in texts)


def _assets_of(path: StrPath) -> list[str]:
    """Where the assets are that a reference to a STAC file means; none of any other file."""
    try:
        return files_of(path)
    except S2finError:  # as of labels in a file that looks like STAC
        return []


def _kept(options: Options, given: Mapping[str, Any]) -> dict[str, Any]:
    """The options that differ from their defaults and change the result, in JSON values."""
    kept = {}
    for field in fields(options):
        value, default = _plain(getattr(options, field.name)), None if field.default is MISSING else field.default
        if field.name not in NOT_KEPT and field.name not in given and value != _plain(default):
            kept[field.name] = value
    return kept


def _plain(value: Any) -> Any:
    """The value of an option in JSON values, without NumPy's; None where it was not given."""
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    if isinstance(value, tuple | list):
        return [_plain(part) for part in value] or None
    return value


def _used_files(given: Mapping[str, Sequence[StrPath]]) -> tuple[UsedFile, ...]:
    """Files by option with their checksums and absolute paths, so that they are found from any folder.

    Names of GDAL's own are without credentials, as maps, models and reports are passed on.
    """
    left, found = HASHED_BYTES, []
    for option, path in [(name, absolute(path)) for name, paths in given.items() for path in paths]:
        file = named_file(path)
        size = os.path.getsize(file) if copy_at(path) is None and os.path.isfile(file) else None
        is_hashed = size is not None and size <= left
        left -= (size or 0) if is_hashed else 0
        found.append(UsedFile(option, without_credentials(path), size, checksum(Path(file)) if is_hashed else None))
    return tuple(found)
