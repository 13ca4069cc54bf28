from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from s2fin_cli.geo.stack import Stack, build_stack
from s2fin_cli.learn.samples import have_data, read_patches
from tests.app.scenes import Scene, write_tif


def whole(stack: Stack, *, halo: int) -> tuple[np.ndarray, np.ndarray | None]:
    with stack.open() as opened:
        tile = opened.read(stack.grid.window, halo=halo)
    return tile.image, tile.aux


@pytest.mark.parametrize("size", [1, 7, 23])
def test_patches_are_slices_of_the_padded_whole_image(scene: Scene, size: int) -> None:
    stack = build_stack({name: str(path) for name, path in scene.images.items()})
    generator = np.random.default_rng(0)
    rows, cols = generator.integers(60, size=50), generator.integers(70, size=50)
    rows[:4], cols[:4] = (0, 0, 59, 59), (0, 69, 0, 69)
    patches = read_patches(stack, rows, cols, size=size)
    image, aux = whole(stack, halo=size // 2)
    assert aux is not None
    assert patches.aux is not None
    for i, (row, col) in enumerate(zip(rows, cols, strict=True)):
        assert np.array_equal(patches.image[i], image[:, row : row + size, col : col + size], equal_nan=True)
        assert np.array_equal(patches.aux[i], aux[:, row : row + size, col : col + size], equal_nan=True)


def test_patches_of_a_raster_over_many_blocks_keep_the_pixels_order(tmp_path: Path) -> None:
    values = np.arange(300 * 700, dtype=np.float32).reshape(300, 700)
    stack = build_stack({"msi": str(write_tif(tmp_path / "big.tif", values))})
    generator = np.random.default_rng(0)
    rows, cols = generator.integers(300, size=200), generator.integers(700, size=200)
    patches = read_patches(stack, rows, cols, size=3)
    assert patches.aux is None
    assert np.array_equal(patches.image[:, 0, 1, 1], values[rows, cols])


def test_have_data_asks_every_band_of_every_modality(tmp_path: Path) -> None:
    values = np.ones((2, 6, 6), np.float32)
    values[1, 0, 0], values[0, 1, 1], values[0, 2, 2] = -9, np.nan, np.inf
    heights = np.ones((6, 6), np.float32)
    heights[3, 3] = -9
    stack = build_stack(
        {
            "hsi": str(write_tif(tmp_path / "a.tif", values, nodata=-9)),
            "dsm": str(write_tif(tmp_path / "b.tif", heights, nodata=-9)),
        }
    )
    diagonal = np.arange(6)
    assert have_data(stack, diagonal, diagonal).tolist() == [False, False, False, False, True, True]
    assert have_data(stack, diagonal[:0], diagonal[:0]).tolist() == []
