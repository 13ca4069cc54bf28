"""The workflows of GitHub: what they run exists, and the release's own script does what it should."""

from __future__ import annotations

import os
import re
import subprocess
import textwrap
from pathlib import Path

import pytest

from s2fin_cli.core.version import __version__

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / ".github" / "workflows"
WORKFLOWS = sorted(FOLDER.glob("*.yml"))
pytestmark = pytest.mark.skipif(not WORKFLOWS, reason="the workflows are not in the source archive")
#: Stands in for GitHub's command: it prints what it is given.
GH = """#!/bin/sh
printf '%s\\n' "$@"
"""


def script_of(workflow: str, name: str) -> str:
    """The script of a step."""
    text = (FOLDER / workflow).read_text(encoding="utf-8")
    found = re.search(rf"- name: {re.escape(name)}.*?\n        run: \|\n((?:          .*\n|\n)+)", text, re.DOTALL)
    assert found
    return textwrap.dedent(found[1])


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_targets_exist(path: Path) -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(re.findall(r"run: make ([\w-]+)", path.read_text(encoding="utf-8"))) <= targets


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_pinned(path: Path) -> None:
    """GitHub's own to a version, all others to a hash, behind which nobody can put something else."""
    for action, version in re.findall(r"uses: ([\w.-]+/[\w./-]+)@(\S+)", path.read_text(encoding="utf-8")):
        assert re.fullmatch(r"v\d+" if action.startswith("actions/") else r"[0-9a-f]{40}", version), action


def test_only_the_release_may_sign_or_write() -> None:
    allowed = {path.name: set(re.findall(r"([\w-]+): write", path.read_text(encoding="utf-8"))) for path in WORKFLOWS}
    assert allowed.pop("release.yml") == {"id-token", "contents", "attestations"}
    assert not any(allowed.values())


@pytest.mark.parametrize("tag", [f"v{__version__}", "v99.0.0"])
def test_release_has_the_notes_of_its_version(tmp_path: Path, tag: str) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "s2fin.whl").touch()
    (tmp_path / "CHANGELOG.md").write_bytes((ROOT / "CHANGELOG.md").read_bytes())
    gh = tmp_path / "gh"
    gh.write_text(GH)
    gh.chmod(0o755)
    done = subprocess.run(
        ["bash", "-e", "-c", script_of("release.yml", "a release with the files")],
        cwd=tmp_path, capture_output=True, text=True, check=False,
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}", "GITHUB_REF_NAME": tag, "GITHUB_REPOSITORY": "s2fin/s2fin"},
    )  # fmt: skip
    if tag == "v99.0.0":  # nothing is released that the changelog does not know
        assert (done.returncode, done.stdout) == (1, "")
        return
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[:4] == ["release", "create", tag, "files/s2fin.whl"]
    notes = (tmp_path / "notes.md").read_text(encoding="utf-8")
    assert notes.strip()
    assert "](docs/" not in notes
    assert "## [" not in notes
