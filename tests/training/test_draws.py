from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from s2fin_cli.stack.cells import CELL_SIZE, Places
from s2fin_cli.training.draws import Draws
from s2fin_cli.training.samples import TrainingSet
from tests.training.lessons import WHOLE, empty_cells, scattered, soft


def make_draws(
    classes: NDArray[np.int64],
    labelled: int,
    index: NDArray[np.int64],
    *,
    seed: int = 0,
    dense: bool = False,
    block_size: int = 1,
) -> Draws:
    """Draws from pixels in these cells, the first of which are labelled; for the others it is the teacher's opinion."""
    targets = np.eye(int(classes.max()) + 1, dtype=np.float32)[classes]
    labels = np.where(np.arange(len(classes)) < labelled, classes, -1)
    train = TrainingSet(empty_cells(index), targets, labels, dense)
    return Draws(train, block_size, dense_power=0.5, generator=torch.Generator().manual_seed(seed))


def drawn(draws: Draws, count: int) -> NDArray[np.int64]:
    """The pixels that about `count` windows are drawn for, of draws whose blocks are single pixels."""
    return np.asarray(draws.pixels(draws.next(count))[:, 0, 0].numpy())


def test_classes_and_their_pixels_are_drawn_equally_often_by_label_and_by_what_the_teacher_thinks() -> None:
    classes = np.repeat([0, 1, 2, 0, 1, 2], [980, 20, 1, 440, 50, 10])
    pixels = drawn(make_draws(classes, 1001, scattered(1501, cells=60)), 12_000)
    assert np.count_nonzero(pixels < 1001) == 6000
    for part in (pixels[pixels < 1001], pixels[pixels >= 1001]):
        assert np.bincount(classes[part]) == pytest.approx([2000] * 3, rel=0.1)
    times = np.bincount(pixels, minlength=1501)
    assert times[classes == 1] == pytest.approx(np.repeat([100, 40], [20, 50]), rel=0.7)


def test_windows_of_both_kinds_are_mixed() -> None:
    """As the first eighth of a batch is turned in one way, and the second in another."""
    pixels = drawn(make_draws(np.arange(200) % 2, 100, scattered(200, cells=60)), 8000)
    for part in np.split(pixels < 100, 8):
        assert part.mean() == pytest.approx(0.5, abs=0.06)


def test_between_dense_labels_pixels_are_drawn_equally_and_classes_by_the_root_of_their_size() -> None:
    classes = np.repeat([0, 1, 2], [900, 400, 100])
    pixels = drawn(make_draws(classes, 700, np.tile(np.arange(100), 14), dense=True), 12_000)
    assert len(pixels) == 12_000
    assert np.bincount(classes[pixels]) == pytest.approx(12_000 * np.array([3, 2, 1]) / 6, rel=0.05)
    assert (pixels < 700).mean() == pytest.approx((700 / 900) / 2, abs=0.03), "labelled or not"


@pytest.mark.parametrize("dense", [True, False])
@pytest.mark.parametrize("unlabelled", [0, 200])
@pytest.mark.parametrize("windows", [1, 8, 65])
@pytest.mark.parametrize("block_size", [1, 3, 7])
def test_blocks_lie_in_their_cells_and_know_their_pixels(
    block_size: int, windows: int, unlabelled: int, *, dense: bool
) -> None:
    count = 60 + unlabelled
    draws = make_draws(np.arange(count) % 3, 60, scattered(count, cells=40), dense=dense, block_size=block_size)
    given, places = draws.next(windows), draws.train.cells.places
    kinds = 2 if unlabelled and not dense else 1
    assert len(given.cells) == max(windows // kinds, 1) * kinds
    for first in (given.rows, given.cols):
        assert first.min() >= 0
        assert first.max() <= CELL_SIZE - block_size
    there = {place: i for i, place in enumerate(zip(places.index, places.rows, places.cols, strict=True))}
    pixels = draws.pixels(given)
    assert pixels.shape == (len(given.cells), block_size, block_size)
    for window, block in enumerate(pixels.tolist()):
        assert max(max(row) for row in block) >= 0, "the pixel that it was drawn for"
        for r, row in enumerate(block):
            for c, pixel in enumerate(row):
                place = given.cells[window], given.rows[window] + r, given.cols[window] + c
                assert pixel == there.get(place, -1)


@pytest.mark.parametrize("block_size", [1, 3, 5])
def test_a_block_holds_the_drawn_pixel_anywhere(block_size: int) -> None:
    """Each of 64 cells has one pixel, at another place, so that a window's cell identifies its pixel."""
    place = np.arange(WHOLE)
    cells = replace(empty_cells(place), places=Places(place, place // CELL_SIZE, place % CELL_SIZE))
    train = TrainingSet(cells, soft(place % 2, 0.9), place % 2)
    draws = Draws(train, block_size, dense_power=0.5, generator=torch.Generator().manual_seed(0))
    windows = draws.next(400 * WHOLE)
    pixels = draws.pixels(windows).flatten(1).sort(dim=1).values
    assert torch.equal(pixels[:, -1], torch.from_numpy(windows.cells)), "the pixel is in its block"
    assert (pixels[:, :-1] == -1).all(), "and it is all that there is"
    for cell in range(WHOLE):
        for first, at in ((windows.rows, cell // CELL_SIZE), (windows.cols, cell % CELL_SIZE)):
            offsets, counts = np.unique(first[windows.cells == cell], return_counts=True)
            possible = range(max(at - block_size + 1, 0), min(at, CELL_SIZE - block_size) + 1)
            assert offsets.tolist() == list(possible)
            assert counts.min() > 0.5 * counts.max()


def test_windows_anywhere_are_those_of_different_pixels() -> None:
    draws = make_draws(np.arange(50) % 2, 30, scattered(50, cells=20))
    assert sorted(draws.pixels(draws.anywhere(90)).flatten().tolist()) == list(range(50))
    assert len(set(draws.pixels(draws.anywhere(20)).flatten().tolist())) == 20


def test_the_seed_decides_what_is_drawn() -> None:
    index = scattered(50, cells=20)
    first, again, other = (
        make_draws(np.arange(50) % 2, 30, index, seed=seed, block_size=5).next(100) for seed in (0, 0, 1)
    )
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first.cells, other.cells)


def test_blocks_that_do_not_fit_into_cells_are_refused() -> None:
    with pytest.raises(ValueError, match="windows that predict 9 pixels a side do not fit into cells of 8"):
        make_draws(np.arange(4) % 2, 2, np.arange(4), block_size=9)
