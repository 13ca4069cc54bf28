"""Options in messages: Python names in the library, flags on the command line."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from s2fin_cli.cli.main import cli
from s2fin_cli.cli.messages import with_flags

ROOT = Path(__file__).parents[2] / "s2fin_cli"


@pytest.mark.parametrize(
    ("command", "message", "shown"),
    [
        ("train", "name it with `label_field`", "name it with --label-field"),
        ("train", "`patch_size` is 4; it must be odd", "--patch-size is 4; it must be odd"),
        ("train", 'use `device="cpu"` or a smaller `batch_size`', "use --device cpu or a smaller --batch-size"),
        ("train", '`nodata="lidar:-9999"`', "--nodata lidar:-9999"),
        ("train", "`nodata='none'`", "--nodata none"),
        ("classify", '`prior="bare soil=5"`', "--prior 'bare soil=5'"),
        ("classify", "which `vector=False` turns off", "which --no-vector turns off"),
        ("classify", "use `overwrite=True`", "use --overwrite"),
        ("evaluate", "`classes` is an option of other commands", "classes is an option of other commands"),
        ("demo", 'a smaller `batch_size` or `device="cpu"`', 'a smaller batch_size or device="cpu"'),
        ("convert", "`src` is an argument", "SRC is an argument"),
        ("train", "`a file.tif` and `x-1`, a lone ` stays", "`a file.tif` and `x-1`, a lone ` stays"),
        ("train", "nothing to do", "nothing to do"),
    ],
)
def test_options_are_shown_as_flags(command: str, message: str, shown: str) -> None:
    assert with_flags(message, cli.commands[command].params) == shown


def strings(path: Path) -> Iterator[str]:
    """The texts in a module, docstrings apart."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    bodies = [node.body for node in ast.walk(tree) if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)]
    docstrings = {id(body[0].value) for body in bodies if body and isinstance(body[0], ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.value


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_the_library_names_no_flag(path: Path) -> None:
    flags = {flag for command in cli.commands.values() for parameter in command.params for flag in parameter.opts}
    if path.relative_to(ROOT).parts[0] == "cli":
        return
    for text in strings(path):
        assert not flags & set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", text)), text
