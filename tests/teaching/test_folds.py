from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s2fin_cli.teaching.folds import assign_folds, learnt_outside
from tests.teaching.lessons import Floats, Ints, in_a_row

FOLDS = 4


def folds_of(targets: Ints, units: Ints, *, seed: int = 0) -> Ints:
    return assign_folds(targets, units, np.random.default_rng(seed), count=FOLDS)


@st.composite
def labelled_units(draw: st.DrawFn, *, mixed: bool) -> tuple[Ints, Ints]:
    """Classes and units of pixels, units of one class each or of several."""
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    count, classes = draw(st.integers(1, 25)), draw(st.integers(1, 6))
    sizes = generator.integers(1, draw(st.integers(1, 30)) + 1, size=count)
    units = np.repeat(generator.permutation(count) * 1000, sizes)
    pixels = generator.integers(classes, size=len(units)) if mixed else np.repeat(np.arange(count) % classes, sizes)
    order = generator.permutation(len(units))
    return np.unique(pixels, return_inverse=True)[1][order], units[order]


@settings(max_examples=200)
@given(pixels=labelled_units(mixed=False) | labelled_units(mixed=True), seed=st.integers(0, 3))
def test_no_unit_is_split_unless_its_class_has_no_other(pixels: tuple[Ints, Ints], seed: int) -> None:
    targets, units = pixels
    folds = folds_of(targets, units, seed=seed)
    assert folds.shape == targets.shape
    assert set(folds) <= set(range(FOLDS))
    for unit in np.unique(units):
        inside = units == unit
        several = [c for c in np.unique(targets[inside]) if len(np.unique(units[targets == c])) > 1]
        assert len(np.unique(folds[inside & np.isin(targets, several)])) <= 1
    assert np.array_equal(folds, folds_of(targets, units, seed=seed))


@settings(max_examples=200)
@given(pixels=labelled_units(mixed=False), seed=st.integers(0, 3))
def test_each_class_lies_in_as_many_folds_as_it_can(pixels: tuple[Ints, Ints], seed: int) -> None:
    targets, units = pixels
    folds = folds_of(targets, units, seed=seed)
    for number in np.unique(targets):
        of_class = targets == number
        parts = len(np.unique(units[of_class]))
        if parts == 1:
            parts = int(of_class.sum())
        assert len(np.unique(folds[of_class])) == min(parts, FOLDS)


def test_folds_are_about_equal_for_each_class() -> None:
    targets = np.repeat([0, 1, 2], [400, 40, 4])
    folds = folds_of(targets, np.arange(len(targets)))
    counts = np.zeros((3, FOLDS), int)
    np.add.at(counts, (targets, folds), 1)
    assert counts.tolist() == [[100] * FOLDS, [10] * FOLDS, [1] * FOLDS]


@pytest.mark.parametrize("seed", range(5))
def test_a_rare_class_that_shares_its_units_lies_in_several_folds(seed: int) -> None:
    frequent, rare = [60, 55, 50, 20, 5, 5], [0, 0, 0, 0, 1, 1]
    targets = np.concatenate([np.repeat(0, sum(frequent)), np.repeat(1, sum(rare))])
    units = np.concatenate([np.repeat(np.arange(6), frequent), np.repeat(np.arange(6), rare)])
    assert len(np.unique(folds_of(targets, units, seed=seed)[targets == 1])) == 2


def test_the_seed_decides_the_folds() -> None:
    targets = np.tile(np.arange(2), 20)
    assert not np.array_equal(folds_of(targets, np.arange(40)), folds_of(targets, np.arange(40), seed=1))


# ---- a buffer around what is held out --------------------------------------------------------------------------------


def apart(positions: Floats, targets: Ints, inside: Ints, buffer: int) -> list[int]:
    """Which pixels are learnt from where some are held out."""
    mask = np.isin(np.arange(len(targets)), inside)
    return np.flatnonzero(learnt_outside(positions, targets, mask, buffer=buffer, least=0.5)).tolist()


def test_pixels_near_to_what_is_held_out_are_not_learnt_from() -> None:
    targets, inside = np.zeros(40, np.int64), np.array([10, 11, 12])
    assert apart(in_a_row(40), targets, inside, 3) == [*range(7), *range(16, 40)]
    assert apart(in_a_row(40), targets, inside, 15) == [0, *range(22, 40)], "half of them, the farthest"
    around = np.array([[0, 0], [9, 12], [9, 13], [-12, -9], [0, 15], [-16, 0]], np.float32)
    assert apart(around, targets[:6], np.array([0]), 11) == [1, 2, 3, 4, 5]
    assert apart(around, targets[:6], np.array([0]), 12) == [2, 4, 5], "12 pixels along either axis"


def test_half_of_each_class_is_learnt_from_however_near() -> None:
    targets = np.zeros(40, np.int64)
    targets[[8, 14]] = 1  # both too near
    targets[[9, 38]] = 2  # one of them is
    targets[11] = 3  # held out itself
    inside = np.array([10, 11, 12])
    for buffer in (15, 100):
        assert apart(in_a_row(40), targets, inside, buffer) == [0, 8, *range(23, 40)]


@pytest.mark.parametrize("buffer", [0, 15])
def test_without_a_buffer_and_without_pixels_on_both_sides_nothing_is_excluded(buffer: int) -> None:
    targets, every = np.tile(np.arange(2), 10), np.arange(20)
    assert apart(in_a_row(20), targets, np.array([], np.int64), buffer) == every.tolist()
    assert apart(in_a_row(20), targets, every, buffer) == []
    assert apart(in_a_row(20), targets, np.array([3, 7]), 0) == [i for i in every if i not in (3, 7)]


@given(seed=st.integers(0, 2**32 - 1), buffer=st.integers(0, 30))
def test_what_is_learnt_from_lies_apart_or_is_the_farther_half_of_its_class(seed: int, buffer: int) -> None:
    generator = np.random.default_rng(seed)
    count = int(generator.integers(1, 60))
    positions = generator.integers(60, size=(count, 2)).astype(np.float32)
    targets, inside = generator.integers(3, size=count), generator.random(count) < generator.random()
    found = learnt_outside(positions, targets, inside, buffer=buffer, least=0.5)
    assert not (found & inside).any()
    distances = np.abs(positions[:, None] - positions[None, inside]).max(axis=2).min(axis=1, initial=np.inf)
    for number in range(3):
        own = (targets == number) & ~inside
        far = own & ((distances > buffer) | (buffer == 0))
        assert found[far].all()
        assert found[own].sum() == max(far.sum(), -(-own.sum() // 2))
        assert distances[own & found].min(initial=np.inf) >= distances[own & ~found].max(initial=-np.inf)
