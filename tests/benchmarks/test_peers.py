"""That the peers get a fair chance."""

from __future__ import annotations

from typing import TYPE_CHECKING
from unittest import mock

import numpy as np
import pytest

import peers

if TYPE_CHECKING:
    from numpy.typing import NDArray

CLASSES = 6


def samples() -> peers.Samples:
    """Patches whose levels tell the class, in eight bands that are nearly the same."""
    rng = np.random.default_rng(0)
    targets = np.arange(10 * CLASSES) % CLASSES
    levels = targets[:, None, None, None] + rng.normal(0, 0.3, (len(targets), 1, 11, 11))
    patches = levels.repeat(8, axis=1) + rng.normal(0, 0.02, (len(targets), 8, 11, 11))
    return peers.Samples(patches.astype(np.float32), targets.astype(np.int64), image_bands=7)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network of few channels, trained for few steps."""
    monkeypatch.setattr(peers, "WIDTHS", (16, 16, 16))
    monkeypatch.setattr(peers, "STEPS", 100)
    monkeypatch.setattr(peers, "BAND_DROPOUT", 0.5)


def fit(known: peers.Samples) -> NDArray[np.float64]:
    """Probabilities that the convolutional network gives its training pixels."""
    return peers.fit_cnn(known, 0)(known.features)


def fit_unsettled(known: peers.Samples) -> NDArray[np.float64]:
    """The same as training leaves it."""
    with mock.patch.object(peers, "_settle", lambda network, *_: network.eval()):
        return fit(known)


def test_a_cnn_gets_its_training_pixels_right_with_all_of_their_bands() -> None:
    known = samples()
    assert (fit_unsettled(known).argmax(axis=1) == known.targets).mean() < 0.9, "the case is one that needs it"
    assert (fit(known).argmax(axis=1) == known.targets).all()


def test_a_cnn_that_has_them_right_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "BAND_DROPOUT", 0)
    known = samples()
    as_trained = fit_unsettled(known)
    assert (as_trained.argmax(axis=1) == known.targets).all(), "the case is one that does not need it"
    assert np.array_equal(fit(known), as_trained)
