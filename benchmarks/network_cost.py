"""Parameters, work and speed of the network alone, and what each part costs: the tables in docs/network.md.

python benchmarks/network_cost.py [BANDS ...]

On one CPU thread. What a part costs are ratios of runs that take turns, so that a busy machine slows all alike.
"""

from __future__ import annotations

import sys
import time
from dataclasses import fields
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch.utils.flop_counter import FlopCounterMode

from s2fin import S2Fin, S2FinConfig
from s2fin.config import HALO
from s2fin_cli.inference.engine import Engine

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor

    from s2fin import StemMaps

SIDE = 64
WINDOWS = 1024
REPEATS = 7
#: Sides of the tiles that parts are timed on, by stride; a run takes a fraction of a second.
TILES = {1: 40, 5: 120}
TURNS = 15
#: The parts that are there unless they are switched off.
PARTS = [field.name for field in fields(S2FinConfig) if field.default is True]


class WithoutStatistics(S2Fin):
    """A network without AFCM that does not compute either what AFCM alone looks at."""

    def context(self, x: Tensor, a: Tensor) -> Tensor:
        """Give so many pixels without any values: nobody looks at them."""
        height, width = (side - self.cfg.context_size + 1 for side in x.shape[-2:])
        return a.new_empty(len(x), height, width, 0)


def fastest(run: Callable[[], object], *, times: int = REPEATS) -> float:
    """Seconds of the fastest of several runs."""
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def mflop(run: Callable[[], object]) -> float:
    """Millions of multiplications and additions in matrix products and convolutions."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the counter counts in its own thread alone, and the engine computes in several
    try:
        with FlopCounterMode(display=False) as counter:
            run()
    finally:
        torch.set_num_threads(threads)
    return float(counter.get_total_flops()) / 1e6


@torch.inference_mode()
def measure(bands: int) -> str:
    """One line of figures for a network of so many bands and one height."""
    model = _network(bands)
    side = SIDE + model.cfg.context_size - 1
    x, a = model.standardize(torch.randn(1, bands, side, side), torch.randn(1, 1, side, side))

    def stem() -> StemMaps:
        near_x, near_a = (_inner(part, (side - SIDE) // 2 - HALO) for part in (x, a))
        return model.stem(near_x, near_a, model.context(x, a))

    maps = stem()
    size, block = model.cfg.patch_size, model.block(model.cfg.block_size)
    tokens = maps.tokens.permute(0, 3, 4, 1, 2).reshape(-1, *maps.tokens.shape[1:3])[:WINDOWS]
    image, aux, logits = (
        m[:, :, :size, :size].expand(WINDOWS, -1, -1, -1).contiguous(memory_format=torch.channels_last)
        for m in (maps.image, maps.aux, maps.logits)
    )

    def classify(count: int) -> object:
        return model.classify_windows(tokens[:count], image[:count], aux[:count], logits[:count], block)

    return (
        f"{bands} + 1 bands: {_parameters(model)} parameters, "
        f"{mflop(stem) / SIDE**2:.1f} MFLOP a pixel in the stem, "
        f"{mflop(lambda: classify(1)):.1f} MFLOP a window, "
        f"{SIDE**2 / fastest(stem):.0f} pixels/s in the stem, "
        f"{WINDOWS / fastest(lambda: classify(WINDOWS)):.0f} windows/s"
    )


def cost_of_parts(bands: int, stride: int) -> str:
    """How much less a network without a part takes to classify a tile, for each part."""
    networks = _network(bands), *(_network(bands, {part: False}) for part in PARTS)
    engines = [Engine(network, torch.device("cpu"), stride=stride) for network in networks]
    size = TILES[stride]
    valid = torch.ones(size, size, dtype=torch.bool)

    def tile_of(engine: Engine) -> tuple[Tensor, Tensor, Tensor]:
        side = size + 2 * engine.margin
        return torch.randn(bands, side, side), torch.randn(1, side, side), valid

    runs = [partial(engine.predict, *tile_of(engine)) for engine in engines]
    turns = [[fastest(run, times=1) for run in runs] for _ in range(TURNS)]
    whole, *without = map(min, zip(*turns, strict=True))
    told = (f"{part} {100 * (1 - seconds / whole):.0f} %" for part, seconds in zip(PARTS, without, strict=True))
    return f"{bands} + 1 bands, stride {stride}, what a part takes of the time: {', '.join(told)}"


def _network(bands: int, changes: Mapping[str, object] | None = None) -> S2Fin:
    options = {"in_channels": bands, "aux_channels": 1, "num_classes": 15, **(changes or {})}
    config = S2FinConfig.from_dict(options)
    return (S2Fin if config.afcm else WithoutStatistics)(config).eval()


def _inner(values: Tensor, border: int) -> Tensor:
    """Squares (..., S, S) without so many pixels at each edge."""
    return values[..., border : values.shape[-1] - border, border : values.shape[-1] - border]


def _parameters(model: S2Fin) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


if __name__ == "__main__":
    torch.set_num_threads(1)
    for bands in map(int, sys.argv[1:] or ("144", "12")):
        print(measure(bands))
        for stride in TILES:
            print(cost_of_parts(bands, stride))
