"""What a map costs: the times that were measured, put together by the simulation in `cluster.py`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cluster import Outcome, Setup, Steps, simulate
from shard_rates import Rates

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Pixels of a shard of a large map, in millions, and of a scene: a tile of Sentinel-2's grid.
SHARD_MPX, SCENE_MPX = 1280**2 / 1e6, 10_980**2 / 1e6
#: Measured rate of `s2fin classify --no-vector` on an H200 with 144 bands, start included, see docs/benchmarks.md.
H200_MPX_S = 1.53
#: Start of a process there, with CUDA.
H200_START_S = 6.0
CORE, GPU = "CPU core", "H200"


@dataclass(frozen=True)
class Costs:
    """What is known and assumed.

    Attributes:
        rates: measured times and sizes, of one thread.
        disk_mb_s: of the disk that all workers share.
        losses_per_hour: how often a worker is lost.
        prices: of an hour of a core and of a device, where they were given.
    """

    rates: Rates
    disk_mb_s: float = 1000.0
    losses_per_hour: float = 0.0
    prices: Mapping[str, float] = field(default_factory=dict)

    def compute_s(self, kind: str) -> float:
        """Seconds in which a worker makes the shards of a million pixels, with nothing but a core or a device."""
        return max(self.rates.shard_s, self.rates.shard_cpu_s) if kind == CORE else 1 / H200_MPX_S

    def start_s(self, kind: str) -> float:
        """Seconds until a worker can compute."""
        own = self.rates.import_s + self.rates.prepare_s
        return own if kind == CORE else max(own, H200_START_S)

    def balance(self, kind: str, *, polygons: bool) -> float:
        """How many workers make shards as fast as one process assembles them and, if wanted, makes their polygons."""
        return self.compute_s(kind) / (self.rates.assemble_s + self.rates.polygons_s * polygons)

    def of_map(self, kind: str, mpx: float, workers: int) -> Outcome:
        """A map of many million pixels, made in shards by several workers and assembled by one process."""
        return self._in_shards(kind, mpx, workers, is_beside=False)

    def of_list(self, kind: str, mpx: float, workers: int) -> Outcome:
        """Maps of many scenes, made in shards by several workers and assembled by one process meanwhile."""
        return self._in_shards(kind, mpx, workers, is_beside=True)

    def _in_shards(self, kind: str, mpx: float, workers: int, *, is_beside: bool) -> Outcome:
        rates = self.rates
        steps = Steps(
            first_s=rates.import_s + rates.prepare_s + rates.plan_s,
            start_s=self.start_s(kind),
            shard_s=SHARD_MPX * self.compute_s(kind),
            schedule_s=rates.schedule_s or 0.0,
            read_mb=SHARD_MPX * rates.read_mb,
            write_mb=SHARD_MPX * rates.shard_mb,
            assemble_s=SHARD_MPX * rates.assemble_s,
            polygons_s=SHARD_MPX * rates.polygons_s,
        )
        return simulate(steps, self._setup(mpx / SHARD_MPX, workers), is_beside=is_beside)

    def of_scenes(self, kind: str, mpx: float, workers: int) -> Outcome:
        """Many scenes, each mapped from images to polygons by one worker of several."""
        rates = self.rates
        seconds = self.compute_s(kind) + rates.polygons_s
        steps = Steps(
            first_s=0.0,
            start_s=self.start_s(kind),
            shard_s=SCENE_MPX * seconds,
            read_mb=SCENE_MPX * rates.read_mb,
            write_mb=SCENE_MPX * (rates.map_mb + rates.polygons_mb),
        )
        return simulate(steps, self._setup(mpx / SCENE_MPX, workers))

    def _setup(self, tasks: float, workers: int) -> Setup:
        return Setup(max(round(tasks), 1), workers, self.disk_mb_s, self.losses_per_hour)


def predicted(results: Mapping[str, Any], workers: int) -> float:
    """Seconds that the simulation gives for the scene that was measured, on the machine that it was measured on."""
    rates, scene = Rates(**results["rates"]), results["scene"]
    mpx, cores = scene["side"] ** 2 / 1e6 / scene["shards"], results["machine"]["cores"]
    steps = Steps(
        first_s=rates.import_s + rates.prepare_s + rates.plan_s,
        start_s=rates.import_s + rates.prepare_s,
        shard_s=mpx * max(rates.shard_s, rates.shard_cpu_s * workers / cores),
        assemble_s=mpx * rates.assemble_s,
        polygons_s=mpx * rates.polygons_s,
    )
    return simulate(steps, Setup(scene["shards"], workers)).seconds
