"""Scenes in a folder: which of its files are which image of which scene, by patterns of their names."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from s2fin_cli.core.errors import InputError, UsageError, shortened
from s2fin_cli.core.modality import MODALITIES
from s2fin_cli.scenes.entry import SceneEntry

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from pathlib import Path

#: Stands for the scene's name in a pattern.
NAME = "{name}"
#: Where the images are if no pattern is given: in a folder for each scene, named after their options.
DEFAULTS = {modality: (f"{NAME}/{modality}.tif",) for modality in MODALITIES}


def read_folder(
    folder: Path, patterns: Mapping[str, Sequence[str]], *, without: Collection[Path] = ()
) -> list[SceneEntry]:
    """The scenes in a folder, by name.

    Args:
        folder: the folder.
        patterns: of the files of each modality, relative to the folder. "{name}" stands for the scene's name, and "*"
            and "?" for any characters, but not for "/". Empty takes `DEFAULTS`.
        without: folders in it that are not scenes.

    Raises:
        UsageError: a pattern makes no sense, or several files of a scene match it.
        InputError: no file matches.
    """
    hidden = {os.path.realpath(path) for path in without}
    chosen = patterns or DEFAULTS
    scenes: dict[str, dict[str, tuple[str, ...]]] = {
        name: {} for name in (_subfolders(folder, hidden) if _are_folders(chosen) else ())
    }
    for modality, of_modality in chosen.items():
        for pattern in of_modality:
            for name, path in _matches(folder, pattern, hidden).items():
                files = scenes.setdefault(name, {})
                files[modality] = (*files.get(modality, ()), path)
    if not scenes:
        raise InputError(
            f"{folder} holds no scenes: no file is called like {shortened([p for ps in chosen.values() for p in ps])}; "
            'say what the files are called with `images`, e.g. `images="hsi={name}_hsi.tif"`'
        )
    return [_entry(folder, name, scenes[name], chosen) for name in sorted(scenes)]


def _entry(
    folder: Path, name: str, files: dict[str, tuple[str, ...]], patterns: Mapping[str, Sequence[str]]
) -> SceneEntry:
    """A scene; one without any of its files cannot be mapped."""
    error = None
    if not files:
        names = [pattern.replace(NAME, name) for of_modality in patterns.values() for pattern in of_modality]
        error = (
            f"{folder} has no image of this scene ({shortened(names)}); check the names of its files, or move the "
            "folder away"
        )
    return SceneEntry(name, f"scene {name} in {folder}", files, error=error)


def _are_folders(patterns: Mapping[str, Sequence[str]]) -> bool:
    """Whether each subfolder is a scene."""
    return any(pattern.startswith(f"{NAME}/") for of_modality in patterns.values() for pattern in of_modality)


def _subfolders(folder: Path, hidden: Collection[str]) -> list[str]:
    return [entry.name for entry in _entries(str(folder), hidden) if entry.is_dir()]


def _entries(folder: str, hidden: Collection[str]) -> list[os.DirEntry[str]]:
    """What is in a folder, by name, without hidden files."""
    found = [entry for entry in os.scandir(folder) if not entry.name.startswith(".")]
    return sorted(
        (entry for entry in found if os.path.realpath(entry.path) not in hidden), key=lambda entry: entry.name
    )


def _matches(folder: Path, pattern: str, hidden: Collection[str]) -> dict[str, str]:
    """Files that match a pattern, by the scene's name.

    Raises:
        UsageError: several files of a scene match, a name could end at several places, or the pattern makes no sense.
    """
    parts = pattern.split("/")
    if NAME not in pattern or any(part in ("", ".", "..") for part in parts):
        raise UsageError(
            f"the pattern {pattern!r} of `images` must be relative to {folder} and have {NAME} where the scene's name "
            f"is, e.g. {NAME}_hsi.tif or {NAME}/hsi.tif"
        )
    shortest, longest = (re.compile(_expression(pattern, lazy=lazy)) for lazy in (True, False))
    found: dict[str, str] = {}
    for path in _files(str(folder), parts, hidden):
        relative = os.path.relpath(path, folder).replace(os.sep, "/")
        match, other = shortest.fullmatch(relative), longest.fullmatch(relative)
        if match is None or other is None:
            continue
        name = match["name"]
        if name != other["name"]:
            raise UsageError(
                f"by the pattern {pattern!r} of `images`, {path} could belong to the scenes {name!r} and "
                f"{other['name']!r}; make the pattern more exact"
            )
        if name in found:
            raise UsageError(
                f"{found[name]} and {path} both match the pattern {pattern!r} of `images` for scene {name!r}; make it "
                "match one file of each scene, or give a pattern for each file"
            )
        found[name] = path
    return found


def _expression(pattern: str, *, lazy: bool) -> str:
    """A regular expression of a pattern, in which the name is as short or as long as possible."""
    wild = {"*": "[^/]*", "?": "[^/]"}
    texts, is_first = [], True
    for part in re.split(r"(\{name\}|[*?])", pattern):
        if part == NAME:
            texts.append(f"(?P<name>[^/]+{'?' * lazy})" if is_first else "(?P=name)")
            is_first = False
        else:
            texts.append(wild.get(part) or re.escape(part))
    return "".join(texts)


def _files(folder: str, parts: Sequence[str], hidden: Collection[str]) -> Iterator[str]:
    """Files in a folder whose path may match a pattern, one part of which each folder on the way has to match."""
    first, *rest = parts
    expression = re.compile(_expression(first, lazy=True))
    for entry in _entries(folder, hidden):
        if expression.fullmatch(entry.name) is None:
            continue
        if rest and entry.is_dir():
            yield from _files(entry.path, rest, hidden)
        elif not rest and not entry.is_dir():
            yield entry.path
