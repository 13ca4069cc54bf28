"""Processes that are killed, stopped or asked to end at any moment of a run."""

from __future__ import annotations

import functools
import os
import shutil
import signal
import sys
import time
from typing import TYPE_CHECKING

from s2fin_cli.model.file import read_model
from tests.faults.runs import run, running
from tests.faults.setting import GOOD, SHARDS, Outcome, check_outputs, check_work, go_on, hidden, problem, visible

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import numpy as np

    from tests.faults.runs import Run
    from tests.faults.setting import Setting

WORKERS = ("--workers", 2)


def strike(
    setting: Setting,
    folder: Path,
    arguments: tuple[str, ...],
    at: float,
    hit: Callable[[Run], bool],
    *,
    begin: Callable[[Path], None],
    timed: tuple[str, ...] | None = None,
) -> str:
    """Run a command and do something to it at a moment of its run; gives what it printed.

    Args:
        setting: the setting.
        folder: where it runs; it is made.
        arguments: of the command.
        at: the moment, 0 to 1 of the time that an undisturbed run takes.
        hit: does it; False if there was nothing to hit, as when the run had ended, and it is tried again earlier.
        begin: prepares a folder.
        timed: a command that takes as long, if this one is run once only.
    """
    seconds = setting.duration(timed or arguments, begin)
    while True:
        begin(folder)
        with running(folder, *arguments) as process:
            time.sleep(at * seconds)
            if not process.has_ended and hit(process):
                process.wait()
                return process.errors
        shutil.rmtree(folder)
        at *= 0.8


def kill(process: Run) -> bool:
    """Kill a process and wait for its workers' end."""
    process.kill()
    return process.process.exitcode == -signal.SIGKILL


def some_workers(process: Run) -> list[int]:
    """The workers of a run, once it has some; none where it has ended."""
    while not (workers := process.workers) and not process.has_ended:
        time.sleep(0.02)
    return list(workers)


def make(folder: Path) -> None:
    folder.mkdir()


def coordinator(setting: Setting, folder: Path, at: float, draw: np.random.Generator) -> Outcome:
    """`kill -9` of a run in one process."""
    arguments = setting.classify(*SHARDS)
    strike(setting, folder, arguments, at, kill, begin=make)
    return check_outputs(setting, folder) + check_work(folder / "run") + go_on(setting, folder, arguments)


def coordinator_of_workers(setting: Setting, folder: Path, at: float, draw: np.random.Generator) -> Outcome:
    """`kill -9` of a run with two workers, which end with it; one process goes on."""
    strike(setting, folder, setting.classify(*SHARDS, *WORKERS), at, kill, begin=make)
    seen = check_outputs(setting, folder) + check_work(folder / "run")
    return seen + go_on(setting, folder, setting.classify(*SHARDS))


def worker(setting: Setting, folder: Path, at: float, draw: np.random.Generator) -> Outcome:
    """`kill -9` of a worker; the run goes on by itself."""

    def kill_worker(process: Run) -> bool:
        workers = some_workers(process)
        if not workers:
            return False
        os.kill(int(draw.choice(workers)), signal.SIGKILL)
        code = process.wait()
        if code != 0:
            raise AssertionError(f"exit code {code}: {process.errors}")
        return True

    arguments = setting.classify(*SHARDS, *WORKERS)
    strike(setting, folder, arguments, at, kill_worker, begin=make)
    return check_outputs(setting, folder) + check_work(folder / "run") + go_on(setting, folder, arguments)


def paused_worker(setting: Setting, folder: Path, at: float, draw: np.random.Generator) -> Outcome:
    """SIGSTOP of a worker, and SIGCONT a second later."""

    def pause(process: Run) -> bool:
        workers = some_workers(process)
        if not workers:
            return False
        os.kill(workers[0], signal.SIGSTOP)
        time.sleep(1)
        os.kill(workers[0], signal.SIGCONT)
        return process.wait() == 0

    arguments = setting.classify(*SHARDS, *WORKERS)
    strike(setting, folder, arguments, at, pause, begin=make)
    return check_outputs(setting, folder) + check_work(folder / "run") + go_on(setting, folder, arguments)


def dying_workers(setting: Setting, folder: Path, at: float, draw: np.random.Generator) -> Outcome:
    """Every worker is killed as soon as it is there; the run gives up and names the shard."""
    folder.mkdir()
    with running(folder, *setting.classify(*SHARDS, "--workers", 1)) as process:
        while not process.has_ended:
            for number in process.workers:
                os.kill(number, signal.SIGKILL)
            time.sleep(0.05)
        process.wait()
        seen = GOOD
        if "was tried 4 times" not in process.errors or process.process.exitcode != 1:
            seen = problem(f"it was not given up: {process.errors}")
    seen += check_outputs(setting, folder) + check_work(folder / "run")
    return seen + go_on(setting, folder, setting.classify(*SHARDS))


def asked_to_end(setting: Setting, folder: Path, at: float, draw: np.random.Generator) -> Outcome:
    """SIGINT, SIGTERM or SIGHUP; nothing but finished shards is left."""
    number = int(draw.choice([signal.SIGINT, signal.SIGTERM, signal.SIGHUP]))

    def ask(process: Run) -> bool:
        os.kill(process.pid, number)
        return process.wait() in (1, 128 + number)

    arguments = setting.classify(*SHARDS)
    errors = strike(setting, folder, arguments, at, ask, begin=make)
    left = hidden(folder) | (hidden(folder / "run") if (folder / "run").exists() else set())
    seen = Outcome(identical=True, notes=(f"left: {left}",)) if left else GOOD
    if "Traceback" in errors:
        seen += Outcome(identical=True, notes=(errors[-500:],))
    return seen + check_outputs(setting, folder) + check_work(folder / "run") + go_on(setting, folder, arguments)


def overwriting(setting: Setting, folder: Path, at: float, draw: np.random.Generator) -> Outcome:
    """`kill -9` of a run without a work folder that replaces an older map: the old map stays, or the new is whole."""
    arguments = setting.classify("--overwrite")

    def with_old_map(place: Path) -> None:
        shutil.copytree(setting.old, place)

    strike(setting, folder, arguments, at, kill, begin=with_old_map)
    return check_outputs(setting, folder, old=True) + go_on(setting, folder, setting.classify())


#: Steps in which the files of a map are moved to their places, about.
STEPS = 60


def _die_at(step: int) -> None:
    """Kill this process at a step of moving files to their places: a renaming or removal, counted from the record."""
    left = step + 1
    has_begun = False

    def count(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal left, has_begun
        if event in ("os.rename", "os.remove"):
            has_begun = has_begun or ".moves" in str(arguments[0])
            left -= has_begun
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)


def moving(setting: Setting, folder: Path, at: float, draw: np.random.Generator) -> Outcome:
    """`kill -9` of a run that replaces an older map, at one of the steps in which it moves its files."""
    shutil.copytree(setting.old, folder)
    with running(
        folder, *setting.classify("--overwrite"), before=functools.partial(_die_at, int(at * STEPS))
    ) as process:
        code = process.wait()
    seen = GOOD if code == -signal.SIGKILL else problem(f"exit code {code}: {process.errors[-500:]}")
    return seen + check_outputs(setting, folder, old=True) + go_on(setting, folder, setting.classify())


def assembly(setting: Setting, folder: Path, at: float, draw: np.random.Generator) -> Outcome:
    """`kill -9` of `assemble`, with an older map to replace."""
    arguments = ("assemble", "run", "-o", "map.tif", "--confidence", "c.tif", "--probabilities", "p.tif")
    shards = setting.new.parent / "shards"
    if not shards.exists():
        shards.mkdir()
        code, errors = run(shards, *setting.classify(*SHARDS, "--shard", "1/1"))
        assert code == 0, errors

    def with_shards(place: Path) -> None:
        shutil.copytree(setting.old, place)
        shutil.copytree(shards / "run", place / "run")

    strike(setting, folder, (*arguments, "--overwrite"), at, kill, begin=with_shards)
    seen = check_outputs(setting, folder, old=True) + check_work(folder / "run")
    return seen + go_on(setting, folder, arguments)


def training(setting: Setting, folder: Path, at: float, draw: np.random.Generator) -> Outcome:
    """`kill -9` of `train` that replaces an older model: the old one stays, or the new one is whole."""
    labels = ("--labels", setting.scene.labels, "--patch-size", 5, "--epochs", 1, "--no-refit")
    given = ("train", *setting.scene.arguments, *labels, "--device", "cpu", "-o", "m.s2fin", "--overwrite")
    arguments, old = tuple(map(str, given)), setting.model.read_bytes()

    def with_old_model(place: Path) -> None:
        place.mkdir()
        (place / "m.s2fin").write_bytes(old)

    strike(setting, folder, arguments, at, kill, begin=with_old_model)
    path, seen = folder / "m.s2fin", GOOD
    if not path.exists():
        seen += Outcome(identical=False, lost=1, notes=("the old model is gone",))
    elif path.read_bytes() != old:
        try:
            read_model(path)
        except Exception as error:  # noqa: BLE001  a spoilt file may raise anything
            seen += problem(f"the model is spoilt: {error}")
    code, errors = run(folder, *arguments)
    if code != 0 or visible(folder) != {"m.s2fin"} or hidden(folder):
        seen += problem(f"training again: {code}, {visible(folder)}, {hidden(folder)}: {errors[-500:]}")
    read_model(path)
    return seen
