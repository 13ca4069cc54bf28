"""Captions in a bitmap font."""

from __future__ import annotations

import numpy as np

from s2fin_cli.raster.captions import caption


def test_letters_are_black_on_white_and_cut_where_the_picture_is_narrow() -> None:
    strip = caption("test", 80)
    assert strip.shape == (3, 20, 80)
    assert strip.dtype == np.dtype("uint8")
    assert set(np.unique(strip)) == {0, 255}
    assert (strip[:, :3] == 255).all()
    assert (strip[:, :, :3] == 255).all()
    inked = np.flatnonzero((strip[0] == 0).any(axis=0))
    assert inked.min() >= 3
    assert inked.max() < 3 + 4 * 12
    assert np.array_equal(strip[:, :, 5:13], strip[:, :, 41:49]), "both letters t look the same"
    narrow = caption("training", 20)
    assert narrow.shape == (3, 20, 20)
    assert np.array_equal(narrow, caption("training", 200)[:, :, :20])
