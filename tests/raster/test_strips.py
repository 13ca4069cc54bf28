"""Strips of a map, and areas below the minimum mapping unit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.ndimage
from hypothesis import given, settings
from hypothesis import strategies as st

from s2fin_cli.raster.strips import iter_strips, sieved
from s2fin_cli.raster.write import create_image
from tests.raster.maps import GRID, NAMES, write

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def test_strips_cover_the_map(tmp_path: Path) -> None:
    values = write(tmp_path / "map.tif", NAMES)
    confidence = np.random.default_rng(0).random((1, *GRID.shape)).astype("float32")
    with create_image(tmp_path / "c.tif", GRID, ["confidence"]) as dst:
        dst.write(confidence, GRID.window)
    strips = list(iter_strips(tmp_path / "map.tif", tmp_path / "c.tif"))
    assert len(strips) == 2
    assert np.array_equal(np.concatenate([classes for classes, _ in strips]), values)
    parts = [part for _, part in strips if part is not None]
    assert np.array_equal(np.concatenate(parts), confidence[0])
    assert [part for _, part in iter_strips(tmp_path / "map.tif", None)] == [None, None]


def areas_of(class_map: NDArray[Any]) -> list[NDArray[np.bool_]]:
    """Mask of each 4-connected area."""
    found = []
    for class_id in np.unique(class_map[class_map > 0]):
        labels, count = scipy.ndimage.label(class_map == class_id)
        found += [labels == number for number in range(1, count + 1)]
    return found


@settings(max_examples=60)
@given(seed=st.integers(0, 10**6), mmu=st.integers(2, 12))
def test_no_area_below_the_minimum_mapping_unit_borders_on_a_larger_one(seed: int, mmu: int) -> None:
    generator = np.random.default_rng(seed)
    class_map = generator.integers(0, 4, (12, 14)).astype(np.uint8)
    result = sieved(class_map, nodata=0, mmu=mmu)
    assert np.array_equal(result == 0, class_map == 0), "nodata stays as it is"
    areas = areas_of(result)
    large = np.logical_or.reduce([area for area in areas if area.sum() >= mmu], initial=False)
    for area in areas:
        assert area.sum() >= mmu or not (scipy.ndimage.binary_dilation(area) & large).any()


def test_large_areas_stay_as_they_are() -> None:
    class_map = np.kron(np.array([[1, 2], [0, 3]], np.uint8), np.ones((5, 5), np.uint8))
    assert np.array_equal(sieved(class_map, nodata=0, mmu=25), class_map)
    class_map[2, 2] = 3
    expected = np.where(class_map == 3, 1, class_map)[:5, :5]
    assert np.array_equal(sieved(class_map, nodata=0, mmu=2)[:5, :5], expected)


def test_strips_of_a_sieved_map(tmp_path: Path) -> None:
    values = write(tmp_path / "map.tif", NAMES)
    strips = [classes for classes, _ in iter_strips(tmp_path / "map.tif", None, mmu=6)]
    assert np.array_equal(np.concatenate(strips), sieved(values, nodata=0, mmu=6))


def test_where_all_areas_are_below_the_unit_they_stay() -> None:
    values = np.repeat([[1, 1, 1, 2]], 3, axis=0).astype("uint8")
    assert np.array_equal(sieved(values, nodata=0, mmu=1000), values)
    assert np.array_equal(sieved(values[:1, :1], nodata=0, mmu=1000), values[:1, :1])
