"""Tests and benchmarks replace only what is outside of this project; what they change of ours is a parameter."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
SOURCES = sorted((*ROOT.glob("tests/**/*.py"), *ROOT.glob("benchmarks/**/*.py")))
OURS = {"s2fin_cli", "s2fin", "tests", "benchmarks", *(path.stem for path in ROOT.glob("benchmarks/*.py"))}
#: Functions that replace something: Python's own, and those of pytest's and unittest's patches.
BUILTIN = {"setattr", "delattr"}
REPLACING = {*BUILTIN, "setitem", "delitem", "patch", "object", "multiple", "dict"}


def origins(tree: ast.Module) -> dict[str, str]:
    """The module that each imported name comes from."""
    found: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.asname or alias.name.partition(".")[0]: alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    return found


def root_of(node: ast.expr) -> str | None:
    """The name that an expression such as `a.b[0].c` starts with."""
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return node.id if isinstance(node, ast.Name) else None


def replaced(call: ast.Call) -> ast.expr | None:
    """What a call such as `monkeypatch.setattr(target, ...)` or `mock.patch.object(target, ...)` changes."""
    function = ast.unparse(call.func)
    last = function.rpartition(".")[2]
    is_patch = "patch" in function and last in REPLACING
    return call.args[0] if call.args and (is_patch or function in BUILTIN) else None


def origin_of(target: ast.expr, imported: dict[str, str]) -> str | None:
    """The dotted name of what is replaced, or None if it is no imported name."""
    if isinstance(target, ast.Constant | ast.JoinedStr):
        return ast.unparse(target).strip("f'\"")
    return imported.get(root_of(target) or "")


def assigned(node: ast.AST) -> list[ast.Attribute]:
    """Attributes that a statement assigns to."""
    places = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AugAssign) else []
    return [place for place in places if isinstance(place, ast.Attribute)]


def is_ours(origin: str) -> bool:
    return origin.partition(".")[0] in OURS


def patches(text: str) -> Iterator[str]:
    """Expressions that a source replaces and that are not imported from outside."""
    tree = ast.parse(text)
    imported = origins(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and (target := replaced(node)) is not None:
            # a name without an import is taken as ours, except in a plain setattr, which mostly fills an object of the
            # test
            unknown = "." if ast.unparse(node.func) in BUILTIN else "s2fin_cli"
            if is_ours(origin_of(target, imported) or unknown):
                yield f"{ast.unparse(node.func)}({ast.unparse(target)})"
        yield from (ast.unparse(place) for place in assigned(node) if is_ours(origin_of(place, imported) or ""))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_nothing_of_ours_is_replaced(path: Path) -> None:
    assert not list(patches(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    "change",
    [
        "monkeypatch.setattr(loop, 'STEPS', 1)",
        "monkeypatch.setattr(loop.Run, 'train', None)",
        "monkeypatch.setattr('s2fin_cli.training.loop.STEPS', 1)",
        "monkeypatch.setattr(f's2fin_cli.training.{name}', 1)",
        "monkeypatch.setattr(network, 'forward', None)",
        "monkeypatch.setitem(loop.TABLE, 'a', 1)",
        "mock.patch.object(loop, 'STEPS')",
        "mock.patch('s2fin.network.S2Fin')",
        "mock.patch.multiple(loop, STEPS=1)",
        "patch.setattr(loop, 'STEPS', 1)",
        "setattr(loop, 'STEPS', 1)",
        "loop.STEPS = 1",
    ],
)
def test_each_way_to_replace_something_is_seen(change: str) -> None:
    assert list(patches(f"from s2fin_cli.training import loop\n{change}\n"))


@pytest.mark.parametrize(
    "change",
    [
        "monkeypatch.setattr(os, 'replace', None)",
        "monkeypatch.setattr('importlib.util.find_spec', None)",
        "monkeypatch.setattr(torch.cuda, 'stream', None)",
        "monkeypatch.setenv('A', 'b')",
        "result.value = 1",
    ],
)
def test_what_is_outside_may_be_replaced(change: str) -> None:
    assert not list(patches(f"import os, torch\n{change}\n"))
