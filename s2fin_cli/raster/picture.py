"""Pictures of images, maps and labels side by side, for eyes rather than for a GIS."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
import rasterio
from rasterio.enums import Resampling

from s2fin_cli.core.names import plain_name
from s2fin_cli.raster.lettering import caption
from s2fin_cli.raster.opening import open_raster, without_georeferencing_warning

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

#: Pixels of the longer side of each panel at most.
MAX_SIZE = 1000
#: Grey pixels between two panels.
GAP = 8


def image_panel(image_path: Path, indexes: Sequence[int]) -> NDArray[np.uint8]:
    """An image in colours (3, height, width), each band stretched from its 2nd to its 98th percentile.

    Args:
        image_path: the image.
        indexes: 1-based numbers of the bands to show as red, green and blue.
    """
    with open_raster(image_path) as src, warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a band without data is black
        values = src.read(
            list(indexes), out_shape=(3, *_drawn_shape(src.shape)), resampling=Resampling.average, masked=True
        )
        return _stretch(values.astype("float32").filled(np.nan))


def map_panel(map_path: Path) -> NDArray[np.uint8]:
    """A class map, or a label raster, in the colours of its colour table (3, height, width); nodata is white."""
    with open_raster(map_path) as src:
        # of several pixels that become one, the most frequent class that is not nodata, so that sparse labels show
        class_ids = src.read(1, out_shape=_drawn_shape(src.shape), resampling=Resampling.mode)
        colors = np.full((class_ids.max() + 1, 3), 255, dtype=np.uint8)
        for class_id, color in src.colormap(1).items():
            if class_id < len(colors) and class_id != src.nodata:
                colors[class_id] = color[:3]
    return np.asarray(colors[class_ids].transpose(2, 0, 1))


def write_picture(dst_path: Path, panels: Sequence[NDArray[np.uint8]], *, captions: Sequence[str] = ()) -> None:
    """Write panels (3, height, width) of one height side by side.

    Args:
        dst_path: a PNG.
        panels: from left to right.
        captions: one above each panel, or none.
    """
    if captions:
        above = [caption(text, panel.shape[2]) for text, panel in zip(captions, panels, strict=True)]
        panels = [np.concatenate(parts, axis=1) for parts in zip(above, panels, strict=True)]
    gap = np.full((3, panels[0].shape[1], GAP), 128, dtype=np.uint8)
    parts = [part for panel in panels for part in (panel, gap)][:-1]
    picture, name = np.concatenate(parts, axis=2), plain_name(dst_path)
    with (
        without_georeferencing_warning(),
        rasterio.open(
            name, "w", driver="PNG", count=3, dtype="uint8", height=picture.shape[1], width=picture.shape[2]
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
