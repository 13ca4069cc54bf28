"""More labels than are held at a time: thinned for training, split and compared with bounded memory."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2fin_cli.core.classes import make_classes
from s2fin_cli.labels.limits import Limits
from s2fin_cli.labels.pixels import LabelledPixels
from s2fin_cli.labels.read import open_labels
from s2fin_cli.labels.thinning import pixel_hashes, thin_per_class
from s2fin_cli.labels.unit_splits import Candidates, iter_parts
from s2fin_cli.stack.assembly import build_stack
from s2fin_cli.stack.cells import ValidPixels, have_data
from s2fin_cli.training.labelled import with_data
from s2fin_cli.workflows.options.split import SplitOptions
from s2fin_cli.workflows.split import run as split
from tests.assessment import assess
from tests.files import write_raster

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray


def pixels_of(class_map: NDArray[np.int64]) -> LabelledPixels:
    rows, cols = np.nonzero(class_map)
    ids = class_map[rows, cols]
    return LabelledPixels(
        rows, cols, ids, np.zeros_like(rows), make_classes({int(i): str(i) for i in np.unique(ids)}), "raster"
    )


def cut(pixels: LabelledPixels, rows: int) -> list[LabelledPixels]:
    numbers = pixels.rows // rows
    return [pixels.select(numbers == number) for number in np.unique(numbers)]


@given(most=st.integers(1, 80), rows=st.integers(1, 50), seed=st.integers(0, 2**31))
def test_thinned_pixels_do_not_depend_on_the_strips(most: int, rows: int, seed: int) -> None:
    class_map = np.random.default_rng(0).choice([0, 1, 2, 9], (50, 40), p=[0.2, 0.5, 0.29, 0.01])
    pixels = pixels_of(class_map)
    thinned, again = (thin_per_class(cut(pixels, height), most=most, seed=seed) for height in (rows, 50))
    assert thinned is not None
    assert again is not None
    for name in ("rows", "cols", "class_ids"):
        assert np.array_equal(getattr(thinned, name), getattr(again, name))
    assert thinned.counts() == {i: min(most, number) for i, number in pixels.counts().items()}
    assert (np.diff(thinned.rows * 40 + thinned.cols) > 0).all()
    assert (class_map[thinned.rows, thinned.cols] == thinned.class_ids).all()


def test_hashes_of_pixels_are_spread_evenly() -> None:
    rows, cols = (part.ravel() for part in np.indices((300, 300)))
    hashes = pixel_hashes(rows, cols, 5)
    assert len(np.unique(hashes)) == len(hashes)
    shares = hashes.astype(np.float64) / 2.0**64
    assert np.abs(np.histogram(shares, 10, (0, 1))[0] / len(shares) - 0.1).max() < 0.005
    for neighbour in (np.roll(shares, 1), np.roll(shares, 300), pixel_hashes(rows, cols, 6) / 2.0**64):
        assert abs(np.corrcoef(shares, neighbour)[0, 1]) < 0.02


def test_valid_pixels_are_those_that_have_data(tmp_path: Path) -> None:
    generator = np.random.default_rng(4)
    values = generator.choice([0, 7], (600, 300), p=[0.3, 0.7]).astype(np.uint8)
    path = write_raster(tmp_path / "image.tif", values, nodata=0)
    stack = build_stack({"msi": [str(path)]})
    places = np.sort(generator.choice(values.size, 20_000, replace=False))
    rows, cols = places // 300, places % 300
    with stack.open() as opened:
        valid = ValidPixels(opened)
        parts = [
            valid.of(rows[start:end], cols[start:end]) for start, end in ((0, 1), (1, 1), (1, 9_000), (9_000, 20_000))
        ]
    assert np.array_equal(np.concatenate(parts), values[rows, cols] > 0)
    assert np.array_equal(np.concatenate(parts), have_data(stack, rows, cols))


def write_scene(folder: Path, shape: tuple[int, int]) -> tuple[Path, Path]:
    """An image without data on the left, and labels throughout, one class of which is rare."""
    rows, cols = np.indices(shape)
    labels = (1 + (rows // 40 + cols // 30) % 3).astype(np.uint8)
    labels[5:8, shape[1] - 4 :] = 9
    image = np.where(cols < 20, 0, labels * 20).astype(np.uint8)
    return write_raster(folder / "image.tif", image, nodata=0), write_raster(folder / "labels.tif", labels)


def test_training_thins_many_labels_and_counts_all(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    image, path = write_scene(tmp_path, (300, 280))
    stack = build_stack({"msi": [str(image)]})
    few = with_data(open_labels(path, stack.grid), stack, labels_per_class=100, seed=0)
    caplog.set_level("INFO")
    many = open_labels(path, stack.grid, limits=Limits(held_pixels=4000))
    labelled = with_data(many, stack, labels_per_class=100, seed=0)
    assert dict(labelled.counts) == dict(few.counts) == few.pixels.counts()
    thinned = labelled.pixels
    assert thinned.counts() == {1: 1000, 2: 1000, 3: 1000, 9: 12}
    assert (thinned.cols >= 20).all()
    assert thinned.classes == few.pixels.classes
    assert "6000 labelled pixels have no data in some image" in caplog.text
    assert "3012 of 78000 labelled pixels are used, at most 1000 of a class" in caplog.text


def test_blocks_are_no_more_than_their_counts_have_room_for(tmp_path: Path) -> None:
    image, path = write_scene(tmp_path, (300, 280))
    labels = open_labels(path, build_stack({"msi": [str(image)]}).grid, limits=Limits(held_pixels=0, blocks=64))
    candidates = Candidates.of(labels, method="blocks", radius=4, seed=0)
    assert candidates.units.side == 37
    assert len(candidates.counts) == 9 * 8
    assert candidates.counts.sum(axis=0).tolist() == list(labels.totals.values())
    draw = candidates.draw(labels, share=0.5, radius=4, generator=np.random.default_rng(0))
    held = draw.held.reshape(9, 8).repeat(37, 0).repeat(37, 1)[:300, :280]
    near = np.zeros_like(held)
    for row, col in np.argwhere(held[::37, ::37]) * 37:
        near[max(row - 4, 0) : row + 41, max(col - 4, 0) : col + 41] = True
    for _, _, parts in iter_parts(labels, draw):
        rows, cols = parts.pixels.rows, parts.pixels.cols
        assert np.array_equal(parts.test, held[rows, cols])
        assert np.array_equal(parts.train, ~near[rows, cols])


SMALL = Limits(held_pixels=1 << 14, strip_pixels=1 << 14, split_pixels=1 << 14, sample_pixels=2000)


def peak(function: Callable[[], object]) -> int:
    """Bytes of Python and NumPy at the peak of a call, after a first one that loads what is loaded once."""
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("command", ["train", "split", "evaluate"])
def test_memory_does_not_grow_with_the_number_of_labelled_pixels(tmp_path: Path, command: str) -> None:
    peaks: list[int] = []
    for height in (40, 256, 1024):
        folder = tmp_path / str(height)
        folder.mkdir()
        image, path = write_scene(folder, (height, 500))

        def work(image: Path = image, path: Path = path, folder: Path = folder) -> object:
            if command == "evaluate":
                return assess(path, path, limits=SMALL)
            if command == "split":
                parts = folder / "train.tif", folder / "test.tif"
                return split(SplitOptions(labels=path, like=image, train=parts[0], test=parts[1]), limits=SMALL)
            stack = build_stack({"msi": [str(image)]})
            return with_data(open_labels(path, stack.grid, limits=SMALL), stack, labels_per_class=1000, seed=0)

        peaks.append(peak(work))
    assert peaks[2] < 1.1 * peaks[1]
