"""Sinks that keep what they take in memory."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from rasterio.windows import Window


class ArraySink:
    """Keeps probabilities of three classes, and which class is the most probable: -1 where none is.

    Attributes:
        threads: those that wrote.
        before: called before each window, with the number of windows so far.
    """

    def __init__(self, shape: tuple[int, int], *, before: Callable[[int], None] = lambda number: None) -> None:
        self.classes, self.times = np.full(shape, -1), np.zeros(shape, dtype=np.int64)
        self.probs = np.full((3, *shape), np.nan, np.float32)
        self.threads: set[int] = set()
        self.before, self._written = before, 0

    def write(
        self, window: Window, probs: NDArray[np.float32], valid: NDArray[np.bool_], measures: NDArray[np.float32]
    ) -> None:
        self.before(self._written)
        self._written += 1
        self.threads.add(threading.get_ident())
        there = window.toslices()
        self.times[there] += 1
        self.classes[there] = np.where(valid, probs.argmax(axis=0), -1)
        self.probs[:, *there] = np.where(valid, probs, np.nan)
