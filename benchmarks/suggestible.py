"""Scenes for which places are suggested while their labels answer: labelled pixels with features, and draws of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from protocols import lay_out
from s2fin_cli.core.options import InputOptions
from s2fin_cli.stack.assembly import stack_of
from s2fin_cli.teaching.features import features_at
from s2fin_cli.training.architecture import network_config
from s2fin_cli.training.recipe import Recipe
from s2fin_cli.training.scene import explore, usable_bands
from s2fin_cli.workflows.options.train import TrainOptions
from scenes import load

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from s2fin_cli.labels.pixels import LabelledPixels
    from s2fin_cli.teaching.features import Features
    from scenes import Scene

#: Labelled pixels that are taken of a scene at random, and of each class at least: those beyond only serve to start.
MOST, LEAST = 5000, 60
#: Labels of each class at the start; at most half of what the class has where places are chosen.
START = 5
#: Candidates and tested pixels of a draw, at most.
CANDIDATES, TESTED = 1500, 1500


@dataclass(frozen=True, eq=False)
class Suggestible:
    """A scene's labelled pixels.

    Attributes:
        name: the scene.
        labels: some of its labelled pixels.
        is_random: mask of those that are a random sample of all; the others were added because their class is rare.
        features: features of all of them, as the teacher sees them.
        shape: (height, width) of the grid.
    """

    name: str
    labels: LabelledPixels
    is_random: NDArray[np.bool_]
    features: Features
    shape: tuple[int, int]

    @classmethod
    def of(cls, scene: Scene) -> Suggestible:
        """Read a scene."""
        labels = load(scene).labels
        kept, is_random = _some(labels.class_ids, np.random.default_rng(0))
        labels = labels.select(kept)
        stack, statistics = usable_bands(stack_of(InputOptions.from_kwargs(scene.paths)))
        config = network_config(stack, num_classes=len(labels.classes), patch_size=TrainOptions.patch_size)
        explored = explore(stack, statistics, config, sampling=Recipe().sampling, seed=0, device=torch.device("cpu"))
        features = features_at(explored.standardizer, stack, labels.rows, labels.cols)
        return cls(scene.name, labels, is_random, features, stack.grid.shape)

    def draw(self, seed: int) -> Draw:
        """Draw blocks to choose places in and blocks to test on, and the labels at the start.

        Classes that are not on both sides are left out.
        """
        generator, ids = np.random.default_rng([seed, 0]), self.labels.class_ids
        inside, outside = lay_out(self.labels, self.shape, np.random.default_rng(seed))
        classes = [c for c in np.unique(ids) if (inside & (ids == c)).sum() > 1 and (outside & (ids == c)).any()]
        start = []
        for c in classes:
            own = np.flatnonzero(inside & (ids == c))
            start.append(generator.choice(own, min(START, len(own) // 2), replace=False))
        usable = self.is_random & np.isin(ids, classes)
        candidates, tested = (
            part if len(part) <= most else generator.choice(part, most, replace=False)
            for part, most in (
                (np.flatnonzero(usable & inside), CANDIDATES), (np.flatnonzero(usable & outside), TESTED),
            )
        )  # fmt: skip
        begun = np.concatenate(start)
        return Draw(
            self, np.union1d(candidates, begun), np.sort(tested), begun, np.searchsorted(classes, ids), len(classes)
        )


@dataclass(frozen=True, eq=False)
class Draw:
    """Where places are chosen and where accuracy is measured.

    Attributes:
        scene: the scene.
        candidates, tested, start: int64, positions of pixels among the scene's: those that may be labelled, those that
            accuracy is measured on, and those labelled at the start.
        targets: int64 (n,), the classes of all pixels by position; meaningless for other classes.
        num_classes: how many classes there are.
    """

    scene: Suggestible
    candidates: NDArray[np.int64]
    tested: NDArray[np.int64]
    start: NDArray[np.int64]
    targets: NDArray[np.int64]
    num_classes: int

    @property
    def pixels(self) -> NDArray[np.int64]:
        """Positions of all pixels that are looked at, in order."""
        return np.union1d(self.candidates, self.tested)


def _some(ids: NDArray[np.int64], generator: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Positions of a random sample with more of rare classes, and which of them are of the sample itself."""
    sample = np.zeros(len(ids), dtype=bool)
    sample[generator.choice(len(ids), min(MOST, len(ids)), replace=False)] = True
    kept = sample.copy()
    for class_id in np.unique(ids):
        rest = np.flatnonzero((ids == class_id) & ~sample)
        more = max(LEAST - int(sample[ids == class_id].sum()), 0)
        kept[generator.choice(rest, min(more, len(rest)), replace=False)] = True
    return np.flatnonzero(kept), sample[kept]
