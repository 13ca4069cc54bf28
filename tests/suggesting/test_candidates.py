"""The draw of candidates."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from s2fin_cli.core.options import InputOptions
from s2fin_cli.stack.assembly import stack_of
from s2fin_cli.stack.stack import Stack
from s2fin_cli.suggesting.candidates import Drawing, draw_candidates
from tests.files import TRANSFORM, write_raster


def make_stack(folder: Path, values: np.ndarray, **options: object) -> Stack:
    path = write_raster(folder / "image.tif", values, nodata=0)
    return stack_of(InputOptions.from_kwargs({"msi": path, **options}))


def draw(stack: Stack, *, side: int = 80, seed: int = 0, **drawing: int) -> set[tuple[int, int]]:
    rows, cols = draw_candidates(stack, side=side, drawing=Drawing(**drawing), generator=np.random.default_rng(seed))
    found = list(zip(rows.tolist(), cols.tolist(), strict=True))
    assert found == sorted(set(found))
    return set(found)


def test_all_pixels_of_a_small_scene_are_candidates(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(1, 200, (2, 50, 90), np.uint8)
    values[:, 10:20, :30] = 0
    found = draw(make_stack(tmp_path, values), pixels=20_000)
    assert found == set(zip(*np.nonzero(values[0]), strict=True))


def test_only_pixels_of_interest_are_candidates(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(1, 200, (2, 100, 120), np.uint8)
    (left, top), (right, bottom) = (TRANSFORM * corner for corner in ((70, 20), (100, 50)))
    found = draw(make_stack(tmp_path, values, bounds=(left, bottom, right, top)), pixels=20_000)
    assert found == {(row, col) for row in range(20, 50) for col in range(70, 100)}


def test_candidates_of_a_large_scene_are_of_some_squares_and_as_many_as_asked_for(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(1, 200, (1, 640, 480), np.uint8)
    stack = make_stack(tmp_path, values)
    found = draw(stack, pixels=1000, squares=10)
    assert len({(row // 80, col // 80) for row, col in found}) == 10
    assert len({(row // 8, col // 8) for row, col in found}) == 10 * 13
    assert 1000 <= len(found) <= 1100
    assert found == draw(stack, pixels=1000, squares=10)
    assert found != draw(stack, pixels=1000, squares=10, seed=1)


def test_a_scene_without_data_has_no_candidates(tmp_path: Path) -> None:
    values = np.zeros((1, 40, 40), np.uint8)
    values[0, 0, 0] = 7
    stack = make_stack(tmp_path, values, nodata=7)
    assert draw(stack) == set()
