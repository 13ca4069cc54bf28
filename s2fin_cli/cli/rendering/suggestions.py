"""What is shown of suggested places."""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from s2fin_cli.workflows.suggest import SuggestResult

logger = logging.getLogger(__name__)


def log_suggestions(result: SuggestResult) -> None:
    """Log why places were chosen, what was lacking, and what comes next."""
    for why, count in Counter(place.why for place in result.places).most_common():
        logger.info("%6d  %s", count, why)
    if not result.has_labels:
        logger.info(
            "without labels the model alone decides, and places may be near those that it was trained on; give them "
            "with --labels"
        )
    logger.info("%d places: %s; QGIS style: %s", len(result.places), result.output, result.style)
    logger.info(
        "fill in the field 'class' with: %s; then add the file to the labels of s2fin train",
        ", ".join(c.name for c in result.classes),
    )
