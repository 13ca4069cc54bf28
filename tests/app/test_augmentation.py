from __future__ import annotations

import pytest
import torch
from torch import Tensor

from s2fin_cli.learn import augmentation
from s2fin_cli.learn.augmentation import change_values, reorient

Pair = tuple[Tensor, Tensor]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(batch: int = 64, side: int = 7) -> Pair:
    shape = (side, side)
    return torch.randn(batch, 5, *shape, generator=generator(1)), torch.randn(batch, 1, *shape, generator=generator(2))


def places(batch: int = 64, count: int = 3, *, inner: int = 5) -> Pair:
    shape = (batch, count)
    return (
        torch.randint(inner, shape, generator=generator(3)),
        torch.randint(inner, shape, generator=generator(4)),
    )


@pytest.fixture
def no_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GAIN", "OFFSET", "BAND_GAIN", "NOISE"):
        monkeypatch.setattr(augmentation, name, 0.0)


# ---- turning and flipping --------------------------------------------------------------------------------------------


def orientations(cells: Tensor, codes: Tensor) -> set[int]:
    """Which of the eight symmetries of a square (S, S) occur among cells (B, 1, S, S) that hold nothing else."""
    known = [torch.rot90(part, k, dims=(0, 1)) for part in (codes, codes.flip(1)) for k in range(4)]
    return {next(i for i, square in enumerate(known) if torch.equal(cell[0], square)) for cell in cells}


def test_both_images_turn_alike_and_each_cell_by_its_own() -> None:
    codes = torch.arange(25.0).view(5, 5)
    given = codes.repeat(200, 3, 1, 1), codes.repeat(200, 1, 1, 1)
    (image, aux), _ = reorient(given, places(200), inner=5, generator=generator())
    assert torch.equal(image, aux.expand_as(image))
    assert (image[:, :, 2, 2] == 12).all(), "the centre stays"
    assert orientations(aux, codes) == set(range(8)), "all eight symmetries occur, and nothing else"


@pytest.mark.parametrize(("inner", "margin"), [(5, 0), (5, 1), (4, 2), (1, 3)])
def test_the_places_turn_with_the_images(inner: int, margin: int) -> None:
    """What a cell holds at a place, it holds at the turned place again, for each of the eight symmetries."""
    side = inner + 2 * margin
    codes = torch.arange(float(side * side)).view(side, side)
    given = codes.repeat(200, 2, 1, 1), codes.repeat(200, 1, 1, 1)
    rows, cols = places(200, 4, inner=inner)
    turned, (new_rows, new_cols) = reorient(given, (rows, cols), inner=inner, generator=generator())
    assert new_rows.shape == rows.shape
    assert ((new_rows >= 0) & (new_rows < inner) & (new_cols >= 0) & (new_cols < inner)).all()
    cell = torch.arange(200)[:, None]
    before, after = (cell, 0, rows + margin, cols + margin), (cell, 0, new_rows + margin, new_cols + margin)
    for old, new in zip(given, turned, strict=True):
        assert torch.equal(old[before], new[after])
    assert orientations(turned[1], codes) == set(range(8))


def test_only_the_generator_decides_the_orientation() -> None:
    first, again = (reorient(images(), places(), inner=5, generator=generator(3)) for _ in range(2))
    other = reorient(images(), places(), inner=5, generator=generator(4))
    for part in range(2):
        for number in range(2):
            assert torch.equal(first[part][number], again[part][number])
            assert not torch.equal(first[part][number], other[part][number])


def test_reorienting_changes_nothing_in_place_and_no_value() -> None:
    given, at = images(), places()
    before = [part.clone() for part in (*given, *at)]
    turned, moved = reorient(given, at, inner=5, generator=generator())
    for part, old in zip((*given, *at), before, strict=True):
        assert torch.equal(part, old)
    for old, new in zip(before, (*turned, *moved), strict=True):
        assert (new.shape, new.dtype) == (old.shape, old.dtype)
    for old, new in zip(given, turned, strict=True):
        assert torch.equal(old.flatten(2).sort().values, new.flatten(2).sort().values)


# ---- values ----------------------------------------------------------------------------------------------------------


def different(values: Tensor) -> int:
    """How many different values there are."""
    return len(set(values.flatten().tolist()))


def test_changed_values_are_others_of_the_same_shape() -> None:
    for given in images():
        before = given.clone()
        changed = change_values(given, generator=generator())
        assert torch.equal(given, before), "the input stays"
        assert (changed.shape, changed.dtype) == (given.shape, given.dtype)
        assert changed.isfinite().all()
        assert not torch.equal(changed, given)


def test_only_the_generator_decides_the_values() -> None:
    image = images()[0]
    first, again = (change_values(image, generator=generator(3)) for _ in range(2))
    assert torch.equal(first, again)
    assert not torch.equal(first, change_values(image, generator=generator(4)))


@pytest.mark.usefixtures("no_changes")
def test_a_gain_of_all_bands_and_one_of_each(monkeypatch: pytest.MonkeyPatch) -> None:
    ones = torch.ones(6, 4, 3, 3)
    assert torch.equal(change_values(ones, generator=generator()), ones)
    monkeypatch.setattr(augmentation, "GAIN", 0.5)
    of_all = change_values(ones, generator=generator())
    assert torch.equal(of_all, of_all[:, :1, :1, :1].expand_as(ones)), "one factor a cell"
    assert different(of_all[:, 0, 0, 0]) == 6
    assert torch.equal(change_values(0 * ones, generator=generator()), 0 * ones), "a factor, and no summand"
    monkeypatch.setattr(augmentation, "GAIN", 0.0)
    monkeypatch.setattr(augmentation, "BAND_GAIN", 0.5)
    of_each = change_values(ones, generator=generator())
    assert torch.equal(of_each, of_each[:, :, :1, :1].expand_as(ones)), "one factor a band"
    assert different(of_each[:, :, 0, 0]) == 6 * 4


@pytest.mark.usefixtures("no_changes")
def test_an_offset_of_a_cell_and_noise_of_each_value(monkeypatch: pytest.MonkeyPatch) -> None:
    zeros = torch.zeros(6, 4, 3, 3)
    monkeypatch.setattr(augmentation, "OFFSET", 0.5)
    shifted = change_values(zeros, generator=generator())
    assert torch.equal(shifted, shifted[:, :1, :1, :1].expand_as(zeros)), "one summand a cell"
    assert different(shifted[:, 0, 0, 0]) == 6
    monkeypatch.setattr(augmentation, "OFFSET", 0.0)
    monkeypatch.setattr(augmentation, "NOISE", 0.5)
    assert different(change_values(zeros, generator=generator())) > 6 * 4 * 8
