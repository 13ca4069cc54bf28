"""The examination of an installation, of one that works and of one that does not."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING

import pytest

import s2fin_cli
from s2fin_cli.core.errors import UsageError
from s2fin_cli.core.progress import Stop, Stopped, silent, stoppable
from s2fin_cli.workflows.doctor import AT_FIRST
from s2fin_cli.workflows.self_test import TOLERANCE, try_map, try_network

if TYPE_CHECKING:
    from pathlib import Path

    from tests.scenes import Run


@pytest.mark.slow
def test_a_scene_is_learnt_and_mapped(run: Run) -> None:
    done = run("doctor", "--device", "cpu", "--json")
    assert (done.exit_code, done.stderr) == (0, "")
    findings = {finding["part"]: finding for finding in json.loads(done.stdout)["findings"]}
    assert findings["map"]["status"] == findings["network"]["status"] == "ok"
    assert "the map is right" in findings["map"]["found"]


def test_the_network_agrees_with_itself_in_double_precision() -> None:
    found = try_network("cpu")
    assert found.status == "ok"
    assert 0 < float(found.found.split(" by ")[1].split()[0]) < TOLERANCE


def test_a_self_test_that_is_stopped_is_not_a_problem_of_the_installation() -> None:
    stop = Stop()
    stop.set()
    with pytest.raises(Stopped):
        try_map("cpu", progress=stoppable(silent, stop))


def test_a_self_test_that_fails_is_to_be_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(tempfile, "TemporaryDirectory", fail)
    found = try_map("cpu", progress=silent)
    assert (found.status, found.remedy) == ("problem", "report it, with the output of s2fin doctor")
    assert "Read-only file system" in found.found


def test_a_device_that_is_not_there() -> None:
    if s2fin_cli.doctor(self_test=False).problems:
        pytest.skip("this installation does not work")
    with pytest.raises(UsageError, match="`device` is 'tpu'"):
        s2fin_cli.doctor(device="tpu")


def test_the_table_names_parts_and_remedies(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("PROJ_LIB", "/opt/proj")
    done = run("doctor", "--no-self-test")
    assert done.exit_code == 0
    lines = [line.split() for line in done.stdout.splitlines()]
    assert ["hint", "variables", "the", "environment", "has", "PROJ_LIB", "(/opt/proj)"] in lines
    assert "-> if coordinates or CRS are ever wrong: unset PROJ_LIB" in done.stdout
    assert done.stdout.endswith("no problems\n")


@pytest.mark.slow
def test_data_of_proj_that_are_missing(tmp_path: Path, environment: dict[str, str]) -> None:
    """As where a variable leads to the data of another installation."""
    done = subprocess.run(
        [sys.executable, "-m", "s2fin_cli", "doctor", "--json"], cwd=tmp_path, check=False, capture_output=True,
        env={**environment, "PROJ_DATA": str(tmp_path)}, text=True, timeout=120,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (1, "")
    result = json.loads(done.stdout)
    problems = {finding["part"]: finding for finding in result["findings"] if finding["status"] == "problem"}
    assert list(problems) == ["coordinates", "map"]
    assert result["problems"] == 2
    assert problems["coordinates"]["remedy"].startswith("unset PROJ_DATA, which may be of another installation")
    assert "proj.db" in problems["map"]["found"]
    assert problems["map"]["remedy"] == AT_FIRST
