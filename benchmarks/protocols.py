"""Which labelled pixels are trained on and which are tested on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from scenes import DATA

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from s2fin_cli.labels.pixels import LabelledPixels
    from scenes import LoadedScene

PROTOCOLS = ("blocks", "random", "fixed")
LABEL_COUNTS = (5, 20)

#: Blocks have this many pixels a side, and test pixels are farther than the buffer from every block of training
#: pixels.
#: NOTE: the network of version 0 saw less far than this; the present one sees means and deviations 18 pixels away. The
#: buffer stays, because another one would change the draws, and results could not be compared with earlier ones.
BLOCK_SIDE = 25
BUFFER = 11
#: Layouts of blocks that are tried, to find one with as many classes as possible on both sides.
LAYOUTS = 200
#: A class is tested if at least this many of its pixels, or a tenth of them, are left for testing.
ENOUGH = 30
#: Approximate number of test pixels of a draw, if there are more: each class by its share, and at least one pixel. This
#: only applies to known scenes, because those measured before the rule had fewer; other scenes and published splits are
#: tested as a whole.
MOST_TESTED = 20_000


@dataclass(frozen=True)
class Case:
    """One draw of training and test pixels.

    Attributes:
        train: the labelled pixels to train on.
        test: those to test on, of classes that are trained on.
    """

    train: LabelledPixels
    test: LabelledPixels


def draw(loaded: LoadedScene, protocol: str, count: int, seed: int, *, most_tested: int = MOST_TESTED) -> Case:
    """Draw pixels of a scene.

    Args:
        loaded: the scene.
        protocol: "blocks": training pixels from half of the blocks of 25 x 25 pixels, test pixels from the other half,
            at least 12 pixels from every block of the first; "random": single pixels anywhere; "fixed": the published
            split.
        count: training pixels of each class, at most half of what the class has; unused for the published split.
        seed: seed of the random draw.
        most_tested: test pixels of a known scene; if there are more, approximately this many are chosen at random.
    """
    if protocol == "fixed":
        if loaded.fixed is None:
            raise ValueError(f"{loaded.scene.name} has no published split")
        return Case(*loaded.fixed)
    case = _drawn(loaded, protocol, count, seed)
    return replace(case, test=_thinned(case.test, seed, most_tested)) if loaded.scene.root == DATA else case


def _drawn(loaded: LoadedScene, protocol: str, count: int, seed: int) -> Case:
    """A draw with all of its test pixels."""
    generator = np.random.default_rng([seed, count])
    labels, ids = loaded.labels, loaded.labels.class_ids
    if protocol == "random":
        train = _take(ids, np.arange(len(ids)), count, generator)
        return Case(labels.select(train), labels.select(np.setdiff1d(np.arange(len(ids)), train)))
    trainable, testable = lay_out(labels, loaded.stack.grid.shape, np.random.default_rng(seed))
    train = _take(ids, np.flatnonzero(trainable), count, generator)
    train = train[np.isin(ids[train], ids[testable])]
    return Case(labels.select(train), labels.select(testable & np.isin(ids, ids[train])))


def _thinned(test: LabelledPixels, seed: int, most: int) -> LabelledPixels:
    """At most approximately this many test pixels, at random."""
    if len(test) <= most:
        return test
    generator, kept = np.random.default_rng(seed), []
    for class_id in np.unique(test.class_ids):
        own = np.flatnonzero(test.class_ids == class_id)
        kept.append(generator.choice(own, max(1, len(own) * most // len(test)), replace=False))
    return test.select(np.sort(np.concatenate(kept)))


def _take(
    ids: NDArray[np.int64], positions: NDArray[np.int64], count: int, generator: np.random.Generator
) -> NDArray[np.int64]:
    """`count` positions of each class at random, at most half of the class's."""
    taken = []
    for class_id in np.unique(ids[positions]):
        own = positions[ids[positions] == class_id]
        taken.append(generator.choice(own, min(count, max(len(own) // 2, 1)), replace=False))
    return np.sort(np.concatenate(taken))


def lay_out(
    labels: LabelledPixels, shape: tuple[int, int], generator: np.random.Generator
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Masks over labels of possible training and test pixels, for the layout of blocks with the most classes.

    Args:
        labels: the labels.
        shape: (height, width) of the grid.
        generator: source of chance.
    """
    blocks = tuple(-(-side // BLOCK_SIDE) for side in shape)
    total = np.bincount(labels.class_ids)
    enough = np.minimum(ENOUGH, np.ceil(total / 10))
    best: tuple[int, NDArray[np.bool_], NDArray[np.bool_]] | None = None
    for _ in range(LAYOUTS):
        chosen = generator.random(blocks) < 0.5
        trainable, testable = _in_blocks(labels, chosen, 0), ~_in_blocks(labels, chosen, BUFFER)
        sides = [np.bincount(labels.class_ids[side], minlength=len(total)) >= enough for side in (trainable, testable)]
        classes = int((sides[0] & sides[1] & (total > 0)).sum())
        if best is None or classes > best[0]:
            best = (classes, trainable, testable)
    assert best is not None
    return best[1], best[2]


def _in_blocks(labels: LabelledPixels, chosen: NDArray[np.bool_], distance: int) -> NDArray[np.bool_]:
    """Mask over the labels of those in the chosen blocks, or within a distance of one in rows and columns.

    NOTE: a block is wider than twice the distance, so the eight directions meet every block within reach.
    """
    reached = np.zeros(len(labels), dtype=bool)
    for d_row in {-distance, 0, distance}:
        for d_col in {-distance, 0, distance}:
            rows = np.clip((labels.rows + d_row) // BLOCK_SIDE, 0, chosen.shape[0] - 1)
            cols = np.clip((labels.cols + d_col) // BLOCK_SIDE, 0, chosen.shape[1] - 1)
            reached |= chosen[rows, cols]
    return reached
