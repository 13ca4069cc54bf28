"""Sketches of labels: what they reveal of other labels, on which grids, and after a round trip through JSON."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from affine import Affine
from rasterio.crs import CRS

from s2fin_cli.core.classes import make_classes
from s2fin_cli.geo.grid import Grid
from s2fin_cli.labels.pixels import LabelledPixels
from s2fin_cli.labels.sketch import MOST_HASHES, LabelSketch

UTM = CRS.from_epsg(32633)
GRID = Grid(UTM, Affine(10, 0, 500_000, 0, -10, 4_200_000), (400, 500))


def labels_at(numbers: Any, *, width: int = 500) -> LabelledPixels:
    """Labels at pixels numbered along the rows."""
    rows, cols = np.divmod(np.asarray(numbers, dtype=np.int64), width)
    return LabelledPixels(rows, cols, np.ones_like(rows), np.zeros_like(rows), make_classes({1: "a"}), "points")


def share(sketch: LabelSketch, numbers: Any, grid: Grid = GRID) -> float:
    return sketch.share_in([labels_at(numbers, width=grid.width)], grid)


@pytest.mark.parametrize("count", [40, MOST_HASHES, 20_000])
def test_the_share_of_labels_that_were_there_before(count: int) -> None:
    everything = np.random.default_rng(1).permutation(200_000)
    known, others = everything[:count], everything[count:]
    sketch = LabelSketch.from_dict(json.loads(json.dumps(LabelSketch.of(labels_at(np.sort(known)), GRID).to_dict())))
    tolerance = 0 if count <= MOST_HASHES else 0.1
    assert share(sketch, known) == 1
    assert share(sketch, others[:5000]) == 0
    assert share(sketch, np.concatenate([known, others[:count]])) == pytest.approx(0.5, abs=tolerance)
    assert share(sketch, known[: count // 2]) == pytest.approx(1, abs=2 * tolerance)
    assert share(sketch, []) == 0


def test_strips_count_as_their_sum() -> None:
    sketch = LabelSketch.of(labels_at(range(1000)), GRID)
    strips = [labels_at(range(start, start + 500)) for start in range(0, 2000, 500)]
    assert sketch.share_in(strips, GRID) == 0.5


def test_a_part_of_the_grid_and_a_larger_one_hold_the_same_pixels() -> None:
    sketch = LabelSketch.of(labels_at(range(50_000, 50_300)), GRID)  # row 100, columns 0 to 299
    for rows, cols in ((100, 0), (-20, -30)):
        other = replace(GRID.moved(cols, rows), shape=(300, 600))
        first = (100 - rows) * 600 - cols
        assert share(sketch, range(first, first + 300), other) == 1
        assert share(sketch, range(first + 150, first + 450), other) == pytest.approx(0.5, abs=0.1)
        assert share(sketch, range(first + 600, first + 900), other) == 0


@pytest.mark.parametrize(
    "other",
    [GRID.moved(0.3, 0), replace(GRID, transform=GRID.transform * Affine.scale(2)), replace(GRID, crs=None)],
    ids=["half a pixel off", "larger pixels", "no CRS"],
)
def test_pixels_that_are_others_are_not_compared(other: Grid) -> None:
    sketch = LabelSketch.of(labels_at(range(300)), GRID)
    assert not sketch.may_hold(other, UTM)
    assert sketch.may_hold(GRID.moved(7, 3), UTM)
    assert not sketch.may_hold(GRID, CRS.from_epsg(32634))
    if other.crs is not None:
        assert share(sketch, range(300), other) == 0


def test_a_sketch_of_impossibly_small_pixels_is_nowhere() -> None:
    values = LabelSketch.of(labels_at(range(9)), GRID).to_dict()
    sketch = LabelSketch.from_dict({**values, "transform": [1e-150, 0, 1e300, 0, -1e-150, 0]})
    assert share(sketch, range(9)) == 0


def test_without_a_crs_only_the_same_grid_is_the_same_place() -> None:
    plain = Grid(None, Affine.identity(), (400, 500))
    sketch = LabelSketch.of(labels_at(range(300)), plain)
    assert sketch.may_hold(plain, None)
    assert not sketch.may_hold(replace(plain, shape=(400, 501)), None)
    assert not sketch.may_hold(GRID, None)


@pytest.mark.parametrize(
    "changes",
    [
        {"hashes": "%"}, {"hashes": "AAA="}, {"hashes": ""}, {"hashes": 3}, {"pixels": 0}, {"pixels": "many"},
        {"pixels": float("inf")}, {"transform": [0] * 6}, {"transform": [1]}, {"transform": [float("nan")] * 6},
        {"shape": [1]}, {"shape": None}, {"shape": [0, 5]},
    ],
)  # fmt: skip
def test_values_that_are_no_sketch(changes: dict[str, Any]) -> None:
    values = {**LabelSketch.of(labels_at(range(9)), GRID).to_dict(), **changes}
    with pytest.raises(ValueError, match="not a sketch"):
        LabelSketch.from_dict(values)
    with pytest.raises(ValueError, match="not a sketch"):
        LabelSketch.from_dict({})
