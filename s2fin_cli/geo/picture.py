"""A picture of a map beside its image, for eyes rather than for a GIS."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
import rasterio
from rasterio.enums import Resampling

from s2fin_cli.geo.rasters import open_raster, without_georeferencing_warning

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

#: Pixels of the longer side of each half at most.
MAX_SIZE = 1000
#: White pixels between the two halves.
GAP = 8


def write_picture(dst_path: Path, *, image_path: Path, indexes: Sequence[int], map_path: Path) -> None:
    """Draw an image and, right of it, its class map in the map's own colours.

    Args:
        dst_path: a PNG.
        image_path: the image; each band is stretched from its 2nd to its 98th percentile.
        indexes: 1-based numbers of the bands to show as red, green and blue.
        map_path: a class map of the same size with a colour table.
    """
    with open_raster(image_path) as src, warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a band without data is black
        shape = _drawn_shape(src.shape)
        values = src.read(list(indexes), out_shape=(3, *shape), resampling=Resampling.average, masked=True)
        image = _stretch(values.astype("float32").filled(np.nan))
    with open_raster(map_path) as src:
        class_ids = src.read(1, out_shape=shape, resampling=Resampling.nearest)
        colors = np.full((class_ids.max() + 1, 3), 255, dtype=np.uint8)
        for class_id, color in src.colormap(1).items():
            if class_id < len(colors) and class_id != src.nodata:
                colors[class_id] = color[:3]
    gap = np.full((3, shape[0], GAP), 255, dtype=np.uint8)
    picture = np.concatenate([image, gap, colors[class_ids].transpose(2, 0, 1)], axis=2)
    with (
        without_georeferencing_warning(),
        rasterio.open(
            dst_path, "w", driver="PNG", count=3, dtype="uint8", height=picture.shape[1], width=picture.shape[2]
        ) as dst,
    ):
        dst.write(picture)


def _drawn_shape(shape: tuple[int, int]) -> tuple[int, int]:
    scale = min(MAX_SIZE / max(shape), 1.0)
    return max(round(shape[0] * scale), 1), max(round(shape[1] * scale), 1)


def _stretch(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    low, high = np.nanpercentile(values, [2, 98], axis=(1, 2), keepdims=True)
    scaled = np.clip((values - low) / np.maximum(high - low, 1e-9), 0, 1)
    return np.asarray(np.nan_to_num(scaled * 255).round(), dtype=np.uint8)
