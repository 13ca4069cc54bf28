"""A simulation of a map that is made in shards by many workers, from the times that single steps take.

Events are simulated one by one: a worker asks for a shard, the scheduler takes its time for it, the shared disk gives
the images of one shard after the other while they are computed, and takes the finished shard. A worker may be lost at
any moment; its shard is made again and a new worker starts. When all shards are there, one process assembles the map
and makes its polygons. Of many maps it does so while the workers go on with the next ones.
"""

from __future__ import annotations

import heapq
import math
import random
from dataclasses import dataclass, replace
from enum import IntEnum

#: Shards that are simulated at most; the time of a larger map is that of so many, in proportion.
MOST_SHARDS = 10_000
#: A disk or scheduler that is busy for this share of the time holds the workers up.
SATURATED = 0.95


@dataclass(frozen=True)
class Steps:
    """What the steps take.

    Attributes:
        first_s: from the start of the command until its workers start.
        start_s: start of a worker.
        shard_s: making a shard, while the disk and the scheduler keep up.
        schedule_s: of the scheduler for a shard.
        read_mb: read of the shared disk for a shard.
        write_mb: written there for a shard.
        assemble_s: assembling a shard, in one process.
        polygons_s: polygons of a shard, in the same process.
    """

    first_s: float
    start_s: float
    shard_s: float
    schedule_s: float = 0.0
    read_mb: float = 0.0
    write_mb: float = 0.0
    assemble_s: float = 0.0
    polygons_s: float = 0.0


@dataclass(frozen=True)
class Setup:
    """What is simulated.

    Attributes:
        shards: of the map.
        workers: that make them side by side.
        disk_mb_s: of the shared disk, for all of them together.
        losses_per_hour: how often a worker is lost.
        seed: of the moments at which workers are lost.
    """

    shards: int
    workers: int
    disk_mb_s: float = math.inf
    losses_per_hour: float = 0.0
    seed: int = 0


@dataclass(frozen=True)
class Outcome:
    """How it went, times in seconds.

    Attributes:
        first_s: until the first worker can compute.
        making_s: from then until all shards are there.
        assemble_s: assembling.
        polygons_s: making polygons.
        disk: share of `making_s` for which the disk was busy.
        scheduler: the same of the scheduler.
        lost: workers that were lost.
        is_beside: whether assembling and polygons go on while shards are made.
    """

    first_s: float
    making_s: float
    assemble_s: float
    polygons_s: float
    disk: float
    scheduler: float
    lost: int
    is_beside: bool = False

    @property
    def seconds(self) -> float:
        """Of the whole map, or of all maps."""
        after = self.assemble_s + self.polygons_s
        return self.first_s + (max(self.making_s, after) if self.is_beside else self.making_s + after)

    @property
    def bottleneck(self) -> str:
        """What takes most of the time."""
        making = "the shared disk" if self.disk > SATURATED else "computing"
        making = "the scheduler" if self.scheduler > max(SATURATED, self.disk) else making
        is_hidden = self.is_beside and self.making_s < self.assemble_s + self.polygons_s
        if self.is_beside and not is_hidden:
            return making
        parts = {
            "starting": self.first_s, making: 0.0 if is_hidden else self.making_s,
            "assembling": self.assemble_s, "polygons": self.polygons_s,
        }  # fmt: skip
        return max(parts, key=lambda name: parts[name])


class _Do(IntEnum):
    """What a worker does next."""

    ASK = 0
    WRITE = 1
    RESTART = 2


def simulate(steps: Steps, setup: Setup, *, is_beside: bool = False) -> Outcome:
    """Simulate a map from the start of the command to its end.

    Args:
        steps: what the steps take.
        setup: workers, shards and their surroundings.
        is_beside: whether the shards are those of many maps, each of which is assembled while others are made.
    """
    whole = setup.shards / min(setup.shards, MOST_SHARDS)
    made = _make(steps, replace(setup, shards=min(setup.shards, MOST_SHARDS)))
    return Outcome(
        first_s=steps.first_s + steps.start_s,
        making_s=made.seconds * whole,
        assemble_s=setup.shards * steps.assemble_s,
        polygons_s=setup.shards * steps.polygons_s,
        disk=made.disk_s / made.seconds,
        scheduler=made.scheduler_s / made.seconds,
        lost=round(made.lost * whole),
        is_beside=is_beside,
    )


@dataclass
class _Made:
    """Sums while shards are made."""

    seconds: float = 0.0
    disk_s: float = 0.0
    scheduler_s: float = 0.0
    lost: int = 0


def _make(steps: Steps, setup: Setup) -> _Made:
    """Make all shards; times count from when the first worker can compute."""
    made, dice = _Made(), random.Random(setup.seed)  # noqa: S311  a simulation
    read_s, write_s = steps.read_mb / setup.disk_mb_s, steps.write_mb / setup.disk_mb_s
    left, disk_free, scheduler_free = setup.shards, 0.0, 0.0
    events = [(0.0, worker, _Do.ASK) for worker in range(min(setup.workers, setup.shards))]
    idle: list[int] = []
    while events:
        now, worker, do = heapq.heappop(events)
        if do is _Do.WRITE:
            disk_free = max(now, disk_free) + write_s
            made.disk_s += write_s
            made.seconds = max(made.seconds, disk_free)
            heapq.heappush(events, (disk_free, worker, _Do.ASK))
            continue
        if do is _Do.RESTART:  # the shard of the lost worker is to be made again, by whoever is free
            left += 1
            made.lost += 1
            for free in [worker, *idle]:
                heapq.heappush(events, (now + (steps.start_s if free == worker else 0.0), free, _Do.ASK))
            idle.clear()
            continue
        if left == 0:
            idle.append(worker)
            continue
        left -= 1
        scheduler_free = max(now, scheduler_free) + steps.schedule_s
        made.scheduler_s += steps.schedule_s
        disk_free = max(scheduler_free, disk_free) + read_s
        made.disk_s += read_s
        end = max(scheduler_free + steps.shard_s, disk_free)
        lost_at = now + _until_loss(dice, setup.losses_per_hour)
        heapq.heappush(events, (lost_at, worker, _Do.RESTART) if lost_at < end else (end, worker, _Do.WRITE))
    return made


def _until_loss(dice: random.Random, per_hour: float) -> float:
    """Seconds until a worker is lost."""
    return dice.expovariate(per_hour / 3600) if per_hour else math.inf
