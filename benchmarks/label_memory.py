"""Peak memory of the commands that read labels, with more and more labelled pixels: it must not grow with them.

python benchmarks/label_memory.py    # 10 and 100 million pixels, all of them labelled

Makes an image, heights and wall-to-wall labels of each size in a temporary folder, and runs each command in a process
of its own. Training makes one epoch without validation.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine

#: Pixels a side of the squares of one class, and how many classes there are.
SQUARE, CLASSES = 50, 5
PROFILE = {
    "driver": "GTiff", "crs": "EPSG:32632", "transform": Affine(10, 0, 300_000, 0, -10, 5_300_000), "tiled": True,
    "blockxsize": 512, "blockysize": 512, "compress": "deflate", "dtype": "uint8", "count": 1,
}  # fmt: skip


def make_scene(folder: Path, side: int) -> None:
    """Write an image, heights and labels with a number of pixels a side, by strips."""
    generator = np.random.default_rng(0)
    squares = generator.integers(1, CLASSES + 1, (-(-side // SQUARE), -(-side // SQUARE))).astype(np.uint8)
    profile = {**PROFILE, "width": side, "height": side}
    with (
        rasterio.open(folder / "image.tif", "w", **profile) as image,
        rasterio.open(folder / "heights.tif", "w", **profile) as heights,
        rasterio.open(folder / "labels.tif", "w", **profile, nodata=0) as labels,
    ):
        for row in range(0, side, 512):
            rows = (np.arange(row, min(row + 512, side)) // SQUARE)[:, None]
            classes = squares[rows, np.arange(side) // SQUARE]
            window = rasterio.windows.Window(0, row, side, len(rows))
            labels.write(classes, 1, window=window)
            for dst, step in ((image, 30), (heights, 20)):
                noise = generator.integers(0, 40, classes.shape, dtype=np.uint8)
                dst.write(classes * np.uint8(step) + noise, 1, window=window)


def peak(folder: Path, *arguments: str) -> tuple[float, float]:
    """Peak resident memory of a command in MB, and the seconds that it took."""
    start = time.perf_counter()
    command = [sys.executable, "-m", "s2fin_cli", *arguments, "-q"]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL)  # noqa: S603  our own command
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(arguments)} failed")
    return usage.ru_maxrss / 1024, time.perf_counter() - start


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sides", type=int, nargs="+", default=[3162, 10_000], help="pixels a side")
    images = ("--msi", "image.tif", "--dsm", "heights.tif")
    commands = {
        "train": ("train", *images, "--labels", "labels.tif", "--epochs", "1", "--validation", "0", "-o", "m.s2fin"),
        "split": ("split", "--labels", "labels.tif", "--like", "image.tif", "--train", "a.tif", "--test", "b.tif"),
        "evaluate": ("evaluate", "--map", "labels.tif", "--reference", "labels.tif"),
    }
    for side in parser.parse_args().sides:
        with tempfile.TemporaryDirectory() as name:
            make_scene(Path(name), side)
            for command, arguments in commands.items():
                megabytes, seconds = peak(Path(name), *arguments)
                print(f"{side**2 / 1e6:6.1f} Mpx  {command:9} {megabytes:7.0f} MB {seconds:7.1f} s", flush=True)


if __name__ == "__main__":
    main()
