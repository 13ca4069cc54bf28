"""The files that a run of the plugin makes of layers, in a folder that is removed afterwards."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

#: Names that Windows has for devices, whatever the suffix.
_DEVICE = re.compile(r"con|prn|aux|nul|com\d|lpt\d", re.IGNORECASE)


class MadeFiles:
    """Files that are called like the layers that they are made of, as messages of s2fin name them.

    Args:
        folder: where they are; it is made with the first one.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made: dict[str, str] = {}

    def new(self, name: str, suffix: str) -> str:
        """A path for the file of a layer that no other file has."""
        stem = re.sub(r"\W+", "_", name).strip("_")[:60] or "layer"
        if _DEVICE.fullmatch(stem):
            stem += "_layer"
        taken = {path.casefold() for path in self._made}  # Windows and macOS take upper and lower case for the same
        paths = (str(self._folder / f"{each}{suffix}") for each in (stem, *(f"{stem}_{n}" for n in range(2, 10000))))
        path = next(path for path in paths if path.casefold() not in taken)
        self._made[path] = name
        self._folder.mkdir(parents=True, exist_ok=True)
        return path

    def worded(self, message: str) -> str:
        """A message with the names of layers in place of the files that were made of them."""
        for path, name in self._made.items():
            message = message.replace(path, f"the layer {name!r}")
        return message
