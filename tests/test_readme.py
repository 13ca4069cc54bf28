"""The documentation: shown commands exist with their options, and links within the repository work."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

import click
import pytest

from s2fin_cli.cli.main import cli
from s2fin_cli.cli.project import read_defaults
from tests.test_imports import ORDER

ROOT = Path(__file__).parent.parent
REPOSITORY = "https://github.com/s2fin/s2fin"
DOCUMENTS = sorted(
    str(path.relative_to(ROOT))
    for folder in (".", "docs", "examples", ".github")
    for path in (ROOT / folder).glob("*.md" if folder == "." else "**/*.md")
)
PROJECT_FILES = ("docs/how-to/project-file.md", "docs/reference/project-file.md")


def text_of(document: str) -> str:
    return (ROOT / document).read_text(encoding="utf-8")


def shown_commands(document: str) -> list[list[str]]:
    blocks = re.findall(r"^ *```(.*?)\n(.*?)^ *```$", text_of(document), re.DOTALL | re.MULTILINE)
    lines = (
        "\n".join(block for language, block in blocks if language in ("", "sh", "bash"))
        .replace("\\\n", " ")
        .splitlines()
    )
    # NOTE: to a shell, # begins a comment only at the beginning of a word
    return [shlex.split(re.sub(r"(^|\s)#.*", "", line))[1:] for line in lines if re.match(r" *s2fin (?!-)", line)]


def shown_projects(document: str) -> list[str]:
    return re.findall(r"```toml\n(.*?)```", text_of(document), re.DOTALL)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_shown_command_is_found(document: str) -> None:
    """None escapes the tests of commands because of how its block is marked."""
    lines = re.findall(rf"^ *s2fin (?:{'|'.join(cli.commands)})\b", text_of(document), re.MULTILINE)
    assert len(shown_commands(document)) == len(lines)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_shown_options_without_a_command_exist(document: str) -> None:
    shown = set(re.findall(r"(?:^ *|`)s2fin (--[\w-]+)", text_of(document), re.MULTILINE))
    known = {name for option in cli.get_params(click.Context(cli, **cli.context_settings)) for name in option.opts}
    assert shown <= known


def test_documents_show_commands() -> None:
    shown = {document for document in DOCUMENTS if shown_commands(document)}
    assert {"README.md", "docs/index.md", "docs/getting-started.md", "examples/olinda/README.md"} <= shown
    assert {
        "docs/how-to/train.md",
        "docs/how-to/classify.md",
        "docs/how-to/labels.md",
        "docs/how-to/export.md",
    } <= shown
    assert {name for document in shown for name, *_ in shown_commands(document)} >= set(cli.commands) - {"demo"}


def test_documents_are_found() -> None:
    assert {"README.md", "docs/index.md", "docs/how-to/train.md", "examples/olinda/README.md"} <= set(DOCUMENTS)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_shown_commands_parse(document: str) -> None:
    in_project = document in {
        "docs/how-to/matlab.md",
        "examples/benchmarks/README.md",
    }  # shows commands whose options stand in a project file
    parent = click.Context(cli, **cli.context_settings)
    for name, *arguments in shown_commands(document):
        command = cli.commands[name]
        # without parsing leniently it raises for an unknown option or a missing one
        with command.make_context(name, arguments, parent, resilient_parsing=in_project and not arguments):
            pass


@pytest.mark.parametrize("document", ["README.md", "docs/index.md", "docs/getting-started.md"])
def test_two_lines_are_shown_as_they_are(document: str) -> None:
    shown = [" ".join(words) for words in shown_commands(document)]
    assert "train --hsi a.tif --lidar b.tif --labels gt.shp" in shown
    assert "classify --hsi a.tif --lidar b.tif -o map.tif" in shown


def test_readme_is_short() -> None:
    assert len(text_of("README.md").splitlines()) <= 120


@pytest.mark.parametrize("document", PROJECT_FILES)
def test_shown_project_files_are_valid(document: str, tmp_path: Path) -> None:
    blocks = shown_projects(document)
    assert blocks
    for block in blocks:
        assert tomllib.loads(block)
        path = tmp_path / "s2fin.toml"
        path.write_text(block, encoding="utf-8")
        assert read_defaults(path, cli.commands)


def test_shown_project_file_means_what_is_said(tmp_path: Path) -> None:
    (block,) = shown_projects("docs/how-to/project-file.md")
    path = tmp_path / "s2fin.toml"
    path.write_text(block, encoding="utf-8")
    defaults = read_defaults(path, cli.commands)
    assert defaults["train"].runs[0]["epochs"] == 20
    assert defaults["classify"].runs[0]["hsi"] == [str(tmp_path / "images" / "a.tif")]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_somewhere(document: str) -> None:
    for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", text_of(document)):
        assert ((ROOT / document).parent / target).exists(), target


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_to_the_repository_lead_somewhere(document: str) -> None:
    for target in re.findall(rf"{REPOSITORY}/(?:blob|tree)/main/([^)#\s]+)", text_of(document)):
        assert (ROOT / target).exists(), target


@pytest.mark.parametrize("document", DOCUMENTS)
def test_named_sources_exist(document: str) -> None:
    for path in re.findall(r"(?<![\w/])(?:s2fin_cli|models|benchmarks|tests)/[\w/]+\.py\b", text_of(document)):
        assert (ROOT / path).exists(), path


def test_the_architecture_names_the_packages_in_order_and_modules_that_exist() -> None:
    text = text_of("docs/architecture.md")
    assert re.findall(r"^\| `(\w+)/` \|", text, re.MULTILINE) == list(ORDER)
    for path in re.findall(rf"`((?:{'|'.join(ORDER)})/[\w/]+\.py)`", text):
        assert (ROOT / "s2fin_cli" / path).exists(), path


@pytest.mark.parametrize("folder", ["vector", "labels"])
def test_the_architecture_has_all_modules_of_folders_with_many(folder: str) -> None:
    _, table = text_of("docs/architecture.md").split(f"### Inside `{folder}/`\n")
    named = set(re.findall(rf"`{folder}/(\w+)\.py`", re.split(r"^#", table, flags=re.MULTILINE)[0]))
    assert named == {path.stem for path in (ROOT / "s2fin_cli" / folder).glob("[!_]*.py")}


def test_metadata_name_the_repository_that_documents_link_to() -> None:
    project = tomllib.loads(text_of("pyproject.toml"))["project"]
    assert project["urls"]["Repository"] == REPOSITORY
    assert f"repo_url: {REPOSITORY}\n" in text_of("mkdocs.yml")


def test_changelog_has_the_released_version() -> None:
    citation = re.search(r"^version: (\S+)\ndate-released: (\S+)$", text_of("CITATION.cff"), re.MULTILINE)
    assert citation
    assert f"## [{citation[1]}] - {citation[2]}\n" in text_of("CHANGELOG.md")
