from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from s2fin_cli.labels.distances import are_dense
from s2fin_cli.stack.cells import CELL_SIZE, Places
from s2fin_cli.stack.guide import COMPONENTS
from s2fin_cli.teaching.propagation import (
    NEAR,
    POWER,
    SIMILAR,
    STEPS,
    average_similar,
    guide_of,
    propagate,
)

Floats = NDArray[np.float32]


def grid(height: int, width: int) -> Floats:
    """Positions of all pixels of a raster, row by row."""
    return np.indices((height, width)).reshape(2, -1).T.astype(np.float32)


def no_labels(count: int) -> NDArray[np.int64]:
    return np.full(count, -1)


def random_probs(count: int, classes: int, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).dirichlet(np.ones(classes), size=count).astype(np.float32)


def reference(probs: Floats, labels: NDArray[np.int64], guide: Floats, positions: Floats) -> NDArray[np.float64]:
    """The equation of `propagate`, pixel by pixel in float64."""
    result, at = probs.astype(np.float64), {tuple(place): number for number, place in enumerate(positions)}
    for number, label in enumerate(labels):
        if label >= 0:
            result[number] = np.eye(probs.shape[1])[label]
    for _ in range(STEPS):
        before = result.copy()
        for number, (row, col) in enumerate(positions):
            if labels[number] >= 0:
                continue
            near = [at.get((row + i, col + j)) for i in (-1, 0, 1) for j in (-1, 0, 1)]
            others = [other for other in near if other is not None]
            squares = [((guide[number].astype(float) - guide[other]) ** 2).sum() for other in others]
            weights = np.array([max(1 - square, 0) ** 2 for square in squares])
            result[number] = weights @ before[others] / weights.sum()
    powers = result**POWER
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


@pytest.mark.parametrize("share", [0.0, 0.2, 1.0])
def test_it_is_its_equation(share: float) -> None:
    """Some pixels are missing, so that many have fewer than eight neighbours."""
    generator = np.random.default_rng(1)
    positions = grid(9, 11)[generator.random(99) < 0.8]
    count = len(positions)
    labels = np.where(generator.random(count) < share, generator.integers(3, size=count), -1)
    guide = generator.normal(scale=0.3, size=(count, 4)).astype(np.float32)
    probs = random_probs(count, 3)
    before = probs.copy()
    found = propagate(probs, labels, guide, positions)
    assert found.dtype == np.float32
    assert found == pytest.approx(reference(probs, labels, guide, positions), abs=1e-5)
    assert np.array_equal(probs, before), "what is given is left alone"


def test_pixels_may_come_in_any_order() -> None:
    positions, generator = grid(8, 8), np.random.default_rng(0)
    guide, probs = generator.normal(scale=0.3, size=(64, 2)).astype(np.float32), random_probs(64, 2)
    labels = np.where(np.arange(64) % 9 == 0, 1, -1)
    order = generator.permutation(64)
    expected = propagate(probs, labels, guide, positions)[order]
    assert propagate(probs[order], labels[order], guide[order], positions[order]) == pytest.approx(expected, abs=1e-6)


def test_labels_spread_over_their_field_and_not_beyond_its_edge() -> None:
    """Two fields side by side that the teacher cannot distinguish, with a label in each."""
    positions = grid(7, 10)
    right = positions[:, 1] >= 5
    guide = np.where(right, 3.0, 0.0).astype(np.float32)[:, None]
    labels = no_labels(70)
    labels[[3 * 10 + 2, 3 * 10 + 7]] = 0, 1
    probs = propagate(np.full((70, 2), 0.5, np.float32), labels, guide, positions)
    assert np.array_equal(probs.argmax(axis=1), right.astype(int))
    assert (probs.max(axis=1) > 0.5).all()
    assert probs[labels >= 0].max(axis=1) == pytest.approx(1.0), "labels stay what they are"


def test_a_pixel_unlike_all_around_it_or_far_from_all_keeps_what_the_teacher_thinks() -> None:
    positions = np.concatenate([grid(3, 3), [[40.0, 40.0]]]).astype(np.float32)
    guide = np.zeros((10, 1), np.float32)
    guide[4] = 9.0
    probs = np.tile(np.array([0.2, 0.8], np.float32), (10, 1))
    probs[[4, 9]] = 0.6, 0.4
    found = propagate(probs, no_labels(10), guide, positions)
    assert found[[4, 9]] == pytest.approx(np.array([[0.36, 0.16]] * 2) / 0.52, abs=1e-6)
    assert (found[:4, 1] > 0.9).all()


def test_labels_are_dense_where_half_of_the_pixels_have_one_near() -> None:
    pixels = np.stack([np.zeros(100), np.arange(100)], axis=1).astype(np.float32)
    every_twelfth, every_fortieth = pixels[6::12], pixels[20::40]
    assert are_dense(every_twelfth, pixels, within=6.0)
    assert not are_dense(every_fortieth, pixels, within=6.0)
    alone = np.zeros((1, 2), np.float32)
    assert are_dense(alone, np.array([[0, 6]], np.float32), within=6.0)
    assert not are_dense(alone, np.array([[0, 6.5]], np.float32), within=6.0)
    assert not are_dense(alone, np.empty((0, 2), np.float32), within=6.0), (
        "where there is nothing to learn of, nothing is dense"
    )


def test_pixels_are_compared_by_leading_components_and_equally_by_the_second_image() -> None:
    values = np.zeros((3, 12 + 4), np.float32)
    values[1, :COMPONENTS] = 0.5
    values[1, COMPONENTS:12] = 100.0  # later components, which are mostly noise
    values[2, 12:] = 0.5
    guide = guide_of(values[:, :12], values[:, 12:])
    assert ((guide[1:] - guide[0]) ** 2).sum(axis=1) == pytest.approx([0.25, 0.25])
    alone = guide_of(values[:, :12])
    assert ((alone[1] - alone[0]) ** 2).sum() == pytest.approx(0.25), "without a second image too"


# ---- averages over similar pixels ------------------------------------------------------------------------------------


def some_pixels(count: int, *, share: float = 1.0, seed: int = 0) -> Places:
    """A share of the pixels of `count` cells, in random order."""
    generator = np.random.default_rng(seed)
    index, rows, cols = np.indices((count, CELL_SIZE, CELL_SIZE)).reshape(3, -1)
    chosen = generator.permutation(index.size)[: round(share * index.size)]
    return Places(index[chosen], rows[chosen], cols[chosen])


def averaged(probs: Floats, guide: Floats, places: Places) -> NDArray[np.float64]:
    """The equation of `average_similar`, pixel by pixel in float64."""
    result = np.empty(probs.shape)
    at, looks = np.stack([places.rows, places.cols], axis=1).astype(float), guide.astype(float)
    for number in range(len(probs)):
        others = np.flatnonzero(places.index == places.index[number])
        squares = ((at[others] - at[number]) ** 2).sum(axis=1)
        unlike = ((looks[others] - looks[number]) ** 2).sum(axis=1)
        weights = np.exp(-squares / (2 * NEAR**2) - unlike / (2 * SIMILAR**2))
        result[number] = weights @ probs[others] / weights.sum()
    return result


@pytest.mark.parametrize("share", [1.0, 0.7, 0.05])
def test_averages_are_their_equation(share: float) -> None:
    """Of all pixels of cells or of few, in any order; missing pixels do not count."""
    places = some_pixels(5, share=share)
    count = len(places.index)
    guide = np.random.default_rng(1).normal(size=(count, 4)).astype(np.float32)
    probs = random_probs(count, 3)
    before = probs.copy(), guide.copy()
    found = average_similar(probs, guide, places)
    assert found.dtype == np.float32
    assert found == pytest.approx(averaged(probs, guide, places), abs=1e-5)
    assert found.sum(axis=1) == pytest.approx(np.ones(count), abs=1e-5)
    assert np.array_equal(probs, before[0]), "what is given is left alone"
    assert np.array_equal(guide, before[1])


@pytest.mark.parametrize("at_once", [1, 2, 3])
def test_averages_do_not_depend_on_how_many_cells_are_averaged_at_once(at_once: int) -> None:
    """One of the cells has no pixel, nor has the last one."""
    places = some_pixels(7, share=0.8)
    there = np.flatnonzero((places.index != 2) & (places.index != 6))
    kept = places.select(there)
    guide, probs = np.random.default_rng(1).normal(size=(len(there), 2)).astype(np.float32), random_probs(len(there), 3)
    whole = average_similar(probs, guide, kept)
    assert average_similar(probs, guide, kept, at_once=at_once) == pytest.approx(whole, abs=1e-6)


def test_what_all_pixels_agree_on_stays() -> None:
    places = some_pixels(3, share=0.5)
    count = len(places.index)
    probs = np.tile(np.array([0.2, 0.5, 0.3], np.float32), (count, 1))
    guide = np.random.default_rng(0).normal(scale=5, size=(count, 3)).astype(np.float32)
    assert average_similar(probs, guide, places) == pytest.approx(probs, abs=1e-6)


def test_dissimilar_neighbours_count_next_to_nothing() -> None:
    """Two fields of one class each: neither blurs into the other."""
    places = some_pixels(2)
    right = places.cols >= 3
    probs = np.eye(2, dtype=np.float32)[right.astype(int)]
    guide = np.where(right, 5.0, 0.0).astype(np.float32)[:, None]
    assert average_similar(probs, guide, places) == pytest.approx(probs, abs=1e-4)
    blurred = average_similar(probs, np.zeros_like(guide), places)
    assert np.abs(blurred - probs).max() > 0.3, "they do where they are similar"


def test_pixels_far_away_and_those_of_other_cells_say_next_to_nothing() -> None:
    index, rows, cols = np.array([[0, 0, 0], [0, 0, 1], [0, 7, 7], [1, 0, 0]]).T
    probs = np.eye(4, dtype=np.float32)
    found = average_similar(probs, np.zeros((4, 1), np.float32), Places(index, rows, cols))
    near = np.exp(-1 / (2 * NEAR**2))
    expected = np.array([[1, near], [near, 1]]) / (1 + near)
    assert found[:2, :2] == pytest.approx(expected, abs=1e-4)
    assert found[2:] == pytest.approx(probs[2:], abs=1e-4)
