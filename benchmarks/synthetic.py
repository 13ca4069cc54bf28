"""Synthetic scenes of any size and number of bands, to measure speed and memory; their accuracy is meaningless."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import rasterio
from affine import Affine
from rasterio.windows import Window

from s2fin_cli.geo.windows import iter_tiles

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

CRS = "EPSG:32632"
TRANSFORM = Affine(1, 0, 500_000, 0, -1, 5_000_000)
#: Pixels a side of the files' tiles, and so of what is made and written at a time.
BLOCK = 256
#: Pixels a side of the fields of one class.
FIELD = 24
CLASSES = 6
LABELS_OF_CLASS = 30
NOISE = 60.0


@dataclass(frozen=True)
class SyntheticScene:
    """Files of a scene.

    Attributes:
        images: path by modality; the heights are on a coarser grid that is half a pixel off, so they are warped.
        labels: a raster of labels, 0 where there is none.
    """

    images: dict[str, Any]
    labels: str


def write_scene(folder: Path, *, height: int, width: int, bands: int, seed: int = 0) -> SyntheticScene:
    """Write a scene of fields of six classes.

    Args:
        folder: an empty one.
        height: pixels.
        width: pixels.
        bands: number of bands of the passive image, which is uint16, tiled and compressed like typical files.
        seed: seed of every random choice.
    """
    generator = np.random.default_rng(seed)
    fields = generator.integers(CLASSES, size=(-(-height // FIELD), -(-width // FIELD)))
    # spectra are smooth, so that neighbouring bands are highly correlated
    steps = generator.normal(size=(CLASSES, bands))
    spectra = (2000 + 300 * np.cumsum(steps, axis=1) / np.sqrt(bands)).astype(np.float32)
    noise = NOISE * generator.standard_normal(size=(bands, BLOCK, BLOCK), dtype=np.float32)
    paths = {name: str(folder / f"{name}.tif") for name in ("hsi", "dsm", "labels")}
    _write(paths["hsi"], (bands, height, width), "uint16", lambda w: _spectra_in(w, fields, spectra, noise, generator))
    _write(
        paths["dsm"],
        (1, -(-height // 2) + 2, -(-width // 2) + 2),
        "float32",
        lambda w: _classes_in(w, fields, scale=2)[None] * 3 + generator.normal(size=(1, w.height, w.width)),
        transform=TRANSFORM * Affine.translation(-1.5, -1.5) * Affine.scale(2),
    )
    labels = _label_pixels(fields, height, width)
    _write(paths["labels"], (1, height, width), "uint8", lambda w: _labels_in(w, labels))
    return SyntheticScene({name: paths[name] for name in ("hsi", "dsm")}, paths["labels"])


def _write(
    path: str,
    shape: tuple[int, int, int],
    dtype: str,
    values_in: Callable[[Window], NDArray[np.floating]],
    *,
    transform: Affine = TRANSFORM,
) -> None:
    """Write a raster window by window, whatever its size."""
    count, height, width = shape
    profile = {"driver": "GTiff", "tiled": True, "blockxsize": BLOCK, "blockysize": BLOCK, "compress": "deflate"}
    size = {"count": count, "height": height, "width": width, "dtype": dtype}
    options = {"BIGTIFF": "IF_SAFER", "NUM_THREADS": "ALL_CPUS"}
    with rasterio.open(path, "w", **profile, **size, crs=CRS, transform=transform, **options) as dst:
        for window in iter_tiles((height, width), (BLOCK, BLOCK)):
            dst.write(values_in(window).astype(dtype), window=window)


def _spectra_in(
    window: Window,
    fields: NDArray[np.int64],
    spectra: NDArray[np.float32],
    noise: NDArray[np.float32],
    generator: np.random.Generator,
) -> NDArray[np.floating]:
    # NOTE: drawing noise takes most of the time for a large scene, so all blocks share one block of noise, each at
    # another offset
    shift = generator.integers(BLOCK, size=2)
    moved = np.roll(noise, shift, axis=(1, 2))[:, : window.height, : window.width]
    return np.asarray((spectra.T[:, _classes_in(window, fields)] + moved).clip(1))


def _classes_in(window: Window, fields: NDArray[np.int64], *, scale: int = 1) -> NDArray[np.int64]:
    """Class of each pixel of a window, 0 to `CLASSES` - 1."""
    rows, cols = (
        np.minimum(scale * np.arange(start, start + size) // FIELD, limit - 1)
        for start, size, limit in zip(
            (window.row_off, window.col_off), (window.height, window.width), fields.shape, strict=True
        )
    )
    return np.asarray(fields[rows[:, None], cols])


def _label_pixels(fields: NDArray[np.int64], height: int, width: int) -> dict[tuple[int, int], int]:
    """Label by row and column of some pixels of each class: the middles of fields, from the top."""
    labels = {}
    for number in range(CLASSES):
        for row, col in np.argwhere(fields == number)[:LABELS_OF_CLASS] * FIELD + FIELD // 2:
            if row < height and col < width:
                labels[int(row), int(col)] = number + 1
    return labels


def _labels_in(window: Window, labels: dict[tuple[int, int], int]) -> NDArray[np.float64]:
    values = np.zeros((1, window.height, window.width))
    for (row, col), label in labels.items():
        row_in, col_in = row - window.row_off, col - window.col_off
        if 0 <= row_in < window.height and 0 <= col_in < window.width:
            values[0, row_in, col_in] = label
    return values
