"""Options of splitting labels."""

from __future__ import annotations

from dataclasses import dataclass

from s2fin_cli.core.checks import check, check_choice, check_whole, is_real
from s2fin_cli.core.options import SPLITS, LabelOptions, StrPath


@dataclass(frozen=True, kw_only=True)
class SplitOptions(LabelOptions):
    """Options of `s2fin split`, besides those of labels.

    Attributes:
        like: image whose grid the label rasters get.
        train: training labels to write, a GeoTIFF.
        test: test labels to write, a GeoTIFF.
        picture: PNG of both to write, if any.
        method: what is kept together: "polygons", "blocks" of pixels, nothing ("random"), or "auto": polygons for
            polygons, else blocks.
        share: share of each class's pixels to test on, as nearly as whole polygons or blocks allow.
        distance: training pixels closer than this to a test pixel are dropped, in pixels. The default is more than the
            network sees with its default patch size.
        seed: seed of the random split.
        overwrite: whether existing outputs may be replaced.
    """

    like: StrPath
    train: StrPath
    test: StrPath
    picture: StrPath | None = None
    method: str = "auto"
    share: float = 0.5
    distance: int = 19
    seed: int = 0
    overwrite: bool = False

    def __post_init__(self) -> None:
        self.check_labels()
        check_choice("method", self.method, SPLITS)
        check("share", self.share, is_real(self.share) and 0 < self.share < 1, "above 0 and below 1")
        for name in ("distance", "seed"):
            check_whole(name, getattr(self, name), least=0)
