"""Stand-ins for the engine whose answers are known."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from s2fin_cli.core.images import Images
    from s2fin_cli.inference.engine import Predictor


class ValuePredictor:
    """Predicts the class whose number is the image's value at a pixel; a `Predictor`.

    Attributes:
        asked: the pixels to classify of each tile, in order.
        putters: the threads that put values.
        before: called before each tile is predicted, with the number of tiles so far.
    """

    def __init__(
        self, num_classes: int = 3, *, device: str = "cpu", before: Callable[[int], None] = lambda number: None
    ) -> None:
        self.device, self.num_classes = torch.device(device), num_classes
        self.batch_side, self.margin = 16, 4
        self.asked: list[Tensor] = []
        self.putters: set[int] = set()
        self.before = before

    def put(self, values: Tensor) -> Tensor:
        self.putters.add(threading.get_ident())
        return values

    def predict(self, images: Images[Tensor], valid: Tensor) -> Tensor:
        self.before(len(self.asked))
        self.asked.append(valid)
        inner = slice(self.margin, -self.margin)
        values = images.image[0, inner, inner].nan_to_num().long()
        assert values.shape == valid.shape
        return F.one_hot(values, self.num_classes).permute(2, 0, 1) * 0.8 + 0.2 / self.num_classes


class WatchedPredictor:
    """Predicts what another predictor does, after calling `before` with the number of tiles so far."""

    def __init__(self, predictor: Predictor, before: Callable[[int], None]) -> None:
        self.device, self.num_classes = predictor.device, predictor.num_classes
        self.batch_side, self.margin, self.put = predictor.batch_side, predictor.margin, predictor.put
        self._predictor, self._before, self._tiles = predictor, before, 0

    def predict(self, images: Images[Tensor], valid: Tensor) -> Tensor:
        self._before(self._tiles)
        self._tiles += 1
        return self._predictor.predict(images, valid)
