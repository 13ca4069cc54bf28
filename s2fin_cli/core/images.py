"""The images of one place: the passive image, and the second image if there is one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
U = TypeVar("U")


class Images(NamedTuple, Generic[T]):
    """A value for the passive image and, if there is one, a value for the second image.

    It is generic over the value: a numpy array, a torch tensor, a path. As a tuple of two, it can be passed on as two
    arguments: `network.standardize(*images)`.

    Attributes:
        image: the passive image's.
        aux: the second image's, or None if there is none.
    """

    image: T
    aux: T | None = None

    def map(self, function: Callable[[T], U]) -> Images[U]:
        """Apply a function to each image that there is."""
        return Images(function(self.image), None if self.aux is None else function(self.aux))

    def parts(self) -> list[T]:
        """The images that there are, the passive one first."""
        return [self.image] if self.aux is None else [self.image, self.aux]
