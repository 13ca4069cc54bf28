"""One scene of a list: its name and its files."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from s2fin_cli.core.checks import nearest_name
from s2fin_cli.core.errors import InputError, UsageError
from s2fin_cli.core.modality import MODALITIES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: Characters that some file system does not allow in a name, or that make a path of it.
_UNSAFE = re.compile(r'[\x00-\x1f\x7f<>:"/\\|?*]')
#: Bytes of a name at most, so that the names of all its files are possible.
_LONGEST = 200


@dataclass(frozen=True)
class SceneEntry:
    """One scene of a list.

    Attributes:
        name: what its files are called, without a suffix.
        where: its place in the list, for messages.
        paths: its images by modality.
        aoi: vector file of its area of interest; None takes that of all scenes, if any.
        error: why it cannot be mapped, where the list itself shows that.
    """

    name: str
    where: str
    paths: Mapping[str, tuple[str, ...]]
    aoi: str | None = None
    error: str | None = None


def check_names(entries: Sequence[SceneEntry]) -> None:
    """Refuse names that cannot be those of files, and names that two scenes have, on any file system.

    Raises:
        InputError: there is one.
    """
    seen: dict[str, SceneEntry] = {}
    for entry in entries:
        problem = _problem_of(entry.name)
        if problem is not None:
            raise InputError(f"{entry.where}: {entry.name!r} cannot be the name of a scene: {problem}; choose another")
        other = seen.setdefault(entry.name.casefold(), entry)
        if other is not entry:
            raise InputError(
                f"{other.where} and {entry.where} have the same name, {entry.name!r}, by which their maps are called; "
                "give each scene a name of its own"
            )


def _problem_of(name: str) -> str | None:
    """Why a name cannot be that of a file; None if it can."""
    unsafe = _UNSAFE.search(name)
    if unsafe is not None:
        return f"it has the character {unsafe[0]!r}"
    if not name or name != name.strip() or name.startswith(".") or name.endswith("."):
        return "it is empty, or begins or ends with a dot or a blank"
    if len(name.encode(errors="replace")) > _LONGEST:
        return f"it has more than {_LONGEST} bytes"
    return None


def parse_images(given: Sequence[str]) -> dict[str, list[str]]:
    """Which files are which image, by modality, from texts like "hsi={name}_hsi.tif" or "msi=B02,B03".

    Raises:
        UsageError: one has another form, or names no modality.
    """
    found: dict[str, list[str]] = {}
    for text in given:
        modality, _, files = text.partition("=") if isinstance(text, str) else ("", "", "")
        modality = modality.strip()
        if not files.strip():
            raise UsageError(f'`images` is {text!r}; it must be MODALITY=FILES, e.g. "hsi={{name}}_hsi.tif"')
        if modality not in MODALITIES:
            raise UsageError(f"`images` is {text!r}; {modality!r} is no image, {nearest_name(modality, [*MODALITIES])}")
        found.setdefault(modality, []).append(files.strip())
    return found
