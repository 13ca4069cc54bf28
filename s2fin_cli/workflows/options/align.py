"""Options of alignment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from s2fin_cli.core.modality import PASSIVE_NAMES
from s2fin_cli.core.options import InputOptions, StrPath, path_tuple


@dataclass(frozen=True, kw_only=True)
class AlignOptions(InputOptions):
    """Options of `s2fin align`, besides those of inputs, which name the image to align.

    Attributes:
        like: image whose grid the other gets; it takes the place of `hsi`.
        output: aligned image to write, a GeoTIFF.
        overwrite: whether an existing `output` may be replaced.
    """

    like: StrPath
    output: StrPath
    overwrite: bool = False

    passive_option: ClassVar[str | None] = "like"

    @property
    def src_paths(self) -> dict[str, tuple[str, ...]]:
        """Paths by modality, with `like` as the preferred passive image."""
        return {**super().src_paths, PASSIVE_NAMES[0]: path_tuple(self.like)}

    @property
    def _modality_of_bands(self) -> str:
        """The image to align."""
        passive, *others = self._given
        return next(iter(others), passive)
