"""Describes the commands of s2fin for the QGIS plugin: `s2fin/commands.json`, from click and `shown.py`.

python -m qgis_plugin.describe           writes it, and the version in `s2fin/metadata.txt`
python -m qgis_plugin.describe --check   fails if either is not what it would write
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections import Counter
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from qgis_plugin.s2fin.commands import OUTPUTS
from qgis_plugin.shown import COMMANDS, INPUTS, NOT_IN_QGIS, NOT_SHOWN, OPTIONS, PLAIN, WORDS, Option
from s2fin_cli.cli.main import cli
from s2fin_cli.cli.parameters import FilePath
from s2fin_cli.core.formats import RASTER_SUFFIXES, VECTOR_OUTPUT_SUFFIXES
from s2fin_cli.core.version import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping

FOLDER = Path(__file__).parent / "s2fin"
DESCRIPTION = FOLDER / "commands.json"
SHOWN = "qgis_plugin/shown.py"


class DriftError(Exception):
    """The command line and what QGIS shows of it do not go together; the message says what to change."""


class _Table:
    """The entries of `shown.py`, and which of them are in use."""

    def __init__(self, options: Mapping[str, Option], words: Mapping[str, str]) -> None:
        self._options, self._words = options, words
        self._used: Counter[str] = Counter()

    def option(self, command: str, name: str) -> Option:
        """The entry of an option."""
        for key in (f"{command}.{name}", name):
            if key in self._options:
                self._used[key] += 1
                return self._options[key]
        raise DriftError(
            f"s2fin {command} has an option, {name!r}, that {SHOWN} does not know: add it to OPTIONS with its title "
            "and kind, or to NOT_SHOWN with the reason, and run python -m qgis_plugin.describe"
        )

    def text(self, text: str) -> str:
        """A text of the command line as QGIS shows it."""
        text = " ".join(text.split())
        for found, instead in self._words.items():
            if found in text:
                self._used[found] += 1
                text = text.replace(found, instead)
        if flag := re.search(r"(?<![\w-])--[a-z]\S*", text):
            raise DriftError(
                f"a text for QGIS names the option {flag[0]}: {text!r}; add other words to WORDS in {SHOWN}"
            )
        return text

    def check(self) -> None:
        """Refuse entries that nothing uses."""
        if unused := [key for key in (*self._options, *self._words) if key not in self._used]:
            raise DriftError(f"no option or text of s2fin needs these entries of {SHOWN}; remove them: {unused}")


def description(commands: Mapping[str, click.Command] = cli.commands) -> dict[str, Any]:
    """The commands, as `s2fin/commands.json` has them.

    Args:
        commands: those of s2fin by name.

    Raises:
        DriftError: `shown.py` does not go with the commands.
    """
    known = {*COMMANDS, *NOT_IN_QGIS}
    if known != {*commands}:
        raise DriftError(
            f"these are commands of s2fin or of {SHOWN} alone: {sorted(known ^ {*commands})}; "
            "change COMMANDS or NOT_IN_QGIS there"
        )
    table = _Table(OPTIONS, WORDS)
    described = [_command(commands[name], name, table) for name in COMMANDS]
    table.check()
    names = {str(parameter.name) for name in COMMANDS for parameter in commands[name].params}
    if gone := [name for name in NOT_SHOWN if name not in names]:
        raise DriftError(f"no command has these options of NOT_SHOWN in {SHOWN}; remove them: {gone}")
    return {
        "version": __version__,
        "raster_suffixes": [suffix.lstrip(".") for suffix in RASTER_SUFFIXES],
        "vector_suffixes": [suffix.lstrip(".") for suffix in VECTOR_OUTPUT_SUFFIXES],
        "commands": described,
    }


def _command(command: click.Command, name: str, table: _Table) -> dict[str, Any]:
    shown = COMMANDS[name]
    paragraphs = [table.text(part) for part in (command.help or "").split("\n\n")]
    parameters = {str(parameter.name): parameter for parameter in command.params}
    entries = {each: table.option(name, each) for each in parameters if each not in NOT_SHOWN and each != "vector"}
    switches = {entry.turns_off for entry in entries.values()}
    options = [_option(command, parameters[each], entry, table) for each, entry in entries.items()]
    if "vector" in parameters and "vector" not in switches:
        raise DriftError(f"s2fin {name} has --vector, and no output in {SHOWN} is turned off by it")
    _check_parents(name, options)
    return {
        "name": name,
        "title": shown.title,
        "group": shown.group,
        "page": shown.page,
        "tags": list(shown.tags),
        "help": paragraphs,
        "options": sorted(options, key=partial(_place, entries)),
    }


def _place(entries: Mapping[str, Option], option: dict[str, Any]) -> tuple[bool, bool, bool]:
    """Where an option stands: first what QGIS alone wants, last what is written, as in dialogs of QGIS's own."""
    return option["kind"] in OUTPUTS, option["name"] == "overwrite", not entries[option["name"]].required


def _option(command: click.Command, parameter: click.Parameter, entry: Option, table: _Table) -> dict[str, Any]:
    assert isinstance(parameter, click.Option)  # noqa: S101  the commands have no arguments
    name = str(parameter.name)
    kind = _kind(str(command.name), parameter, entry)
    default = entry.default if entry.default is not None else _default(parameter)
    given = {
        "choices": list(parameter.type.choices) if isinstance(parameter.type, click.Choice) else None,
        "off": max(parameter.secondary_opts, key=len, default=None),
        "minimum": entry.limits[0],
        "maximum": entry.limits[1],
        "parents": list(entry.parents) or None,
        "geometry": entry.geometry if kind in ("vector", "vector_out") else None,
        "files": entry.files,
        "made": entry.made or None,
        "turns_off": _switch(command, entry),
        "role": entry.role,
        "required": parameter.required or entry.required or (kind in OUTPUTS and default is not None) or None,
        "advanced": entry.advanced or None,
        "default": None if kind in (*INPUTS, *OUTPUTS) else default,
        "own_default": _default(parameter) if entry.default is not None else None,
    }
    return {
        "name": name,
        "flag": max(parameter.opts, key=len),
        "kind": kind,
        "title": entry.title,
        "help": table.text(parameter.help or ""),
        **{key: value for key, value in given.items() if value is not None},
    }


def _default(parameter: click.Option) -> Any:
    """A default as JSON has it; click marks a missing one by an object of its own."""
    if parameter.is_flag:
        return parameter.default is True
    return parameter.default if isinstance(parameter.default, int | float | str) else None


def _switch(command: click.Command, entry: Option) -> str | None:
    """The flag by which an output is turned off."""
    if entry.turns_off is None:
        return None
    for parameter in command.params:
        if parameter.name == entry.turns_off and parameter.secondary_opts:
            return max(parameter.secondary_opts, key=len)
    raise DriftError(f"s2fin {command.name} has no flag that turns off {entry.turns_off!r}, which {SHOWN} names")


def _kind(command: str, parameter: click.Option, entry: Option) -> str:
    """The kind of an option, checked against click."""
    found = _kind_in_click(parameter)
    if entry.kind is None and found in PLAIN:
        return found
    possible = {
        "path": {"raster", "vector", "file", "folder", *OUTPUTS},
        "paths": {"rasters", "labels"},
        "text": {"field"},
        "float": {"distance"},
        "four numbers": {"extent"},
    }
    if entry.kind not in possible.get(found, ()):
        raise DriftError(
            f"s2fin {command} takes {found!r} for {parameter.name!r}, and {SHOWN} has the kind {entry.kind!r}; "
            f"possible are {sorted(possible.get(found, ()))}"
        )
    return str(entry.kind)


def _kind_in_click(parameter: click.Option) -> str:
    """What click knows of the kind of an option."""
    if parameter.is_flag:
        return "bool"
    if parameter.nargs != 1:
        return "four numbers" if parameter.nargs == 4 else "several values"
    several = "s" if parameter.multiple else ""
    if isinstance(parameter.type, FilePath):
        return f"path{several}"
    if isinstance(parameter.type, click.Choice):
        return f"enum{several}"
    names = {"integer": "int", "float": "float", "text": "text"}
    return names.get(parameter.type.name, parameter.type.name) + several


def _check_parents(command: str, options: list[dict[str, Any]]) -> None:
    names = {option["name"] for option in options}
    for option in options:
        if lost := [parent for parent in option.get("parents", ()) if parent not in names]:
            raise DriftError(
                f"{option['name']!r} of s2fin {command} has parents in {SHOWN} that are no options: {lost}"
            )


def written(folder: Path = FOLDER) -> dict[Path, str]:
    """The files in the folder of the plugin that depend on the commands or on the version, with their text."""
    metadata = folder / "metadata.txt"
    return {
        folder / DESCRIPTION.name: json.dumps(description(), indent=2, ensure_ascii=False) + "\n",
        metadata: re.sub(r"(?m)^version=.*$", f"version={__version__}", metadata.read_text(encoding="utf-8")),
    }


def main(arguments: list[str], folder: Path = FOLDER) -> int:
    """Write the files of the plugin in a folder, or compare them; the exit code."""
    parser = argparse.ArgumentParser(
        "python -m qgis_plugin.describe", description="Describe s2fin's commands for QGIS."
    )
    parser.add_argument("--check", action="store_true", help="write nothing, and fail if a file is out of date")
    given = parser.parse_args(arguments)
    try:
        texts = written(folder)
    except DriftError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return 1
    if not given.check:
        for path, text in texts.items():
            path.write_text(text, encoding="utf-8", newline="\n")
        return 0
    old = [path.name for path, text in texts.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    if old:
        print(f"error: run python -m qgis_plugin.describe; out of date: {', '.join(old)}", file=sys.stderr)  # noqa: T201
    return int(bool(old))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
