"""The engine: a network over a tile, tensors in and probabilities out. It knows no file and no georeferencing."""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from s2fin_cli.core.device import in_threads_of_their_own
from s2fin_cli.core.errors import S2finError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from s2fin import S2Fin
    from s2fin_cli.core.images import Images

logger = logging.getLogger(__name__)

#: Windows a side of a batch of windows, the engine's unit of computing.
#: NOTE: every batch is computed with the same shapes wherever it is, padded at the raster's edge if necessary, so that
#: rounding, and with it the map, does not depend on how the raster is cut into tiles.
BATCH_WINDOWS = 16
#: Batches that are computed together on CUDA, which keep a large device busy; fewer if less memory is free than
#: `BATCH_BYTES` for each, which is twice what windows of 15 x 15 take, and half as many whenever memory runs out.
CUDA_BATCHES = 16
BATCH_BYTES = 256 << 20


class Predictor(Protocol):
    """Gives the class probabilities of a tile: the engine, or a substitute."""

    @property
    def device(self) -> torch.device:
        """Where it computes."""

    @property
    def num_classes(self) -> int:
        """The number of classes."""

    @property
    def batch_side(self) -> int:
        """Pixels a side of a batch of windows; tiles have to start at multiples of it."""

    @property
    def margin(self) -> int:
        """Pixels that a tile needs beyond the pixels to classify, on each side."""

    def put(self, values: Tensor) -> Tensor:
        """Move a tile's values to the device; called in a thread of its own."""

    def predict(self, images: Images[Tensor], valid: Tensor) -> Tensor:
        """Class probabilities of a tile's pixels.

        Args:
            images: raw values (bands, height + 2 margin, width + 2 margin), NaN where there is no data; on the CPU, or
                as `put` returned them.
            valid: (height, width), the pixels to classify, on the CPU.

        Returns:
            float32 (num_classes, height, width) on the CPU; meaningless where `valid` is False.
        """


class Engine:
    """Sliding-window inference with one network; a `Predictor`.

    What depends on a pixel's closest neighbourhood (the network's stem) is computed once per batch; the windows are
    then gathered from its maps, and each predicts the classes of the block of `stride` x `stride` pixels at its centre.

    Attributes:
        stride: pixels from one window to the next, odd; 1 gives each pixel a window of its own.
        precision: precision of the network's products, torch.float32 or torch.bfloat16; parts that need float32 use it
            with either.
        batches_at_once: how many batches are computed together; None computes each by itself, in a thread of its own.
            Results depend on it in their last bits, as the device computes other shapes in another order.
    """

    def __init__(
        self,
        network: S2Fin,
        device: torch.device,
        *,
        stride: int | None = None,
        precision: torch.dtype = torch.float32,
        batches_at_once: int | None = None,
    ) -> None:
        """Move a network to a device.

        Args:
            network: the network, which is moved and set to evaluation.
            device: where to compute.
            stride: None takes the block of pixels that the network was trained to classify by one window.
            precision: precision of the network's products.
            batches_at_once: None takes as many as fit into the free memory of a CUDA device; on the CPU each batch
                is then computed by itself.
        """
        self.device, self.precision = device, precision
        self.network = _moved(network, device).eval()
        self.num_classes, self.patch_size = network.cfg.num_classes, network.cfg.patch_size
        self.stride = network.cfg.block_size if stride is None else stride
        self.batch_side = self.stride * BATCH_WINDOWS
        self.margin = network.input_size // 2
        self.batches_at_once = batches_at_once
        if batches_at_once is None and device.type == "cuda":
            self.batches_at_once = batches_for(_free_memory(device))
        self._is_fixed = False
        self._copying = torch.cuda.Stream(device) if device.type == "cuda" else None  # type: ignore[no-untyped-call]

    def fix_batches(self, batches_at_once: int | None) -> None:
        """Compute a number of batches together and fail if memory runs out, instead of taking fewer.

        Args:
            batches_at_once: the number; None allows fewer again. It has no effect where each is computed by itself.
        """
        self._is_fixed = batches_at_once is not None and self.batches_at_once is not None
        if self._is_fixed:
            self.batches_at_once = batches_at_once

    def put(self, values: Tensor) -> Tensor:
        """Move a tile's values to the device: on CUDA by a copy while another tile is computed.

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
    def predict(self, images: Images[Tensor], valid: Tensor) -> Tensor:
        """Class probabilities of a tile's pixels, see `Predictor.predict`.

        Batches and windows without any valid pixel are skipped; the probabilities there are 0.

        Raises:
            S2finError: the device has too little memory for the smallest piece of work.
        """
        (height, width), size = valid.shape, self.batch_side
        rows, cols = -(-height // size), -(-width // size)
        padding = (0, cols * size - width, 0, rows * size - height)
        images = images.map(lambda part: _padded(part, padding))
        wanted = self._windows_of(F.pad(valid, padding), rows, cols)
        probs = self._zeros(self.num_classes, rows * size, cols * size)
        batches = wanted.flatten(2).any(dim=2).nonzero().tolist()
        alone = self.batches_at_once is None
        compute = self._one_by_one(images, batches, wanted) if alone else self._in_groups(images, batches)
        with contextlib.closing(compute) as computed:
            for (row, col), result in computed:
                probs[:, row * size : (row + 1) * size, col * size : (col + 1) * size] = result
        return probs[:, :height, :width].cpu()

    def _one_by_one(
        self, images: Images[Tensor], batches: list[list[int]], wanted: Tensor
    ) -> Generator[tuple[list[int], Tensor]]:
        """Batches and their probabilities (num_classes, batch_side, batch_side), a thread for each batch."""

        def compute(batch: list[int]) -> tuple[list[int], Tensor]:
            with self._computing():
                return batch, self._predict_batches(images, [batch], wanted[batch[0], batch[1]][None])[0]

        yield from in_threads_of_their_own(compute, batches)

    def _in_groups(self, images: Images[Tensor], batches: list[list[int]]) -> Generator[tuple[list[int], Tensor]]:
        """Batches and their probabilities, as many at once as the device has memory for.

        NOTE: which batches are computed together depends on the tile, so all windows of all batches are computed, and
        the last group is filled to the others' shape.
        """
        while batches:
            at_once = self.batches_at_once or 1
            group = batches[:at_once]
            filled = group + [group[-1]] * (at_once - len(group))
            needed = torch.ones(len(filled), BATCH_WINDOWS, BATCH_WINDOWS, dtype=torch.bool)
            try:
                with self._computing():
                    results = self._predict_batches(images, filled, needed)[: len(group)]
            except torch.OutOfMemoryError:
                self._use_less_memory(at_once)
                continue
            yield from zip(group, results, strict=True)
            batches = batches[len(group) :]

    @contextlib.contextmanager
    def _computing(self) -> Iterator[None]:
        """No gradients, and the engine's precision: both are set thread by thread."""
        reduced = self.precision != torch.float32
        with torch.inference_mode(), torch.autocast(self.device.type, self.precision, enabled=reduced):
            yield

    def _windows_of(self, valid: Tensor, rows: int, cols: int) -> Tensor:
        """Mask (rows, cols, BATCH_WINDOWS, BATCH_WINDOWS) of the windows that predict any valid pixel."""
        blocks = valid.view(rows, BATCH_WINDOWS, self.stride, cols, BATCH_WINDOWS, self.stride).any(dim=5).any(dim=2)
        return blocks.transpose(1, 2)

    def _predict_batches(self, images: Images[Tensor], batches: list[list[int]], wanted: Tensor) -> Tensor:
        """Probabilities (batches, num_classes, batch_side, batch_side) of batches given by row and column.

        Args:
            images: the tile's.
            batches: which.
            wanted: (batches, BATCH_WINDOWS, BATCH_WINDOWS), windows to compute; the probabilities of others are 0.
        """
        size, side, stride = self.batch_side, self.batch_side + 2 * self.margin, self.stride

        def cut(image: Tensor) -> Tensor:
            parts = [image[:, row * size : row * size + side, col * size : col * size + side] for row, col in batches]
            return torch.stack(parts).to(self.device)

        x, a = self.network.standardize(*images.map(cut))
        near, context = (self.network.near(x), self.network.near(a)), self.network.context(x, a)
        maps = self.network.stem(*near, context, border=self.patch_size // 2, stride=stride)
        chosen = wanted.to(self.device).nonzero(as_tuple=True)
        tokens = maps.tokens.permute(0, 3, 4, 1, 2)[chosen]
        of_image, of_aux = (self._windows(part)[chosen].permute(0, 3, 1, 2) for part in (maps.image, maps.aux))
        of_pixels = self._blocks(maps.logits)[chosen].flatten(1, 2)
        logits = self.network.classify_pixels(tokens, of_image, of_aux, of_pixels, self.network.block(stride))
        probs = torch.zeros(*wanted.shape, stride, stride, logits.shape[2], device=self.device)
        probs[chosen] = logits.float().softmax(dim=2).view(-1, stride, stride, logits.shape[2])
        return probs.permute(0, 5, 1, 3, 2, 4).reshape(len(batches), -1, size, size)

    def _windows(self, maps: Tensor) -> Tensor:
        """The windows (B, rows, cols, P, P, D) of maps (B, D, h, w), a view."""
        size, stride = self.patch_size, self.stride
        maps = maps.permute(0, 2, 3, 1)[:, stride // 2 :, stride // 2 :]
        return maps.unfold(1, size, stride).unfold(2, size, stride).permute(0, 1, 2, 4, 5, 3)

    def _blocks(self, maps: Tensor) -> Tensor:
        """The windows' output blocks (B, rows, cols, stride, stride, D) of maps (B, D, h, w), a view."""
        inner = slice(self.patch_size // 2, self.patch_size // 2 + self.batch_side)
        maps = maps.permute(0, 2, 3, 1)[:, inner, inner]
        each = (BATCH_WINDOWS, self.stride)
        return maps.view(len(maps), *each, *each, maps.shape[3]).transpose(2, 3)

    def _zeros(self, *shape: int) -> Tensor:
        """Zeros on the device, or on the CPU where the device has no room for them."""
        try:
            return torch.zeros(*shape, device=self.device)
        except torch.OutOfMemoryError:
            return torch.zeros(*shape)

    def _use_less_memory(self, at_once: int) -> None:
        if self._is_fixed:
            raise S2finError(
                f"device memory ran out while {at_once} batches of windows were computed together, as in the shards "
                "that are finished, and with fewer the last bits of the confidence would differ; free memory of the "
                "device and give the same command again, or allow fewer with `mixed=True`"
            )
        if at_once == 1:
            raise S2finError('the device has too little memory to classify even a small tile; use `device="cpu"`')
        self.batches_at_once = at_once // 2
        torch.cuda.empty_cache()
        logger.info("device memory ran out: continuing with %d batches of windows at once", self.batches_at_once)


def batches_for(free: int) -> int:
    """How many batches of windows a CUDA device with a number of free bytes computes at once."""
    return min(max(free // BATCH_BYTES, 1), CUDA_BATCHES)


def _moved(network: S2Fin, device: torch.device) -> S2Fin:
    """A network on a device.

    Raises:
        S2finError: the device has no room for it.
    """
    try:
        return network.to(device)
    except torch.OutOfMemoryError as error:
        raise S2finError(
            'the device has too little free memory for the model; free some, or use `device="cpu"`'
        ) from error


def _free_memory(device: torch.device) -> int:
    """Free bytes of a CUDA device, including those that torch keeps from earlier work."""
    kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return int(torch.cuda.mem_get_info(device)[0]) + kept


def _padded(values: Tensor, padding: tuple[int, int, int, int]) -> Tensor:
    """Values with NaN added, see `F.pad`: where they are, or on the CPU where the device has no room for them."""
    if not any(padding):  # it would copy
        return values
    try:
        return F.pad(values, padding, value=torch.nan)
    except torch.OutOfMemoryError:
        return F.pad(values.cpu(), padding, value=torch.nan)
