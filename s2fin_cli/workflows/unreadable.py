"""What of a map's images could not be read, for messages and results."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rasterio.windows import Window

from s2fin_cli.core.errors import InputError, describe_bounds, shortened
from s2fin_cli.geo.rectangles import count_covered, joined, within
from s2fin_cli.raster.unreadable import UnreadablePart

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from s2fin_cli.geo.grid import Grid
    from s2fin_cli.shards.receipt import Receipt
    from s2fin_cli.stack.stack import Stack

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Unreadable:
    """What of a map's images could not be read.

    Attributes:
        pixels: pixels of the area of interest that have no data for that reason, each counted once.
        parts: the storage blocks, joined to rectangles of the map's grid, those of one raster and its bands together.
        grid: the grid.
    """

    pixels: int
    parts: tuple[UnreadablePart, ...]
    grid: Grid

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values for scripts."""
        return {
            "unreadable_pixels": self.pixels,
            "unreadable": [
                {
                    "path": part.src_path, "bands": list(part.bands), "window": list(part.rectangle),
                    "bounds": list(self.grid.crop(Window(*part.rectangle)).bounds),
                }
                for part in self.parts
            ],
        }  # fmt: skip

    def warn(self) -> None:
        """Warn of it, if there is any."""
        if self.parts:
            logger.warning(
                "%d pixels cannot be read and are nodata in the map: %s",
                self.pixels, shortened([self._describe(part) for part in self.parts]),
            )  # fmt: skip

    def _describe(self, part: UnreadablePart) -> str:
        col, row, width, height = part.rectangle
        bands = f"band{'s' * (len(part.bands) > 1)} {shortened(part.bands)}"
        where = f"columns {col} to {col + width - 1}, rows {row} to {row + height - 1}"
        return f"{part.src_path} {bands} at {where} ({describe_bounds(self.grid.crop(Window(*part.rectangle)).bounds)})"


def unreadable_blocks(stack: Stack, window: Window) -> list[UnreadablePart]:
    """The storage blocks that could not be read so far and that have pixels of interest in a window of a stack."""
    blocks = [] if stack.skipped is None else stack.skipped.parts()
    return [block for block in blocks if _matters(stack, within(block.rectangle, window))]


def _matters(stack: Stack, part: Window | None) -> bool:
    return part is not None and (stack.area is None or bool(stack.area.mask(part).any()))


def take_unreadable(stack: Stack, receipts: Sequence[Receipt], path: Path) -> None:
    """Count what shards lack among what cannot be read of a stack.

    Args:
        stack: the stack.
        receipts: of the shards.
        path: of their folder.

    Raises:
        InputError: they lack something, and unreadable blocks are not to be skipped.
    """
    lacking = [receipt for receipt in receipts if receipt.unreadable]
    if lacking and stack.skipped is None:
        raise InputError(
            f"shards in {path} lack pixels that could not be read ({shortened([r.number for r in lacking])}); give "
            '`on_read_error="skip"` as they were made, or use another folder for `work`'
        )
    if stack.skipped is not None:
        stack.skipped.update(part for receipt in lacking for part in receipt.unreadable)


def unreadable_of(stack: Stack, window: Window, blocks: Iterable[UnreadablePart] | None = None) -> Unreadable:
    """What of a window of a stack could not be read.

    Args:
        stack: the stack.
        window: the window of its grid.
        blocks: the storage blocks; None takes those of the stack.
    """
    found = unreadable_blocks(stack, window) if blocks is None else list(blocks)
    by_raster: dict[tuple[str, tuple[int, ...]], list[tuple[int, int, int, int]]] = {}
    for block in found:
        by_raster.setdefault((block.src_path, block.bands), []).append(block.rectangle)
    parts = [UnreadablePart(*raster, rectangle) for raster, some in by_raster.items() for rectangle in joined(some)]
    pixels = count_covered(joined(block.rectangle for block in found), window, stack.area)
    return Unreadable(pixels, tuple(sorted(parts)), stack.grid)
