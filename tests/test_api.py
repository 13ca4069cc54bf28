"""The Python API: one function a command, which editors and type checkers know."""

from __future__ import annotations

import ast
import inspect
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import xarray

import s2fin_cli
from s2fin_cli.cli.main import cli
from s2fin_cli.core.errors import UsageError
from s2fin_cli.workflows.functions import COMMANDS, FUNCTIONS
from tests.files import write_raster
from tests.stub import PATH, make_stub

if TYPE_CHECKING:
    from tests.scenes import Scene


def test_every_command_is_a_function_with_the_same_options() -> None:
    assert set(COMMANDS) == {name.replace("-", "_") for name in cli.commands}
    assert sorted(["__version__", *FUNCTIONS]) == s2fin_cli.__all__
    hidden = {"as_json", "quiet", "verbose", "help"}
    for name, command in COMMANDS.items():
        parameters = inspect.signature(getattr(s2fin_cli, name)).parameters
        options = {parameter.name for parameter in cli.commands[name.replace("_", "-")].params} - hidden
        assert options <= set(parameters)
        assert set(parameters) - options <= {hook.name for hook in command.hooks} | {"hsi", "device"}, name
        assert {parameter.kind for parameter in parameters.values()} == {inspect.Parameter.KEYWORD_ONLY}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_are_documented(name: str) -> None:
    documentation = inspect.getdoc(getattr(s2fin_cli, name)) or ""
    for parameter in inspect.signature(getattr(s2fin_cli, name)).parameters:
        assert f"    {parameter}: " in documentation


@pytest.mark.parametrize("name", FUNCTIONS)
def test_workflows_have_what_the_functions_need(name: str) -> None:
    command = FUNCTIONS[name]
    module = import_module(f"s2fin_cli.workflows.{name}")
    assert hasattr(xarray if command.gives else module, command.result)
    parameters = inspect.signature(module.run).parameters
    assert {hook.name for hook in command.hooks} <= set(parameters)


def test_the_stub_is_what_is_written_from_the_options() -> None:
    assert PATH.read_text(encoding="utf-8") == make_stub(), "write it again: python -m tests.stub"


def test_the_stub_has_the_signatures_that_functions_have() -> None:
    body = ast.parse(PATH.read_text(encoding="utf-8")).body
    functions = {node.name: node for node in body if isinstance(node, ast.FunctionDef)}
    assert list(functions) == sorted(FUNCTIONS)
    for name, node in functions.items():
        given = [argument.arg for argument in node.args.kwonlyargs]
        assert given == list(inspect.signature(getattr(s2fin_cli, name)).parameters)


def test_type_checkers_know_the_keywords(tmp_path: Path, scene: Scene) -> None:
    """What mypy refuses is marked, and it complains about marks without need, so linting checks these lines."""
    for call in (
        lambda: s2fin_cli.evaluate(map="a.tif", referense="b.tif"),  # type: ignore[call-arg]
        lambda: s2fin_cli.train(hsi="a.tif", labels="b.gpkg", epochs="3"),  # type: ignore[arg-type]
        lambda: s2fin_cli.sample(map="a.tif"),  # type: ignore[call-arg]
        lambda: s2fin_cli.predict(hsi="a.tif", output="map.tif"),  # type: ignore[call-arg]
    ):
        with pytest.raises(UsageError):
            call()
    result = s2fin_cli.inspect(src=scene.hsi)
    assert result.description["kind"] == "raster"
    labels = write_raster(tmp_path / "labels.tif", scene.truth.astype("uint8"))
    assert s2fin_cli.evaluate(map=labels, reference=labels).accuracy.overall_accuracy == 1
    parts = s2fin_cli.split(labels=labels, like=scene.hsi, train=tmp_path / "a.tif", test=tmp_path / "b.tif", seed=1)
    assert parts.train.exists()
    steps: list[str] = []
    aligned = s2fin_cli.align(
        like=scene.hsi,
        lidar=scene.lidar,
        output=tmp_path / "aligned.tif",
        progress=lambda stage, done, total, **_: steps.append(f"{stage} {done} of {total}"),
    )
    assert (aligned.valid, steps) == (1, ["aligning 1 of 1"])


def test_positional_arguments_are_refused() -> None:
    with pytest.raises(UsageError, match=r'predict takes keyword arguments: predict\(model="q\.s2fin"\)'):
        s2fin_cli.predict("q.s2fin")  # type: ignore[call-arg]
    with pytest.raises(UsageError, match=r'inspect takes keyword arguments: inspect\(src="q\.tif"\)'):
        s2fin_cli.inspect("q.tif")  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"mapp": "a.tif"}, "unknown option 'mapp'; did you mean 'map'"),
        ({"map": "a.tif"}, "`output` is missing"),
        ({"map": "a.tif", "output": "b.gpkg", "size": 0}, "`size` is 0; it must be a whole number, at least 1"),
    ],
)
def test_wrong_keywords_are_named(given: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        s2fin_cli.sample(**given)  # type: ignore[arg-type]
