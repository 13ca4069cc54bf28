"""Time and memory of whole commands, process start included: `s2fin classify`, and OTB's classifiers for comparison."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import geopandas as gpd
import numpy as np
import rasterio
from rasterio.transform import xy

from synthetic import SyntheticScene, write_scene

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

#: Options of OTB's classifiers that differ from its defaults.
OTB_CLASSIFIERS = {
    "random forest": ("-classifier", "rf", "-classifier.rf.nbtrees", "100"),
    "SVM": ("-classifier", "libsvm", "-classifier.libsvm.k", "rbf"),
}

#: Runs the command it is given and prints its seconds, its CPU seconds and its peak memory (KiB on Linux) as JSON.
#: NOTE: a small process of its own, because a child's peak includes what its parent held when it was forked.
LAUNCHER = """
import json, os, sys, time
start = time.perf_counter()
_, status, usage = os.wait4(os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ), 0)
seconds = time.perf_counter() - start
print(json.dumps([seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss]), file=sys.stderr)
sys.exit(os.waitstatus_to_exitcode(status))
"""


@dataclass(frozen=True)
class Cost:
    """The cost of a process: wall time, CPU time on all cores, and peak memory."""

    seconds: float
    cpu_seconds: float
    rss_mb: float


def command_cost(
    *arguments: str | Path, variables: Mapping[str, str] | None = None, folder: Path | None = None
) -> Cost:
    """Run a command, with more environment variables and in a folder, and return its cost.

    Raises:
        RuntimeError: it failed.
    """
    command, environment = [sys.executable, "-c", LAUNCHER, *map(str, arguments)], {**os.environ, **(variables or {})}
    done = subprocess.run(  # noqa: S603
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False, env=environment, cwd=folder
    )
    *messages, cost = done.stderr.strip().splitlines()
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, arguments))} failed: {' '.join(messages)}")
    seconds, cpu_seconds, peak = json.loads(cost)
    return Cost(seconds, cpu_seconds, peak / (1 << 20 if sys.platform == "darwin" else 1 << 10))


def s2fin_cost(*arguments: str | Path, checkout: Path | None = None) -> Cost:
    """The cost of an `s2fin` command from the start of the process to its end; of another checkout, if one is given."""
    paths = None if checkout is None else {"PYTHONPATH": os.pathsep.join(map(str, (checkout, checkout / "models")))}
    # `python -m` looks in the folder that it runs in first
    return command_cost(sys.executable, "-m", "s2fin_cli", *arguments, variables=paths, folder=checkout)


def classify_cost(scene: SyntheticScene, model: Path, output: Path, *options: str | Path) -> Cost:
    """The cost of `s2fin classify` for a scene."""
    images = [part for name, path in scene.images.items() for part in (f"--{name}", path)]
    return s2fin_cost("classify", "-q", "--overwrite", *images, "-m", model, "-o", output, *options)


def classify_costs(
    folder: Path, model: Path, *, bands: int, shapes: Sequence[tuple[int, int]], options: Sequence[str] = ()
) -> dict[str, Cost]:
    """The cost of `s2fin classify` for scenes of several shapes (height, width), by their names."""
    costs = {}
    for height, width in shapes:
        work = folder / f"{height}-{width}"
        work.mkdir()
        scene = write_scene(work, height=height, width=width, bands=bands)
        costs[shape_name((height, width))] = classify_cost(scene, model, work / "map.tif", *options)
        shutil.rmtree(work)
    return costs


def shape_name(shape: tuple[int, int]) -> str:
    """How a shape (height, width) is written."""
    return f"{shape[0]} x {shape[1]}"


def otb_costs(scene: SyntheticScene, folder: Path) -> dict[str, Cost]:
    """The cost of OTB's `otbcli_ImageClassifier` for the passive image of a scene, by classifier; empty without OTB.

    Each is trained on the scene's labels, and sees bands scaled by OTB's own statistics of the image.
    """
    if shutil.which("otbcli_ImageClassifier") is None:
        return {}
    image, statistics, labels = scene.images["hsi"], folder / "statistics.xml", folder / "labels.gpkg"
    _write_points(scene.labels, labels)
    command_cost("otbcli_ComputeImagesStatistics", "-il", image, "-out.xml", statistics)
    costs = {}
    for name, options in OTB_CLASSIFIERS.items():
        model = folder / "otb.model"
        command_cost(
            "otbcli_TrainImagesClassifier", "-io.il", image, "-io.vd", labels, "-io.imstat", statistics,
            "-sample.vfn", "class", "-sample.vtr", "0", "-sample.mt", "-1", "-sample.mv", "-1",
            *options, "-io.out", model,
        )  # fmt: skip
        costs[name] = command_cost(
            "otbcli_ImageClassifier", "-in", image, "-imstat", statistics, "-model", model,
            "-out", folder / "otb.tif", "uint8",
        )  # fmt: skip
    return costs


def _write_points(labels: str, dst_path: Path) -> None:
    """Write a label raster as points with a field `class`, from which OTB trains."""
    with rasterio.open(labels) as src:
        values = src.read(1)
        rows, cols = np.nonzero(values)
        geometry = gpd.points_from_xy(*xy(src.transform, rows, cols))
        points = gpd.GeoDataFrame({"class": values[rows, cols].astype(np.int32)}, geometry=geometry, crs=src.crs)
    points.to_file(dst_path)
