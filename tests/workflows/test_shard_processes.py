"""Shards made by several processes, and processes that are really killed: nothing is lost, and the map is the same."""

from __future__ import annotations

import filecmp
import logging
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch

import s2fin_cli
from s2fin_cli.core.errors import S2finError, UsageError
from s2fin_cli.workflows.classify import ClassifyResult
from s2fin_cli.workflows.classify_job import prepare
from s2fin_cli.workflows.local_workers import check_workers
from s2fin_cli.workflows.options.classify import ClassifyOptions
from s2fin_cli.workflows.shard_tasks import TRIES
from tests.scenes import Scene
from tests.workflows.sharding import (
    check_same_map,
    children_of,
    finished,
    is_running,
    names,
    options_of,
    started,
    wait_until,
)

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it looks at processes by /proc, and kills them")

OUTPUTS = {"run", "map.tif", "map.tif.aux.xml", "map.qml", "map.gpkg", "c.tif"}


@pytest.fixture(scope="module")
def plain(scene: Scene, model: Path, tmp_path_factory: pytest.TempPathFactory) -> ClassifyResult:
    """The map of one run, with its confidence."""
    folder = tmp_path_factory.mktemp("plain")
    result: ClassifyResult = s2fin_cli.classify(
        **options_of(scene, model, folder / "map.tif", confidence=folder / "c.tif", stride=1)
    )
    return result


def given(scene: Scene, model: Path, folder: Path, **changes: Any) -> dict[str, Any]:
    """Keywords of a map in 20 shards, of 16 pixels a side."""
    how = {"confidence": folder / "c.tif", "work": folder / "run", "shard_size": 16, "stride": 1, **changes}
    return options_of(scene, model, folder / "map.tif", **how)


ARGUMENTS = ("--stride", 1, "--work", "run", "--shard-size", 16, "-o", "map.tif", "--confidence", "c.tif")


def test_workers_make_the_same_map_and_leave_nothing(
    scene: Scene, model: Path, tmp_path: Path, plain: ClassifyResult
) -> None:
    keywords = given(scene, model, tmp_path, workers=2)
    del keywords["work"]
    reports: list[tuple[str, int, int]] = []
    found = s2fin_cli.classify(**keywords, progress=lambda *report, **_: reports.append(report))
    check_same_map(found, plain)
    assert names(tmp_path) == OUTPUTS - {"run"}
    assert not multiprocessing.active_children()
    done = [done for stage, done, total in reports if stage == "shards"]
    assert done == sorted(done)
    assert (done[0], done[-1]) == (0, 20)


class Killer:
    """A listener that kills a worker process when so many shards are finished, or again and again."""

    def __init__(self, at: int, *, again: bool = False) -> None:
        self.at, self.again, self.killed = at, again, 0

    def __call__(self, stage: str, done: int, total: int, **figures: float) -> None:
        children = multiprocessing.active_children()
        if stage == "shards" and children and done >= self.at and (self.again or not self.killed):
            os.kill(children[0].pid or 0, signal.SIGKILL)
            self.killed += 1


@pytest.mark.slow
@pytest.mark.parametrize("at", [0, 1, 7])
def test_a_killed_worker_is_replaced(
    scene: Scene, model: Path, tmp_path: Path, plain: ClassifyResult, at: int, caplog: pytest.LogCaptureFixture
) -> None:
    killer = Killer(at)
    with caplog.at_level(logging.WARNING):
        found = s2fin_cli.classify(**given(scene, model, tmp_path, workers=2), progress=killer)
    assert killer.killed == 1
    assert "ended abruptly (signal 9); the shard is tried again" in caplog.text
    check_same_map(found, plain)
    assert len(names(tmp_path / "run")) == 41
    assert names(tmp_path) == OUTPUTS


@pytest.mark.slow
def test_a_shard_that_always_kills_its_worker_is_named(scene: Scene, model: Path, tmp_path: Path) -> None:
    killer = Killer(0, again=True)
    with pytest.raises(S2finError, match=rf"shard 1 in .*run was tried {TRIES} times, .* abruptly \(signal 9\)"):
        s2fin_cli.classify(**given(scene, model, tmp_path, workers=1), progress=killer)
    assert killer.killed >= TRIES
    assert names(tmp_path / "run") == {"plan.json"}
    assert names(tmp_path) == {"run"}
    assert not multiprocessing.active_children()


def unharmed(folder: Path) -> None:
    """What a killed run left is no output under its own name."""
    assert not {name for name in names(folder) if not name.startswith(".")} - {"run"}


def wait_for_the_end_of(processes: list[int]) -> None:
    end = time.monotonic() + 30
    while any(map(is_running, processes)):
        assert time.monotonic() < end
        time.sleep(0.05)


#: When a run is killed: what has to be there in the folder.
MOMENTS: dict[str, Callable[[Path], bool]] = {
    "the plan": lambda folder: (folder / "run" / "plan.json").exists(),
    "a shard in progress": lambda folder: any((folder / "run").glob(".s2fin.*/shard.tif")),
    "a finished shard": lambda folder: len(finished(folder / "run")) >= 1,
    "half of the shards": lambda folder: len(finished(folder / "run")) >= 10,
    "outputs in progress": lambda folder: any(folder.glob(".map.*.part.tif")),
    "polygons in progress": lambda folder: any(folder.glob(".map.*.part.gpkg")),
}


@pytest.mark.slow
@pytest.mark.parametrize("workers", [None, 2])
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_killed_run_is_continued(
    scene: Scene,
    model: Path,
    tmp_path: Path,
    plain: ClassifyResult,
    moment: str,
    workers: int | None,
    caplog: pytest.LogCaptureFixture,
) -> None:
    more = () if workers is None else ("--workers", workers)
    with started(scene, model, tmp_path, *ARGUMENTS, *more) as process:
        wait_until(lambda: MOMENTS[moment](tmp_path), process)
        children = children_of(process.pid)
        process.kill()
        process.wait(60)
    wait_for_the_end_of(children)  # workers end with their parent
    unharmed(tmp_path)
    before, left = finished(tmp_path / "run"), [path for path in tmp_path.rglob(".*") if path.is_file()]
    check_same_map(s2fin_cli.classify(**given(scene, model, tmp_path)), plain)
    assert before.items() <= finished(tmp_path / "run").items()
    assert len(finished(tmp_path / "run")) == 20
    assert names(tmp_path) == OUTPUTS
    assert len(names(tmp_path / "run")) == 41, "what was left is swept"
    for path in left:
        assert f"{path} was left by a run that was killed" in caplog.text


@pytest.mark.slow
@pytest.mark.parametrize(("name", "shards"), [("SIGINT", 2), ("SIGTERM", 2), ("SIGINT", 0)])
def test_a_request_to_end_ends_all_workers_and_keeps_finished_shards(
    scene: Scene, model: Path, tmp_path: Path, plain: ClassifyResult, name: str, shards: int
) -> None:
    with started(scene, model, tmp_path, *ARGUMENTS, "--workers", 2) as process:
        wait_until(lambda: len(finished(tmp_path / "run")) >= shards and len(children_of(process.pid)) > 2, process)
        children = children_of(process.pid)
        os.killpg(process.pid, getattr(signal, name))
        _, errors = process.communicate(timeout=60)
    assert process.returncode in (1, 143)
    assert "Traceback" not in errors
    wait_for_the_end_of(children)  # beside the workers there is Python's own helper
    unharmed(tmp_path)
    assert not [path for path in names(tmp_path / "run") if path.startswith(".")]
    before = finished(tmp_path / "run")
    assert len(before) >= shards
    check_same_map(s2fin_cli.classify(**given(scene, model, tmp_path)), plain)
    assert before.items() <= finished(tmp_path / "run").items()


@pytest.mark.slow
def test_two_runs_share_a_folder(scene: Scene, model: Path, tmp_path: Path, plain: ClassifyResult) -> None:
    arguments = ("--stride", 1, "--work", "run", "--shard-size", 16)
    with (
        started(scene, model, tmp_path, *arguments, "-o", "a.tif", "--workers", 2) as one,
        started(scene, model, tmp_path, *arguments, "-o", "b.tif") as other,
    ):
        for process in (one, other):
            _, errors = process.communicate(timeout=120)
            assert process.returncode == 0, errors
    assert filecmp.cmp(tmp_path / "a.tif", tmp_path / "b.tif", shallow=False)
    check_same_map(s2fin_cli.classify(**given(scene, model, tmp_path)), plain)
    assert len(names(tmp_path / "run")) == 41


LIMITED = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)
from s2fin_cli.cli.main import cli
cli(sys.argv[2:], prog_name="s2fin")
"""


@pytest.mark.slow
@pytest.mark.parametrize("workers", [None, 1])
def test_a_full_disk_keeps_finished_shards(
    scene: Scene, model: Path, tmp_path: Path, environment: dict[str, str], workers: int | None
) -> None:
    common = [*scene.arguments, "-m", str(model), "--device", "cpu", "-o", "map.tif", "--work", "run", "-q"]
    common += [] if workers is None else ["--workers", str(workers)]
    limited = [sys.executable, "-c", LIMITED]

    def run(limit: int) -> subprocess.CompletedProcess[str]:
        command = [*limited, str(limit), "classify", *common]
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False
        )

    for limit, message in ((1_000, "the work folder run cannot be used"), (6_000, "/run failed: ")):
        done = run(limit)
        assert (done.returncode, done.stdout) == (1, "")
        errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
        assert len(errors) == 1, done.stderr
        assert message in errors[0]
        assert names(tmp_path) == {"run"}
        assert names(tmp_path / "run") <= {"plan.json"}
    assert run(10_000_000).returncode == 0


def test_more_workers_than_cuda_devices_are_refused(scene: Scene, model: Path, tmp_path: Path) -> None:
    job = prepare(ClassifyOptions.from_kwargs(given(scene, model, tmp_path)))
    check_workers(job.predictor.device, 64)  # on the CPU as many as wanted
    if not torch.cuda.is_available():
        return
    job = prepare(ClassifyOptions.from_kwargs(given(scene, model, tmp_path, device="cuda")))
    with pytest.raises(UsageError, match="`workers` is 64, and there are"):
        check_workers(job.predictor.device, 64)
