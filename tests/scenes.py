"""A small synthetic scene, and how to write others like it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import shapely
from affine import Affine
from click.testing import Result
from numpy.typing import NDArray

from s2fin_cli.workflows.options.train import TrainOptions
from tests.files import CRS_CODE, TRANSFORM, write_raster

SHAPE = (60, 70)
#: Class number by patch of the map, 20 x 14 pixels each, and the classes' names, spectra and heights.
LAYOUT = np.array([[1, 2, 3, 1, 2], [3, 1, 2, 3, 1], [2, 3, 1, 2, 3]])
NAMES = {1: "forest", 2: "meadow", 3: "water"}
SPECTRA = {1: (40, 60, 40, 160, 90), 2: (60, 90, 60, 220, 150), 3: (50, 40, 25, 15, 10)}
HEIGHTS = {1: 18.0, 2: 1.0, 3: -2.0}

Run = Callable[..., Result]


@dataclass(frozen=True)
class Scene:
    """Paths of a scene, and its true class numbers (height, width)."""

    folder: Path
    hsi: Path
    lidar: Path
    labels: Path
    truth: NDArray[np.int64]

    @property
    def images(self) -> dict[str, Any]:
        return {"hsi": self.hsi, "lidar": self.lidar}

    @property
    def arguments(self) -> list[str]:
        return ["--hsi", str(self.hsi), "--lidar", str(self.lidar)]


def make_truth() -> NDArray[np.int64]:
    return np.kron(LAYOUT, np.ones((20, 14), dtype=np.int64))


def make_image(truth: NDArray[np.int64], *, seed: int = 1) -> NDArray[np.uint16]:
    table = np.array([SPECTRA[class_id] for class_id in sorted(SPECTRA)], dtype=np.float64)
    noise = np.random.default_rng(seed).normal(0, 6, size=(5, *truth.shape))
    return (100 + table[truth - 1].transpose(2, 0, 1) + noise).clip(1).astype(np.uint16)


def make_heights(truth: NDArray[np.int64], *, seed: int = 2) -> NDArray[np.float32]:
    table = np.array([HEIGHTS[class_id] for class_id in sorted(HEIGHTS)])
    noise = np.random.default_rng(seed).normal(0, 0.3, size=truth.shape)
    return (table[truth - 1] + noise).astype(np.float32)


def write_labels(path: Path, *, rows: range = range(3), half: int = 2) -> Path:
    """A square polygon in the middle of each patch, named by its class."""
    polygons, names = [], []
    for row in rows:
        for col in range(5):
            x, y = TRANSFORM * (14 * col + 7, 20 * row + 10)
            polygons.append(shapely.box(x - 10 * half, y - 10 * half, x + 10 * half, y + 10 * half))
            names.append(NAMES[int(LAYOUT[row, col])])
    gpd.GeoDataFrame({"class": names}, geometry=polygons, crs=CRS_CODE).to_file(path)
    return path


def write_scene(folder: Path, *, truth: NDArray[np.int64] | None = None) -> Scene:
    """Write an image of 5 bands, heights on a shifted grid of pixels twice as wide, and polygons.

    The polygons are those of the scene's own truth, `make_truth()`, whatever truth is given.
    """
    folder.mkdir(parents=True, exist_ok=True)
    truth = make_truth() if truth is None else truth
    hsi = write_raster(folder / "hsi.tif", make_image(truth))
    padded = np.pad(truth, ((6, 6), (6, 6)), mode="edge")
    heights = make_heights(padded[::2, ::2])
    lidar = write_raster(
        folder / "lidar.tif", heights, transform=TRANSFORM * Affine.translation(-6.3, -5.6) * Affine.scale(2)
    )
    return Scene(folder, hsi, lidar, write_labels(folder / "labels.gpkg"), truth)


def tiny_options(scene: Scene, output: Path, **changes: Any) -> TrainOptions:
    small = {"patch_size": 5, "epochs": 4, "batch_size": 16, "device": "cpu", "refit": False}
    return TrainOptions(**{**scene.images, "labels": scene.labels, "output": output, **small, **changes})
