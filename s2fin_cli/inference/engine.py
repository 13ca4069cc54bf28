"""The engine: a network over a tile, tensors in and probabilities out. It knows no file and no georeferencing."""

from __future__ import annotations

import contextlib
import logging
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from s2fin_cli.core.device import one_thread_an_operation
from s2fin_cli.core.errors import S2finError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from s2fin import S2Fin

logger = logging.getLogger(__name__)

#: Windows a side of a cell, the unit of computing.
#: NOTE: every cell is computed with the same shapes wherever it lies, padded at the raster's edge if need be, so that
#: rounding, and with it the map, does not depend on how the raster is cut into tiles.
CELL_WINDOWS = 16
#: Cells computed at once on CUDA, which keep a large device busy; fewer where less memory is free than so many bytes a
#: cell, which is twice what windows of 15 x 15 take, and halved when memory runs out all the same.
CUDA_CELLS = 16
CELL_BYTES = 256 << 20


class Engine:
    """Sliding-window inference with one network.

    What depends on a pixel's closest neighbourhood (the network's stem) is computed once for a cell; the windows are
    then gathered from its maps, and each gives the classes of a block of `stride` x `stride` pixels at its centre.

    Attributes:
        stride: pixels from one window to the next, odd; with 1 each pixel has a window of its own. None takes the
            block that the network was trained to tell.
        precision: of the network's products, torch.float32 or torch.bfloat16; what must be float32 is so with either.
        cell_size: pixels a side of a cell; tiles are to start at multiples of it.
        margin: pixels that a tile needs beyond the pixels to classify, on each side.
    """

    def __init__(
        self, network: S2Fin, device: torch.device, *, stride: int | None = None, precision: torch.dtype = torch.float32
    ) -> None:
        self.device, self.precision = device, precision
        self.network = network.to(device).eval()
        self.patch_size = network.cfg.patch_size
        self.stride = network.cfg.block_size if stride is None else stride
        self.cell_size = self.stride * CELL_WINDOWS
        self.margin = network.input_size // 2
        self.cells_at_once = 1 if device.type == "cpu" else cells_for(_free_memory(device))
        self._copying = torch.cuda.Stream(device) if device.type == "cuda" else None  # type: ignore[no-untyped-call]

    def put(self, values: Tensor) -> Tensor:
        """A tile's values where they are computed with: on CUDA a copy there, made while another tile is computed.

        To be called in a thread of its own. Where the device has no room for a whole tile the values stay where they
        are, and `predict` copies them piece by piece.
        """
        if self._copying is None:
            return values
        try:
            with torch.cuda.stream(self._copying):
                copied = values.pin_memory().to(self.device, non_blocking=True)
            self._copying.synchronize()
        except torch.OutOfMemoryError:
            return values
        return copied

    @torch.inference_mode()
    def predict(self, image: Tensor, aux: Tensor | None, valid: Tensor) -> Tensor:
        """Class probabilities of a tile's pixels.

        Args:
            image: raw values (bands, height + 2 margin, width + 2 margin), NaN where there is no data; on the CPU, or
                what `put` made of them.
            aux: the second image likewise, or None for a network that derives it.
            valid: (height, width), pixels to classify, on the CPU; cells and windows without any are left out.

        Returns:
            float32 (num_classes, height, width) on the CPU; 0 in what was left out.

        Raises:
            S2finError: the device has too little memory for the smallest piece of work.
        """
        (height, width), size = valid.shape, self.cell_size
        rows, cols = -(-height // size), -(-width // size)
        padding = (0, cols * size - width, 0, rows * size - height)
        images = [_padded(part, padding) for part in (image, aux) if part is not None]
        wanted = self._windows_of(F.pad(valid, padding), rows, cols)
        probs = torch.zeros(self.network.cfg.num_classes, rows * size, cols * size, device=self.device)
        cells = wanted.flatten(2).any(dim=2).nonzero().tolist()
        if self.device.type == "cpu":
            found = self._cell_by_cell(images, cells, wanted)
        else:
            found = self._in_batches(images, cells)
        for (row, col), result in found:
            probs[:, row * size : (row + 1) * size, col * size : (col + 1) * size] = result
        return probs[:, :height, :width].cpu()

    def _cell_by_cell(
        self, images: list[Tensor], cells: list[list[int]], wanted: Tensor
    ) -> Iterator[tuple[list[int], Tensor]]:
        """Cells and their probabilities (num_classes, cell_size, cell_size), a thread for each cell."""

        def compute(cell: list[int]) -> tuple[list[int], Tensor]:
            with self._computing():
                return cell, self._predict_cells(images, [cell], wanted[cell[0], cell[1]][None])[0]

        with one_thread_an_operation() as threads:
            if threads == 1 or len(cells) == 1:
                yield from map(compute, cells)
                return
            with ThreadPoolExecutor(threads) as pool:
                try:
                    yield from pool.map(compute, cells)
                finally:
                    pool.shutdown(cancel_futures=True)

    def _in_batches(self, images: list[Tensor], cells: list[list[int]]) -> Iterator[tuple[list[int], Tensor]]:
        """Cells and their probabilities, as many at once as the device has memory for.

        NOTE: which cells are computed together depends on the tile, so all cells have all windows, and the last batch
        has the others' shape too.
        """
        while cells:
            batch = cells[: self.cells_at_once]
            filled = batch + [batch[-1]] * (self.cells_at_once - len(batch))
            needed = torch.ones(len(filled), CELL_WINDOWS, CELL_WINDOWS, dtype=torch.bool)
            try:
                with self._computing():
                    results = self._predict_cells(images, filled, needed)[: len(batch)]
            except torch.OutOfMemoryError:
                self._use_less_memory()
                continue
            yield from zip(batch, results, strict=True)
            cells = cells[len(batch) :]

    @contextlib.contextmanager
    def _computing(self) -> Iterator[None]:
        """No gradients, and the engine's precision: both are set thread by thread."""
        reduced = self.precision != torch.float32
        with torch.inference_mode(), torch.autocast(self.device.type, self.precision, enabled=reduced):
            yield

    def _windows_of(self, valid: Tensor, rows: int, cols: int) -> Tensor:
        """Mask (rows, cols, CELL_WINDOWS, CELL_WINDOWS) of the windows that tell any of the cells' valid pixels."""
        blocks = valid.view(rows, CELL_WINDOWS, self.stride, cols, CELL_WINDOWS, self.stride).any(dim=5).any(dim=2)
        return blocks.transpose(1, 2)

    def _predict_cells(self, images: list[Tensor], cells: list[list[int]], wanted: Tensor) -> Tensor:
        """Probabilities (cells, num_classes, cell_size, cell_size) of cells given by row and column.

        Args:
            images: the tile's.
            cells: which.
            wanted: (cells, CELL_WINDOWS, CELL_WINDOWS), windows to compute; the probabilities of others are 0.
        """
        size, side, stride = self.cell_size, self.cell_size + 2 * self.margin, self.stride
        batches = [
            torch.stack(
                [image[:, row * size : row * size + side, col * size : col * size + side] for row, col in cells]
            ).to(self.device)
            for image in images
        ]
        x, a = self.network.standardize(batches[0], batches[1] if len(batches) > 1 else None)
        near, context = (self.network.near(x), self.network.near(a)), self.network.context(x, a)
        maps = self.network.stem(*near, context, border=self.patch_size // 2, stride=stride)
        chosen = wanted.to(self.device).nonzero(as_tuple=True)
        tokens = maps.tokens.permute(0, 3, 4, 1, 2)[chosen]
        of_image, of_aux, of_pixels = (
            self._windows(part)[chosen].permute(0, 3, 1, 2) for part in (maps.image, maps.aux, maps.logits)
        )
        logits = self.network.classify_windows(tokens, of_image, of_aux, of_pixels, self.network.block(stride))
        probs = torch.zeros(*wanted.shape, stride, stride, logits.shape[2], device=self.device)
        probs[chosen] = logits.float().softmax(dim=2).view(-1, stride, stride, logits.shape[2])
        return probs.permute(0, 5, 1, 3, 2, 4).reshape(len(cells), -1, size, size)

    def _windows(self, maps: Tensor) -> Tensor:
        """The windows (B, rows, cols, P, P, D) of maps (B, D, h, w), a view."""
        size, stride = self.patch_size, self.stride
        maps = maps.permute(0, 2, 3, 1)[:, stride // 2 :, stride // 2 :]
        return maps.unfold(1, size, stride).unfold(2, size, stride).permute(0, 1, 2, 4, 5, 3)

    def _use_less_memory(self) -> None:
        if self.cells_at_once == 1:
            raise S2finError("the device has too little memory to classify even a small tile; take --device cpu")
        self.cells_at_once = max(self.cells_at_once // 2, 1)
        torch.cuda.empty_cache()
        logger.info("device memory ran out: going on with %d cells at once", self.cells_at_once)


def cells_for(free: int) -> int:
    """How many cells a CUDA device with so many bytes free is to compute at once."""
    return min(max(free // CELL_BYTES, 1), CUDA_CELLS)


def _free_memory(device: torch.device) -> int:
    """Bytes of a CUDA device that nobody uses, those among them that torch keeps from earlier work."""
    kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return int(torch.cuda.mem_get_info(device)[0]) + kept


def _padded(values: Tensor, padding: tuple[int, int, int, int]) -> Tensor:
    """Values with NaN added, see `F.pad`: where they lie, or on the CPU where the device has no room for them."""
    if not any(padding):  # it would copy
        return values
    try:
        return F.pad(values, padding, value=torch.nan)
    except torch.OutOfMemoryError:
        return F.pad(values.cpu(), padding, value=torch.nan)
