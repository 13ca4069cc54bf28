"""The training options that a user may choose."""

from __future__ import annotations

from typing import Protocol


class TrainingOptions(Protocol):
    """The options of `s2fin train` that concern how it learns; `TrainOptions` has them."""

    @property
    def patch_size(self) -> int:
        """Side in pixels of a window, odd."""

    @property
    def epochs(self) -> int:
        """Rounds of steps; a round is not a pass over all pixels."""

    @property
    def batch_size(self) -> int:
        """Windows of a step."""

    @property
    def learning_rate(self) -> float:
        """Peak learning rate."""

    @property
    def labels_per_class(self) -> int:
        """Training pixels of one class at most, and validation pixels."""

    @property
    def split(self) -> str:
        """How validation pixels are held out, see `split_labels`."""

    @property
    def validation(self) -> float:
        """Share of the labelled pixels to hold out, 0 for none."""

    @property
    def refit(self) -> bool:
        """Whether the kept model learns from all labels."""

    @property
    def seed(self) -> int:
        """Seed of every random choice."""
