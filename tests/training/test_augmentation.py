from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from s2fin_cli.training.augmentation import change_values, reorient
from s2fin_cli.training.recipe import Augmentation

NONE = Augmentation(gain=0.0, band_gain=0.0, offset=0.0, noise=0.0)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(batch: int = 64, side: int = 7) -> tuple[Tensor, Tensor]:
    shape = (side, side)
    return torch.randn(batch, 5, *shape, generator=generator(1)), torch.randn(batch, 1, *shape, generator=generator(2))


# ---- turning and flipping --------------------------------------------------------------------------------------------


def symmetries(square: Tensor) -> list[Tensor]:
    """A square (..., S, S) turned and flipped in all eight ways."""
    return [torch.rot90(part, k, dims=(-2, -1)) for part in (square, square.flip(-1)) for k in range(4)]


def orientations(squares: Tensor, codes: Tensor) -> list[int]:
    """Which of the eight symmetries of a square (S, S) each of (B, S, S) is."""
    known = symmetries(codes)
    return [next(i for i, square in enumerate(known) if torch.equal(given, square)) for given in squares]


def test_all_eight_symmetries_occur_each_in_an_eighth_of_the_batch() -> None:
    codes = torch.arange(25).view(5, 5)
    (turned,) = reorient([codes.repeat(40, 1, 1)])
    assert (turned[:, 2, 2] == 12).all(), "the centre stays"
    assert sorted(orientations(turned, codes)) == [number for number in range(8) for _ in range(5)]


def test_all_squares_of_a_sample_are_turned_the_same_way() -> None:
    """Whatever their shapes and types: each holds the same code at the same place, before and after."""
    codes = torch.arange(49).view(7, 7) + 100 * torch.arange(24)[:, None, None]
    given = [codes[:, None].expand(24, 3, 7, 7).float(), codes[:, None, None].double(), codes]
    image, aux, places = reorient(given)
    assert (image.shape, aux.shape, places.shape) == ((24, 3, 7, 7), (24, 1, 1, 7, 7), (24, 7, 7))
    assert (image.dtype, aux.dtype, places.dtype) == (torch.float32, torch.float64, torch.int64)
    assert torch.equal(image.long(), places[:, None].expand(24, 3, 7, 7))
    assert torch.equal(aux[:, 0, 0].long(), places)
    for sample in range(24):  # and each stays in its place in the batch
        assert any(torch.equal(places[sample], square) for square in symmetries(codes[sample]))


def test_a_sample_turned_as_expected() -> None:
    square = torch.tensor([[1, 2], [3, 4]])
    (turned,) = reorient([square.repeat(8, 1, 1)])
    assert {tuple(part.flatten().tolist()) for part in turned} == {
        (1, 2, 3, 4), (2, 4, 1, 3), (4, 3, 2, 1), (3, 1, 4, 2),
        (2, 1, 4, 3), (4, 2, 3, 1), (3, 4, 1, 2), (1, 3, 2, 4),
    }  # fmt: skip


@pytest.mark.parametrize(("side", "wide"), [(1, 5), (5, 7), (5, 19), (4, 8)])
def test_squares_of_different_sides_keep_their_common_centre(side: int, wide: int) -> None:
    codes = torch.arange(wide * wide).view(wide, wide).repeat(16, 1, 1)
    border = (wide - side) // 2
    inner = slice(border, border + side)
    large, small = reorient([codes, codes[:, inner, inner]])
    assert torch.equal(large[:, inner, inner], small)


def test_reorienting_changes_nothing_in_place_and_no_value() -> None:
    given = images()
    before = [part.clone() for part in given]
    turned = reorient(given)
    for part, old in zip(given, before, strict=True):
        assert torch.equal(part, old)
    for old, new in zip(before, turned, strict=True):
        assert (new.shape, new.dtype) == (old.shape, old.dtype)
        assert torch.equal(old.flatten(2).sort().values, new.flatten(2).sort().values)


@pytest.mark.parametrize("batch", [1, 3, 8, 13])
def test_a_batch_of_any_size(batch: int) -> None:
    codes = torch.arange(9).view(3, 3)
    (turned,) = reorient([codes.repeat(batch, 1, 1)])
    numbers = orientations(turned, codes)
    assert (len(numbers), len(set(numbers))) == (batch, min(batch, 8))


# ---- values ----------------------------------------------------------------------------------------------------------


def different(values: Tensor) -> int:
    """How many different values there are."""
    return len(set(values.flatten().tolist()))


def test_changed_values_are_others_of_the_same_shape() -> None:
    for given in images():
        before = given.clone()
        changed = change_values(given, Augmentation(), generator=generator())
        assert torch.equal(given, before), "the input stays"
        assert (changed.shape, changed.dtype) == (given.shape, given.dtype)
        assert changed.isfinite().all()
        assert not torch.equal(changed, given)


def test_only_the_generator_decides_the_values() -> None:
    image = images()[0]
    first, again = (change_values(image, Augmentation(), generator=generator(3)) for _ in range(2))
    assert torch.equal(first, again)
    assert not torch.equal(first, change_values(image, Augmentation(), generator=generator(4)))


def test_a_gain_of_all_bands_and_one_of_each() -> None:
    ones = torch.ones(6, 4, 3, 3)
    assert torch.equal(change_values(ones, NONE, generator=generator()), ones)
    gain, band_gain = replace(NONE, gain=0.5), replace(NONE, band_gain=0.5)
    of_all = change_values(ones, gain, generator=generator())
    assert torch.equal(of_all, of_all[:, :1, :1, :1].expand_as(ones)), "one factor a window"
    assert different(of_all[:, 0, 0, 0]) == 6
    assert torch.equal(change_values(0 * ones, gain, generator=generator()), 0 * ones), "a factor, and no summand"
    of_each = change_values(ones, band_gain, generator=generator())
    assert torch.equal(of_each, of_each[:, :, :1, :1].expand_as(ones)), "one factor a band"
    assert different(of_each[:, :, 0, 0]) == 6 * 4


def test_an_offset_of_a_window_and_noise_of_each_value() -> None:
    zeros = torch.zeros(6, 4, 3, 3)
    shifted = change_values(zeros, replace(NONE, offset=0.5), generator=generator())
    assert torch.equal(shifted, shifted[:, :1, :1, :1].expand_as(zeros)), "one summand a window"
    assert different(shifted[:, 0, 0, 0]) == 6
    noisy = change_values(zeros, replace(NONE, noise=0.5), generator=generator())
    assert different(noisy) > 6 * 4 * 8
