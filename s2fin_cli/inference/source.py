"""The source: the tiles of a part of a stack, planned, read ahead, and moved to the device."""

from __future__ import annotations

import contextlib
import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

import torch
from rasterio.windows import Window
from torch.nn import functional as F

from s2fin_cli.geo.windows import aligned, grown, iter_tiles, tile_shape_for
from s2fin_cli.inference.background import ahead
from s2fin_cli.inference.smoothing import around
from s2fin_cli.raster.opening import MOST_CACHE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager

    from torch import Tensor

    from s2fin_cli.core.images import Images
    from s2fin_cli.inference.engine import Predictor
    from s2fin_cli.stack.stack import OpenStack, Stack, Tile

#: Pixels a side of a tile by type of device. The storage blocks of a large tile are decoded in parallel by the many
#: cores beside a CUDA device, but it takes much memory.
TILE_SIZES = {"cpu": 256, "cuda": 640}
#: Most bytes of decoded storage blocks that are kept, by type of device.
CACHES = {"cpu": MOST_CACHE, "cuda": 1 << 30}


class PlannedTile(NamedTuple):
    """A tile, and whether any of it has to be classified."""

    window: Window
    is_wanted: bool


@dataclass(frozen=True)
class LoadedTile:
    """A tile with its values.

    Attributes:
        window: where it is in the stack's grid.
        images: raw values (bands, height + 2 margin, width + 2 margin) where the predictor computes.
        valid: (height, width), the pixels to classify, on the CPU.
    """

    window: Window
    images: Images[Tensor]
    valid: Tensor


class Source(Protocol):
    """Gives tiles to classify."""

    @property
    def extent(self) -> Window:
        """What the tiles cover."""

    @property
    def tiles(self) -> Sequence[PlannedTile]:
        """All tiles, row by row."""

    def load(self) -> AbstractContextManager[Iterator[LoadedTile]]:
        """Open the source: the tiles that are wanted, in order."""


class StackSource:
    """Tiles of a stack that cover a window of its grid; a `Source`.

    They are made of whole batches of windows, aligned to the raster. Of a batch, all pixels that have data are
    classified or none, because rounding depends on which of its windows are computed together. So the map depends
    neither on the size of the tiles nor on the window or the area of interest.

    Attributes:
        extent: what the tiles cover: the window, the surroundings that smoothing needs, and the rest of their batches.
        tiles: all tiles, row by row.
    """

    def __init__(
        self,
        stack: Stack,
        predictor: Predictor,
        *,
        window: Window | None = None,
        tile_size: int | None = None,
        reach: int = 0,
    ) -> None:
        """Plan the tiles; nothing is read.

        Args:
            stack: the stack.
            predictor: what classifies the tiles.
            window: the part of the grid to classify; None is all that is of interest, `Stack.extent`.
            tile_size: pixels a side of a tile; None chooses by the predictor's device.
            reach: pixels around the window and the area of interest that have to be classified too, because smoothing
                looks at them.
        """
        kind = predictor.device.type
        self._stack, self._predictor, self._reach, self._cache = stack, predictor, reach, CACHES[kind]
        shape, unit = stack.grid.shape, predictor.batch_side
        self.extent = aligned(grown(window or stack.extent, shape, by=reach), shape, unit=unit)
        covered, offset = (self.extent.height, self.extent.width), (self.extent.row_off, self.extent.col_off)
        tile_shape = tile_shape_for(
            stack.image.finest.block_shape,
            covered,
            size=tile_size or TILE_SIZES[kind],
            unit=unit,
            halo=predictor.margin,
            kept=stack.kept_blocks(self._cache),
        )
        windows = iter_tiles(covered, tile_shape, offset=offset)
        self.tiles = [PlannedTile(tile, self._is_wanted(tile)) for tile in windows]

    def _is_wanted(self, tile: Window) -> bool:
        area, shape = self._stack.area, self._stack.grid.shape
        return area is None or bool(area.mask(grown(tile, shape, by=self._reach)).any())

    @contextlib.contextmanager
    def load(self) -> Iterator[Iterator[LoadedTile]]:
        """Open the stack: the tiles that are wanted, in order, the next one always being read.

        For a CUDA device it is copied there as well meanwhile.
        """
        wanted = [tile.window for tile in self.tiles if tile.is_wanted]
        rows = self.tiles[0].window.height + 2 * self._predictor.margin
        with self._stack.open(rows=rows, most_cache=self._cache) as opened:
            read = functools.partial(self._read, opened)
            with contextlib.closing(ahead(read, wanted)) as tiles:
                if self._predictor.device.type == "cpu":
                    yield map(self._put, tiles)
                    return
                with contextlib.closing(ahead(self._put, tiles)) as loaded:
                    yield loaded

    def _read(self, opened: OpenStack, window: Window) -> tuple[Window, Tile]:
        return window, opened.read(window, halo=self._predictor.margin)

    def _put(self, read: tuple[Window, Tile]) -> LoadedTile:
        """Move a tile's values to the predictor's device, and find which of its pixels to classify."""
        window, tile = read
        inner = slice(self._predictor.margin, -self._predictor.margin)
        valid = torch.from_numpy(tile.has_data)[inner, inner]
        if tile.inside is not None:
            inside = around(torch.from_numpy(tile.inside), self._reach)[inner, inner]
            valid = valid & _whole_batches(inside, self._predictor.batch_side)
        images = tile.images.map(lambda part: self._predictor.put(torch.from_numpy(part)))
        return LoadedTile(window, images, valid)


def _whole_batches(mask: Tensor, side: int) -> Tensor:
    """A mask (height, width) with all pixels added of those batches of windows that hold one of its own.

    Args:
        mask: of a tile, whose batches are counted from its corner.
        side: pixels a side of a batch.
    """
    height, width = mask.shape
    batches = F.max_pool2d(mask[None].float(), side, ceil_mode=True)[0] > 0
    return batches.repeat_interleave(side, 0).repeat_interleave(side, 1)[:height, :width]
