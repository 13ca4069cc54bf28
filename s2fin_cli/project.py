"""The project file `s2fin.toml`: inputs and options that need not be typed again."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from s2fin_cli.config import nearest_name
from s2fin_cli.errors import UsageError
from s2fin_cli.options import FilePath

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_PROJECT = "s2fin.toml"
#: Parameters that say how a single call is to answer, not what a project is.
NOT_IN_PROJECT = ("as_json", "quiet", "verbose", "help", "version", "config")


def read_defaults(src_path: Path, commands: Mapping[str, click.Command]) -> dict[str, dict[str, Any]]:
    """Defaults of the commands' options from a project file.

    Keys at the top hold for every command that has such an option; those in a table named like a command hold for it
    alone and come first.

    Args:
        src_path: the project file.
        commands: the commands by name.

    Returns:
        by command, values by parameter name; paths relative to the file's folder.

    Raises:
        UsageError: the file cannot be read, or holds a key that no option has, or a value of the wrong type.
    """
    try:
        values = tomllib.loads(src_path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the project file {src_path} cannot be read ({error})") from error
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"the project file {src_path} is not valid TOML: {error}") from error
    parameters = {name: _parameters(command) for name, command in commands.items()}
    options = {key for known in parameters.values() for key in known}
    # NOTE: "split" is a command and an option of another one.
    tables = {
        name: table
        for name, table in values.items()
        if name in parameters and (isinstance(table, dict) or name not in options)
    }
    common = {key: value for key, value in values.items() if key not in tables}
    for name, table in tables.items():
        if not isinstance(table, dict):
            raise UsageError(f"{src_path}: {name!r} is a command; write its options below a line [{name}]")
    every_name = sorted(options | set(parameters))
    _check_keys(common, every_name, where=str(src_path))
    defaults = {}
    for name, known in parameters.items():
        own, where = tables.get(name, {}), f"{src_path}, table [{name}]"
        _check_keys(own, sorted(known), where=where)
        shared = {key: value for key, value in common.items() if _to_name(key) in known}
        defaults[name] = {
            **_values(shared, known, folder=src_path.parent, where=str(src_path)),
            **_values(own, known, folder=src_path.parent, where=where),
        }
    return defaults


def _parameters(command: click.Command) -> dict[str, click.Option]:
    """A command's options by the name that a user knows them by."""
    options = [p for p in command.params if isinstance(p, click.Option) and p.name not in NOT_IN_PROJECT]
    return {_to_name(max(option.opts, key=len).lstrip("-")): option for option in options}


def _check_keys(values: Mapping[str, Any], known: list[str], *, where: str) -> None:
    for key in values:
        if _to_name(key) not in known:
            raise UsageError(f"{where}: unknown key {key!r}; {nearest_name(_to_name(key), known)}")


def _values(given: Mapping[str, Any], known: Mapping[str, click.Option], *, folder: Path, where: str) -> dict[str, Any]:
    """Values by parameter name, each of the type that its option takes."""
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


def _value(value: Any, parameter: click.Option, folder: Path, *, where: str) -> Any:
    kinds, requirement = _TYPES.get(type(parameter.type), ((str,), 'a text in quotes, "..."'))
    # NOTE: to Python true and false are numbers too.
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        raise UsageError(f"{where} is {value!r}; it must be {requirement}{', or a list' * parameter.multiple}")
    return _resolve(value, parameter, folder)


#: What a value in a file must be by the type of its option, texts apart.
_TYPES: dict[type, tuple[tuple[type, ...], str]] = {
    type(click.BOOL): ((bool,), "true or false"),
    type(click.INT): ((int,), "a whole number"),
    type(click.FLOAT): ((int, float), "a number"),
}


def _to_name(key: str) -> str:
    return key.replace("-", "_")


def _resolve(value: Any, parameter: click.Option, folder: Path) -> Any:
    """A path in a project file is relative to it; GDAL's names of datasets are left alone."""
    if not isinstance(parameter.type, FilePath):
        return value
    # NOTE: a single letter before the colon is a drive of Windows.
    is_dataset_name = re.match(r"/vsi|[a-z][a-z0-9+._-]*://|[a-z]\w+:", value, re.IGNORECASE | re.ASCII)
    return value if is_dataset_name else str(folder / value)
