"""README's commands: every one that is shown exists, with the options that are shown."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

import pytest

from s2fin_cli.cli.main import cli
from s2fin_cli.cli.project import read_defaults

ROOT = Path(__file__).parent.parent
DOCUMENTS = ("README.md", "examples/olinda/README.md")


def shown_commands(document: str) -> list[list[str]]:
    text = (ROOT / document).read_text(encoding="utf-8")
    blocks = re.findall(r"```(?:sh|bash)?\n(.*?)```", text, re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("s2fin ")]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_shown_commands_parse(document: str) -> None:
    commands = shown_commands(document)
    assert commands
    for name, *arguments in commands:
        command = cli.commands[name]
        with command.make_context(name, arguments):  # raises for an unknown option or a missing one
            pass


def test_two_lines_of_the_card_are_shown() -> None:
    shown = [" ".join(words) for words in shown_commands("README.md")]
    assert "train --hsi a.tif --lidar b.tif --labels gt.shp" in shown
    assert "classify --hsi a.tif --lidar b.tif -o map.tif" in shown


def test_shown_project_file_is_valid(tmp_path: Path) -> None:
    (block,) = re.findall(r"```toml\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert tomllib.loads(block)
    path = tmp_path / "s2fin.toml"
    path.write_text(block, encoding="utf-8")
    defaults = read_defaults(path, cli.commands)
    assert defaults["train"].runs[0]["epochs"] == 20
    assert defaults["classify"].runs[0]["hsi"] == [str(tmp_path / "images" / "a.tif")]


@pytest.mark.parametrize(
    "document",
    [
        "README.md",
        "CONTRIBUTING.md",
        "docs/architecture.md",
        "docs/network.md",
        "docs/benchmarks.md",
        "examples/benchmarks/README.md",
    ],
)
def test_links_lead_somewhere(document: str) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?://)([^)#]+)", text):
        assert ((ROOT / document).parent / target).exists(), target
