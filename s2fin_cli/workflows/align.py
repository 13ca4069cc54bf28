"""An image warped onto the grid of another, as training and classification read it, written to a file."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from s2fin_cli.core.errors import UsageError
from s2fin_cli.core.files import check_outputs, staged
from s2fin_cli.core.progress import Progress, Stop, silent, stoppable
from s2fin_cli.geo.windows import clip, iter_tiles
from s2fin_cli.raster.creation import check_raster_path
from s2fin_cli.raster.write import create_image
from s2fin_cli.stack.assembly import stack_of
from s2fin_cli.stack.coregistration import coregister
from s2fin_cli.workflows.input_files import input_files

if TYPE_CHECKING:
    from s2fin_cli.stack.coregistration import Displacement
    from s2fin_cli.workflows.options.align import AlignOptions

TILE_SIZE = 512


@dataclass(frozen=True)
class AlignResult:
    """The result of an alignment.

    Attributes:
        output: path of the aligned image.
        displacement: its measured offset, if it was requested.
        valid: share of its pixels with data in all bands.
    """

    output: Path
    displacement: Displacement | None
    valid: float

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values for scripts."""
        found = None if self.displacement is None else self.displacement.to_dict()
        return {"output": str(self.output), "valid": self.valid, "displacement": found}


def run(options: AlignOptions, *, progress: Progress = silent, stop: Stop | None = None) -> AlignResult:
    """Warp an image onto the grid of another and write it, float32 with NaN where there is no data.

    Args:
        options: the options.
        progress: called as the work advances.
        stop: ends the work at its next step once it is set.

    Raises:
        S2finError: something is wrong with the inputs, options or output; nothing is written.
    """
    if stop is not None:
        progress = stoppable(progress, stop)
    dst_path = Path(options.output)
    check_raster_path(dst_path)
    check_outputs([dst_path], overwrite=options.overwrite, inputs=input_files(options.inputs))
    stack = stack_of(replace(options, coregister="off"))
    if not stack.aux:
        raise UsageError("there is no image to align; give one besides `like`")
    if len(stack.aux) > 1:
        raise UsageError(f"one image is aligned at a time, but {len(stack.aux)} were given besides `like`; give one")
    found = None
    if options.coregister == "shift":
        stack, (found,) = coregister(stack)
    layer, grid, extent = stack.aux[0], stack.grid.crop(stack.extent), stack.extent
    windows = list(iter_tiles(grid.shape, (TILE_SIZE, TILE_SIZE), offset=(extent.row_off, extent.col_off)))
    valid = 0
    with (
        staged([dst_path], overwrite=options.overwrite) as (tmp_path,),
        stack.open() as opened,
        create_image(tmp_path, grid, layer.band_names, wavelengths=layer.wavelengths) as writer,
    ):
        for done, window in enumerate(windows, start=1):
            tile = opened.read(window)
            values = tile.images.aux
            assert values is not None  # noqa: S101  there is one modality
            if tile.inside is not None:
                values[:, ~tile.inside] = np.nan
            valid += int(np.isfinite(values).all(axis=0).sum())
            writer.write(values, clip(window, extent)[0])
            progress("aligning", done, len(windows))
    return AlignResult(dst_path, found, valid / (grid.height * grid.width))
