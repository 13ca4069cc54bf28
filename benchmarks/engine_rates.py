"""How fast a network classifies pixels in memory: patch by patch as research code does it, and by the engine."""

from __future__ import annotations

import dataclasses
import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from rasterio.windows import Window

from network_cost import fastest, mflop
from s2fin import S2Fin, S2FinConfig
from s2fin_cli.core.images import Images
from s2fin_cli.core.options import InputOptions
from s2fin_cli.inference.engine import Engine
from s2fin_cli.model.file import read_model
from s2fin_cli.model.fit import fit_stack
from s2fin_cli.stack.assembly import stack_of
from synthetic import CLASSES, SyntheticScene

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

BANDS = (16, 64, 144, 224, 426)
#: Patches per call of the network in the naive loop.
NAIVE_BATCH = 256
#: Sides of the matrix product that serves as a reference: large enough to keep the device busy.
GEMM_SIDES = {"cpu": 2048, "cuda": 8192}


@dataclass(frozen=True)
class Rate:
    """How fast something classifies.

    Attributes:
        px_s: pixels a second.
        mflop_px: millions of multiplications and additions a pixel, in matrix products and convolutions.
        gemm_share: share of the measured peak of matrix products.
    """

    px_s: float
    mflop_px: float
    gemm_share: float


@dataclass(frozen=True)
class Tile:
    """Raw values of a square tile with its margin, (bands, side + 2 margin, side + 2 margin)."""

    images: Images[torch.Tensor]
    side: int

    @property
    def pixels(self) -> int:
        """To classify."""
        return self.side**2


def classify_naively(network: S2Fin, tile: Tile, device: torch.device) -> NDArray[np.int64]:
    """Classes (side, side) patch by patch: each is cut on the host, and goes through the whole network by itself."""
    images = tile.images.map(torch.Tensor.numpy)
    size, places = network.input_size, [divmod(number, tile.side) for number in range(tile.pixels)]
    classes: list[NDArray[np.int64]] = []
    with torch.inference_mode():
        for start in range(0, len(places), NAIVE_BATCH):
            batch = places[start : start + NAIVE_BATCH]
            patches = (
                torch.from_numpy(np.stack([part[:, row : row + size, col : col + size] for row, col in batch]))
                for part in images.parts()
            )
            classes.append(network(*(part.to(device) for part in patches)).argmax(dim=1).cpu().numpy())
    return np.concatenate(classes).reshape(tile.side, tile.side)


def classify_by_engine(engine: Engine, tile: Tile) -> NDArray[np.int64]:
    """Classes (side, side) by the engine."""
    probs = engine.predict(tile.images, torch.ones(tile.side, tile.side, dtype=torch.bool))
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
    """The speed at which a function classifies a number of pixels."""
    work, seconds = mflop(run), fastest(run, times=times)
    return Rate(pixels / seconds, work / pixels, 1e6 * work / seconds / peak)


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def read_tile(scene: SyntheticScene, model: Path, *, side: int) -> Tile:
    """The upper left tile of a scene."""
    network, info = read_model(model)
    stack = fit_stack(info, stack_of(InputOptions.from_kwargs(scene.images)))
    with stack.open() as opened:
        tile = opened.read(Window(0, 0, side, side), halo=network.input_size // 2)
    return Tile(tile.images.map(torch.from_numpy), side)


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
    """Share of the pixels that an engine on a CPU classifies as this engine does."""
    on_cpu = Engine(read_model(model)[0], torch.device("cpu"), stride=engine.stride)
    return float((classify_by_engine(engine, tile) == classify_by_engine(on_cpu, tile)).mean())


def rates_by_bands(device: torch.device, *, side: int) -> dict[str, float]:
    """Pixels a second of the engine at its default stride, by number of bands; untrained networks do the same work."""
    rates = {}
    for bands in BANDS:
        network = S2Fin(S2FinConfig(in_channels=bands, aux_channels=1, num_classes=CLASSES))
        engine = Engine(network, device)
        width = side + 2 * engine.margin
        tile = Tile(Images(torch.randn(bands, width, width), torch.randn(1, width, width)), side)
        classify_by_engine(engine, tile)
        rates[str(bands)] = tile.pixels / fastest(functools.partial(classify_by_engine, engine, tile), times=2)
    return rates
