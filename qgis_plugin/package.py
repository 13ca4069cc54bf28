"""Makes the zip of the QGIS plugin, as the plugin repository of QGIS takes it.

python -m qgis_plugin.package [FILE]    the default is dist/s2fin_qgis-VERSION.zip
"""

from __future__ import annotations

import argparse
import configparser
import re
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from qgis_plugin.describe import FOLDER, DriftError, written
from s2fin_cli.core.version import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).parents[1]
#: Licence of the project, which the zip must hold.
LICENSE = ROOT / "LICENSE"
#: What the plugin consists of, by suffix.
SUFFIXES = (".py", ".json", ".svg", ".txt")
#: What QGIS or its plugin repository asks for, each with the pattern that it must have.
METADATA = {
    "name": r"s2fin",
    "version": re.escape(__version__),
    "qgisMinimumVersion": r"3\.22",
    "qgisMaximumVersion": r"4\.99",
    "supportsQt6": r"True",
    "description": r"[^<>]{20,200}",
    "about": r"[^<>]{100,}",
    "author": r".+",
    "email": r"[^@\s]+@[^@\s]+\.\w+",
    "homepage": r"https://\S+",
    "tracker": r"https://\S+",
    "repository": r"https://\S+",
    "category": r"Raster",
    "tags": r"[a-z0-9 -]+(,[a-z0-9 -]+)+",
    "icon": r"\S+\.svg",
    "license": r"Apache-2\.0",
    "hasProcessingProvider": r"yes",
    "experimental": r"True|False",
    "deprecated": r"False",
    "server": r"False",
    "changelog": rf"{re.escape(__version__)}\b[\s\S]+",
}
#: The time of all files in the zip, so that the same sources give the same bytes.
_TIME = (1980, 1, 1, 0, 0, 0)


class IncompleteError(Exception):
    """The plugin cannot be published; the message says what is missing."""


def files(folder: Path = FOLDER) -> dict[str, bytes]:
    """The files of the plugin by their names in the zip, with the licence."""
    found = sorted(path for path in folder.iterdir() if path.suffix in SUFFIXES)
    texts = {f"{FOLDER.name}/{path.name}": path.read_bytes().replace(b"\r\n", b"\n") for path in found}
    return {**texts, f"{FOLDER.name}/LICENSE": LICENSE.read_bytes().replace(b"\r\n", b"\n")}


def check(contents: Mapping[str, bytes]) -> None:
    """Refuse a plugin that QGIS or its repository would refuse, or whose description is out of date.

    Raises:
        IncompleteError: with all that is wrong.
    """
    top = FOLDER.name
    wrong = [f"{name} is missing" for name in ("__init__.py", "metadata.txt") if f"{top}/{name}" not in contents]
    if not wrong:
        parser = configparser.ConfigParser(interpolation=None)
        parser.optionxform = str  # type: ignore[assignment,method-assign]  # as the documentation of Python does
        parser.read_string(contents[f"{top}/metadata.txt"].decode("utf-8"))
        general = dict(parser["general"]) if parser.has_section("general") else {}
        wrong += [
            f"metadata.txt: {key} is {general.get(key)!r}, and must be like {pattern}"
            for key, pattern in METADATA.items()
            if not re.fullmatch(pattern, general.get(key, ""))
        ]
        wrong += [f"metadata.txt: {key} is unknown" for key in general if key not in METADATA]
        # NOTE: QGIS's parser takes a percent sign for a reference to another value, and fails.
        wrong += [f"metadata.txt: {key} has a percent sign" for key, value in general.items() if "%" in value]
        if f"{top}/{general.get('icon')}" not in contents:
            wrong.append(f"the icon {general.get('icon')} is missing")
    try:
        drifted = [path.name for path, text in written().items() if contents.get(f"{top}/{path.name}") != text.encode()]
    except DriftError as error:
        drifted = [str(error)]
    if drifted:
        wrong.append(f"out of date, run python -m qgis_plugin.describe: {', '.join(drifted)}")
    if wrong:
        raise IncompleteError("; ".join(wrong))


def package(path: Path, contents: Mapping[str, bytes]) -> None:
    """Write the zip; the same contents give the same bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in sorted(contents.items()):
            entry = zipfile.ZipInfo(name, _TIME)
            entry.external_attr = 0o644 << 16
            entry.create_system = 3  # Unix, wherever it is made
            archive.writestr(entry, content, zipfile.ZIP_STORED)


def main(arguments: list[str]) -> int:
    """Check the plugin and write the zip; the exit code."""
    parser = argparse.ArgumentParser("python -m qgis_plugin.package", description="Make the zip of the QGIS plugin.")
    default = ROOT / "dist" / f"s2fin_qgis-{__version__}.zip"
    parser.add_argument("file", nargs="?", type=Path, default=default, help="the zip; default: %(default)s")
    path = parser.parse_args(arguments).file
    contents = files()
    try:
        check(contents)
    except IncompleteError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return 1
    package(path, contents)
    print(path)  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
