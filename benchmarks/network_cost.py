"""Parameters, work and speed of the network alone, and what each part costs: the tables in docs/network.md.

python benchmarks/network_cost.py [BANDS ...]

On one CPU thread. The cost of a part is a ratio of runs that take turns, so that a busy machine slows all of them.
"""

from __future__ import annotations

import sys
import time
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch.utils.flop_counter import FlopCounterMode

from s2fin import S2Fin, S2FinConfig
from s2fin.config import PARTS
from s2fin_cli.core.images import Images
from s2fin_cli.inference.engine import Engine

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor

    from s2fin import StemMaps

SIDE = 64
WINDOWS = 1024
REPEATS = 7
#: Sides of the tiles on which parts are timed, by stride; a run takes a fraction of a second.
TILES = {1: 40, 5: 120}
TURNS = 15


class WithoutStatistics(S2Fin):
    """A network without AFCM that does not compute the context either, which AFCM alone takes."""

    def context(self, x: Tensor, a: Tensor) -> Tensor:
        """Return a context (B, h, w, 0): nothing reads it."""
        height, width = (side - self.cfg.context_size + 1 for side in x.shape[-2:])
        return a.new_empty(len(x), height, width, 0)


def fastest(run: Callable[[], object], *, times: int = REPEATS) -> float:
    """Time several runs, and return the seconds of the fastest."""
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def mflop(run: Callable[[], object]) -> float:
    """Count the multiplications and additions in matrix products and convolutions, in millions."""
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
    """Measure a network of `bands` + 1 bands, and return the figures as one line."""
    model = _network(bands)
    side = SIDE + model.cfg.context_size - 1
    x, a = model.standardize(torch.randn(1, bands, side, side), torch.randn(1, 1, side, side))

    def stem() -> StemMaps:
        return model.stem(model.near(x), model.near(a), model.context(x, a))

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
    """Measure how much less time a network takes to classify a tile without each part, and return one line."""
    networks = _network(bands), *(_network(bands, {part: False}) for part in PARTS)
    engines = [Engine(network, torch.device("cpu"), stride=stride) for network in networks]
    size = TILES[stride]
    valid = torch.ones(size, size, dtype=torch.bool)

    def tile_of(engine: Engine) -> tuple[Images[Tensor], Tensor]:
        side = size + 2 * engine.margin
        return Images(torch.randn(bands, side, side), torch.randn(1, side, side)), valid

    runs = [partial(engine.predict, *tile_of(engine)) for engine in engines]
    turns = [[fastest(run, times=1) for run in runs] for _ in range(TURNS)]
    whole, *without = map(min, zip(*turns, strict=True))
    shares = (f"{part} {100 * (1 - seconds / whole):.0f} %" for part, seconds in zip(PARTS, without, strict=True))
    return f"{bands} + 1 bands, stride {stride}, each part's share of the time: {', '.join(shares)}"


def _network(bands: int, changes: Mapping[str, object] | None = None) -> S2Fin:
    options = {"in_channels": bands, "aux_channels": 1, "num_classes": 15, **(changes or {})}
    config = S2FinConfig.from_dict(options)
    return (S2Fin if config.afcm else WithoutStatistics)(config).eval()


def _parameters(model: S2Fin) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


if __name__ == "__main__":
    torch.set_num_threads(1)
    for bands in map(int, sys.argv[1:] or ("144", "12")):
        print(measure(bands))
        for stride in TILES:
            print(cost_of_parts(bands, stride))
