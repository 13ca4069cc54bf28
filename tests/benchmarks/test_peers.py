"""The peers are treated fairly."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from peer_cnn import CNNSettings, fit_cnn
from peer_features import MANY_BANDS, Samples, SceneFeatures, surroundings
from peers import fit_ensemble
from scenes import Scene, load
from tests.files import write_raster

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


CLASSES = 6


def samples() -> Samples:
    """Patches whose levels depend on the class, in eight bands that are nearly the same."""
    rng = np.random.default_rng(0)
    targets = np.arange(10 * CLASSES) % CLASSES
    levels = targets[:, None, None, None] + rng.normal(0, 0.3, (len(targets), 1, 11, 11))
    patches = levels.repeat(8, axis=1) + rng.normal(0, 0.02, (len(targets), 8, 11, 11))
    return Samples(patches.astype(np.float32), targets.astype(np.int64), image_bands=7)


#: A network of few channels, trained for few steps.
SMALL = CNNSettings(widths=(8, 8, 8), steps=100, band_dropout=0.5)


def fit(known: Samples, settings: CNNSettings = SMALL) -> NDArray[np.float64]:
    """Probabilities that the convolutional network gives its training pixels."""
    return fit_cnn(known, 0, settings)(known.features)


def fit_unsettled(known: Samples, settings: CNNSettings = SMALL) -> NDArray[np.float64]:
    """The same as training leaves it."""
    return fit(known, replace(settings, settling_steps=0))


def test_a_cnn_gets_its_training_pixels_right_with_all_of_their_bands() -> None:
    known = samples()
    assert (fit_unsettled(known).argmax(axis=1) == known.targets).mean() < 0.9, "the case is one that needs it"
    assert (fit(known).argmax(axis=1) == known.targets).all()


def test_a_cnn_that_has_them_right_stays_as_it_is() -> None:
    known, settings = samples(), replace(SMALL, band_dropout=0)
    as_trained = fit_unsettled(known, settings)
    assert (as_trained.argmax(axis=1) == known.targets).all(), "the case is one that does not need it"
    assert np.array_equal(fit(known, settings), as_trained)


def test_squares_around_a_pixel_by_hand() -> None:
    band = np.random.default_rng(0).normal(1000, 5, (40, 50)).astype(np.float32)
    mean, deviation = surroundings(band, 7)
    assert mean[20, 30] == pytest.approx(band[17:24, 27:34].mean(), abs=1e-3)
    assert deviation[20, 30] == pytest.approx(band[17:24, 27:34].std(), abs=1e-3)
    mirrored = np.pad(band, 3, mode="reflect")[:7, :7]  # of the corner
    assert mean[0, 0] == pytest.approx(mirrored.mean(), abs=1e-3)


@pytest.mark.parametrize(("image_bands", "features"), [(2, 27), (MANY_BANDS + 4, 21 + 8 * 11)])
def test_the_ensemble_sees_both_images_at_four_scales(tmp_path: Path, image_bands: int, features: int) -> None:
    rng = np.random.default_rng(1)
    bands = rng.normal(100, 1, (image_bands, 60, 60)).astype(np.float32)
    labels = np.zeros((60, 60), np.uint8)
    labels[5:15, 5:15], labels[40:50, 40:50] = 1, 2
    bands[:, :, 30:] += 3
    write_raster(tmp_path / "image.tif", bands)
    write_raster(tmp_path / "heights.tif", rng.normal(size=(1, 60, 60)).astype(np.float32))
    write_raster(tmp_path / "labels.tif", labels, nodata=0)
    loaded = load(Scene(tmp_path.name, {"hsi": "image.tif", "dsm": "heights.tif"}, "labels.tif", root=tmp_path.parent))
    scene = SceneFeatures(loaded)
    some = loaded.labels.select(rng.permutation(200)[:50])
    values = scene.at("scales", some)
    assert values.shape == (50, features)
    heights, mean = loaded.image[-1], values[:, -2]  # of the heights, over 31 pixels
    expected = [
        np.pad(heights, 15, mode="reflect")[r : r + 31, c : c + 31].mean()
        for r, c in zip(some.rows, some.cols, strict=True)
    ]
    assert mean == pytest.approx(np.array(expected), abs=1e-3)
    known = Samples(values, some.class_ids - 1, image_bands)
    probabilities = fit_ensemble(known, 0)(scene.at("scales", loaded.labels))
    assert probabilities.sum(axis=1) == pytest.approx(np.ones(200))
    assert (probabilities.argmax(axis=1) == loaded.labels.class_ids - 1).all()
