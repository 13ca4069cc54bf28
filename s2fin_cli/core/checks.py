"""Checks of options' values, and the messages about those that are refused."""

from __future__ import annotations

import math
import os
import re
from difflib import get_close_matches
from numbers import Integral, Real
from os import PathLike
from typing import TypeGuard

from s2fin_cli.core.errors import UsageError

#: Why an output cannot be at a URL or under a name of GDAL's.
NO_PATH = "it is no path of this machine; write a file, and copy it there"


def nearest_name(name: str, known: list[str]) -> str:
    """A hint for a message: the known name that was probably meant, otherwise all known names."""
    close = get_close_matches(name, known, n=1, cutoff=0.6)
    return f"did you mean {close[0]!r}?" if close else f"known are: {', '.join(known)}"


def check(name: str, value: object, is_right: bool, requirement: str) -> None:
    """Refuse an impossible value.

    Args:
        name: the option.
        value: its value.
        is_right: whether the value is possible.
        requirement: what completes "it must be".

    Raises:
        UsageError: it is not.
    """
    if not is_right:
        raise UsageError(f"`{name}` is {value!r}; it must be {requirement}")


def check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    """Refuse a value that is not one of the choices."""
    check(name, value, value in choices, f"one of {', '.join(choices)}")


def check_whole(name: str, value: object, *, least: int) -> None:
    """Refuse a value that is not a whole number, or below the least."""
    check(name, value, is_whole(value) and value >= least, f"a whole number, at least {least}")


def is_whole(value: object) -> TypeGuard[int]:
    """Whether a value is a whole number, of Python or NumPy; to Python, truth values are numbers too."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def is_real(value: object) -> TypeGuard[float]:
    """Whether a value is a real number, of Python or NumPy."""
    return isinstance(value, Real) and not isinstance(value, bool)


def make_tuples(options: object, *names: str) -> None:
    """Turn single texts and iterables of texts into tuples."""
    for name in names:
        value = getattr(options, name)
        object.__setattr__(options, name, (value,) if isinstance(value, str) else tuple(value))


def make_plain(options: object, kind: type[int | float], *names: str) -> None:
    """Turn NumPy's numbers into Python's own, which random generators and JSON take."""
    for name in names:
        object.__setattr__(options, name, kind(getattr(options, name)))


def is_no_path(path: str | PathLike[str]) -> bool:
    """Whether a text is a URL or a name of GDAL's rather than a path; `pathlib` folds the slashes of a URL."""
    return re.match(r"/vsi|[a-z][a-z0-9+.-]+:/", os.fspath(path), re.IGNORECASE) is not None


def check_folder(name: str, path: str | PathLike[str] | None) -> None:
    """Refuse a folder that is in an object store or behind another name of GDAL's.

    Args:
        name: the option.
        path: its value; None passes.

    Raises:
        UsageError: it is one.
    """
    if path is not None and is_no_path(path):
        raise UsageError(f"`{name}` is {path}; it must be a folder on this machine or on a shared disk")


def parse_share(text: str) -> tuple[str, float]:
    """Parse a class and its share of the area.

    Args:
        text: "CLASS=PERCENT", maybe with a percent sign.

    Returns:
        the class as given, and its share from 0 to 1.

    Raises:
        UsageError: it is neither.
    """
    name, _, percent = text.rpartition("=") if isinstance(text, str) else ("", "", "")
    try:
        share = float(percent.strip().removesuffix("%")) / 100
    except ValueError:
        share = math.nan
    check("prior", text, bool(name.strip()) and 0 <= share <= 1, "CLASS=PERCENT, 0 to 100")
    return name.strip(), share
