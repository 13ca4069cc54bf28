"""All faults, how often each is tried, and how one is tried."""

from __future__ import annotations

import shutil
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tests.faults import disks, kills, shared, spoils
from tests.faults.setting import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.faults.setting import Setting


@dataclass(frozen=True)
class Fault:
    """Something that happens to a run.

    Attributes:
        name: for the table.
        meet: makes a run meet it in a new folder, at a moment from 0 to 1 of the run and with a generator of random
            numbers, and goes on afterwards.
        runs: how often it is tried for the table.
        mounts: whether it needs to mount disks.
    """

    name: str
    meet: Callable[[Setting, Path, float, np.random.Generator], Outcome]
    runs: int
    mounts: bool = False


FAULTS = (
    Fault("`kill -9` of `classify --work`", kills.coordinator, 50),
    Fault("`kill -9` of `classify --workers 2`", kills.coordinator_of_workers, 15),
    Fault("`kill -9` of one of two workers", kills.worker, 50),
    Fault("`kill -9` of `classify --overwrite` without `--work`", kills.overwriting, 30),
    Fault("`kill -9` at each step of moving the files to their places", kills.moving, kills.STEPS),
    Fault("`kill -9` of `assemble --overwrite`", kills.assembly, 30),
    Fault("`kill -9` of `train --overwrite`", kills.training, 15),
    Fault("SIGINT, SIGTERM or SIGHUP to `classify --work`", kills.asked_to_end, 20),
    Fault("SIGSTOP of a worker, and SIGCONT a second later", kills.paused_worker, 5),
    Fault("every worker is killed as soon as it starts", kills.dying_workers, 3),
    Fault("a full disk, of 0 to 100 % of the bytes needed", disks.full_disk, 30, mounts=True),
    Fault("a disk that becomes read-only", disks.read_only, 10, mounts=True),
    Fault("a work folder that is deleted", disks.deleted, 10),
    Fault("two runs on a disk without hard links, one of them killed", disks.no_links, 10),
    Fault("a shard that is truncated or has flipped bits", spoils.shard, 50),
    Fault("a receipt that is truncated or has flipped bits", spoils.receipt, 50),
    Fault("a plan that is truncated or has flipped bits", spoils.plan, 50),
    Fault("a clock that is off, and `kill -9`", spoils.clock, 10),
    Fault("storage blocks of an image that cannot be read", spoils.unreadable, 10),
    Fault("two runs with the same options in one work folder", shared.same_options, 10),
    Fault("two runs with different options in one work folder", shared.other_options, 10),
    Fault("a run and the tasks of a job array in one work folder", shared.with_parts, 10),
)


def meet(fault: Fault, setting: Setting, folder: Path, number: int, runs: int) -> Outcome:
    """Let a run meet a fault.

    Args:
        fault: the fault.
        setting: the scene, the model and the maps to compare with.
        folder: an empty place for what the runs write, which is removed.
        number: of the run, from 0. The moment is drawn from its part of the time, and the same in each call.
        runs: how many there are.

    Returns:
        the outcome; an unexpected error counts as wrong.
    """
    draw = np.random.default_rng([zlib.crc32(fault.name.encode()), number])
    place = folder / f"{fault.meet.__name__}-{number}"
    try:
        return fault.meet(setting, place, (number + draw.random()) / runs, draw)
    except Exception as error:  # noqa: BLE001  it is reported with the others
        return Outcome(identical=False, wrong=1, notes=(f"{type(error).__name__}: {error}",))
    finally:
        for left in folder.glob(f"{place.name}*"):
            if left.is_dir():
                shutil.rmtree(left, ignore_errors=True)
            else:
                left.unlink()
