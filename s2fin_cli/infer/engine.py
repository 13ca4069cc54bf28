"""The engine: a network over a tile, tensors in and probabilities out. It knows no file and no georeferencing."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from s2fin_cli.errors import S2finError

if TYPE_CHECKING:
    from s2fin import S2Fin

logger = logging.getLogger(__name__)

#: Pixels a side of a cell, the unit of computing.
#: NOTE: every cell is computed with the same shapes wherever it lies, padded at the raster's edge if need be, so that
#: rounding, and with it the map, does not depend on how the raster is cut into tiles.
CELL_SIZE = 16
#: Cells computed at once on CUDA to begin with; halved when memory runs out.
CUDA_CELLS = 64


class Engine:
    """Sliding-window inference with one network.

    What depends on a pixel's closest neighbourhood (the network's stem) is computed once for a cell; the windows
    around the cell's pixels are then gathered from its maps.

    Attributes:
        margin: pixels that a tile needs beyond the pixels to classify, on each side.
    """

    def __init__(self, network: S2Fin, device: torch.device) -> None:
        self.device = device
        self.network = network.to(device).eval()
        self.patch_size = network.cfg.patch_size
        self.margin = network.input_size // 2
        self.cells_at_once = CUDA_CELLS if device.type == "cuda" else 1

    @torch.inference_mode()
    def predict(self, image: Tensor, aux: Tensor | None, valid: Tensor) -> Tensor:
        """Class probabilities of a tile's pixels.

        Args:
            image: raw values (bands, height + 2 margin, width + 2 margin), NaN where there is no data.
            aux: the second image likewise, or None for a network that derives it.
            valid: (height, width), pixels to classify; cells without any are left out.

        Returns:
            float32 (num_classes, height, width) on the CPU; 0 in cells that were left out.

        Raises:
            S2finError: the device has too little memory for the smallest piece of work.
        """
        height, width = valid.shape
        rows, cols = -(-height // CELL_SIZE), -(-width // CELL_SIZE)
        padding = (0, cols * CELL_SIZE - width, 0, rows * CELL_SIZE - height)
        images = [F.pad(part, padding, value=torch.nan) for part in (image, aux) if part is not None]
        wanted = F.pad(valid, padding).view(rows, CELL_SIZE, cols, CELL_SIZE).any(dim=3).any(dim=1)
        probs = torch.zeros(self.network.cfg.num_classes, rows * CELL_SIZE, cols * CELL_SIZE)
        cells = wanted.nonzero().tolist()
        while cells:
            batch = cells[: self.cells_at_once]
            filler = [batch[-1]] * (self.cells_at_once - len(batch))  # the last batch has the others' shape too
            try:
                results = self._predict_cells(images, batch + filler)[: len(batch)]
            except torch.OutOfMemoryError:
                self._use_less_memory()
                continue
            for (row, col), result in zip(batch, results, strict=True):
                probs[:, row * CELL_SIZE : (row + 1) * CELL_SIZE, col * CELL_SIZE : (col + 1) * CELL_SIZE] = result
            cells = cells[len(batch) :]
        return probs[:, :height, :width]

    def _predict_cells(self, images: list[Tensor], cells: list[list[int]]) -> Tensor:
        """Probabilities (cells, num_classes, CELL_SIZE, CELL_SIZE) of cells given by row and column."""
        side = CELL_SIZE + 2 * self.margin
        batches = [
            torch.stack(
                [
                    image[:, row * CELL_SIZE : row * CELL_SIZE + side, col * CELL_SIZE : col * CELL_SIZE + side]
                    for row, col in cells
                ]
            ).to(self.device)
            for image in images
        ]
        x, a = self.network.standardize(batches[0], batches[1] if len(batches) > 1 else None)
        maps = self.network.stem(x, a, border=self.patch_size // 2)
        tokens = maps.tokens.permute(0, 3, 4, 1, 2).flatten(0, 2)
        logits = self.network.classify_windows(tokens, self._windows(maps.image), self._windows(maps.aux))
        probs = logits.float().softmax(dim=1)
        return probs.view(len(cells), CELL_SIZE, CELL_SIZE, -1).permute(0, 3, 1, 2).cpu()

    def _windows(self, maps: Tensor) -> Tensor:
        """All windows (n, D, P, P) of maps (B, D, h, w), row by row, in channels-last memory."""
        size = self.patch_size
        windows = maps.permute(0, 2, 3, 1).unfold(1, size, 1).unfold(2, size, 1)  # B, rows, cols, D, P, P
        return windows.permute(0, 1, 2, 4, 5, 3).flatten(0, 2).permute(0, 3, 1, 2)

    def _use_less_memory(self) -> None:
        if self.cells_at_once == 1:
            raise S2finError("the device has too little memory to classify even a small tile; take --device cpu")
        self.cells_at_once = max(self.cells_at_once // 2, 1)
        torch.cuda.empty_cache()
        logger.info("device memory ran out: going on with %d cells at once", self.cells_at_once)
