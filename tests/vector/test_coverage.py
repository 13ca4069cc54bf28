"""Polygons of class maps: an exact tiling, whatever the strips."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import rasterio.features
import shapely
from hypothesis import example, given, settings
from hypothesis import strategies as st

from s2fin_cli.vector.coverage import Regions, polygonize
from tests.vector.class_maps import NODATA, ClassMap, Confidence, class_map, cut, maps, oracle

if TYPE_CHECKING:
    from collections.abc import Iterator

    from s2fin_cli.raster.strips import Strip


def collect(
    classes: ClassMap,
    confidence: Confidence | None = None,
    *,
    heights: list[int] | None = None,
    block_rows: int = 10**4,
) -> Regions:
    """All regions of a map in one batch."""
    strips = cut(classes, confidence, heights or [len(classes)])
    batches = list(polygonize(strips, nodata=NODATA, block_px=block_rows * classes.shape[1]))

    def joined(name: str) -> Any:
        parts = [getattr(batch, name) for batch in batches]
        return None if parts[0] is None else np.concatenate(parts)

    return Regions(*map(joined, ("class_id", "confidence_mean", "confidence_min", "polygons")))


def needed_nodes(classes: ClassMap) -> set[tuple[int, int]]:
    """Lattice points (column, row) whose 2 x 2 neighbourhood is neither uniform nor halved by one straight line."""
    padded = np.pad(classes, 1, constant_values=NODATA)
    found = set()
    for row, column in np.ndindex(classes.shape[0] + 1, classes.shape[1] + 1):
        (nw, ne), (sw, se) = padded[row : row + 2, column : column + 2].tolist()
        if not ((nw == ne and sw == se) or (nw == sw and ne == se)):
            found.add((column, row))
    return found


def vertices(polygon: Any) -> list[tuple[int, int]]:
    return [(int(x), int(y)) for ring in (polygon.exterior, *polygon.interiors) for x, y in ring.coords[:-1]]


def assert_tiles(classes: ClassMap, regions: Regions) -> None:
    """The regions' polygons are a valid coverage of the map's valid pixels with just the vertices they need."""
    polygons = regions.polygons
    assert all(p.geom_type == "Polygon" for p in polygons)
    assert shapely.is_valid(polygons).all()
    assert shapely.coverage_is_valid(polygons)
    assert shapely.area(polygons).sum() == np.count_nonzero(classes != NODATA)
    if len(regions):
        pairs = zip(polygons, regions.class_id.tolist(), strict=True)
        np.testing.assert_array_equal(
            rasterio.features.rasterize(pairs, classes.shape, fill=NODATA, dtype=np.uint8), classes
        )
    nodes = needed_nodes(classes)
    for polygon in polygons:
        own = vertices(polygon)
        assert set(own) <= nodes
        # Every node on the outline is a vertex of it.
        on_it = [xy for xy in nodes if polygon.boundary.distance(shapely.Point(xy)) == 0]
        assert set(on_it) == set(own)


def same(one: Regions, other: Regions) -> bool:
    """Whether both hold the same polygons with the same attributes, in any order."""

    def rows(regions: Regions) -> list[tuple[bytes, int]]:
        shapes = shapely.to_wkb(shapely.normalize(regions.polygons)).tolist()
        return sorted(zip(shapes, regions.class_id.tolist(), strict=True))

    return rows(one) == rows(other)


HEIGHTS = st.lists(st.integers(1, 5), min_size=1, max_size=4)
SPIRAL = class_map("1111111", "1222222", "1211112", "1212212", "1222212", "1111112", "2222222")
CUP = class_map("1.1", "1.1", "1.1", "111")
PINCHED = class_map("1111", "1211", "1121", "1111")  # two holes that touch at a corner
PINCHED_AT_EDGE = class_map("111", "121", "112")  # a hole that touches the shell at a corner
NESTED = class_map("11111", "12221", "12321", "12221", "11111")
CHECKERBOARD = class_map("1212", "2121", "1212", "2121")
NODATA_FRAME = class_map("....", ".11.", ".21.", "....")


@settings(max_examples=100)
@given(classes=maps(), heights=HEIGHTS, block_rows=st.integers(1, 5))
@example(SPIRAL, [1], 1)
@example(CUP, [2], 1)
@example(PINCHED, [1], 2)
@example(PINCHED_AT_EDGE, [3], 1)
@example(NESTED, [2], 2)
@example(CHECKERBOARD, [1, 2], 1)
@example(NODATA_FRAME, [4], 3)
def test_polygons_tile_any_map_whatever_the_strips(classes: ClassMap, heights: list[int], block_rows: int) -> None:
    whole = collect(classes)
    assert_tiles(classes, whole)
    expected = oracle(classes)
    assert len(whole) == len(expected)
    for polygon in whole.polygons:
        assert any(shapely.equals(polygon, other) for other in expected)
    assert same(whole, collect(classes, heights=heights, block_rows=block_rows))


@settings(max_examples=100)
@given(classes=maps(), heights=HEIGHTS, block_rows=st.integers(1, 5), seed=st.integers(0, 99))
def test_confidence_is_that_of_the_pixels(classes: ClassMap, heights: list[int], block_rows: int, seed: int) -> None:
    confidence = np.random.default_rng(seed).random(classes.shape, dtype=np.float32)
    confidence[classes == NODATA] = np.nan  # never looked at
    regions = collect(classes, confidence, heights=heights, block_rows=block_rows)
    assert regions.confidence_mean is not None
    assert regions.confidence_min is not None
    for i, polygon in enumerate(regions.polygons):
        inside = confidence[rasterio.features.rasterize([polygon], classes.shape, dtype=np.uint8) == 1]
        assert polygon.area == inside.size
        assert regions.confidence_mean[i] == pytest.approx(inside.astype(np.float64).mean(), rel=1e-12)
        assert regions.confidence_min[i] == inside.min()


def test_order_depends_on_the_blocks_but_not_on_the_strips() -> None:
    classes = np.random.default_rng(1).integers(0, 4, (40, 9), dtype=np.uint8)
    one, other = (collect(classes, heights=heights, block_rows=7) for heights in ([1], [13, 2]))
    assert [p.wkb for p in one.polygons] == [p.wkb for p in other.polygons]
    in_one_block = [p.bounds[1] for p in collect(classes).polygons]
    assert in_one_block == sorted(in_one_block)


def test_regions_touching_themselves_have_rings_that_touch_in_a_point() -> None:
    (polygon,) = (p for p in collect(PINCHED_AT_EDGE).polygons if p.area == 7)
    (hole,) = polygon.interiors
    assert set(hole.coords) == {(1, 1), (2, 1), (2, 2), (1, 2)}
    assert (2, 2) in set(polygon.exterior.coords)
    assert polygon.exterior.is_ccw is False  # rows count downwards: counterclockwise on the map
    assert len(polygon.exterior.coords) - 1 == 6


def test_finished_regions_are_given_before_the_map_ends() -> None:
    """And nothing is asked of the map beyond the block that finishes them."""
    taken = 0

    def strips() -> Iterator[Strip]:
        nonlocal taken
        for row in (1, 1, 2, 2, 3):
            taken += 1
            yield np.full((1, 4), row, dtype=np.uint8), None

    batches = polygonize(strips(), nodata=NODATA, block_px=4)
    assert next(batches).class_id.tolist() == [1]
    assert taken == 3
    assert [b.class_id.tolist() for b in batches] == [[2], [3]]


def test_a_map_of_nothing() -> None:
    assert list(polygonize([], nodata=NODATA)) == []
    (batch,) = polygonize([(np.zeros((3, 2), dtype=np.uint8), np.ones((3, 2)))], nodata=NODATA)
    assert len(batch) == len(batch.polygons) == 0
    assert batch.confidence_mean is not None


def test_nodata_outside_the_class_type() -> None:
    (batch,) = polygonize([(np.array([[0, 255]], dtype=np.uint8), None)], nodata=-1)
    assert batch.class_id.tolist() == [0, 255]


def test_classes_of_two_bytes() -> None:
    (batch,) = polygonize([(np.array([[256, 0, 65535]], dtype=np.uint16), None)], nodata=0)
    assert batch.class_id.tolist() == [256, 65535]


def test_one_region_over_many_blocks_stays_one() -> None:
    classes = np.ones((2000, 3), dtype=np.uint8)
    classes[1::2, 1] = 2
    regions = collect(classes, block_rows=1)
    assert len(regions) == 1001
    comb = max(regions.polygons, key=shapely.area)
    assert comb.area == 5000
    assert len(comb.interiors) == 999
    assert shapely.coverage_is_valid(regions.polygons)


@pytest.mark.parametrize("block_rows", [10, 64, 1000])
def test_larger_noise(block_rows: int) -> None:
    rng = np.random.default_rng(5)
    coarse = np.kron(rng.integers(0, 5, (40, 40)), np.ones((7, 7), dtype=np.int64))
    classes = np.where(rng.random((280, 280)) < 0.1, rng.integers(0, 5, (280, 280)), coarse).astype(np.uint8)
    regions = collect(classes, heights=[33], block_rows=block_rows)
    assert shapely.is_valid(regions.polygons).all()
    assert shapely.coverage_is_valid(regions.polygons)
    assert len(regions) == len(oracle(classes))
    pairs = zip(regions.polygons, regions.class_id.tolist(), strict=True)
    np.testing.assert_array_equal(rasterio.features.rasterize(pairs, classes.shape, dtype=np.uint8), classes)


def test_strips_must_go_together() -> None:
    row, values = np.ones((1, 3), dtype=np.uint8), np.ones((1, 3))
    with pytest.raises(ValueError, match="2 pixels wide, the first one was 3"):
        list(polygonize([(row, None), (row[:, :2], None)], nodata=NODATA))
    with pytest.raises(ValueError, match="all strips have a confidence"):
        list(polygonize([(row, values), (row, None)], nodata=NODATA))
    with pytest.raises(ValueError, match=r"confidence of shape \(1, 2\)"):
        list(polygonize([(row, values[:, :2])], nodata=NODATA))
