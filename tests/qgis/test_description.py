"""The description of the commands that the plugin comes with, against the command line."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest

from qgis_plugin import describe
from qgis_plugin.s2fin.command_line import command_line
from qgis_plugin.s2fin.commands import Description
from s2fin_cli.cli.main import cli
from s2fin_cli.core.errors import UsageError
from s2fin_cli.core.options import Options
from s2fin_cli.core.version import __version__
from s2fin_cli.workflows.options.classify import ClassifyOptions
from s2fin_cli.workflows.options.compare import CompareOptions
from s2fin_cli.workflows.options.sample import SampleOptions
from s2fin_cli.workflows.options.split import SplitOptions
from s2fin_cli.workflows.options.suggest import SuggestOptions
from s2fin_cli.workflows.options.train import TrainOptions

ROOT = Path(__file__).parents[2]
PLUGIN = ROOT / "qgis_plugin" / "s2fin"
DESCRIPTION = Description.read()


def test_the_description_and_the_version_are_those_of_the_command_line() -> None:
    for path, text in describe.written().items():
        assert path.read_text(encoding="utf-8") == text, (
            f"{path.name} has drifted from the commands; run python -m qgis_plugin.describe"
        )
    assert DESCRIPTION.version == __version__


def test_an_option_that_nobody_described_is_refused_by_its_name() -> None:
    command = click.Command("train", params=[*cli.commands["train"].params, click.Option(["--depth"], type=int)])
    with pytest.raises(describe.DriftError, match=r"s2fin train has an option, 'depth', that qgis_plugin/shown\.py"):
        describe.description({**cli.commands, "train": command})


def test_an_option_of_another_kind_is_refused() -> None:
    changed = [
        click.Option(["--label-field"], type=int) if each.name == "label_field" else each
        for each in cli.commands["train"].params
    ]
    with pytest.raises(describe.DriftError, match=r"takes 'int' for 'label_field', and .* has the kind 'field'"):
        describe.description({**cli.commands, "train": click.Command("train", params=changed)})


def test_what_is_gone_from_the_command_line_is_refused() -> None:
    fewer = [each for each in cli.commands["train"].params if each.name != "batch_size"]
    train = click.Command("train", params=fewer, help=cli.commands["train"].help)
    with pytest.raises(describe.DriftError, match=r"no option or text of s2fin needs .*\['batch_size'\]"):
        describe.description({**cli.commands, "train": train})
    with pytest.raises(describe.DriftError, match=r"of qgis_plugin/shown\.py alone: \['more'\]"):
        describe.description({**cli.commands, "more": cli.commands["train"]})


def test_a_text_that_names_a_flag_is_refused() -> None:
    changed = [
        click.Option(["--seed"], default=0, help="See --epochs.") if each.name == "seed" else each
        for each in cli.commands["train"].params
    ]
    train = click.Command("train", params=changed, help=cli.commands["train"].help)
    with pytest.raises(describe.DriftError, match=r"a text for QGIS names the option --epochs"):
        describe.description({**cli.commands, "train": train})


def test_check_fails_without_writing_where_something_drifted(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "qgis_plugin.describe", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    description, metadata = tmp_path / "commands.json", tmp_path / "metadata.txt"
    description.write_text(describe.DESCRIPTION.read_text(encoding="utf-8").replace("train", "drain"), encoding="utf-8")
    metadata.write_text("version=0.0.1\nname=s2fin\n")
    before = description.read_bytes()
    assert describe.main(["--check"], folder=tmp_path) == 1
    assert description.read_bytes() == before
    assert describe.main([], folder=tmp_path) == 0
    assert describe.main(["--check"], folder=tmp_path) == 0
    assert metadata.read_text() == f"version={__version__}\nname=s2fin\n"


@pytest.mark.parametrize("command", DESCRIPTION.commands, ids=lambda command: command.name)
def test_every_command_leads_to_a_page_of_the_documentation(command: object) -> None:
    page = getattr(command, "page", "")
    assert (ROOT / "docs" / "how-to" / f"{page}.md").is_file()


def test_a_default_is_within_its_limits() -> None:
    for command in DESCRIPTION.commands:
        for option in command.options:
            if option.default is not None and option.minimum is not None:
                assert option.minimum <= option.default <= (option.maximum or option.default), option


#: What the options of a command need besides the one in question.
NEEDED: dict[type[Options], dict[str, Any]] = {
    TrainOptions: {"hsi": "a.tif", "labels": "a.gpkg"},
    ClassifyOptions: {"hsi": "a.tif", "output": "m.tif", "work": "."},
    SuggestOptions: {"hsi": "a.tif", "labels": "a.gpkg", "output": "p.gpkg"},
    SampleOptions: {"map": "m.tif", "output": "p.gpkg"},
    CompareOptions: {"before": "m.tif", "after": "n.tif", "output": "c.tif"},
    SplitOptions: {"labels": "a.gpkg", "like": "a.tif", "train": "b.tif", "test": "c.tif"},
}


@pytest.mark.parametrize("options", NEEDED, ids=lambda options: options.__name__)
def test_a_number_beyond_the_limits_of_a_dialog_is_one_that_the_command_refuses(options: type[Options]) -> None:
    command = DESCRIPTION.command(options.__name__.removesuffix("Options").lower())
    numbers = [option for option in command.options if option.kind in ("int", "float", "distance")]
    assert numbers
    for option in numbers:
        assert option.minimum is not None, f"{option.name} has no limit in qgis_plugin/shown.py"
        step = 1 if option.kind == "int" else 0.01
        whole = int if option.kind == "int" else float
        for limit, beyond in ((option.minimum, -step), (option.maximum, step)):
            if limit is not None:
                with pytest.raises(UsageError, match=f"`{option.name}` is "):
                    options.from_kwargs({**NEEDED[options], option.name: whole(limit + beyond)})


def test_every_command_with_numbers_is_tested_so() -> None:
    tested = {options.__name__.removesuffix("Options").lower() for options in NEEDED}
    kinds = {command.name: {option.kind for option in command.options} for command in DESCRIPTION.commands}
    assert {name for name, found in kinds.items() if found & {"int", "float", "distance"}} == tested


def test_no_text_of_the_dialogs_speaks_of_flags_or_of_typing() -> None:
    data = json.loads(describe.DESCRIPTION.read_text(encoding="utf-8"))
    texts = [text for command in data["commands"] for text in command["help"]]
    texts += [option[key] for command in data["commands"] for option in command["options"] for key in ("help", "title")]
    assert len(texts) > 200
    assert not [text for text in texts if re.search(r"(^|\s)--?[a-z]|s2fin [a-z]|repeat", text)]


@pytest.mark.parametrize("path", sorted(PLUGIN.glob("*.py")), ids=lambda path: path.name)
def test_the_plugin_is_python_39_and_imports_only_what_qgis_has(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 9))
    roots = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            roots |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            roots.add(str(node.module).split(".")[0])
    assert roots <= {*sys.stdlib_module_names, "qgis", "osgeo", "processing"} - {"tomllib"}  # new in 3.11
    assert any(isinstance(node, ast.ImportFrom) and node.module == "__future__" for node in ast.walk(tree))


def test_whatever_s2fin_writes_for_a_map_can_be_loaded() -> None:
    tree = ast.parse((PLUGIN / "results.py").read_text(encoding="utf-8"))
    values = {ast.unparse(node.targets[0]): node.value for node in tree.body if isinstance(node, ast.Assign)}
    loaded = ast.literal_eval(values["LAYERS"])
    assert {*loaded} == {f".{suffix}" for suffix in (*DESCRIPTION.raster_suffixes, *DESCRIPTION.vector_suffixes)}


def test_the_command_line_of_a_description_is_one_that_click_takes() -> None:
    """Every option, given once, is understood by the command, and has the value that was given."""
    samples = {
        "raster": "a.tif", "rasters": ["a.tif", "b.tif"], "vector": "a.gpkg", "labels": ["a.gpkg"], "field": "class",
        "extent": ["-1.5", "-2", "3", "4"], "distance": 2.5, "bool": None, "texts": ["1..3", "-5"], "text": "-x",
        "raster_out": "c.tif", "vector_out": "c.gpkg", "file_out": "c.html", "file": "m.s2fin", "folder": "work",
    }  # fmt: skip
    for command in DESCRIPTION.commands:
        values: dict[str, Any] = {}
        for option in command.options:
            value = samples.get(option.kind)
            if option.kind == "bool":
                value = not option.command_default
            elif option.kind == "enum":
                value = next(choice for choice in option.choices if choice != option.default)
            elif option.kind in ("int", "float"):
                value = (option.default or 16) + 1
            values[option.name] = value
        _, *arguments = command_line(command, values)
        context = cli.commands[command.name].make_context(command.name, arguments)
        for name, value in values.items():
            expected = tuple(value) if isinstance(value, list) else value
            if command.option(name).kind == "extent":
                expected = tuple(float(edge) for edge in value)
            assert context.params[name] == expected, (command.name, name)
