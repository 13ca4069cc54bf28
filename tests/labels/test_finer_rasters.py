"""Label rasters finer than the image: each pixel gets the class that covers most of it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np
import pytest
from affine import Affine

from s2fin_cli.labels.read import read_labels
from tests.files import write_raster
from tests.labels.places import pixels
from tests.labels.test_rasters import label_values
from tests.rectangles import GRID

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def test_labels_finer_than_the_image_give_the_class_that_most_of_a_pixel_has(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="s2fin_cli")
    values = np.kron(label_values(), np.ones((5, 5), np.uint8))
    values[2::5, 2::5] = 3  # the pixels in the middle
    path = write_raster(tmp_path / "a.tif", values, transform=GRID.transform @ Affine.scale(0.2))
    labels = read_labels(path, GRID)
    expected = label_values()
    assert labels.counts() == {1: int((expected == 1).sum()), 2: int((expected == 2).sum())}
    assert (expected[labels.rows, labels.cols] == labels.class_ids).all()
    assert "each pixel gets the class that covers most of it" in caplog.text


def commonest(values: NDArray[np.int64], pixel: tuple[int, int]) -> set[int]:
    """The values that most of the 4 x 4 pixels in a pixel of the grid have."""
    row, col = pixel
    found, numbers = np.unique(values[4 * row : 4 * row + 4, 4 * col : 4 * col + 4], return_counts=True)
    return set(found[numbers == numbers.max()].tolist())


@pytest.mark.parametrize("nodata", [None, 0, 9, -9999.0])
@pytest.mark.parametrize("mark", [None, "mask", "alpha", "nan"])
def test_unlabelled_pixels_of_finer_labels_count(tmp_path: Path, nodata: float | None, mark: str | None) -> None:
    rng = np.random.default_rng(0)
    classes = rng.integers(1, 4, (160, 200))
    values = np.where(rng.random(classes.shape) < 0.4, 0 if nodata is None else nodata, classes)
    is_masked = rng.random(classes.shape) < 0.2
    unlabelled = ((values == nodata) | is_masked) if mark else values == (nodata or 0)
    dtype = "float32" if mark == "nan" else "int16" if nodata == -9999 else "uint8"
    if mark == "nan":
        values = np.where(is_masked, np.nan, values)
        unlabelled |= values == (nodata or 0)
    mask, alpha = (~is_masked if mark == name else None for name in ("mask", "alpha"))
    transform = GRID.transform @ Affine.scale(0.25)
    path = write_raster(
        tmp_path / "a.tif", values.astype(dtype), transform=transform, nodata=nodata, mask=mask, alpha=alpha
    )
    labels = read_labels(path, GRID)
    expected = np.where(unlabelled, -1, np.nan_to_num(values)).astype(np.int64)
    found = np.full(GRID.shape, -1)
    found[labels.rows, labels.cols] = labels.class_ids
    assert 0 < len(labels) < found.size
    assert all(found[pixel] in commonest(expected, pixel) for pixel in np.ndindex(GRID.shape))


def test_a_declared_0_gives_finer_labels_the_same_pixels(tmp_path: Path) -> None:
    values = np.zeros((160, 200), np.uint8)
    values[1::8, 2::8] = 1  # one of 16
    values[40:81, 40:83], values[100:141, 99:140] = 1, 2
    transform = GRID.transform @ Affine.scale(0.25)
    plain, declared = (
        read_labels(write_raster(tmp_path / f"{nodata}.tif", values, transform=transform, nodata=nodata), GRID)
        for nodata in (None, 0)
    )
    assert plain.counts() == {1: 110, 2: 100}
    assert pixels(plain) == pixels(declared)


def test_finer_labels_fill_no_pixel_that_they_hardly_reach(tmp_path: Path) -> None:
    values = np.ones((42, 41), np.uint8)  # 10 pixels and a half, 10 and a quarter
    for nodata in (None, 0):
        path = write_raster(tmp_path / "a.tif", values, transform=GRID.transform @ Affine.scale(0.25), nodata=nodata)
        labels = read_labels(path, GRID)
        assert labels.cols.max() == 9
