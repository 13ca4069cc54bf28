"""The errors that s2fin raises on purpose.

Each message is one sentence or two: what was found, where, and what to do about it. The command line prints it and
exits with `exit_code`; any other exception is a defect of the program.

**How messages name options.** Messages of the library, both errors and log records, give an option its Python name in
backticks, alone or with a value as Python writes it: "name it with `label_field`", "`patch_size` is 4",
'use `device="cpu"`', "`vector=False`". Callers of the Python API read just that. The command line shows an option that
the running command has as its flag: "name it with --label-field", "use --device cpu", "--no-vector"; and any other name
without backticks; see `s2fin_cli.cli.messages`. Nothing else in a message stands in backticks, and no message of the
library holds a flag of s2fin.
"""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from s2fin_cli.core.copies import copy_at

if TYPE_CHECKING:
    from collections.abc import Sequence


class S2finError(Exception):
    """Base class of all errors that are meant for the user."""

    exit_code = 1


class InputError(S2finError, ValueError):
    """A file or value that was given cannot be used."""


class RasterError(InputError):
    """A raster is missing, unreadable or has unusable contents."""


class UnreadableError(RasterError):
    """A part of a raster cannot be read, because its file is damaged."""


class GeoreferencingError(InputError):
    """Grids, coordinate reference systems or extents do not match."""


class LabelError(InputError):
    """Labels are missing, empty, ambiguous or outside the image."""


class AreaError(InputError):
    """An area of interest holds no pixel of the image, or cannot be understood."""


class ModelFileError(InputError):
    """A model file is missing, damaged, foreign or does not fit the given images."""


class OutputError(S2finError, OSError):
    """A result cannot be written."""


class DiskFullError(OutputError):
    """A result cannot be written because the disk is full, so nothing else can be written there either."""


class UsageError(S2finError, ValueError):
    """Options, or keys of the project file, are wrong or contradict each other."""

    exit_code = 2


#: What Python raises where values from a file are of other kinds than they should be, too large, or nested too deeply.
MALFORMED = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError)


def shortened(values: Sequence[object]) -> str:
    """The first ten values, and how many more there are, for messages."""
    return ", ".join(map(str, values[:10])) + (f" and {len(values) - 10} more" if len(values) > 10 else "")


def reason(error: object) -> str:
    """What an error of another library says, on one line, for messages."""
    return " ".join(str(error).split()) or type(error).__name__


def describe_bounds(bounds: Sequence[float]) -> str:
    """For messages: left, bottom, right and top as ranges of x and y."""
    left, bottom, right, top = (f"{value:.10g}" for value in bounds)
    return f"x {left} to {right}, y {bottom} to {top}"


def describe_missing(path: str | os.PathLike[str]) -> str:
    """A message that a file does not exist."""
    return f"{path} does not exist (looked in {Path(path).absolute().parent}); check the path"


def quoted(path: str | os.PathLike[str]) -> str:
    """A path as the shell takes it, for commands in messages: quoted if it has blanks or special characters."""
    return subprocess.list2cmdline([str(path)]) if os.name == "nt" else shlex.quote(str(path))


def warp_like(path: str | Path, like: str | Path) -> str:
    """For messages: the command that brings a class map to the grid of another raster; it comes with rasterio.

    Where one of them is an array in memory, it is the method of rioxarray.
    """
    if copy_at(path) is not None or copy_at(like) is not None:
        return f"{_array_of(path, 'array')}.rio.reproject_match({_array_of(like, 'other')})"
    options = {"like": quoted(like), "resampling": "nearest"}
    return " ".join(
        ["rio warp", quoted(path), "ALIGNED.tif", *(f"--{name} {value}" for name, value in options.items())]
    )


def _array_of(path: str | Path, name: str) -> str:
    """What code calls an array in memory, or how it opens a raster."""
    return f'rioxarray.open_rasterio("{path}")' if copy_at(path) is None else name


def edit_info(path: str | Path, option: str, value: object = None) -> str:
    """For messages: the command that changes what a raster's header says; it comes with rasterio.

    Of an array in memory it is the method of rioxarray.

    Args:
        path: the raster.
        option: the name of the command's option, without dashes.
        value: what the option takes, if anything.
    """
    if copy_at(path) is not None:
        return f'array.rio.write_{option}("{value}")' if option == "crs" else f"array.rio.write_{option}({value})"
    change = f"--{option}" if value is None else f"--{option} {value}"
    return f"rio edit-info {change} {quoted(path)}"
