"""Workers of every kind: tasks of several maps in one stream, and what becomes of each."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import torch

import s2fin_cli
from s2fin_cli.core.errors import RasterError, UsageError
from s2fin_cli.shards.agreement import agree
from s2fin_cli.shards.folder import WorkFolder
from s2fin_cli.shards.maker import Maker
from s2fin_cli.shards.plan import read_plan
from s2fin_cli.workflows.classify_job import prepare
from s2fin_cli.workflows.options.classify import ClassifyOptions
from s2fin_cli.workflows.shard_tasks import Outcome, ShardMaker, Task, tasks_of
from s2fin_cli.workflows.workers import workers_of
from tests.predictors import WatchedPredictor
from tests.workflows.sharding import check_same_map, options_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.scenes import Scene


def begun(scene: Scene, model: Path, folder: Path, **changes: Any) -> list[Task]:
    """Tasks to make all four shards of a map; its work folder has a plan."""
    keywords = options_of(scene, model, folder / "map.tif", work=folder / "run", shard_size=48, **changes)
    s2fin_cli.classify(**keywords, shard="1/9")
    assert [path.name for path in (folder / "run").iterdir()] == ["plan.json"]
    job = prepare(ClassifyOptions.from_kwargs(keywords))
    work = WorkFolder(folder / "run")
    return tasks_of(job, work, read_plan(work.plan_path), range(1, 5))


@pytest.mark.parametrize("count", [None, pytest.param(2, marks=pytest.mark.slow)])
def test_tasks_of_several_maps_in_one_stream(scene: Scene, model: Path, tmp_path: Path, count: int | None) -> None:
    """A map whose image is gone does not end the others."""
    hsi = tmp_path / "hsi.tif"
    hsi.write_bytes(scene.hsi.read_bytes())
    good = [*begun(scene, model, tmp_path / "a"), *begun(scene, model, tmp_path / "b")]
    bad = begun(scene, model, tmp_path / "bad", hsi=hsi)
    hsi.unlink()
    given = [*bad[:2], *good[:4], *bad[2:], *good[4:]]
    drawn: list[Task] = []

    def tasks() -> Iterator[Task]:
        for task in given:
            drawn.append(task)
            yield task

    outcomes: list[Outcome] = []
    with workers_of(count, None) as workers:
        for outcome in workers.make(tasks(), on_pause=lambda: None):
            outcomes.append(outcome)
            assert len(drawn) <= len(outcomes) + (count or 1), "tasks are drawn when they are needed"
    assert len(outcomes) == len(given)
    assert {outcome.task for outcome in outcomes} == set(given)
    for outcome in outcomes:
        if outcome.task in good:
            assert outcome.error is None
            folder = WorkFolder(outcome.task.folder)
            assert outcome.receipt == folder.receipt(outcome.task.number, read_plan(folder.plan_path))
        else:
            assert (outcome.receipt, type(outcome.error)) == (None, RasterError)
            assert f"{hsi} does not exist" in str(outcome.error)
    maps = [s2fin_cli.assemble(work=tmp_path / name / "run", output=tmp_path / f"{name}.tif") for name in ("a", "b")]
    check_same_map(maps[0], maps[1])


@pytest.mark.slow
def test_a_process_that_finds_a_defect_gets_no_other_task(
    scene: Scene, model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    good = begun(scene, model, tmp_path)
    beyond = replace(good[0], number=99)  # which no plan of four shards can have
    with workers_of(1, None) as workers:
        outcomes = list(workers.make([beyond, *good], on_pause=lambda: None))
    assert [outcome.task for outcome in outcomes] == [beyond, *good]
    assert [outcome.is_defect for outcome in outcomes] == [True, False, False, False, False]
    assert "shard 99" in str(outcomes[0].error)
    assert "failed: unexpected IndexError" in str(outcomes[0].error)
    assert all(outcome.error is None for outcome in outcomes[1:])
    assert "ended abruptly" not in caplog.text


@pytest.mark.slow
def test_a_script_that_starts_itself_again_is_told_what_it_lacks(tmp_path: Path) -> None:
    (script := tmp_path / "script.py").write_text(_SCRIPT)
    done = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "ended abruptly (exit code 1), as it does where memory runs out" in done.stdout
    assert done.stdout.rstrip().endswith('; in a script, call s2fin below if __name__ == "__main__":')


#: A script whose lines a worker process runs again.
_SCRIPT = """
from pathlib import Path
from s2fin_cli.workflows.local_workers import LocalWorkers
from s2fin_cli.workflows.options.classify import ClassifyOptions
from s2fin_cli.workflows.shard_tasks import Task

task = Task(Path("work"), 1, "plan", ClassifyOptions(msi="a.tif", output="map.tif"))
with LocalWorkers(1) as workers:
    for outcome in workers.make([task], on_pause=lambda: None):
        print(outcome.error)
"""


def test_a_pause_can_end_the_work(scene: Scene, model: Path, tmp_path: Path) -> None:
    tasks = begun(scene, model, tmp_path)

    def end() -> None:
        raise KeyboardInterrupt

    with workers_of(None, None) as workers, pytest.raises(KeyboardInterrupt):
        list(workers.make(tasks, on_pause=end))
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["plan.json"]


@pytest.mark.parametrize("threads", [None, 2])
def test_a_thread_that_makes_shards_has_the_threads_that_it_was_given(
    scene: Scene, model: Path, tmp_path: Path, threads: int | None
) -> None:
    """As a thread of a Dask worker does: torch keeps that number for each thread."""
    tasks, found = begun(scene, model, tmp_path), set[int]()
    folder, job = WorkFolder(tmp_path / "run"), prepare(tasks[0].options)
    planned = read_plan(folder.plan_path).threads
    watched = WatchedPredictor(job.predictor, lambda tile: found.add(torch.get_num_threads()))
    maker = ShardMaker(replace(job, predictor=watched), folder, threads=threads)
    with ThreadPoolExecutor(1) as pool:
        outcome = pool.submit(maker.do, tasks[0]).result()
        assert outcome.error is None
    assert found == {planned if threads is None else threads}


def test_a_process_outlives_a_command_and_its_folder_holds_another_map_then(
    scene: Scene, model: Path, tmp_path: Path
) -> None:
    """As that of a Dask worker does."""
    maker, first = ShardMaker(), begun(scene, model, tmp_path)
    assert maker.do(first[0]).error is None
    shutil.rmtree(tmp_path / "run")
    second, folder = begun(scene, model, tmp_path, smooth=True), WorkFolder(tmp_path / "run")
    outcome = maker.do(second[0])
    assert outcome.receipt == folder.receipt(1, read_plan(folder.plan_path)) is not None
    assert "run was changed by another program; let no two maps use one folder" in str(maker.do(first[1]).error)


def test_the_options_of_the_next_command_hold(scene: Scene, model: Path, tmp_path: Path) -> None:
    maker, task = ShardMaker(), begun(scene, model, tmp_path)[0]
    agree(WorkFolder(task.folder), replace(Maker.here(torch.device("cpu"), None), processor="aarch64 with SVE"))
    assert "would not fit together: the processor is aarch64 with SVE" in str(maker.do(task).error)
    assert maker.do(replace(task, options=replace(task.options, mixed=True))).error is None


def test_a_worker_with_another_model_makes_no_shard(
    scene: Scene, model: Path, wide_model: Path, tmp_path: Path
) -> None:
    """As on a machine that has another file under the same path, or if the file is replaced during the run."""
    path = tmp_path / "model.s2fin"
    path.write_bytes(model.read_bytes())
    task = begun(scene, path, tmp_path)[0]
    path.write_bytes(wide_model.read_bytes())
    outcome = ShardMaker().do(task)
    assert "was begun for another map: the checksum of the model was" in str(outcome.error)
    assert [path.name for path in task.folder.iterdir()] == ["plan.json"]


def test_a_cluster_needs_dask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"`scheduler` needs Dask; pip install 's2fin\[cluster\]'"):
        workers_of(None, "tcp://host:8786")
