"""What each step of a map made in shards takes, one after the other in a process of its own with one thread."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pyogrio

from s2fin_cli.shards.folder import WorkFolder
from s2fin_cli.shards.plan import read_plan
from s2fin_cli.shards.receipt import checksum
from s2fin_cli.vector.polygons import LAYER
from s2fin_cli.workflows.classify_job import ClassifyJob, prepare
from s2fin_cli.workflows.map_files import open_rasters, write_map_polygons
from s2fin_cli.workflows.options.classify import ClassifyOptions
from s2fin_cli.workflows.shard_plan import make_plan
from s2fin_cli.workflows.shards import assemble, make_shard
from stages import STAGES, Stopwatch, TimedPredictor, TimedStack

if TYPE_CHECKING:
    from s2fin_cli.shards.plan import Plan
    from synthetic import SyntheticScene

#: Tasks of nothing by which a scheduler's own time is measured.
TASKS = 1000
IMPORTS = "import s2fin_cli.workflows.classify"


@dataclass(frozen=True)
class Rates:
    """Measured times and sizes, of one thread.

    Attributes:
        bands: of all images.
        import_s: from the start of a process until its modules are imported.
        prepare_s: reading the model and looking at the scene, until a process could compute.
        plan_s: making the plan, or comparing it with the one that is there.
        decode_s: decoding and warping what a million pixels need, in a thread beside the one that computes.
        compute_s: computing a million pixels.
        shard_s: making a shard from start to end, a million pixels, with a core to spare for decoding and writing.
        shard_cpu_s: CPU time of the same in all threads.
        checksum_s: the checksum of the shards of a million pixels.
        assemble_s: filling the map's rasters by a million pixels, with checksums and overviews.
        polygons_s: making the polygons of a million pixels.
        read_mb: bytes of the images for a million pixels, compressed, in MB.
        shard_mb: bytes of the shards of a million pixels, in MB.
        map_mb: bytes of map and confidence of a million pixels, in MB.
        polygons_mb: bytes of the GeoPackage of a million pixels, in MB.
        polygons: their number in a million pixels.
        schedule_s: what Dask's scheduler takes for a task; None if it is not installed.
    """

    bands: int
    import_s: float
    prepare_s: float
    plan_s: float
    decode_s: float
    compute_s: float
    shard_s: float
    shard_cpu_s: float
    checksum_s: float
    assemble_s: float
    polygons_s: float
    read_mb: float
    shard_mb: float
    map_mb: float
    polygons_mb: float
    polygons: float
    schedule_s: float | None


def measure_rates(scene: SyntheticScene, model: Path, work: Path, folder: Path) -> Rates:
    """Measure all steps but the making of all shards.

    Args:
        scene: the scene.
        model: the model.
        work: work folder with all shards of the scene's map.
        folder: for the map.
    """
    paths = {**scene.images, "model": model, "device": "cpu", "overwrite": True}
    options = ClassifyOptions.from_kwargs(
        {**paths, "output": folder / "rates.tif", "confidence": folder / "rates_confidence.tif", "work": work}
    )
    preparing = Stopwatch()
    with preparing.running():
        job = prepare(options)
    kept = WorkFolder(work)
    with (planning := Stopwatch()).running():
        kept.begin(make_plan(job, size=kept.size_begun_with(), workers=None))
    plan = read_plan(kept.plan_path)
    mpx = job.stack.grid.height * job.stack.grid.width / 1e6
    return Rates(
        bands=sum(len(layer.numbers) for layer in job.stack.layers),
        import_s=_import_seconds(),
        prepare_s=preparing.seconds,
        plan_s=planning.seconds,
        **_shard_rates(job, plan, folder / "one"),
        checksum_s=_checksum_seconds(kept, plan) / mpx,
        **{name: value / mpx for name, value in _map_costs(job, kept, plan, folder).items()},
        read_mb=_megabytes(*scene.images.values()) / mpx,
        shard_mb=_megabytes(*map(kept.shard_path, plan.numbers)) / mpx,
        schedule_s=_schedule_seconds(),
    )


def _import_seconds() -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", IMPORTS], check=True)  # noqa: S603
    return time.perf_counter() - start


def _shard_rates(job: ClassifyJob, plan: Plan, work: Path) -> dict[str, float]:
    """Make one shard in a new work folder; seconds of its steps for a million pixels."""
    watches = {stage: Stopwatch() for stage in STAGES}
    timed = replace(
        job,
        stack=TimedStack.of(job.stack, watches),
        predictor=TimedPredictor(job.predictor, watches["compute"], computing=True),
    )
    folder = WorkFolder(work)
    folder.begin(plan)
    number = plan.numbers[0]
    window = plan.window(number)
    mpx = window.height * window.width / 1e6
    cpu, start = time.process_time(), time.perf_counter()
    make_shard(timed, folder, plan, number)
    total, cpu = time.perf_counter() - start, time.process_time() - cpu
    decode = watches["read"].seconds + watches["warp"].seconds
    seconds = {
        "decode_s": decode, "compute_s": watches["compute"].seconds, "shard_s": total, "shard_cpu_s": cpu,
    }  # fmt: skip
    return {name: value / mpx for name, value in seconds.items()}


def _checksum_seconds(folder: WorkFolder, plan: Plan) -> float:
    start = time.perf_counter()
    for number in plan.numbers:
        checksum(folder.shard_path(number))
    return time.perf_counter() - start


def _map_costs(job: ClassifyJob, work: WorkFolder, plan: Plan, folder: Path) -> dict[str, float]:
    """Assemble the whole map; seconds and sizes."""
    outputs = job.outputs
    assert outputs.confidence is not None
    assert outputs.polygons is not None
    start = time.perf_counter()
    with open_rasters(job, outputs) as rasters:
        assemble(job, work, plan, rasters)
    assembled = time.perf_counter()
    write_map_polygons(job, outputs)
    ended = time.perf_counter()
    return {
        "assemble_s": assembled - start,
        "polygons_s": ended - assembled,
        "map_mb": _megabytes(outputs.map, outputs.confidence),
        "polygons_mb": _megabytes(outputs.polygons),
        "polygons": float(pyogrio.read_info(outputs.polygons, layer=LAYER)["features"]),
    }


def _megabytes(*paths: str | Path) -> float:
    return sum(Path(path).stat().st_size for path in paths) / 1e6


def _schedule_seconds() -> float | None:
    """Seconds that Dask takes for a task by itself: tasks of nothing; None without Dask."""
    try:
        from distributed import Client, LocalCluster  # noqa: PLC0415  optional
    except ImportError:
        return None
    # workers are threads here, as only the scheduler matters; the port of its page may be taken
    how = {"n_workers": 2, "threads_per_worker": 1, "processes": False, "dashboard_address": ":0", "silence_logs": 50}
    with LocalCluster(**how) as cluster, Client(cluster) as client:
        client.gather(client.map(_nothing, range(10), pure=False))
        start = time.perf_counter()
        client.gather(client.map(_nothing, range(TASKS), pure=False))
        return (time.perf_counter() - start) / TASKS


def _nothing(number: int) -> int:
    return number
