"""The choice of training and test labels: the best of some random splits."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import numpy as np

from s2fin_cli.core.errors import LabelError
from s2fin_cli.core.formats import BLOCK_SIZE
from s2fin_cli.geo.windows import row_ranges
from s2fin_cli.labels.distances import are_apart
from s2fin_cli.labels.splits import split_labels
from s2fin_cli.labels.unit_splits import Candidates, Draw, count_parts, iter_parts

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping
    from pathlib import Path

    from s2fin_cli.labels.pixels import LabelledPixels
    from s2fin_cli.labels.read import Labels

logger = logging.getLogger(__name__)

#: Number of random splits that are tried, because some leave little of a class.
TRIES = 20
#: Number of splits, the best by a sample first, that are counted in full if labels are read strip by strip.
EXACT_TRIES = 5


class Partition(ABC):
    """Training and test pixels of labels.

    Attributes:
        labels: the labels.
        trained, tested: number of pixels by class id.
    """

    def __init__(self, labels: Labels, trained: dict[int, int], tested: dict[int, int]) -> None:
        self.labels, self.trained, self.tested = labels, trained, tested

    @property
    def has_tests(self) -> bool:
        """Whether there is any test pixel."""
        return any(self.tested.values())

    @property
    def lost(self) -> list[str]:
        """Names of the classes that are tested and not trained on."""
        lost = _lost(self.trained, self.tested)
        return [c.name for c in self.labels.classes if c.id in lost]

    @property
    def untested(self) -> list[str]:
        """Names of the classes that are not tested."""
        return [c.name for c in self.labels.classes if not self.tested[c.id]]

    @property
    def dropped(self) -> int:
        """Number of pixels in neither part, because they are too close to test pixels."""
        return len(self.labels) - sum(self.trained.values()) - sum(self.tested.values())

    @abstractmethod
    def strips(self) -> Generator[tuple[int, int, LabelledPixels, LabelledPixels]]:
        """First and last row (exclusive) of strips that cover the grid, with training and test pixels there."""


class HeldPartition(Partition):
    """Both parts of labels that are few enough to be held."""

    def __init__(self, labels: Labels, train: LabelledPixels, test: LabelledPixels) -> None:
        super().__init__(labels, train.counts(), test.counts())
        self._parts = train, test

    def strips(self) -> Generator[tuple[int, int, LabelledPixels, LabelledPixels]]:
        """See `Partition`."""
        for start, stop in row_ranges(self.labels.grid.height, BLOCK_SIZE):
            train, test = (
                part.select(slice(*np.searchsorted(part.rows, (start, stop)).tolist())) for part in self._parts
            )
            yield start, stop, train, test


class DrawnPartition(Partition):
    """Both parts of labels that are read strip by strip."""

    def __init__(self, labels: Labels, draw: Draw) -> None:
        trained, tested, self._rescued = count_parts(labels, draw)
        super().__init__(labels, trained, tested)
        self._draw = draw

    def strips(self) -> Generator[tuple[int, int, LabelledPixels, LabelledPixels]]:
        """See `Partition`."""
        for start, stop, parts in iter_parts(self.labels, self._draw):
            rescued = parts.apart & np.isin(parts.pixels.class_ids, list(self._rescued))
            yield start, stop, parts.pixels.select(parts.train | rescued), parts.pixels.select(parts.test)


def partition(
    labels: Labels, *, src_path: str | Path, method: str, share: float, distance: int, seed: int
) -> Partition:
    """Split labels into training and test labels, so that no tested class is without training labels.

    Args:
        labels: the labels.
        src_path: where they come from, for messages.
        method: as for `split_labels`.
        share: share of each class's pixels to test on, as nearly as whole polygons or blocks allow.
        distance: training pixels closer than this to a test pixel are dropped, in pixels.
        seed: seed of the random splits.

    Returns:
        both parts, by the best of the splits that were tried.

    Raises:
        LabelError: no split tests any class, or in each split a tested class has no training labels.
    """
    worst = None
    for found in _partitions(labels, method=method, share=share, distance=distance, seed=seed):
        if found.has_tests and not found.lost:
            if found.untested:
                logger.warning(
                    "classes found in one place only are used for training and not tested: %s",
                    ", ".join(found.untested),
                )
            return found
        worst = found
    if worst is None or not worst.has_tests:
        raise LabelError(
            f"{src_path}: every class is in a single polygon or block, so none can be tested; use another `method` or "
            "a shorter `distance`, or draw more labels elsewhere"
        )
    raise LabelError(
        f"{src_path}: all training labels of {', '.join(worst.lost)} are within {distance} pixels of test labels in "
        "every split; use a shorter `distance`, a smaller `share` or another `method`"
    )


def _partitions(labels: Labels, *, method: str, share: float, distance: int, seed: int) -> Iterator[Partition]:
    """Partitions worth looking at, the best first."""
    generator = np.random.default_rng(seed)
    if labels.whole is not None:
        held = labels.whole
        tries = (_try(held, method=method, share=share, distance=distance, generator=generator) for _ in range(TRIES))
        yield HeldPartition(labels, *min(tries, key=lambda parts: _loss(*parts)))  # if it loses a class, all others do
        return
    candidates = Candidates.of(labels, method=method, radius=distance, seed=seed)
    draws = [candidates.draw(labels, share=share, radius=distance, generator=generator) for _ in range(TRIES)]
    if any(draw.holds_out for draw in draws):
        draws.sort(key=lambda draw: _loss(*_sampled(candidates.sample, draw)))
        for draw in draws[:EXACT_TRIES]:
            yield DrawnPartition(labels, draw)


def _try(
    labels: LabelledPixels, *, method: str, share: float, distance: int, generator: np.random.Generator
) -> tuple[LabelledPixels, LabelledPixels]:
    """Both parts by one random split."""
    parts = split_labels(labels, method=method, share=share, radius=distance, generator=generator)
    train, test = labels.select(parts.train), labels.select(parts.validation)
    return train.select(are_apart(train, test, distance=distance)), test


def _sampled(sample: LabelledPixels, draw: Draw) -> tuple[LabelledPixels, LabelledPixels]:
    """Both parts of a sample of the labels."""
    held, near = draw.held_out(sample), draw.near(sample)
    train, test = sample.select(~held & ~near), sample.select(held)
    return train.select(are_apart(train, test, distance=draw.radius)), test


def _loss(train: LabelledPixels, test: LabelledPixels) -> tuple[bool, int, int]:
    """The badness of a split, for sorting: no test pixels, then lost classes, then dropped pixels."""
    trained, tested = train.counts(), test.counts()
    return not len(test), len(_lost(trained, tested)), -len(train) - len(test)


def _lost(trained: Mapping[int, int], tested: Mapping[int, int]) -> set[int]:
    """The classes that are tested and not trained on, from the pixels of both parts by class id."""
    return {class_id for class_id, count in tested.items() if count and not trained[class_id]}
