"""What shards cost and gain: one scene classified plainly, in shards, by one worker and by two, and the steps alone.

python benchmarks/shards.py [--side 5120] [--bands 12] [--workers 1,2] [--json benchmarks/results/shards.json]

Each way is a whole command with one thread a process, its start included. All maps, confidences and polygon tables must
be identical. Then the steps are timed one by one, which `costs.py` makes its tables from. 26 Mpx take about 20 minutes
on two cores that do nothing else; `--side 1280` takes two. Figures are printed and written to the file as they come.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import logging
import os
import platform
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyogrio
import rasterio
import torch

from s2fin_cli.geo.windows import iter_tiles
from s2fin_cli.shards.folder import WorkFolder
from s2fin_cli.shards.plan import read_plan
from s2fin_cli.vector.polygons import LAYER
from shard_rates import measure_rates
from synthetic import write_scene
from throughput import train
from watched import s2fin

if TYPE_CHECKING:
    from synthetic import SyntheticScene
    from watched import Run

#: Names of the ways that do not depend on the number of workers.
PLAIN, ALONE = "plain", "shards, one process"
#: Each process computes with one thread.
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
#: Pixels a side of what is hashed at a time.
PART = 2048


@dataclass(frozen=True)
class Case:
    """What is classified, and where.

    Attributes:
        scene: the scene.
        model: the model.
        folder: for maps and shards.
        side: pixels a side of the scene.
    """

    scene: SyntheticScene
    model: Path
    folder: Path
    side: int

    @property
    def work(self) -> Path:
        """The work folder of the shards that one process makes."""
        return self.folder / "work"

    def classify(self, *options: str | Path) -> Run:
        """Run `s2fin classify`, which replaces the map of the run before."""
        images = [str(part) for name, path in self.scene.images.items() for part in (f"--{name}", path)]
        outputs: list[str | Path] = ["-o", self.folder / "map.tif", "--confidence", self.folder / "confidence.tif"]
        return s2fin(
            "classify", "-q", "--overwrite", "--device", "cpu", *images, "-m", self.model, *outputs, *options,
            variables={**os.environ, **ONE_THREAD},
        )  # fmt: skip

    def contents(self) -> dict[str, str]:
        """Checksums of all pixels of the map and the confidence, and of all rows of the polygons."""
        found = {name: pixels_of(self.folder / f"{name}.tif") for name in ("map", "confidence")}
        return {**found, "polygons": rows_of(self.folder / "map.gpkg")}


def pixels_of(path: Path) -> str:
    """Checksum of a raster's pixels."""
    digest = hashlib.sha256()
    with rasterio.open(path) as src:
        for window in iter_tiles(src.shape, (PART, PART)):
            digest.update(src.read(window=window).tobytes())
    return digest.hexdigest()


def rows_of(path: Path) -> str:
    """Checksum of a polygon table: numbers, geometries and fields, in order."""
    meta, numbers, geometries, fields = pyogrio.raw.read(path, layer=LAYER, return_fids=True)
    digest = hashlib.sha256(repr((meta["crs"], list(meta["fields"]), numbers.tolist())).encode())
    for geometry in geometries:
        digest.update(geometry)
    for values in fields:
        digest.update(repr(values.tolist()).encode())
    return digest.hexdigest()


class Report:
    """Figures as they come: lines on stdout, and all of them so far in a file."""

    def __init__(self, path: Path | None) -> None:
        """Take the file, if one is wanted."""
        self.figures: dict[str, Any] = {}
        self._path = path

    def add(self, line: str, **figures: Any) -> None:
        """Print a line and keep figures."""
        print(line, flush=True)
        self.figures |= figures
        if self._path is not None:
            self._path.write_text(json.dumps(self.figures, indent=2) + "\n", encoding="utf-8")


def compare(case: Case, counts: list[int], report: Report) -> None:
    """Run all ways one after the other, first those whose ratio counts most.

    Raises:
        RuntimeError: files differ.
    """
    ways: dict[str, list[str | Path]] = {name_of(count): ["--workers", str(count)] for count in counts}
    ways |= {PLAIN: [], ALONE: ["--work", case.work]}
    runs: dict[str, Any] = {}
    first: dict[str, str] = {}
    for name, options in ways.items():
        run, contents = case.classify(*options), case.contents()
        first = first or contents
        differing = [part for part, value in contents.items() if value != first[part]]
        if differing:
            raise RuntimeError(f"{' and '.join(differing)} of {name!r} differ from those of {next(iter(runs))!r}")
        runs[name] = dataclasses.asdict(run)
        report.add(_line(name, run, case), runs=runs, identical=len(runs), contents=contents)


def name_of(count: int) -> str:
    """What the way of several workers is called."""
    return f"{count} workers" if count > 1 else "1 worker"


def _line(name: str, run: Run, case: Case) -> str:
    """What a run cost, in words."""
    memory = [f"{process.role} {process.rss_mb:.0f} MiB" for process in run.processes]
    rate = case.side**2 / run.seconds / 1000
    return f"{name:20} {run.seconds:7.1f} s {run.cpu_seconds:7.1f} CPU s {rate:6.1f} kpx/s; {', '.join(memory)}"


def ratios(runs: dict[str, Any], counts: list[int]) -> dict[str, float]:
    """What the runs must show, in wall time and, for the overhead, also in CPU time, which other processes change less.

    Args:
        runs: cost by way.
        counts: numbers of workers.
    """

    def of(way: str, other: str, unit: str = "seconds") -> float:
        return float(runs[way][unit] / runs[other][unit])

    found = {f"{name_of(count)} / 1 worker": of(name_of(count), name_of(1)) for count in counts if count > 1}
    for way in (ALONE, name_of(1)):
        found |= {f"{way} / plain": of(way, PLAIN), f"{way} / plain, CPU time": of(way, PLAIN, "cpu_seconds")}
    return found


def machine() -> dict[str, Any]:
    """What the figures depend on."""
    processor = platform.processor() or platform.machine()
    if (info := Path("/proc/cpuinfo")).exists():
        names = [line.split(":")[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
        processor = names[0] if names else processor
    return {
        "processor": processor,
        "cores": os.cpu_count(),
        "load before": os.getloadavg()[0],
        "torch": str(torch.__version__),
        "date": time.strftime("%Y-%m-%d"),
    }


def measure(args: argparse.Namespace, folder: Path, report: Report) -> None:
    """All figures."""
    counts = [int(count) for count in args.workers.split(",")]
    scene = write_scene(folder, height=args.side, width=args.side, bands=args.bands)
    case = Case(scene, train(scene, folder), folder, args.side)
    size = {"side": args.side, "bands": args.bands}
    report.add(f"{args.side} x {args.side} pixels, {args.bands} + 1 bands", machine=machine(), scene=size)
    compare(case, counts, report)
    size["shards"] = len(read_plan(WorkFolder(case.work).plan_path))
    found = ratios(report.figures["runs"], counts)
    report.add("\n".join(f"{name:40} {value:.3f}" for name, value in found.items()), ratios=found)
    rates = dataclasses.asdict(measure_rates(scene, case.model, case.work, folder))
    report.add("\n".join(f"{name:14} {value}" for name, value in rates.items()), rates=rates)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=5120, help="pixels a side of the scene")
    parser.add_argument("--bands", type=int, default=12, help="of the passive image")
    parser.add_argument("--workers", default="1,2", help="numbers of workers; 1 is one of them")
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    args = parser.parse_args()
    logging.getLogger("s2fin_cli").setLevel(logging.ERROR)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        measure(args, Path(folder), Report(args.json))


if __name__ == "__main__":
    main()
