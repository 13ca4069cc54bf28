"""The project file `s2fin.toml`: inputs and options that need not be typed again."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from s2fin_cli.config import nearest_name
from s2fin_cli.errors import UsageError
from s2fin_cli.options import FilePath

if TYPE_CHECKING:
    from collections.abc import Mapping

    import click

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
        UsageError: the file cannot be read, or holds a key that no option has.
    """
    try:
        values = tomllib.loads(src_path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the project file {src_path} cannot be read ({error})") from error
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"the project file {src_path} is not valid TOML: {error}") from error
    parameters = {name: _parameters(command) for name, command in commands.items()}
    tables = {name: table for name, table in values.items() if name in parameters}
    common = {key: value for key, value in values.items() if key not in tables}
    for name, table in tables.items():
        if not isinstance(table, dict):
            raise UsageError(f"{src_path}: {name!r} is a command; write its options below a line [{name}]")
    every_name = sorted({key for known in parameters.values() for key in known} | set(parameters))
    _check_keys(common, every_name, where=str(src_path))
    defaults = {}
    for name, known in parameters.items():
        own = tables.get(name, {})
        _check_keys(own, sorted(known), where=f"{src_path}, table [{name}]")
        merged = {_to_name(key): value for key, value in {**common, **own}.items()}
        defaults[name] = {
            str(known[key].name): _resolve(value, known[key], src_path.parent)
            for key, value in merged.items()
            if key in known
        }
    return defaults


def _parameters(command: click.Command) -> dict[str, click.Parameter]:
    """A command's options by the name that a user knows them by."""
    options = [p for p in command.params if p.param_type_name == "option" and p.name not in NOT_IN_PROJECT]
    return {_to_name(max(option.opts, key=len).lstrip("-")): option for option in options}


def _check_keys(values: Mapping[str, Any], known: list[str], *, where: str) -> None:
    for key in values:
        if _to_name(key) not in known:
            raise UsageError(f"{where}: unknown key {key!r}; {nearest_name(_to_name(key), known)}")


def _to_name(key: str) -> str:
    return key.replace("-", "_")


def _resolve(value: Any, parameter: click.Parameter, folder: Path) -> Any:
    """A path in a project file is relative to it; GDAL's names of datasets are left alone."""
    if not isinstance(parameter.type, FilePath) or not isinstance(value, str):
        return value
    return value if value.startswith("/vsi") or ":" in value else str(folder / value)
