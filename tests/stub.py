"""Writes `s2fin_cli/__init__.pyi`, by which editors and type checkers know the Python API: `python -m tests.stub`."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import s2fin_cli
from s2fin_cli.workflows.functions import FUNCTIONS, docstring_of, signature_of

PATH = Path(s2fin_cli.__file__).with_suffix(".pyi")

HEADER = '''"""{doc}"""

# Written by `python -m tests.stub` from s2fin_cli/workflows/functions.py; do not edit.

from collections.abc import Sequence

from xarray import Dataset

from s2fin_cli.core.options import StrPath
from s2fin_cli.core.progress import Progress, Stop
{results}

__all__ = [
{names}
]

__version__: str
'''


def make_stub() -> str:
    """The text of the stub, as ruff formats it."""
    names = sorted(["__version__", *FUNCTIONS])
    ours = sorted(name for name, function in FUNCTIONS.items() if function.gives is None)
    types = [f"from s2fin_cli.workflows.{name} import {FUNCTIONS[name].result}" for name in ours]
    types.append("from s2fin_cli.workflows.in_memory import Features, Image, Labels")
    header = HEADER.format(
        doc=s2fin_cli.__doc__, results="\n".join(sorted(types)), names="\n".join(f'    "{name}",' for name in names)
    )
    return "\n".join([header, *(_function(name) for name in sorted(FUNCTIONS))])


def _function(name: str) -> str:
    command = FUNCTIONS[name]
    parameters = [
        f"    {parameter.name}: {parameter.annotation}{_default(parameter.default)},"
        for parameter in signature_of(command).parameters.values()
    ]
    lines = [f"def {name}(", "    *,", *parameters, f") -> {command.result}:", f'    """{docstring_of(command)}"""', ""]
    return "\n".join(lines)


def _default(value: Any) -> str:
    if value is inspect.Parameter.empty:
        return ""
    return f" = {json.dumps(value) if isinstance(value, str) else repr(value)}"


if __name__ == "__main__":
    PATH.write_text(make_stub(), encoding="utf-8")
