"""How fast s2fin classifies, on the same trained model: patch by patch as research code does it, and by the engine.

python benchmarks/throughput.py [--quick] [--bands 144] [--device auto] [--json FILE] [--table FILE] [--large]

All figures are from one run, so their ratios hold even on a noisy machine. `--quick` takes
a minute or so on two cores; `--large` adds a scene of 100 Mpx at the largest stride. OTB's classifiers are run for
comparison if OTB is installed (Debian's otb-bin). Memory by height is measured with small tiles, of which even the
smaller scene has several, at the largest stride.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import logging
import platform
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from commands import classify_cost, classify_costs, otb_costs, s2fin_cost, shape_name
from engine_rates import compare, rates_by_bands
from s2fin_cli.core.device import keep_freed_memory, pick_device
from s2fin_cli.teaching.recipe import EnsembleRecipe
from s2fin_cli.training.recipe import Recipe, Sampling
from s2fin_cli.workflows.options.train import TrainOptions
from s2fin_cli.workflows.train import run
from stages import stages_of
from synthetic import SyntheticScene, write_scene
from throughput_tables import tables

#: A small teacher, and few pixels to label.
SMALL = Recipe(
    ensemble=EnsembleRecipe(trees=8, trees_to_validate=4, rounds=4, fewest_rounds=4),
    sampling=Sampling(scene_cells=16, scene_pixels=500),
)


def train(scene: SyntheticScene, folder: Path) -> Path:
    """A model for a scene, trained for one epoch with a small teacher, because speed does not depend on accuracy."""
    model = folder / "model.s2fin"
    given = {**scene.images, "labels": scene.labels, "output": model}
    run(TrainOptions.from_kwargs({**given, "epochs": 1, "validation": 0, "labels_per_class": 5}), recipe=SMALL)
    return model


def measure(args: argparse.Namespace, folder: Path, console: Console) -> dict[str, Any]:
    """All figures."""
    device = pick_device(args.device)
    console.print("a scene, and a model trained on it")
    size = 200 if args.quick else 1024
    scene = write_scene(folder, height=size, width=size, bands=args.bands)
    model = train(scene, folder)
    results: dict[str, Any] = {"device": _describe(device), "threads": torch.get_num_threads(), "bands": args.bands}
    console.print("patch by patch, and by the engine")
    results |= compare(scene, model, device, quick=args.quick)
    console.print("stages of a classification")
    results |= stages_of(folder, model, device, bands=args.bands, quick=args.quick)
    console.print("other numbers of bands")
    results["px_s_by_bands"] = rates_by_bands(device, side=80 if args.quick else 640)
    console.print("whole commands")
    results["commands"] = whole_commands(scene, model, folder, pixels=size**2)
    console.print("ever larger scenes")
    # ten times the height at the same width; the smaller scene already has as many rows of blocks as GDAL keeps
    low, high = [(800, 40), (8000, 40)] if args.quick else [(1280, 640), (12_800, 640)]
    costs = classify_costs(
        folder, model, bands=args.bands, shapes=[low, high], options=["--stride", "5", "--tile-size", "80"]
    )
    if not args.quick:
        shapes = [(200, 200), (1280, 1280), (640, 6400), *([(6144, 4096)] if device.type == "cuda" else [])]
        costs |= classify_costs(folder, model, bands=args.bands, shapes=shapes)
    if args.large:
        costs |= classify_costs(folder, model, bands=args.bands, shapes=[(10_240, 10_240)], options=["--stride", "5"])
    results["scenes"] = {shape: dataclasses.asdict(cost) for shape, cost in costs.items()}
    results["rss_ratio"] = costs[shape_name(high)].rss_mb / costs[shape_name(low)].rss_mb
    results["help_seconds"] = s2fin_cost("--help").seconds
    return results


def whole_commands(scene: SyntheticScene, model: Path, folder: Path, *, pixels: int) -> dict[str, dict[str, float]]:
    """Pixels per second of commands that classify one scene, process start included, and their peak memory."""
    costs = {"s2fin classify": classify_cost(scene, model, folder / "map.tif")}
    costs |= {f"OTB, {name}": cost for name, cost in otb_costs(scene, folder).items()}
    return {name: {**dataclasses.asdict(cost), "px_s": pixels / cost.seconds} for name, cost in costs.items()}


def _describe(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {platform.machine()}"


def main() -> int:
    """The command; its exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="smaller scenes and fewer runs: a minute")
    parser.add_argument("--large", action="store_true", help="also a scene of 100 Mpx")
    parser.add_argument("--bands", type=int, default=144)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, help="of torch")
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    parser.add_argument("--table", type=Path, help="write the tables to this file instead of stdout")
    args = parser.parse_args()
    logging.getLogger("s2fin_cli").setLevel(logging.ERROR)
    if args.threads:
        torch.set_num_threads(args.threads)
    keep_freed_memory()
    with tempfile.TemporaryDirectory() as folder:
        results = measure(args, Path(folder), Console(stderr=True))
    if args.json is not None:
        args.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    if args.table is None:
        print(tables(results), end="")
    else:
        args.table.write_text(tables(results), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
