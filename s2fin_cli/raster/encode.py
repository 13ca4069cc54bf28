"""Small pictures in memory, for reports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from rasterio.io import MemoryFile

from s2fin_cli.raster.opening import without_georeferencing_warning

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

#: Quality of a JPEG, of 100: errors are hardly visible.
QUALITY = 85


def jpeg(picture: NDArray[np.uint8]) -> bytes:
    """A picture (bands, height, width) of one band or three as JPEG."""
    return _encoded(picture, "JPEG", QUALITY=QUALITY)


def palette_png(numbers: NDArray[np.uint8], colors: Sequence[tuple[int, int, int]]) -> bytes:
    """A PNG of numbers (height, width), 0 for transparent, and the colours of 1, 2 and so on, at most 255."""
    palette = {0: (0, 0, 0, 0), **{number: (*color, 255) for number, color in enumerate(colors, start=1)}}
    return _encoded(numbers[None], "PNG", palette=palette, ZLEVEL=9)


def _encoded(
    picture: NDArray[np.uint8], driver: str, *, palette: Mapping[int, tuple[int, ...]] | None = None, **options: Any
) -> bytes:
    count, height, width = picture.shape
    with (
        without_georeferencing_warning(),
        MemoryFile(ext=f".{driver.lower()}") as file,
    ):
        with file.open(driver=driver, count=count, height=height, width=width, dtype="uint8", **options) as dst:
            if palette is not None:
                dst.write_colormap(1, dict(palette))
            dst.write(picture)
        return bytes(file.read())
