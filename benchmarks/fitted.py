"""Fitted methods, and how a peer is fitted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from peer_features import Samples
from peers import PEERS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from peer_features import SceneFeatures
    from s2fin_cli.labels.pixels import LabelledPixels

#: Test pixels that a peer classifies at a time.
CHUNK = 1024


@dataclass(frozen=True)
class Fitted:
    """A fitted method.

    Attributes:
        class_ids: the classes, in the order of the probabilities.
        predict: gives probabilities (n, classes) of n pixels.
    """

    class_ids: NDArray[np.int64]
    predict: Callable[[LabelledPixels], NDArray[np.float64]]


def fit_peer(name: str, features: SceneFeatures, train: LabelledPixels, seed: int) -> Fitted:
    """Fit a peer to pixels of a scene."""
    peer = PEERS[name]
    class_ids, targets = np.unique(train.class_ids, return_inverse=True)
    samples = Samples(features.at(peer.kind, train), targets.astype(np.int64), features.loaded.image_bands)
    predict = peer.fit(samples, seed)

    def predict_in_parts(pixels: LabelledPixels) -> NDArray[np.float64]:
        parts = np.array_split(np.arange(len(pixels)), -(-len(pixels) // CHUNK))
        return np.concatenate([predict(features.at(peer.kind, pixels.select(part))) for part in parts])

    return Fitted(class_ids, predict_in_parts)
