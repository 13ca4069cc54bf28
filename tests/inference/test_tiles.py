"""From a source through a predictor to a sink."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from rasterio.windows import Window

from s2fin_cli.core.images import Images
from s2fin_cli.core.progress import Stop, Stopped, silent, stoppable
from s2fin_cli.inference.sinks import Cropped
from s2fin_cli.inference.smoothing import RADIUS, Smoother
from s2fin_cli.inference.source import LoadedTile, PlannedTile, StackSource
from s2fin_cli.inference.tiles import classify_tiles
from s2fin_cli.stack.assembly import build_stack
from tests.files import write_raster
from tests.predictors import ValuePredictor
from tests.sinks import ArraySink
from tests.smoothed import smooth_all

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

SHAPE = (33, 50)
VALUES = np.random.default_rng(0).integers(3, size=SHAPE).astype(np.float32)


class ArraySource:
    """Tiles of an array; those that begin in the first column are not wanted.

    Attributes:
        loaded: how many tiles were loaded so far.
        is_open: whether it is.
    """

    def __init__(self, side: int = 16, *, margin: int = 4) -> None:
        self.extent = Window(0, 0, SHAPE[1], SHAPE[0])
        self.loaded, self.is_open, self._margin = 0, False, margin
        windows = [
            Window(col, row, min(side, SHAPE[1] - col), min(side, SHAPE[0] - row))
            for row in range(0, SHAPE[0], side)
            for col in range(0, SHAPE[1], side)
        ]
        self.tiles = [PlannedTile(window, window.col_off > 0) for window in windows]

    @contextlib.contextmanager
    def load(self) -> Iterator[Iterator[LoadedTile]]:
        self.is_open = True
        try:
            yield map(self._load, (tile.window for tile in self.tiles if tile.is_wanted))
        finally:
            self.is_open = False

    def _load(self, window: Window) -> LoadedTile:
        self.loaded += 1
        values = np.pad(VALUES[window.toslices()], self._margin, mode="symmetric")[None]
        valid = torch.ones(window.height, window.width, dtype=torch.bool)
        valid[0, 0] = False
        return LoadedTile(window, Images(torch.from_numpy(values)), valid)


def test_what_the_predictor_says_reaches_the_sink_and_what_is_not_wanted_does_not() -> None:
    source, sink = ArraySource(), ArraySink(SHAPE)
    classify_tiles(source, ValuePredictor(), sink)
    expected = np.where(np.arange(SHAPE[1])[None] < 16, -1, VALUES)
    expected[::16, ::16] = -1  # the first pixel of a tile is not valid
    assert np.array_equal(sink.classes, expected)
    assert (sink.times[:, 16:] == 1).all()
    assert (sink.times[:, :16] == 0).all()
    assert not source.is_open
    assert len(sink.threads) == 1
    assert sink.threads != {threading.get_ident()}


def test_progress_counts_the_tiles_that_are_wanted() -> None:
    steps: list[tuple[str, int, int]] = []
    source = ArraySource()
    classify_tiles(source, ValuePredictor(), ArraySink(SHAPE), progress=lambda *step, **_: steps.append(step))
    assert [step[1] for step in steps] == [0, 0, 1, 2, 3, 3, 4, 5, 6, 6, 7, 8, 9]
    assert {(step[0], step[2]) for step in steps} == {("classifying", 9)}


def guide(images: Images[Tensor]) -> Tensor:
    """Pixels of the same value are compared as equal."""
    return images.image.nan_to_num()


@pytest.mark.parametrize("side", [16, 32, 64])
def test_smoothing_stands_between_them(side: int) -> None:
    source, sink = ArraySource(side), ArraySink(SHAPE)
    classify_tiles(source, ValuePredictor(), sink, smoother=Smoother(source.extent, guide))
    values, valid = torch.from_numpy(VALUES), torch.ones(SHAPE, dtype=torch.bool)
    valid[::side, ::side] = False
    valid[:, :side] = False
    probs = torch.nn.functional.one_hot(values.long(), 3).permute(2, 0, 1) * 0.8 + 0.2 / 3
    expected = smooth_all(torch.where(valid, probs, 0), values[None], valid)
    assert np.array_equal(sink.probs, np.where(valid, expected, np.nan), equal_nan=True)
    assert (sink.times <= 1).all()


class DefectError(Exception):
    """Something broke."""


def fail_at(limit: int) -> Callable[[int], None]:
    def check(number: int) -> None:
        if number == limit:
            raise DefectError

    return check


@pytest.mark.parametrize("number", [0, 1, 8])
def test_an_error_of_the_predictor_ends_it(number: int) -> None:
    source, sink = ArraySource(), ArraySink(SHAPE)
    with pytest.raises(DefectError):
        classify_tiles(source, ValuePredictor(before=fail_at(number)), sink)
    assert source.loaded == number + 1
    assert not source.is_open
    assert threading.active_count() == 1


@pytest.mark.parametrize("number", [0, 1, 8])
def test_an_error_of_the_sink_ends_it(number: int) -> None:
    source = ArraySource()
    with pytest.raises(DefectError):
        classify_tiles(source, ValuePredictor(), ArraySink(SHAPE, before=fail_at(number)))
    assert not source.is_open
    assert source.loaded <= number + 2, "at most one tile is computed while another one is written"


def test_it_ends_at_the_next_tile_when_it_is_asked_to() -> None:
    stop, source = Stop(), ArraySource()

    def ask(number: int) -> None:
        if number == 3:
            stop.set()

    with pytest.raises(Stopped):
        classify_tiles(source, ValuePredictor(before=ask), ArraySink(SHAPE), progress=stoppable(silent, stop))
    assert source.loaded == 4
    assert not source.is_open


@pytest.mark.parametrize("smooth", [False, True])
def test_a_map_made_in_parts_is_the_whole_one(tmp_path: Path, *, smooth: bool) -> None:
    """A part is the same source, predictor and sink with another window."""
    shape = (90, 75)
    values = np.random.default_rng(1).integers(3, size=shape).astype(np.float32)
    values[40:60, 30] = np.nan
    stack = build_stack({"msi": [str(write_raster(tmp_path / "image.tif", values))]})

    def classify(window: Window, tile_size: int) -> NDArray[np.float32]:
        predictor = ValuePredictor()
        source = StackSource(stack, predictor, window=window, tile_size=tile_size, reach=RADIUS if smooth else 0)
        sink = ArraySink((window.height, window.width))
        smoother = Smoother(source.extent, guide) if smooth else None
        classify_tiles(source, predictor, Cropped(window, None, [sink]), smoother=smoother)
        return sink.probs

    whole = classify(Window(0, 0, shape[1], shape[0]), 1000)
    parts = np.full_like(whole, -1)
    for window in (Window(0, 0, 48, 32), Window(48, 0, 27, 32), Window(0, 32, 75, 58)):
        parts[:, *window.toslices()] = classify(window, 32)
    assert np.array_equal(parts, whole, equal_nan=True)
    assert np.array_equal(np.isnan(whole[0]), np.isnan(values))
