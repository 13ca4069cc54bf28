"""Images that tests of stacks share, and what is read of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from affine import Affine
from rasterio.windows import Window

from s2fin_cli.stack.assembly import build_stack
from s2fin_cli.stack.stack import Stack

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


CORNER = Affine(10, 0, 500_000, 0, -10, 5_000_000)


def random_values(bands: int, height: int = 40, width: int = 50) -> NDArray[Any]:
    return np.random.default_rng(bands).random((bands, height, width)).astype("float32")


def stack_of(**src_paths: Path) -> Stack:
    return build_stack({modality: [str(path)] for modality, path in src_paths.items()})


def read(stack: Stack, window: Window | None = None, *, halo: int = 0) -> tuple[NDArray[Any], NDArray[Any] | None]:
    with stack.open() as opened:
        tile = opened.read(stack.grid.window if window is None else window, halo=halo)
    return tile.images
