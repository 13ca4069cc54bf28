"""Suggested places in a report: what is known of each, and a small picture of its surroundings."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from s2fin_cli.raster.encode import jpeg

if TYPE_CHECKING:
    from numpy.typing import NDArray


# NOTE: eq=False because arrays do not compare to one truth value.
@dataclass(frozen=True, eq=False)
class SuggestedPlace:
    """A place to label.

    Attributes:
        rank: 1 for the one that is worth most.
        likeliest, second: names of its two likeliest classes.
        probability, second_probability: their probabilities.
        why: why it was chosen.
        picture: uint8 (bands, side, side), its surroundings with the place in the middle; None where no image is known.
    """

    rank: int
    likeliest: str
    probability: float
    second: str
    second_probability: float
    why: str
    picture: NDArray[np.uint8] | None = field(default=None, repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values, without the picture."""
        names = ("rank", "likeliest", "probability", "second", "second_probability", "why")
        return {name: getattr(self, name) for name in names}

    @property
    def in_words(self) -> str:
        """The place on one line."""
        first, second = f"{100 * self.probability:.0f} %", f"{100 * self.second_probability:.0f} %"
        return f"{self.rank}: {self.why}; {self.likeliest} {first}, {self.second} {second}"

    @property
    def side(self) -> int:
        """Pixels of a side of the picture, 0 without one."""
        return 0 if self.picture is None else self.picture.shape[-1]

    @cached_property
    def uri(self) -> str | None:
        """The picture as a data URI."""
        if self.picture is None:
            return None
        return f"data:image/jpeg;base64,{base64.b64encode(jpeg(self.picture)).decode()}"
