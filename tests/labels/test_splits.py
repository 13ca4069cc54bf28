from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from s2fin_cli.core.classes import make_classes
from s2fin_cli.core.errors import LabelError
from s2fin_cli.labels.blocks import BLOCK_RADII
from s2fin_cli.labels.pixels import LabelledPixels
from s2fin_cli.labels.splits import Split, cap_per_class, split_labels, units_of


def make_labels(class_map: NDArray[np.int64], *, groups: NDArray[np.int64] | None = None) -> LabelledPixels:
    """Labels of all pixels of a map (height, width) whose class is not 0, with their groups."""
    rows, cols = np.nonzero(class_map)
    class_ids = class_map[rows, cols]
    return LabelledPixels(
        rows,
        cols,
        class_ids,
        np.zeros(len(rows), np.int64) if groups is None else groups[rows, cols],
        make_classes({int(i): f"class {i}" for i in np.unique(class_ids)}),
        "raster" if groups is None else "polygons",
    )


def split(labels: LabelledPixels, method: str, *, share: float = 0.25, radius: int = 3, seed: int = 0) -> Split:
    return split_labels(labels, method=method, share=share, radius=radius, generator=np.random.default_rng(seed))


def distance(labels: LabelledPixels, result: Split) -> int:
    """The smallest Chebyshev distance between a training and a validation pixel."""
    rows = np.abs(labels.rows[result.train][:, None] - labels.rows[result.validation])
    cols = np.abs(labels.cols[result.train][:, None] - labels.cols[result.validation])
    return int(np.maximum(rows, cols).min())


@st.composite
def labelled_pixels(draw: st.DrawFn) -> LabelledPixels:
    """Scattered pixels in up to 12 polygons, each of one class."""
    height, width = draw(st.integers(1, 60)), draw(st.integers(1, 60))
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    polygons = draw(st.integers(1, 12))
    class_of = generator.integers(1, draw(st.integers(1, 5)) + 1, size=polygons)
    side = draw(st.integers(1, 20))
    numbers = np.add.outer(np.arange(height) // side * 7, np.arange(width) // side) % polygons
    labelled = generator.random((height, width)) < draw(st.sampled_from([0.02, 0.2, 1.0]))
    labelled.flat[generator.integers(labelled.size)] = True
    return make_labels(np.where(labelled, class_of[numbers], 0), groups=numbers)


@given(
    labels=labelled_pixels(),
    method=st.sampled_from(["auto", "polygons", "blocks", "random"]),
    share=st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.9]),
    radius=st.integers(1, 11),
    seed=st.integers(0, 5),
)
def test_split_properties(labels: LabelledPixels, method: str, share: float, radius: int, seed: int) -> None:
    result = split(labels, method, share=share, radius=radius, seed=seed)
    assert not np.intersect1d(result.train, result.validation).size
    assert (np.diff(result.train) > 0).all()
    assert (np.diff(result.validation) > 0).all()
    assert set(labels.class_ids[result.train]) == set(labels.class_ids)
    again = split(labels, method, share=share, radius=radius, seed=seed)
    assert np.array_equal(result.train, again.train)
    assert np.array_equal(result.validation, again.validation)
    if result.method == "polygons":
        assert not np.intersect1d(labels.groups[result.train], labels.groups[result.validation]).size
    units = units_of(labels, method, radius=radius)
    assert not np.intersect1d(units[result.train], units[result.validation]).size, "units are held out whole"
    if result.method != "blocks":
        assert len(result.train) + len(result.validation) == len(labels)


@given(labels=labelled_pixels(), radius=st.integers(1, 11), seed=st.integers(0, 5))
def test_blocks_keep_more_than_the_radius_between_training_and_validation(
    labels: LabelledPixels, radius: int, seed: int
) -> None:
    result = split(labels, "blocks", radius=radius, seed=seed)
    if not result.validation.size:
        return
    # a class is rescued where every one of its free pixels lies in the buffer: then one of them lies next to a block
    near = [
        class_id
        for class_id in np.unique(labels.class_ids[result.train])
        if distance(labels, Split(result.train[labels.class_ids[result.train] == class_id], result.validation, ""))
        <= radius
    ]
    for class_id in near:
        of_class = np.flatnonzero(labels.class_ids == class_id)
        free = np.setdiff1d(of_class, result.validation)
        assert set(free) <= set(result.train), "a rescued class keeps all its pixels that are not held out"
    others = result.train[~np.isin(labels.class_ids[result.train], near)]
    if others.size:
        assert distance(labels, Split(others, result.validation, "")) > radius


def test_blocks_leave_a_buffer_without_labels_in_either_part() -> None:
    labels = make_labels(np.ones((80, 80), np.int64))
    result = split(labels, "blocks", radius=3)
    assert distance(labels, result) == 4
    assert len(result.train) + len(result.validation) < len(labels)
    assert len(result.validation) == pytest.approx(0.25 * len(labels), rel=0.2)


def test_blocks_rescue_a_class_that_the_buffer_would_take_away() -> None:
    class_map = np.ones((30, 30), np.int64)
    class_map[:, 14:16] = 2  # one column in the first block of 15, the other in the next: none is far from the border
    labels = make_labels(class_map)
    for seed in range(10):
        result = split(labels, "blocks", radius=3, seed=seed)
        assert (labels.class_ids[result.train] == 2).any()
        assert (labels.class_ids[result.train] == 1).any()


@pytest.mark.parametrize("method", ["auto", "polygons", "blocks", "random"])
def test_share_of_zero_holds_out_nothing(method: str) -> None:
    labels = make_labels(np.ones((5, 5), np.int64), groups=np.zeros((5, 5), np.int64))
    result = split(labels, method, share=0.0)
    assert np.array_equal(result.train, np.arange(25))
    assert not result.validation.size
    assert result.method == "none"


def test_a_class_with_a_single_polygon_is_trained_on_and_not_validated() -> None:
    class_map = np.repeat([1, 1, 1, 1, 2], 10)[None].repeat(4, axis=0)
    groups = np.repeat(np.arange(5), 10)[None].repeat(4, axis=0)
    labels = make_labels(class_map, groups=groups)
    result = split(labels, "auto")
    assert result.method == "polygons"
    assert set(labels.class_ids[result.validation]) == {1}
    assert (labels.class_ids[result.train] == 2).sum() == 40
    assert len(result.validation) == 40, "one of four polygons is a quarter"


def test_a_label_raster_has_no_polygons() -> None:
    with pytest.raises(LabelError, match="no polygons to split by"):
        split(make_labels(np.ones((9, 9), np.int64)), "polygons")


def test_auto_takes_blocks_where_the_labels_are_no_polygons() -> None:
    assert split(make_labels(np.ones((40, 40), np.int64)), "auto").method == "blocks"


def test_units_are_polygons_blocks_or_pixels() -> None:
    groups = np.add.outer(np.zeros(40, np.int64), np.arange(50) // 7)
    labels = make_labels(np.ones((40, 50), np.int64), groups=groups)
    for method in ("polygons", "auto"):
        assert np.array_equal(units_of(labels, method, radius=3), labels.groups)
    assert len(np.unique(units_of(labels, "random", radius=3))) == len(labels)
    side = BLOCK_RADII * 3
    block = labels.rows // side * 100 + labels.cols // side
    count = math.ceil(40 / side) * math.ceil(50 / side)
    assert len(np.unique(block)) == count
    for units in (units_of(labels, "blocks", radius=3), units_of(replace(labels, kind="points"), "auto", radius=3)):
        assert len(np.unique(units)) == count
        assert len(set(zip(units, block, strict=True))) == count


def test_a_label_raster_has_no_units_of_polygons() -> None:
    with pytest.raises(LabelError, match="no polygons to split by"):
        units_of(make_labels(np.ones((9, 9), np.int64)), "polygons", radius=3)


def test_random_split_holds_out_the_share_of_each_class() -> None:
    class_map = np.repeat([1, 2, 3], [200, 40, 8])[None]
    labels = make_labels(class_map)
    result = split(labels, "random")
    held_out = np.bincount(labels.class_ids[result.validation])
    assert held_out[1:].tolist() == [50, 10, 2]
    other = split(labels, "random", seed=1)
    assert not np.array_equal(other.validation, result.validation)


def test_random_split_of_very_many_pixels_does_not_recount_them_for_each() -> None:
    labels = make_labels(np.random.default_rng(0).integers(1, 9, size=(400, 500)))
    assert len(split(labels, "random").validation) == pytest.approx(50_000, abs=8)


@given(
    class_ids=st.lists(st.integers(0, 4), min_size=1, max_size=60),
    most=st.integers(1, 20),
    seed=st.integers(0, 3),
)
def test_cap_per_class(class_ids: list[int], most: int, seed: int) -> None:
    ids = np.array(class_ids, dtype=np.int64)
    positions = np.arange(len(ids))[::2]
    kept = cap_per_class(ids, positions, most=most, generator=np.random.default_rng(seed))
    assert set(kept) <= set(positions)
    assert (np.diff(kept) > 0).all()
    for class_id in np.unique(ids[positions]):
        available = int((ids[positions] == class_id).sum())
        assert (ids[kept] == class_id).sum() == min(most, available)
    assert np.array_equal(kept, cap_per_class(ids, positions, most=most, generator=np.random.default_rng(seed)))


def test_cap_per_class_of_nothing_is_nothing() -> None:
    nothing = np.empty(0, np.int64)
    assert not cap_per_class(np.ones(3, np.int64), nothing, most=2, generator=np.random.default_rng(0)).size
