"""Options of classification."""

from __future__ import annotations

from dataclasses import dataclass

from s2fin_cli.core.checks import check, check_whole, is_whole, make_plain
from s2fin_cli.core.options import InputOptions, MapOptions, StrPath


@dataclass(frozen=True, kw_only=True)
class ClassifyOptions(MapOptions, InputOptions):
    """Options of `s2fin classify`, besides those of inputs and maps.

    Attributes:
        model: model file; None takes `model.s2fin` in the current directory, else `$S2FIN_MODEL`.
        stride: pixels from one window to the next, odd: the side of the output block that each window predicts. None
            takes what the model was trained for: 5, or 3 where its labels were dense.
        tile_size: side in pixels of the tiles that are read and computed at a time; of a raster stored in strips,
            the same number of pixels in wider tiles. None takes 256, and 640 on CUDA.
    """

    model: StrPath | None = None
    stride: int | None = None
    tile_size: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_map()
        if self.stride is not None:
            stride = self.stride
            check("stride", stride, is_whole(stride) and stride % 2 == 1 and stride > 0, "odd, at least 1")
            make_plain(self, int, "stride")
        if self.tile_size is not None:
            check_whole("tile_size", self.tile_size, least=16)
            make_plain(self, int, "tile_size")
