"""Labelled pixels: those with data, and which of them are held out."""

from __future__ import annotations

import contextlib
import logging
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from s2fin_cli.core.classes import map_encoding
from s2fin_cli.core.errors import LabelError
from s2fin_cli.core.figures import number_of
from s2fin_cli.labels.splits import Split, split_labels
from s2fin_cli.labels.thinning import thin_per_class
from s2fin_cli.stack.cells import ValidPixels, have_data

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from s2fin_cli.labels.pixels import LabelledPixels
    from s2fin_cli.labels.read import Labels
    from s2fin_cli.stack.stack import Stack
    from s2fin_cli.training.options import TrainingOptions
    from s2fin_cli.training.recipe import HoldingOut

logger = logging.getLogger(__name__)

#: A class with fewer labelled pixels causes a warning.
FEW_LABELS = 5


@dataclass(frozen=True)
class Labelled:
    """The labels of a scene.

    Attributes:
        pixels: labelled pixels with data, thinned class by class where there are more than are held.
        counts: how many labelled pixels with data there are, by class id.
    """

    pixels: LabelledPixels
    counts: Mapping[int, int]


def with_data(labels: Labels, stack: Stack, *, labels_per_class: int, seed: int) -> Labelled:
    """The labelled pixels in the area of interest where all images have data.

    Where there are more labels than are held, they are thinned class by class after removing those without data, so
    that no class is lost.

    Args:
        labels: the user's labels.
        stack: the images.
        labels_per_class: pixels of a class that are to be kept at least, for training and for validation each.
        seed: seed of the random choice.

    Raises:
        LabelError: no labelled pixel has data.
    """
    if labels.whole is not None:
        kept = labels.whole.select(have_data(stack, labels.whole.rows, labels.whole.cols))
        counts: Mapping[int, int] = kept.counts()
    else:
        kept, counts = _thinned(labels, stack, labels_per_class=labels_per_class, seed=seed)
    where = "in all images" if stack.area is None else "in all images inside the area of interest"
    total = sum(counts.values())
    if not total:
        raise LabelError(f"no labelled pixel has data {where}; label pixels where every image has some")
    if total < len(labels):
        outside = "" if stack.area is None else ", or are outside the area of interest,"
        logger.warning("%d labelled pixels have no data in some image%s and are skipped", len(labels) - total, outside)
    gone = [c.name for c in labels.classes if not counts[c.id]]
    if gone:
        logger.warning("classes without a labelled pixel that has data are skipped: %s", ", ".join(gone))
    return Labelled(replace(kept, classes=tuple(c for c in labels.classes if counts[c.id])), counts)


def _thinned(
    labels: Labels, stack: Stack, *, labels_per_class: int, seed: int
) -> tuple[LabelledPixels, Mapping[int, int]]:
    """Labelled pixels with data, as many of each class as fit, and how many have data by class id."""
    # both the training and the validation pixels are to be as many as the options allow
    held = labels.limits.held_pixels
    most = max(held // len(labels.classes), min(2 * labels_per_class, held), 1)
    counts: Counter[int] = Counter()

    def strips_with_data() -> Iterator[LabelledPixels]:
        with stack.open() as opened, contextlib.closing(labels.strips()) as strips:
            valid = ValidPixels(opened)
            for pixels in strips:
                kept = pixels.select(valid.of(pixels.rows, pixels.cols))
                counts.update(kept.counts())
                yield kept

    thinned = thin_per_class(strips_with_data(), most=most, seed=seed)
    assert thinned is not None  # noqa: S101  (without a labelled pixel there is an error before)
    logger.info(
        "the labels are many: %d of %d labelled pixels are used, at most %d of a class, chosen at random",
        len(thinned), counts.total(), most,
    )  # fmt: skip
    return thinned, counts


def check_classes(labels: LabelledPixels) -> None:
    """Refuse classes that cannot be learnt or mapped, and warn of those with few labels.

    Raises:
        LabelError: there is one class only, or a class's number does not fit into a map.
    """
    counts = labels.counts()
    if len(counts) < 2:
        only = labels.classes[0].name
        raise LabelError(f"all labels are of one class ({only}); label at least one other class, e.g. 'other'")
    map_encoding(list(counts))  # refuses numbers that no map can hold, before any work
    for land_cover in labels.classes:
        if counts[land_cover.id] < FEW_LABELS:
            count = number_of(counts[land_cover.id], "labelled pixel")
            logger.warning("class %r has only %s", land_cover.name, count)


def hold_out(labels: LabelledPixels, options: TrainingOptions, how: HoldingOut) -> Split:
    """Hold out a share of the labels for validation, unless they are few.

    Raises:
        LabelError: polygons are to be held out, and the labels are a raster.
    """
    everything = np.arange(len(labels))
    if options.validation > 0 and np.median(list(labels.counts().values())) < how.fewest:
        logger.info(
            "too few labels to hold any out (fewer than %d in the median class): all are used for training, and the "
            "reported accuracy is the ensemble's, from cross-validation",
            how.fewest,
        )
        return Split(everything, everything[:0], "none")
    split = split_labels(
        labels,
        method=options.split,
        share=options.validation,
        radius=common_radius(options, how),
        generator=np.random.default_rng(options.seed),
    )
    if not len(split.validation) and options.validation > 0:
        logger.warning("no class has enough labels to hold some out: the model is not validated")
    return split


def common_radius(options: TrainingOptions, how: HoldingOut) -> int:
    """The distance in pixels within which pixels share much of their surroundings."""
    return options.patch_size // 2 + how.reach


def targets_of(labels: LabelledPixels) -> NDArray[np.int64]:
    """The position of each labelled pixel's class among the classes."""
    return np.searchsorted([c.id for c in labels.classes], labels.class_ids).astype(np.int64)
