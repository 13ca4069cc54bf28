"""Estimates for a whole map from a sample that was drawn at random within each of its classes."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np

from s2fin_cli.assess.area_adjusted import AreaAdjusted
from s2fin_cli.core.errors import LabelError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from s2fin_cli.assess.metrics import Accuracy

logger = logging.getLogger(__name__)


def estimate_whole(
    sample: Accuracy, covered: Mapping[int, float], *, names: Mapping[int, str], unit: str, reference: str
) -> AreaAdjusted:
    """Estimates for the whole map.

    Args:
        sample: the accuracy of the sample.
        covered: how much the map has of each of its classes, by class id.
        names: names by class id.
        unit: of what is covered, "m2" or "pixels".
        reference: path of the sample, for messages.

    Raises:
        LabelError: a class of the map has no pixel in the sample.
    """
    drawn = dict(zip(sample.class_ids, sample.matrix.sum(axis=0).tolist(), strict=True))
    missing = [names.get(i, str(i)) for i in covered if not drawn.get(i)]
    if missing:
        raise LabelError(
            f"{reference} has no pixel where the map has {', '.join(missing)}; a stratified sample has some of each "
            "class of the map, as s2fin sample draws it"
        )
    if sample.unmapped.any():
        logger.warning("%d sampled pixels are where the map has no class, and are skipped", sample.unmapped.sum())
    return AreaAdjusted(sample, np.array([float(covered.get(i, 0)) for i in sample.class_ids]), unit)
