"""Shards made by workers of a Dask cluster of real processes, which come late, die, or cannot be used."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from distributed import Client

import s2fin_cli
from s2fin_cli.core.errors import S2finError, UsageError
from s2fin_cli.shards.plan import read_plan
from s2fin_cli.workflows.classify import ClassifyResult
from s2fin_cli.workflows.cluster import ClusterWorkers
from s2fin_cli.workflows.options.classify import ClassifyOptions
from s2fin_cli.workflows.shard_tasks import TRIES, Task
from tests.scenes import Scene
from tests.workflows.sharding import (
    check_same_map,
    check_same_rasters,
    finished,
    in_20_shards,
    names,
    options_of,
    started,
    wait_until,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it looks at processes by /proc, and kills them")

WORKER = "from distributed.cli.dask_worker import main; main()"


class Cluster:
    """A scheduler and workers, which are processes that end with the tests.

    Attributes:
        address: of the scheduler.
        scheduler: its process.
    """

    def __init__(self, folder: Path, opened: contextlib.ExitStack) -> None:
        self._folder, self._opened, self._workers = folder, opened, 0
        file = folder / "scheduler.json"
        command = ["-m", "distributed.cli.dask_scheduler", "--scheduler-file", str(file), "--host", "127.0.0.1"]
        self.scheduler = self._start([*command, "--port", "0", "--no-dashboard"])
        wait_until(lambda: file.exists() and file.read_text() != "", self.scheduler)
        self.address: str = json.loads(file.read_text())["address"]

    def add_worker(self, *options: str, path: Path | None = None, program: str = WORKER) -> subprocess.Popen[str]:
        """Start a worker, with a folder before all others on Python's path if one is given."""
        self._workers += 1
        where = ["--local-directory", str(self._folder), "--no-dashboard"]
        options = options or ("--no-nanny", "--nthreads", "1")
        return self._start(["-c", program, self.address, *where, *options], path=path)

    def _start(self, arguments: list[str], path: Path | None = None) -> subprocess.Popen[str]:
        paths = [*([] if path is None else [str(path)]), os.environ.get("PYTHONPATH", "")]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(paths)}
        process = subprocess.Popen(
            [sys.executable, *arguments], cwd=self._folder, env=environment, text=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self._opened.callback(process.wait, 60)
        self._opened.callback(process.terminate)
        return process


@pytest.fixture
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with contextlib.ExitStack() as opened:
        yield Cluster(tmp_path_factory.mktemp("cluster"), opened)


ARGUMENTS = ("--stride", 1, "--work", "run", "--shard-size", 16, "-o", "map.tif", "--confidence", "c.tif")


@pytest.mark.slow
def test_workers_that_are_killed_and_that_come_late(
    scene: Scene,
    model: Path,
    tmp_path: Path,
    at_stride_1: ClassifyResult,
    cluster: Cluster,
    caplog: pytest.LogCaptureFixture,
) -> None:
    workers = [cluster.add_worker()]
    reports: list[int] = []

    def progress(stage: str, done: int, total: int, **figures: float) -> None:
        if stage == "shards":
            reports.append(done)
            if done >= 3 and len(workers) == 1:
                workers[0].kill()
                workers.append(cluster.add_worker("--no-nanny", "--nthreads", "2"))

    found = s2fin_cli.classify(**in_20_shards(scene, model, tmp_path, scheduler=cluster.address), progress=progress)
    assert len(workers) == 2
    check_same_map(found, at_stride_1)
    assert (reports[0], reports[-1]) == (0, 20)
    assert "ended abruptly (tcp://127.0.0.1" in caplog.text
    assert len(finished(tmp_path / "run")) == 20
    assert not [name for name in names(tmp_path / "run") if name.startswith(".")], "what it left is swept"


@pytest.mark.slow
def test_many_scenes(scene: Scene, model: Path, tmp_path: Path, cluster: Cluster) -> None:
    """The workers see their images under absolute paths, and a bad scene does not stop the others."""
    rows = [f"a,{scene.hsi},{scene.images['lidar']}", f"bad,{tmp_path}/gone.tif,{scene.images['lidar']}"]
    rows.append(f"b,{scene.hsi},{scene.images['lidar']}")
    (tmp_path / "scenes.csv").write_text("\n".join(["name,hsi,lidar", *rows]))
    for _ in range(2):
        cluster.add_worker()
    result = s2fin_cli.classify_all(
        scenes=tmp_path / "scenes.csv", output=tmp_path / "maps", model=model, device="cpu",
        work=tmp_path / "run", scheduler=cluster.address, shard_size=48,
    )  # fmt: skip
    assert [scene.status for scene in result.scenes] == ["done", "failed", "done"]
    s2fin_cli.classify(**options_of(scene, model, tmp_path / "map.tif", vector=False))
    for name in ("a", "b"):
        check_same_rasters(tmp_path / "maps" / f"{name}.tif", tmp_path / "map.tif")


@pytest.mark.slow
def test_a_shard_that_always_kills_its_worker_is_named(
    scene: Scene, model: Path, tmp_path: Path, cluster: Cluster
) -> None:
    nanny = cluster.add_worker("--nworkers", "1", "--nthreads", "1")
    killed: set[int] = set()

    def progress(stage: str, done: int, total: int, **figures: float) -> None:
        for folder in (tmp_path / "run").glob(".s2fin.*"):  # a shard in progress: the worker's mark is in the name
            number = int(folder.name.split("-")[1].split(".")[0])
            with contextlib.suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)
                killed.add(number)

    with pytest.raises(S2finError, match=r"shard \d+ in .*run was tried \d times, .* ended abruptly"):
        s2fin_cli.classify(
            **in_20_shards(scene, model, tmp_path, scheduler=cluster.address, shard_size=96), progress=progress
        )
    assert TRIES <= len(killed) < 2 * TRIES  # Dask tries a task again too, where a worker returns under its old address
    assert nanny.poll() is None
    assert names(tmp_path) == {"run"}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGKILL"])
def test_a_command_that_is_ended_frees_the_workers_and_is_continued(
    scene: Scene, model: Path, tmp_path: Path, at_stride_1: ClassifyResult, cluster: Cluster, name: str
) -> None:
    cluster.add_worker()
    with started(scene, model, tmp_path, *ARGUMENTS, "--scheduler", cluster.address) as process:
        wait_until(lambda: len(finished(tmp_path / "run")) >= 2, process)
        process.send_signal(getattr(signal, name))
        begun = time.monotonic()
        _, errors = process.communicate(timeout=60)
    assert process.returncode == {"SIGINT": 1, "SIGTERM": 143, "SIGKILL": -9}[name]
    assert time.monotonic() - begun < 30
    assert "Traceback" not in errors
    end = time.monotonic() + 60
    while any((tmp_path / "run").glob(".s2fin.*")):
        assert time.monotonic() < end, "the worker stops what nobody waits for"
        time.sleep(0.05)
    before = finished(tmp_path / "run")
    assert 2 <= len(before) < 20
    assert names(tmp_path) == {"run"}
    found = s2fin_cli.classify(**in_20_shards(scene, model, tmp_path, scheduler=cluster.address))
    check_same_map(found, at_stride_1)
    assert before.items() <= finished(tmp_path / "run").items()


@pytest.mark.slow
def test_a_scheduler_that_ends_is_reported(scene: Scene, model: Path, tmp_path: Path, cluster: Cluster) -> None:
    cluster.add_worker()

    def progress(stage: str, done: int, total: int, **figures: float) -> None:
        if done >= 2:
            cluster.scheduler.kill()

    with pytest.raises(S2finError, match=rf"the connection to the scheduler at {cluster.address} was lost"):
        s2fin_cli.classify(**in_20_shards(scene, model, tmp_path, scheduler=cluster.address), progress=progress)
    assert len(finished(tmp_path / "run")) >= 2


@pytest.mark.slow
def test_workers_that_cannot_be_used(
    scene: Scene, model: Path, tmp_path: Path, cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    """One without s2fin and one with another version: by themselves an error, beside another worker a warning."""
    keywords = in_20_shards(scene, model, tmp_path, scheduler=cluster.address, shard_size=96)
    lacking = cluster.add_worker(program=f"import sys; sys.modules['s2fin_cli'] = None; {WORKER}")
    with pytest.raises(S2finError, match=r"no worker of .* can be used: s2fin cannot be imported .* on tcp://"):
        s2fin_cli.classify(**keywords)
    lacking.kill()
    other = tmp_path / "other" / "s2fin_cli" / "workflows"
    other.mkdir(parents=True)
    (other / "cluster_task.py").write_text("VERSIONS = {'s2fin': '0.0.1', 'Python': '3.11'}\n")
    for folder in (other, other.parent):
        (folder / "__init__.py").touch()
    cluster.add_worker(path=other.parents[1])
    with pytest.raises(S2finError, match=r"can be used: s2fin is .* on this machine and 0\.0\.1 on tcp://"):
        s2fin_cli.classify(**keywords)
    cluster.add_worker()
    with Client(cluster.address, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=60)
    tasks = [Task(tmp_path / "none", 1, "", ClassifyOptions.from_kwargs(keywords))]
    with ClusterWorkers(cluster.address) as workers:
        outcomes = list(workers.make(tasks, on_pause=lambda: None))
    assert "is not used: s2fin is" in caplog.text
    assert len(outcomes) == 1
    assert "none is not there; the work folder has to be on a disk that all machines share" in str(outcomes[0].error)
    assert str(outcomes[0].error).startswith(f"on {socket.gethostname()}: ")


@pytest.mark.slow
def test_a_cluster_without_workers(scene: Scene, tmp_path: Path, cluster: Cluster) -> None:
    tasks = [Task(tmp_path, 1, "", ClassifyOptions(output="map.tif", hsi=scene.hsi))]
    with ClusterWorkers(cluster.address, patience=1) as workers:
        assert list(workers.make([], on_pause=lambda: None)) == []
        with pytest.raises(S2finError, match=r"no worker of the scheduler at tcp://.* was ready for 1 s; start"):
            list(workers.make(tasks, on_pause=lambda: None))


@pytest.mark.slow
def test_workers_that_dask_pauses_get_nothing_to_do(
    scene: Scene, model: Path, tmp_path: Path, cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    """Dask does so where a worker uses most of its memory limit, which the libraries alone exceed here."""
    cluster.add_worker("--no-nanny", "--nthreads", "1", "--memory-limit", "250MB")
    keywords = in_20_shards(scene, model, tmp_path, scheduler=cluster.address, shard_size=96)
    s2fin_cli.classify(**{**keywords, "scheduler": None}, shard="1/9")  # the plan
    options = ClassifyOptions.from_kwargs(keywords)
    plan = read_plan(tmp_path / "run" / "plan.json")
    tasks = [Task(tmp_path / "run", 1, plan.identity, replace(options, scheduler=None))]
    with ClusterWorkers(cluster.address, patience=20) as workers:
        with pytest.raises(S2finError, match=r"was ready for 20 s \(1 are paused, because they use too much memory\)"):
            list(workers.make(tasks, on_pause=lambda: None))
        cluster.add_worker()
        (outcome,) = workers.make(tasks, on_pause=lambda: None)
    assert outcome.error is None
    assert "Dask has paused the worker tcp://127.0.0.1" in caplog.text


def test_addresses_without_a_scheduler(scene: Scene, model: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    for address, error, message in (
        (f"tcp://127.0.0.1:{port}", S2finError, rf"no Dask scheduler answers at tcp://127\.0\.0\.1:{port} \(.*refused"),
        ("tcp://", UsageError, "`scheduler` is 'tcp://'; it must be the address of a Dask scheduler"),
        ("host", UsageError, "`scheduler` is 'host'; it must be"),
        ("host:x", UsageError, "`scheduler` is 'host:x'; it must be"),
    ):
        with pytest.raises(error, match=message):
            s2fin_cli.classify(**in_20_shards(scene, model, tmp_path, scheduler=address))
    assert names(tmp_path / "run") == {"plan.json"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"workers": 2}, "`scheduler` and `workers` are two ways to make shards; choose one"),
        ({"work": None}, "`scheduler` needs `work`, a folder on a disk that all machines share"),
    ],
)
def test_options_that_make_no_sense(
    scene: Scene, model: Path, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        s2fin_cli.classify(**in_20_shards(scene, model, tmp_path, scheduler="tcp://host:8786", **changes))


@pytest.mark.slow
def test_many_scenes_on_a_cluster(
    scene: Scene, model: Path, tmp_path: Path, at_stride_1: ClassifyResult, cluster: Cluster
) -> None:
    table = tmp_path / "list.csv"
    table.write_text(f"name,hsi,lidar\na,{scene.hsi},{scene.lidar}\nbad,{scene.hsi},\nb,{scene.hsi},{scene.lidar}\n")
    cluster.add_worker()
    result = s2fin_cli.classify_all(
        scenes=table, output=tmp_path / "maps", model=model, stride=1, with_confidence=True,
        scheduler=cluster.address, work=tmp_path / "run", shard_size=32, device="cpu",
    )  # fmt: skip
    assert [scene.status for scene in result.scenes] == ["done", "failed", "done"]
    places = [tmp_path / "maps" / f"b{end}" for end in (".tif", ".qml", ".gpkg", "_confidence.tif")]
    check_same_map(replace(at_stride_1, outputs=at_stride_1.outputs.at(places)), at_stride_1)
    assert not list((tmp_path / "run").iterdir())
