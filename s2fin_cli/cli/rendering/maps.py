"""What is shown of a map that was written."""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from s2fin_cli.workflows.classify import ClassifyResult
    from s2fin_cli.workflows.classify_all import ClassifyAllResult

logger = logging.getLogger(__name__)


def log_map(result: ClassifyResult) -> None:
    """Log the classes' shares of a map, and its files; of a part of its shards, the shares alone."""
    if result.shards == ():
        logger.info("this part has no shards, because the map has fewer of them than there are parts")
        return
    total = sum(result.pixels.values())
    for land_cover in result.classes:
        pixels = result.pixels[land_cover.id]
        logger.info("%8.2f %%  %d %s", 100 * pixels / max(total, 1), land_cover.id, land_cover.name)
    if result.nodata_pixels:
        logger.info("%d pixels lack data in an image and are nodata in the map", result.nodata_pixels)
    if result.shards is not None:
        count, numbers = len(result.shards), ", ".join(map(str, result.shards))
        logger.info("%d %s finished: %s", count, "shard is" if count == 1 else "shards are", numbers)
        return
    for name, path in result.places.items():
        if path is not None:
            logger.info("%s: %s", name, path)


def log_scenes(result: ClassifyAllResult) -> None:
    """Log how many scenes have a map, and where the report is."""
    counts = Counter(scene.status for scene in result.scenes)
    earlier = f", {counts['skipped']} had been finished before" if counts["skipped"] else ""
    logger.info("%d of %d scenes were classified%s", counts["done"], len(result.scenes), earlier)
    logger.info("report: %s", result.report)
