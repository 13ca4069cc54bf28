"""How fast s2fin classifies, on the same trained model: patch by patch as research code does it, and by the engine.

python benchmarks/throughput.py [--quick] [--bands 144] [--device auto] [--json FILE] [--table FILE] [--large]

All figures are of one run, so their ratios hold on a noisy machine where the figures themselves do not. `--quick` takes
a minute or so on two cores; `--large` adds a scene of 100 Mpx at the largest stride. OTB's classifiers are run
beside where OTB is installed (Debian's otb-bin). Memory by height is measured in small tiles, of which even the lower
scene has several, at the largest stride.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import functools
import json
import logging
import platform
import shutil
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import numpy as np
import torch
from rasterio.windows import Window
from rich.console import Console

import s2fin_cli
from commands import classify_cost, classify_costs, otb_costs, s2fin_cost, shape_name
from network_cost import fastest, mflop
from s2fin import S2Fin, S2FinConfig
from s2fin_cli.core.device import keep_freed_memory, pick_device
from s2fin_cli.core.options import InputOptions
from s2fin_cli.inference.engine import Engine
from s2fin_cli.model.file import read_model
from s2fin_cli.model.fit import fit_stack
from s2fin_cli.raster.classmap import RasterWriter
from s2fin_cli.stack.assembly import stack_of
from s2fin_cli.stack.stack import OpenStack, Stack
from s2fin_cli.teaching import ensemble as teacher
from s2fin_cli.workflows import classify as pipeline
from s2fin_cli.workflows import train as learn_pipeline
from summary import table
from synthetic import CLASSES, SyntheticScene, write_scene

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from s2fin_cli.raster.read import WindowReader

BANDS = (16, 64, 144, 224, 426)
#: Patches that the naive loop gives to the network at a time.
NAIVE_BATCH = 256
#: Sides of the matrix product that serves as measure: large enough to keep the device busy.
GEMM_SIDES = {"cpu": 2048, "cuda": 8192}
#: Side of the scene that is classified as a whole, by device and whether it is to be quick.
SIDES = {("cpu", True): 640, ("cpu", False): 1280, ("cuda", True): 1024, ("cuda", False): 4096}


@dataclass(frozen=True)
class Rate:
    """How fast something classifies.

    Attributes:
        px_s: pixels a second.
        mflop_px: millions of multiplications and additions a pixel, in matrix products and convolutions.
        gemm_share: of the measured peak of matrix products.
    """

    px_s: float
    mflop_px: float
    gemm_share: float


@dataclass(frozen=True)
class Tile:
    """Raw values of a square tile with its margin, (bands, side + 2 margin, side + 2 margin)."""

    image: torch.Tensor
    aux: torch.Tensor
    side: int

    @property
    def pixels(self) -> int:
        """To classify."""
        return self.side**2


# ---- what is compared ------------------------------------------------------------------------------------------------


def classify_naively(network: S2Fin, tile: Tile, device: torch.device) -> NDArray[np.int64]:
    """Classes (side, side) patch by patch: each is cut on the host, and goes through the whole network by itself."""
    image, aux = tile.image.numpy(), tile.aux.numpy()
    size, places = network.input_size, [divmod(number, tile.side) for number in range(tile.pixels)]
    classes: list[NDArray[np.int64]] = []
    with torch.inference_mode():
        for start in range(0, len(places), NAIVE_BATCH):
            batch = places[start : start + NAIVE_BATCH]
            patches = (
                torch.from_numpy(np.stack([part[:, row : row + size, col : col + size] for row, col in batch]))
                for part in (image, aux)
            )
            classes.append(network(*(part.to(device) for part in patches)).argmax(dim=1).cpu().numpy())
    return np.concatenate(classes).reshape(tile.side, tile.side)


def classify_by_engine(engine: Engine, tile: Tile) -> NDArray[np.int64]:
    """Classes (side, side) by the engine."""
    probs = engine.predict(tile.image, tile.aux, torch.ones(tile.side, tile.side, dtype=torch.bool))
    return np.asarray(probs.argmax(dim=0).numpy())


def gemm_peak(device: torch.device) -> float:
    """FLOP a second of a large matrix product in float32."""
    side = GEMM_SIDES[device.type]
    left, right = (torch.randn(side, side, device=device) for _ in range(2))

    def multiply() -> None:
        torch.mm(left, right)
        _wait_for(device)

    return 2 * side**3 / fastest(multiply, times=10)


def rate_of(run: Callable[[], object], pixels: int, peak: float, *, times: int) -> Rate:
    """How fast something classifies so many pixels."""
    work, seconds = mflop(run), fastest(run, times=times)
    return Rate(pixels / seconds, work / pixels, 1e6 * work / seconds / peak)


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


# ---- one model in memory ---------------------------------------------------------------------------------------------


def train(scene: SyntheticScene, folder: Path) -> Path:
    """A trained model for a scene; of one epoch and a small teacher, as speed does not depend on how good it is."""
    model = folder / "model.s2fin"
    with (
        mock.patch.multiple(teacher, TREES=8, TREES_TO_VALIDATE=4, ROUNDS=4, FEWEST_ROUNDS=4),
        mock.patch.multiple(learn_pipeline, SCENE_CELLS=16, SCENE_PIXELS=500),
    ):
        s2fin_cli.train(**scene.images, labels=scene.labels, output=model, epochs=1, validation=0, labels_per_class=5)
    return model


def read_tile(scene: SyntheticScene, model: Path, *, side: int) -> Tile:
    """The upper left tile of a scene."""
    network, info = read_model(model)
    stack = fit_stack(info, stack_of(InputOptions.from_kwargs(scene.images)))
    with stack.open() as opened:
        tile = opened.read(Window(0, 0, side, side), halo=network.input_size // 2)
    assert tile.images.aux is not None
    return Tile(torch.from_numpy(tile.images.image), torch.from_numpy(tile.images.aux), side)


def compare(scene: SyntheticScene, model: Path, device: torch.device, *, quick: bool) -> dict[str, Any]:
    """The naive loop and the engine, on one tile each."""
    network = read_model(model)[0].to(device).eval()
    peak = gemm_peak(device)
    small, large = (read_tile(scene, model, side=side) for side in ((32, 160) if quick else (160, 960)))
    strides = {"stride1": 1, "default": None} | ({} if quick else {"stride3": 3})
    engines = {name: Engine(network, device, stride=stride) for name, stride in strides.items()}
    naive = rate_of(lambda: classify_naively(network, small, device), small.pixels, peak, times=1 if quick else 3)
    rates = {"naive": naive}
    for name, engine in engines.items():
        tile = small if name == "stride1" else large
        rates[name] = rate_of(functools.partial(classify_by_engine, engine, tile), tile.pixels, peak, times=3)
    same = (classify_naively(network, small, device) == classify_by_engine(engines["stride1"], small)).mean()
    return {
        "gemm_gflop_s": peak / 1e9,
        "gemm_side": GEMM_SIDES[device.type],
        **{f"{name}_{key}": value for name, rate in rates.items() for key, value in dataclasses.asdict(rate).items()},
        "gemm_share": rates["default"].gemm_share,
        "stride1_same_classes": float(same),
        "compared_pixels": small.pixels,
        **({} if device.type == "cpu" else {"cpu_same_classes": _same_on_a_cpu(engines["default"], model, large)}),
    }


def _same_on_a_cpu(engine: Engine, model: Path, tile: Tile) -> float:
    """Share of the pixels to which a CPU gives the class that an engine does."""
    on_cpu = Engine(read_model(model)[0], torch.device("cpu"), stride=engine.stride)
    return float((classify_by_engine(engine, tile) == classify_by_engine(on_cpu, tile)).mean())


def rates_by_bands(device: torch.device, *, side: int) -> dict[str, float]:
    """Pixels a second of the engine at its default stride, by number of bands; untrained networks do the same work."""
    rates = {}
    for bands in BANDS:
        network = S2Fin(S2FinConfig(in_channels=bands, aux_channels=1, num_classes=CLASSES))
        engine = Engine(network, device)
        width = side + 2 * engine.margin
        tile = Tile(torch.randn(bands, width, width), torch.randn(1, width, width), side)
        classify_by_engine(engine, tile)
        rates[str(bands)] = tile.pixels / fastest(functools.partial(classify_by_engine, engine, tile), times=2)
    return rates


# ---- the whole use case ----------------------------------------------------------------------------------------------


class Stopwatch:
    """Adds up the time in which a stage is under way, in one thread or several at once."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._running, self._since, self._lock = 0, 0.0, threading.Lock()

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Under way, while the context is."""
        self._change(1)
        try:
            yield
        finally:
            self._change(-1)

    def _change(self, by: int) -> None:
        with self._lock:
            now = time.perf_counter()
            if self._running:
                self.seconds += now - self._since
            self._since = now
            self._running += by


@dataclass(frozen=True)
class _Timed:
    """A reader whose reading is timed."""

    reader: WindowReader
    watch: Stopwatch

    def read(self, window: Window) -> NDArray[np.float32]:
        with self.watch.running():
            return self.reader.read(window)


@contextlib.contextmanager
def timed_stages(watches: dict[str, Stopwatch]) -> Iterator[None]:
    """Time each stage of a classification."""
    open_stack = Stack.open

    @contextlib.contextmanager
    def open_timed(stack: Stack, **how: int) -> Iterator[OpenStack]:
        with open_stack(stack, **how) as opened:
            aux = [_Timed(reader, watches["warp"]) for reader in opened.aux]
            yield dataclasses.replace(opened, image=_Timed(opened.image, watches["read"]), aux=aux)

    def timed(function: Callable[..., Any], stage: str) -> Callable[..., Any]:
        def run(*args: Any, **kwargs: Any) -> Any:
            with watches[stage].running():
                return function(*args, **kwargs)

        return run

    with (
        mock.patch.object(Stack, "open", open_timed),
        mock.patch.object(Engine, "predict", timed(Engine.predict, "compute")),
        mock.patch.object(RasterWriter, "write", timed(RasterWriter.write, "write")),
        mock.patch.object(pipeline, "_vectorise", timed(pipeline._vectorise, "polygons")),
    ):
        yield


def stage_seconds(scene: SyntheticScene, model: Path, folder: Path, *, computing: bool = True) -> dict[str, float]:
    """Seconds of each stage of a classification, files in and files out, and of all of it.

    Args:
        scene: what is classified.
        model: with what.
        folder: for the map.
        computing: False has each tile answered at once, so that each other stage has the machine to itself.
    """
    watches = {stage: Stopwatch() for stage in ("read", "warp", "compute", "write", "polygons")}
    engine = contextlib.nullcontext() if computing else mock.patch.object(Engine, "predict", _answer_at_once)
    with engine, timed_stages(watches):
        start = time.perf_counter()
        s2fin_cli.classify(**scene.images, model=model, output=folder / "stages.tif", overwrite=True)
        total = time.perf_counter() - start
    return {stage: watch.seconds for stage, watch in watches.items()} | {"seconds": total}


def _answer_at_once(engine: Engine, image: torch.Tensor, aux: torch.Tensor | None, valid: torch.Tensor) -> torch.Tensor:
    return torch.zeros(engine.network.cfg.num_classes, *valid.shape)


def stages_of(folder: Path, model: Path, device: torch.device, *, bands: int, quick: bool) -> dict[str, Any]:
    """Share of each stage in the wall time of the classification of a scene that suits the device.

    NOTE: reading, warping and writing go on beside computing, in threads of their own, so shares may add up to above 1,
    and on few cores each takes longer than it does by itself; so that is measured too. What is neither computing nor
    polygons is time in which the computing waits: for the first look at the scene, for the model, for the next tile.
    """
    side, work = SIDES[device.type, quick], folder / "stages"
    work.mkdir()
    scene = write_scene(work, height=side, width=side, bands=bands)
    beside, alone = (stage_seconds(scene, model, work, computing=computing) for computing in (True, False))
    shutil.rmtree(work)
    total = beside.pop("seconds")
    return {
        "stages": {stage: seconds / total for stage, seconds in beside.items()},
        "stages_alone": {stage: alone[stage] / total for stage in ("read", "warp", "write")},
        "waiting": 1 - (beside["compute"] + beside["polygons"]) / total,
        "pipeline_side": side,
        "pipeline_px_s": side**2 / total,
    }


# ---- the command -----------------------------------------------------------------------------------------------------


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
    # the height grows tenfold at the same width; the lower one has as many rows of blocks already as GDAL is to keep
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
    """Pixels a second of commands that classify one scene, process start included, and their peak memory."""
    costs = {"s2fin classify": classify_cost(scene, model, folder / "map.tif")}
    costs |= {f"OTB, {name}": cost for name, cost in otb_costs(scene, folder).items()}
    return {name: {**dataclasses.asdict(cost), "px_s": pixels / cost.seconds} for name, cost in costs.items()}


def _describe(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {platform.machine()}"


def tables(results: dict[str, Any]) -> str:
    """The figures in Markdown."""
    ways = {
        "patch by patch": "naive",
        "engine, stride 1": "stride1",
        "engine, stride 3": "stride3",
        "engine, default stride": "default",
    }
    rates = [
        [
            label,
            f"{results[f'{name}_px_s']:,.0f}",
            f"{results[f'{name}_px_s'] / results['naive_px_s']:.1f}",
            f"{results[f'{name}_mflop_px']:.2f}",
            f"{100 * results[f'{name}_gemm_share']:.0f} %",
        ]
        for label, name in ways.items()
        if f"{name}_px_s" in results
    ]
    stages, alone = results["stages"] | {"waiting": results["waiting"]}, results["stages_alone"]
    commands = [
        [name, f"{cost['seconds']:.1f}", f"{cost['px_s']:,.0f}", f"{cost['rss_mb']:.0f}"]
        for name, cost in results["commands"].items()
    ]
    scenes = [
        [shape, f"{cost['seconds']:.1f}", f"{_pixels(shape) / cost['seconds']:,.0f}", f"{cost['rss_mb']:.0f}"]
        for shape, cost in results["scenes"].items()
    ]
    return "\n".join(
        [
            _heading(results),
            table(["Way", "px/s", "times patch by patch", "MFLOP/px", "share of the matrix product"], rates),
            table(
                ["Stage", *stages],
                [
                    ["share of the time", *(_percent(share) for share in stages.values())],
                    ["without the computing", *(_percent(alone[stage]) if stage in alone else "" for stage in stages)],
                ],
            ),
            table(
                ["Bands", *results["px_s_by_bands"]],
                [["px/s", *(f"{rate:,.0f}" for rate in results["px_s_by_bands"].values())]],
            ),
            table(["Whole command", "s", "px/s", "peak memory, MB"], commands),
            table(["s2fin classify, pixels", "s", "px/s", "peak memory, MB"], scenes),
            f"Ten times the rows take {results['rss_ratio']:.2f} times the memory; `s2fin --help` takes "
            f"{results['help_seconds']:.2f} s.\n",
        ]
    )


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _heading(results: dict[str, Any]) -> str:
    gemm, same, pipeline_side = (results[name] for name in ("gemm_side", "stride1_same_classes", "pipeline_side"))
    sentences = [
        f"{results['device']}, {results['threads']} threads, {results['bands']} + 1 bands.",
        f"A matrix product of {shape_name((gemm, gemm))} runs at {results['gemm_gflop_s']:,.0f} GFLOP/s.",
        f"At stride 1 the engine gives the class of the patches on {100 * same:.3f} % of {results['compared_pixels']}.",
        f"A scene of {shape_name((pipeline_side, pipeline_side))} goes from files to map and polygons at "
        f"{results['pipeline_px_s']:,.0f} px/s in a process that runs already.",
    ]
    if "cpu_same_classes" in results:
        sentences.append(f"A CPU gives the same class on {100 * results['cpu_same_classes']:.4f} % of the pixels.")
    return " ".join(sentences) + "\n"


def _pixels(shape: str) -> int:
    height, width = map(int, shape.split(" x "))
    return height * width


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
