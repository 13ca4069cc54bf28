"""Several runs that use one work folder at once."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tests.faults.runs import running
from tests.faults.setting import GOOD, SHARDS, Outcome, check_outputs, check_work, difference, go_on, problem

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

    from tests.faults.setting import Setting


def same_options(setting: Setting, folder: Path, at: float, draw: np.random.Generator) -> Outcome:
    """Two runs with the same options, the second one a little later; both make the map."""
    places = folder, folder / "other"
    places[1].mkdir(parents=True)
    commands = setting.classify(*SHARDS), setting.classify("--work", folder / "run", "--shard-size", 16)
    seconds = setting.duration(commands[0], lambda place: place.mkdir())
    seen = GOOD
    with running(places[0], *commands[0]) as one:
        time.sleep(at * seconds)
        with running(places[1], *commands[1]) as other:
            for process, place in ((one, places[0]), (other, places[1])):
                if process.wait() != 0:
                    seen += problem(process.errors[-500:])
                elif (found := difference(place, setting.new)) is not None:
                    seen += problem(found)
    return seen + check_work(folder / "run") + go_on(setting, folder, commands[0])


def other_options(setting: Setting, folder: Path, at: float, draw: np.random.Generator) -> Outcome:
    """Two runs with different options: the later one is refused, and no map is wrong."""
    places = folder, folder / "other"
    places[1].mkdir(parents=True)
    commands = setting.classify(*SHARDS), setting.classify("--work", folder / "run", "--shard-size", 48, stride=3)
    seen, codes = GOOD, []
    with running(places[0], *commands[0]) as one:
        time.sleep(0.2 * at)
        with running(places[1], *commands[1]) as other:
            for process, place, expected in ((one, places[0], setting.new), (other, places[1], setting.old)):
                codes.append(process.wait())
                if codes[-1] == 0 and (found := difference(place, expected)) is not None:
                    seen += problem(found)
                if codes[-1] != 0 and "was begun for another map" not in process.errors:
                    seen += problem(process.errors[-500:])
    if sorted(codes) != [0, 1]:
        seen += problem(f"exit codes {codes}")
    if codes[0] == 0:
        return seen + go_on(setting, folder, commands[0])
    return seen


def with_parts(setting: Setting, folder: Path, at: float, draw: np.random.Generator) -> Outcome:
    """A run, and the tasks of a job array on the same folder."""
    folder.mkdir()
    command = setting.classify(*SHARDS)
    seconds = setting.duration(command, lambda place: place.mkdir())
    with (
        running(folder, *command, "--shard", "1/2") as first,
        running(folder, *command, "--shard", "2/2") as second,
    ):
        time.sleep(at * seconds)
        with running(folder, *command) as whole:
            seen = GOOD
            for process in (first, second, whole):
                if process.wait() != 0:
                    seen += problem(process.errors[-500:])
    return seen + check_outputs(setting, folder) + check_work(folder / "run") + go_on(setting, folder, command)
