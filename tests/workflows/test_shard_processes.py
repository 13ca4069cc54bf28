"""Shards made by several processes, and processes that are really killed: nothing is lost, and the map is the same."""

from __future__ import annotations

import filecmp
import functools
import logging
import multiprocessing
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch

import s2fin_cli
from s2fin_cli.core.errors import S2finError, UsageError
from s2fin_cli.workflows.classify import ClassifyResult
from s2fin_cli.workflows.local_workers import check_workers
from s2fin_cli.workflows.shard_tasks import TRIES
from tests.faults.runs import run, running, wait_for
from tests.scenes import Scene
from tests.workflows.sharding import check_same_map, finished, in_20_shards, is_running, names

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it looks at processes by /proc, and kills them")

OUTPUTS = {"run", "map.tif", "map.tif.aux.xml", "map.qml", "map.gpkg", "c.tif"}


def arguments(scene: Scene, model: Path, *more: object, output: str = "map.tif") -> tuple[object, ...]:
    """The same as a command."""
    common = ("classify", *scene.arguments, "-m", model, "--device", "cpu", "--stride", 1, "-o", output)
    return (*common, "--confidence", f"{output.replace('map', 'c')}", "--work", "run", "--shard-size", 16, *more)


def log_of(folder: Path) -> Path:
    """A file outside of a test's folder for what a command prints."""
    return folder.with_name(f"{folder.name}.log")


def test_workers_make_the_same_map_and_leave_nothing(
    scene: Scene, model: Path, tmp_path: Path, at_stride_1: ClassifyResult
) -> None:
    keywords = in_20_shards(scene, model, tmp_path, workers=2)
    del keywords["work"]
    reports: list[tuple[str, int, int]] = []
    found = s2fin_cli.classify(**keywords, progress=lambda *report, **_: reports.append(report))
    check_same_map(found, at_stride_1)
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
def test_a_killed_worker_is_replaced(
    scene: Scene, model: Path, tmp_path: Path, at_stride_1: ClassifyResult, caplog: pytest.LogCaptureFixture
) -> None:
    killer, positions = Killer(1), set[str]()

    def progress(stage: str, done: int, total: int, **figures: float) -> None:
        killer(stage, done, total)
        positions.update(process.name for process in multiprocessing.active_children())

    with caplog.at_level(logging.WARNING):
        found = s2fin_cli.classify(**in_20_shards(scene, model, tmp_path, workers=2), progress=progress)
    assert killer.killed == 1
    assert positions == {"s2fin-0", "s2fin-1"}, "a new worker takes the place, and the device, of the one that died"
    assert "ended abruptly (signal 9); the shard is tried again" in caplog.text
    check_same_map(found, at_stride_1)
    assert len(names(tmp_path / "run")) == 42
    assert names(tmp_path) == OUTPUTS


@pytest.mark.slow
def test_a_shard_that_always_kills_its_worker_is_named(scene: Scene, model: Path, tmp_path: Path) -> None:
    killer = Killer(0, again=True)
    with pytest.raises(S2finError, match=rf"shard 1 in .*run was tried {TRIES} times, .* abruptly \(signal 9\)"):
        s2fin_cli.classify(**in_20_shards(scene, model, tmp_path, workers=1), progress=killer)
    assert killer.killed >= TRIES
    assert names(tmp_path / "run") == {"plan.json"}
    assert names(tmp_path) == {"run"}
    assert not multiprocessing.active_children()


def unharmed(folder: Path) -> None:
    """What a killed run left is no output under its own name."""
    assert not {name for name in names(folder) if not name.startswith(".")} - {"run"}


#: When a run is killed: what has to be there in the folder.
MOMENTS: dict[str, Callable[[Path], bool]] = {
    "the plan": lambda folder: (folder / "run" / "plan.json").exists(),
    "a shard in progress": lambda folder: any((folder / "run").glob(".s2fin.*/shard.tif")),
    "a finished shard": lambda folder: len(finished(folder / "run")) >= 1,
    "half of the shards": lambda folder: len(finished(folder / "run")) >= 10,
    "files of the map in progress": lambda folder: any(folder.glob(".map.*.part.tif")),
    "polygons in progress": lambda folder: any(folder.glob(".map.*.part.gpkg")),
}


@pytest.mark.slow
@pytest.mark.parametrize(("moment", "workers"), [*((moment, None) for moment in MOMENTS), ("half of the shards", 2)])
def test_a_killed_run_is_continued(
    scene: Scene,
    model: Path,
    tmp_path: Path,
    at_stride_1: ClassifyResult,
    moment: str,
    workers: int | None,
    caplog: pytest.LogCaptureFixture,
) -> None:
    more = () if workers is None else ("--workers", workers)
    with running(tmp_path, *arguments(scene, model, *more), log=log_of(tmp_path)) as process:
        wait_for(lambda: process.has_ended or MOMENTS[moment](tmp_path))
        process.kill()  # workers end with their parent
        assert process.wait() == -signal.SIGKILL
    unharmed(tmp_path)
    before, left = finished(tmp_path / "run"), [path for path in tmp_path.rglob(".*") if path.is_file()]
    check_same_map(s2fin_cli.classify(**in_20_shards(scene, model, tmp_path)), at_stride_1)
    assert before.items() <= finished(tmp_path / "run").items()
    assert len(finished(tmp_path / "run")) == 20
    assert names(tmp_path) == OUTPUTS
    assert len(names(tmp_path / "run")) == 42, "what was left is swept"
    for path in left:
        assert f"{path} was left by a run that was killed" in caplog.text


@pytest.mark.slow
@pytest.mark.parametrize(("name", "shards"), [("SIGINT", 2), ("SIGTERM", 2), ("SIGINT", 0)])
def test_a_request_to_end_ends_all_workers_and_keeps_finished_shards(
    scene: Scene, model: Path, tmp_path: Path, at_stride_1: ClassifyResult, name: str, shards: int
) -> None:
    with running(tmp_path, *arguments(scene, model, "--workers", 2), log=log_of(tmp_path)) as process:
        wait_for(lambda: len(finished(tmp_path / "run")) >= shards and len(process.workers) == 2)
        workers = process.workers
        os.killpg(process.pid, getattr(signal, name))
        assert process.wait() in (1, 143)
        wait_for(lambda: not any(map(is_running, workers)))
    assert "Traceback" not in process.errors
    unharmed(tmp_path)
    assert not [path for path in names(tmp_path / "run") if path.startswith(".")]
    before = finished(tmp_path / "run")
    assert len(before) >= shards
    check_same_map(s2fin_cli.classify(**in_20_shards(scene, model, tmp_path)), at_stride_1)
    assert before.items() <= finished(tmp_path / "run").items()


@pytest.mark.slow
def test_two_runs_share_a_folder(scene: Scene, model: Path, tmp_path: Path, at_stride_1: ClassifyResult) -> None:
    with (
        running(tmp_path, *arguments(scene, model, "--workers", 2), log=log_of(tmp_path)) as one,
        running(tmp_path, *arguments(scene, model, output="map2.tif"), log=log_of(tmp_path)) as other,
    ):
        for process in (one, other):
            assert process.wait() == 0, process.errors
    assert filecmp.cmp(tmp_path / "map.tif", tmp_path / "map2.tif", shallow=False)
    check_same_map(s2fin_cli.classify(**in_20_shards(scene, model, tmp_path), overwrite=True), at_stride_1)
    assert len(names(tmp_path / "run")) == 42


def limit_files(size: int) -> None:
    """Let this process and its children write no file of more bytes, as a full disk would."""
    import resource  # Windows has none

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


@pytest.mark.slow
@pytest.mark.parametrize("workers", [None, 1])
def test_a_full_disk_keeps_finished_shards(scene: Scene, model: Path, tmp_path: Path, workers: int | None) -> None:
    """The map is one shard, which is larger than the plan."""
    common = ("classify", *scene.arguments, "-m", model, "--device", "cpu", "-o", "map.tif", "--work", "run", "-q")
    command = (*common, *(() if workers is None else ("--workers", workers)))
    for limit, message in ((1_000, "the work folder run cannot be used"), (6_000, "run failed: ")):
        log = tmp_path.with_name(f"{tmp_path.name}-{limit}.log")
        code, printed = run(tmp_path, *command, before=functools.partial(limit_files, limit), log=log)
        assert code == 1
        errors = [line for line in printed.splitlines() if line.startswith("error: ")]
        assert len(errors) == 1, printed
        assert message in errors[0]
        assert names(tmp_path) == {"run"}
        assert names(tmp_path / "run") <= {"plan.json"}
    code, printed = run(tmp_path, *command, before=functools.partial(limit_files, 10_000_000), log=log_of(tmp_path))
    assert code == 0, printed


def test_more_workers_than_cuda_devices_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    check_workers(torch.device("cpu"), 64)  # on the CPU as many as wanted
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    check_workers(torch.device("cuda"), 2)
    with pytest.raises(UsageError, match="`workers` is 3, but the number of CUDA devices is 2; use at most that many"):
        check_workers(torch.device("cuda"), 3)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_workers_on_cuda_devices_make_the_same_map(scene: Scene, model: Path, tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    one = s2fin_cli.classify(**in_20_shards(scene, model, tmp_path / "one", device="cuda"))
    count = torch.cuda.device_count()
    found = s2fin_cli.classify(**in_20_shards(scene, model, tmp_path, device="cuda", workers=count))
    check_same_map(found, one)
