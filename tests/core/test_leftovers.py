"""What killed runs left is removed, and nothing else."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from s2fin_cli.core.files import staged
from s2fin_cli.core.leftovers import mark, sweep, work_in_progress

KILLED = """
import os, signal, sys
from pathlib import Path
from s2fin_cli.core.files import staged
from s2fin_cli.core.leftovers import work_in_progress
with staged([Path(sys.argv[1])], overwrite=True) as (path,), work_in_progress(path.parent) as folder:
    path.write_text("half")
    path.with_name(path.name + ".aux.xml").write_text("half")
    (folder / "x").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL")
def test_what_a_killed_process_left_is_swept_by_the_next_and_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    target = tmp_path / "map.tif"
    target.write_text("old")
    subprocess.run([sys.executable, "-c", KILLED, str(target)], check=False, timeout=60)
    left = sorted(path.name for path in tmp_path.iterdir() if path != target)
    assert len(left) == 3
    sweep(tmp_path)
    with staged([target], overwrite=True) as (path,):
        assert {entry.name for entry in tmp_path.iterdir()} == {"map.tif"}
        path.write_text("new")
    assert target.read_text() == "new"
    named = [record.getMessage() for record in caplog.records]
    assert len(named) == 3
    assert all(any(name in text for text in named) for name in left)


def test_what_is_in_use_or_from_elsewhere_stays(tmp_path: Path) -> None:
    machine, process = mark().split("-")
    kept = [
        f".map.{mark()}-0.part.tif",  # of a running process
        f".map.{(int(machine, 16) + 1) % 2**32:08x}-4194304-0.part.tif",  # of another machine
        f".other.{machine}-4194304-0.part.tif",  # of another output
        f".map.tif.{machine}-4194304.old",  # what may have to be put back
        f"map.{machine}-4194304-0.part.tif",
    ]
    for name in kept:
        (tmp_path / name).touch()
    (tmp_path / f".map.{machine}-4194304-0.part.tif").touch()  # no system gives a process this number
    assert [path.name for path in sweep(tmp_path, "map")] == [f".map.{machine}-4194304-0.part.tif"]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(kept)
    assert process == str(os.getpid())
    assert not sweep(tmp_path / "none")


def test_work_in_progress_bears_the_mark_and_is_removed(tmp_path: Path) -> None:
    with work_in_progress(tmp_path) as folder:
        (folder / "x").touch()
        assert re.fullmatch(rf"\.s2fin\.{mark()}\..+", folder.name)
        assert not sweep(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_container_is_a_machine_of_its_own(tmp_path: Path) -> None:
    """With the same name and other numbers of processes, as with the network of its host."""
    left = f".map.{mark()}-0.part.tif"  # of this process, which the container does not see
    (tmp_path / left).touch()
    sweeping = (
        "import sys; from pathlib import Path; from s2fin_cli.core.leftovers import mark, sweep; "
        "print(mark()); sweep(Path(sys.argv[1]), 'map')"
    )
    command = ["unshare", "--pid", "--fork", "--mount-proc", sys.executable, "-c", sweeping, str(tmp_path)]
    if shutil.which("unshare") is None or subprocess.run([*command[:4], "true"], check=False).returncode != 0:
        pytest.skip("it needs root and a kernel that gives processes other numbers")
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    machine, number = done.stdout.strip().split("-")
    assert machine != mark().split("-")[0]
    assert number == "1"
    assert [path.name for path in tmp_path.iterdir()] == [left]
