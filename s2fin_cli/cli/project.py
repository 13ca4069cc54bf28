"""The project file `s2fin.toml`: inputs and options that need not be typed again."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from s2fin_cli.cli.parameters import FilePath
from s2fin_cli.core.checks import nearest_name
from s2fin_cli.core.errors import UsageError, describe_missing
from s2fin_cli.core.modality import MODALITIES
from s2fin_cli.core.names import in_folder

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_PROJECT = "s2fin.toml"
#: Characters of a project file, at most, and a key of too many parts.
MOST_CHARACTERS = 1_000_000
_DEEP_KEY = re.compile(r"(?:\s*\.\s*[\w-]+){200}")
#: Parameters of a single call, which do not describe a project.
NOT_IN_PROJECT = ("as_json", "quiet", "verbose", "help", "version", "config")
#: Options that the keys at the top do not set, by command: they describe a scene, and align takes any two images.
OWN_KEYS = {"align": (*MODALITIES, "bidx", "nodata")}


@dataclass(frozen=True)
class Defaults:
    """The defaults of a command from a project file.

    Attributes:
        shared: values by parameter name from the keys at the top; paths relative to the file's folder.
        runs: the shared values with those of one of the command's own tables, for each such table; one entry where it
            has none.
    """

    shared: dict[str, Any]
    runs: list[dict[str, Any]]


def read_defaults(src_path: Path, commands: Mapping[str, click.Command]) -> dict[str, Defaults]:
    """Defaults of the commands' options and arguments from a project file.

    Keys at the top apply to every command that has such an option, except `OWN_KEYS`; keys in a table named after a
    command apply to it alone and override the others. Each of several tables for one command, `[[convert]]`, is a run
    of it.

    Args:
        src_path: the project file.
        commands: the commands by name.

    Returns:
        the defaults by command.

    Raises:
        UsageError: the file cannot be read, or it holds a key that no option has, or a value of the wrong type.
    """
    values = _read_toml(src_path)
    parameters = {name: _parameters(command) for name, command in commands.items()}
    every_name = sorted({key for known in parameters.values() for key in known} | set(parameters))
    tables = {name: _tables(values[name]) for name in parameters if name in values}
    # NOTE: "split" is a command and an option of another one.
    own = {name: found for name, found in tables.items() if found is not None}
    common = {key: value for key, value in values.items() if key not in own}
    for key in common:
        if key in parameters and not any(key in known for known in parameters.values()):
            raise UsageError(f"{src_path}: {key!r} is a command; write its options below a line [{key}]")
    _check_keys(common, every_name, where=str(src_path))
    defaults = {}
    for name, known in parameters.items():
        shareable = known.keys() - OWN_KEYS.get(name, ())
        given = {key: value for key, value in common.items() if _to_name(key) in shareable}
        shared = _values(given, known, folder=src_path.parent, where=str(src_path))
        runs, found = [], own.get(name, [{}])
        for number, table in enumerate(found, start=1):
            which = f"table [{name}]" if len(found) == 1 else numbered_table(name, number)
            where = f"{src_path}, {which}"
            _check_keys(table, sorted(known), where=where)
            runs.append(shared | _values(table, known, folder=src_path.parent, where=where))
        defaults[name] = Defaults(shared, runs)
    return defaults


def _read_toml(src_path: Path) -> dict[str, Any]:
    try:
        text = src_path.read_text(encoding="utf-8-sig")
        if len(text) > MOST_CHARACTERS or _DEEP_KEY.search(text):  # which would take Python gigabytes
            raise ValueError(f"it has more than {MOST_CHARACTERS} characters, or keys of hundreds of parts")
        return tomllib.loads(text)
    except FileNotFoundError as error:
        raise UsageError(f"the project file {describe_missing(src_path)}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the project file {src_path} cannot be read ({error})") from error
    except tomllib.TOMLDecodeError as error:
        raise UsageError(
            f'the project file {src_path} is not valid TOML: {error}; text must be in quotes: name = "..."'
        ) from error
    except (ValueError, RecursionError) as error:  # a number or a nesting that Python does not read
        raise UsageError(f"the project file {src_path} cannot be read ({error}); shorten it") from error


def numbered_table(command: str, number: int) -> str:
    """One of several tables of a command, counted from 1, for messages."""
    return f"table {number} of [[{command}]]"


def _tables(value: Any) -> list[dict[str, Any]] | None:
    """The tables that a value consists of, None for another kind of value."""
    tables = value if isinstance(value, list) else [value]
    return tables if tables and all(isinstance(table, dict) for table in tables) else None


def _parameters(command: click.Command) -> dict[str, click.Parameter]:
    """A command's options and arguments by the names that users know."""
    known = [parameter for parameter in command.params if parameter.name not in NOT_IN_PROJECT]
    return {_to_name(max(parameter.opts, key=len).lstrip("-")): parameter for parameter in known}


def _check_keys(values: Mapping[str, Any], known: list[str], *, where: str) -> None:
    for key in values:
        if _to_name(key) not in known:
            raise UsageError(f"{where}: unknown key {key!r}; {nearest_name(_to_name(key), known)}")


def _values(
    given: Mapping[str, Any], known: Mapping[str, click.Parameter], *, folder: Path, where: str
) -> dict[str, Any]:
    """Values by parameter name, each of the type of its option."""
    values = {}
    for key, value in given.items():
        parameter = known[_to_name(key)]
        takes_list, size = parameter.multiple or parameter.nargs > 1, parameter.nargs
        if size > 1 and (not isinstance(value, list) or len(value) != size):
            raise UsageError(f"{where}: {key} is {value!r}; it must be a list of {size} numbers")
        is_list = takes_list and isinstance(value, list)
        parts = [_value(part, parameter, folder, where=f"{where}: {key}") for part in (value if is_list else [value])]
        values[str(parameter.name)] = parts if takes_list else parts[0]
    return values


def _value(value: Any, parameter: click.Parameter, folder: Path, *, where: str) -> Any:
    kinds, requirement = _TYPES.get(type(parameter.type), ((str,), 'a text in quotes, "..."'))
    # NOTE: to Python, true and false are numbers too.
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        raise UsageError(f"{where} is {value!r}; it must be {requirement}{', or a list' * parameter.multiple}")
    return _resolve(value, parameter, folder)


#: The types of values in a file by the type of the option; all others are texts.
_TYPES: dict[type, tuple[tuple[type, ...], str]] = {
    type(click.BOOL): ((bool,), "true or false"),
    type(click.INT): ((int,), "a whole number"),
    type(click.FLOAT): ((int, float), "a number"),
}


def _to_name(key: str) -> str:
    return key.replace("-", "_")


def _resolve(value: Any, parameter: click.Parameter, folder: Path) -> Any:
    """A path in a project file is relative to it; GDAL's names of datasets stay as they are."""
    return in_folder(value, folder) if isinstance(parameter.type, FilePath) else value
