"""The sinks: what each writes or counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from rasterio.windows import Window

from s2fin_cli.geo.grid import Grid
from s2fin_cli.inference.sinks import ClassMap, Confidence, Counts, Cropped, Probabilities, Uncertainty
from s2fin_cli.vector.read_area import read_area
from tests.files import TRANSFORM

if TYPE_CHECKING:
    from numpy.typing import NDArray

PROBS = np.array([[[0.2, 0.5], [0.1, 0.3]], [[0.7, 0.4], [0.2, 0.3]], [[0.1, 0.1], [0.7, 0.4]]], np.float32)
VALID = np.array([[True, True], [False, True]])
MEASURES = np.array([[[0.0, 0.1], [0.2, 0.3]], [[1.0, 2.0], [3.0, 4.0]]], np.float32)
WINDOW = Window(4, 2, 2, 2)


class Recorder:
    """An open raster, and a sink, that keep what is written."""

    def __init__(self) -> None:
        self.written: list[tuple[Any, ...]] = []

    def write(self, *what: Any) -> None:
        self.written.append(what)

    @property
    def only(self) -> NDArray[Any]:
        ((values, window),) = self.written
        assert window == WINDOW
        return np.asarray(values)


def recorder() -> Any:
    return Recorder()


@pytest.mark.parametrize(
    ("ids", "dtype", "nodata"), [((1, 2, 7), "uint8", 0), ((0, 2, 7), "uint8", 255), ((1, 2, 300), "uint16", 0)]
)
def test_the_class_map_has_the_most_probable_class(ids: tuple[int, ...], dtype: str, nodata: int) -> None:
    writer = recorder()
    ClassMap(writer, ids).write(WINDOW, PROBS, VALID, MEASURES)
    assert writer.only.dtype == dtype
    assert writer.only.tolist() == [[[ids[1], ids[0]], [nodata, ids[2]]]]


def test_the_confidence_is_its_probability() -> None:
    writer = recorder()
    Confidence(writer).write(WINDOW, PROBS, VALID, MEASURES)
    assert writer.only.dtype == np.float32
    expected = np.array([[[0.7, 0.5], [np.nan, 0.4]]], np.float32)
    assert np.array_equal(writer.only, expected, equal_nan=True)


def test_the_probabilities_are_as_they_come() -> None:
    writer = recorder()
    before = PROBS.copy()
    Probabilities(writer).write(WINDOW, PROBS, VALID, MEASURES)
    assert writer.only.dtype == np.float32
    assert np.isnan(writer.only[:, 1, 0]).all()
    assert np.array_equal(writer.only[:, VALID], PROBS[:, VALID])
    assert np.array_equal(PROBS, before), "other sinks take the same ones"


def test_uncertainty_has_the_probabilities_figures_and_the_measures() -> None:
    writer = recorder()
    Uncertainty(writer).write(WINDOW, PROBS, VALID, MEASURES)
    assert writer.only.shape == (4, 2, 2)
    assert writer.only.dtype == np.float32
    assert np.isnan(writer.only[:, 1, 0]).all()
    entropy, margin, *measures = writer.only
    assert entropy[0, 0] == pytest.approx(0.7298, abs=1e-4)  # -(0.2 ln 0.2 + 0.7 ln 0.7 + 0.1 ln 0.1) / ln 3
    assert margin[0] == pytest.approx([0.5, 0.1])
    assert np.array_equal(np.array(measures)[:, VALID], MEASURES[:, VALID])


def test_counts_add_up() -> None:
    counts = Counts([1, 2, 7])
    assert counts.pixels == {1: 0, 2: 0, 7: 0}
    counts.write(WINDOW, PROBS, VALID, MEASURES)
    counts.write(Window(0, 0, 2, 2), PROBS, ~VALID, MEASURES)
    assert counts.pixels == {1: 1, 2: 1, 7: 2}


GRID = Grid(None, TRANSFORM, (12, 10))


def cropped(extent: Window, *, bounds: Window | None = None) -> tuple[Cropped, list[tuple[Any, ...]]]:
    area = None
    if bounds is not None:
        left, top = TRANSFORM * (bounds.col_off, bounds.row_off)
        right, bottom = TRANSFORM * (bounds.col_off + bounds.width, bounds.row_off + bounds.height)
        area = read_area(GRID, bounds=(left, bottom, right, top))
    sink = Recorder()
    return Cropped(extent, area, [sink]), sink.written


def test_only_what_lies_in_the_window_is_passed_on() -> None:
    sink, written = cropped(Window(5, 0, 3, 3))
    sink.write(WINDOW, PROBS, VALID, MEASURES)
    sink.write(Window(8, 0, 2, 2), PROBS, VALID, MEASURES)  # beside it
    ((window, probs, valid, measures),) = written
    assert window == Window(0, 2, 1, 1)
    assert np.array_equal(probs, PROBS[:, :1, 1:])
    assert np.array_equal(measures, MEASURES[:, :1, 1:])
    assert np.array_equal(valid, VALID[:1, 1:])


def test_only_what_lies_in_the_area_is_valid() -> None:
    sink, written = cropped(Window(3, 1, 5, 5), bounds=Window(5, 2, 1, 4))
    sink.write(WINDOW, PROBS, VALID, MEASURES)
    ((window, probs, valid, _),) = written
    assert window == Window(1, 1, 2, 2)
    assert np.array_equal(probs, PROBS)
    assert valid.tolist() == [[False, True], [False, True]]
