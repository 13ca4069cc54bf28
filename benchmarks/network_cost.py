"""Parameters, work and speed of the network alone, and what each part costs: the tables in docs/network.md.

python benchmarks/network_cost.py [BANDS ...]

On one CPU thread. What a part costs are ratios of runs that take turns, so that a busy machine slows all alike.
"""

from __future__ import annotations

import sys
import time
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch.utils.flop_counter import FlopCounterMode

from s2fin import S2Fin, S2FinConfig

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor

SIDE = 64
WINDOWS = 1024
REPEATS = 7
#: Sides of the tiles that parts are timed on, by stride; a run takes a fraction of a second.
TILES = {1: 40, 5: 120}
TURNS = 15
PARTS = ("hfset", "afcm", "ssaf", "hfrm", "scan")


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
    with FlopCounterMode(display=False) as counter:
        run()
    return float(counter.get_total_flops()) / 1e6


@torch.inference_mode()
def measure(bands: int) -> str:
    """One line of figures for a network of so many bands and one height."""
    model = _network(bands)
    side = SIDE + 2 * model.halo
    x, a = model.standardize(torch.randn(1, bands, side, side), torch.randn(1, 1, side, side))
    maps = model.stem(x, a)
    size, block = model.cfg.patch_size, model.block(model.cfg.block_size)
    tokens = maps.tokens.permute(0, 3, 4, 1, 2).reshape(-1, *maps.tokens.shape[1:3])[:WINDOWS]
    image, aux = (
        m[:, :, :size, :size].expand(WINDOWS, -1, -1, -1).contiguous(memory_format=torch.channels_last)
        for m in (maps.image, maps.aux)
    )

    def classify(count: int) -> object:
        return model.classify_windows(tokens[:count], image[:count], aux[:count], block)

    return (
        f"{bands} + 1 bands: {_parameters(model)} parameters, "
        f"{mflop(lambda: model.stem(x, a)) / SIDE**2:.1f} MFLOP a pixel in the stem, "
        f"{mflop(lambda: classify(1)):.1f} MFLOP a window, "
        f"{SIDE**2 / fastest(lambda: model.stem(x, a)):.0f} pixels/s in the stem, "
        f"{WINDOWS / fastest(lambda: classify(WINDOWS)):.0f} windows/s"
    )


def classify_tile(model: S2Fin, image: Tensor, aux: Tensor, stride: int) -> Tensor:
    """Logits of a tile of raw values with a margin, a window for each `stride` x `stride` pixels."""
    size = model.cfg.patch_size
    maps = model.stem(*model.standardize(image, aux), border=size // 2, stride=stride)
    tokens = maps.tokens.permute(0, 3, 4, 1, 2).flatten(0, 2)
    windows = (_windows(part, size, stride) for part in (maps.image, maps.aux))
    return model.classify_windows(tokens, next(windows), next(windows), model.block(stride))


def _windows(maps: Tensor, size: int, stride: int) -> Tensor:
    """Windows (B, C, size, size), in channels-last memory, around the central pixel of each `stride` x `stride`."""
    inner = maps[..., stride // 2 :, stride // 2 :]
    windows = inner.unfold(2, size, stride).unfold(3, size, stride).permute(0, 2, 3, 1, 4, 5).flatten(0, 2)
    return windows.contiguous(memory_format=torch.channels_last)


@torch.inference_mode()
def cost_of_parts(bands: int, stride: int) -> str:
    """How much less a network without a part takes to classify a tile, for each part."""
    whole, *without = _network(bands), *(_network(bands, {part: False}) for part in PARTS)
    side = TILES[stride] + whole.input_size - 1
    images = torch.randn(1, bands, side, side), torch.randn(1, 1, side, side)

    def run(model: S2Fin) -> object:
        spare = whole.halo - model.halo  # without AFCM a network does not look as far
        image, aux = (part[..., spare : side - spare, spare : side - spare] for part in images)
        return classify_tile(model, image, aux, stride)

    turns = [[fastest(partial(run, model), times=1) for model in (whole, *without)] for _ in range(TURNS)]
    most, *rest = map(min, zip(*turns, strict=True))
    told = (f"{part} {100 * (1 - seconds / most):.0f} %" for part, seconds in zip(PARTS, rest, strict=True))
    return f"{bands} + 1 bands, stride {stride}, what a part takes of the time: {', '.join(told)}"


def _network(bands: int, changes: Mapping[str, object] | None = None) -> S2Fin:
    options = {"in_channels": bands, "aux_channels": 1, "num_classes": 15, **(changes or {})}
    return S2Fin(S2FinConfig.from_dict(options)).eval()


def _parameters(model: S2Fin) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


if __name__ == "__main__":
    torch.set_num_threads(1)
    for bands in map(int, sys.argv[1:] or ("144", "12")):
        print(measure(bands))
        for stride in TILES:
            print(cost_of_parts(bands, stride))
