"""The commands of s2fin as `commands.json` describes them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FILE = Path(__file__).parent / "commands.json"
DOCUMENTATION = "https://github.com/s2fin/s2fin/blob/main/docs"

#: Kinds of options that name what is written.
OUTPUTS = ("raster_out", "vector_out", "file_out")


@dataclass(frozen=True)
class Option:
    """An option of a command.

    Attributes:
        name: its name in the description.
        flag: as it is typed: "--label-field".
        kind: what its value is; `parameters.py` has a parameter of QGIS for each.
        title: its name in the dialog.
        help: what it is for.
        off: the flag of the opposite, of an option that has one: "--no-refit".
        default: the default in the dialog.
        own_default: the default of the command, where that in the dialog is another.
        choices: the possible values, of an option that has a few.
        minimum, maximum: limits of a number.
        parents: the options of the layers that this one depends on.
        geometry: of a vector layer: "point", "polygon" or "any".
        files: of a file, its name and suffixes as a dialog of files shows them.
        made: whether an output that need not be written is offered.
        turns_off: the flag to give if an output is not wanted.
        role: what an output is to `results.py`, if not what it is called.
        required: whether a value must be given.
        advanced: whether it stands among the advanced parameters.
    """

    name: str
    flag: str
    kind: str
    title: str
    help: str
    off: str | None = None
    default: Any = None
    own_default: Any = None
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    parents: tuple[str, ...] = ()
    geometry: str = "any"
    files: str = ""
    made: bool = False
    turns_off: str | None = None
    role: str | None = None
    required: bool = False
    advanced: bool = False

    @property
    def parameter(self) -> str:
        """The name of its parameter in QGIS: "LABEL_FIELD"."""
        return self.name.upper()

    @property
    def further(self) -> str:
        """The name of the parameter for further labels: "LABELS_FURTHER"."""
        return f"{self.parameter}_FURTHER"

    @property
    def is_output(self) -> bool:
        """Whether it names what is written."""
        return self.kind in OUTPUTS

    @property
    def command_default(self) -> Any:
        """The value that the command takes if the option is not given."""
        return self.default if self.own_default is None else self.own_default


@dataclass(frozen=True)
class Command:
    """A command of s2fin.

    Attributes:
        name: "train".
        title, group: its name in the toolbox, and the group it stands in.
        page: the page of the documentation about it.
        tags: further words to find it by.
        help: paragraphs on what it does; the first is a summary.
        options: what it takes; what it writes comes last.
    """

    name: str
    title: str
    group: str
    page: str
    tags: tuple[str, ...]
    help: tuple[str, ...]
    options: tuple[Option, ...]

    @property
    def url(self) -> str:
        """The page of the documentation about it."""
        return f"{DOCUMENTATION}/how-to/{self.page}.md"

    def option(self, name: str) -> Option:
        """An option by its name."""
        return next(option for option in self.options if option.name == name)


@dataclass(frozen=True)
class Description:
    """What `commands.json` holds.

    Attributes:
        version: the version of s2fin that it describes.
        raster_suffixes, vector_suffixes: of what s2fin writes, without dots; the usual one first.
        commands: in the order of the toolbox.
    """

    version: str
    raster_suffixes: tuple[str, ...]
    vector_suffixes: tuple[str, ...]
    commands: tuple[Command, ...]

    @classmethod
    def read(cls, path: Path = FILE) -> Description:
        """The description in a file."""
        with path.open(encoding="utf-8") as file:
            found = json.load(file)
        commands = found.pop("commands")
        return cls(**_with_tuples(found), commands=tuple(_command(command) for command in commands))

    @property
    def titles(self) -> dict[str, str]:
        """The names of the algorithms in the toolbox, by those of their commands."""
        return {command.name: command.title for command in self.commands}

    def command(self, name: str) -> Command:
        """A command by its name."""
        return next(command for command in self.commands if command.name == name)


def _command(found: dict[str, Any]) -> Command:
    options = tuple(Option(**_with_tuples(option)) for option in found.pop("options"))
    return Command(**_with_tuples(found), options=options)


def _with_tuples(found: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in found.items()}
