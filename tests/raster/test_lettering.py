"""Captions and legends of pictures."""

from __future__ import annotations

import numpy as np

from s2fin_cli.raster.lettering import caption, legend


def ink(strip: np.ndarray) -> np.ndarray:
    """Columns that hold anything but white."""
    return np.flatnonzero((strip != 255).any(axis=(0, 1)))


def test_captions_are_black_on_white_and_cut_where_the_picture_is_narrow() -> None:
    strip = caption("test", 80)
    assert strip.shape[0::2] == (3, 80)
    assert strip.dtype == np.dtype("uint8")
    assert strip.min() == 0
    assert (strip[0] == strip[1]).all()
    assert 5 <= ink(strip).min() < ink(strip).max() < 60
    assert not np.array_equal(strip, caption("text", 80))
    narrow = caption("training", 20)
    assert np.array_equal(narrow, caption("training", 200)[:, :, :20])


def test_a_legend_has_a_square_of_each_colour_and_names_beside_it() -> None:
    colors = [(255, 0, 0), (0, 255, 0), (0, 0, 255)]
    found = legend(list(zip(("sea", "forêt", "a\x00b"), colors, strict=True)), 100)
    assert found.shape[:2] == (3, 100)
    places = []
    for color in colors:
        square = np.argwhere((found == np.array(color)[:, None, None]).all(axis=0))
        assert len(square) >= 100
        places.append(square.min(axis=0).tolist())
    assert [col for _, col in places] == [places[0][1]] * 3
    assert places[0][0] < places[1][0] < places[2][0]


def test_a_legend_that_does_not_fit_below_each_other_goes_into_columns_and_long_names_are_cut() -> None:
    entries = [("x" * 200, (10 * i, 0, 200)) for i in range(6)]
    short, wide = legend(entries[:2], 60), legend(entries, 60)
    assert short.shape[1] == wide.shape[1] == 60
    assert short.shape[2] < 450
    assert 2.5 * short.shape[2] < wide.shape[2] < 3.5 * short.shape[2]
    for _, color in entries:
        assert (wide == np.array(color)[:, None, None]).all(axis=0).any()
