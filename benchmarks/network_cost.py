"""Parameters, work and speed of the network alone, on one CPU thread: the table in docs/network.md.

python benchmarks/network_cost.py [BANDS ...]
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import torch
from torch.utils.flop_counter import FlopCounterMode

from s2fin import S2Fin, S2FinConfig

if TYPE_CHECKING:
    from collections.abc import Callable

SIDE = 64
WINDOWS = 1024
REPEATS = 7


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
    model = S2Fin(S2FinConfig(in_channels=bands, aux_channels=1, num_classes=15)).eval()
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
        f"{bands} + 1 bands: {sum(p.numel() for p in model.parameters())} parameters, "
        f"{mflop(lambda: model.stem(x, a)) / SIDE**2:.1f} MFLOP a pixel in the stem, "
        f"{mflop(lambda: classify(1)):.1f} MFLOP a window, "
        f"{SIDE**2 / fastest(lambda: model.stem(x, a)):.0f} pixels/s in the stem, "
        f"{WINDOWS / fastest(lambda: classify(WINDOWS)):.0f} windows/s"
    )


if __name__ == "__main__":
    torch.set_num_threads(1)
    for bands in map(int, sys.argv[1:] or ("144", "12")):
        print(measure(bands))
