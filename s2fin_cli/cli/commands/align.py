"""`s2fin align`."""

from __future__ import annotations

import logging
from typing import Any

import click

from s2fin_cli.cli.console import print_json, shown_progress
from s2fin_cli.cli.parameters import FilePath, input_options, json_option, overwrite_option, verbosity_options
from s2fin_cli.core.modality import PASSIVE_NAMES
from s2fin_cli.workflows.options.align import AlignOptions

logger = logging.getLogger(__name__)


@click.command()
@click.option("--like", type=FilePath("RASTER"), required=True, help="Image whose grid the other gets.")
@input_options(without=(PASSIVE_NAMES[0], "device"), bands_of="the image to align")
@click.option("-o", "--output", type=FilePath("RASTER"), required=True, help="Aligned image to write, a GeoTIFF.")
@overwrite_option
@json_option
@verbosity_options
def align(*, as_json: bool, **options: Any) -> None:
    """Warp an image onto the grid of another, as training and classification do.

    Give one image besides --like. With --coregister shift its offset from the other is measured and, where the
    measurement is reliable, corrected; --json shows what was measured in which window.
    """
    from s2fin_cli.workflows.align import run

    with shown_progress() as progress:
        result = run(AlignOptions(**options), progress=progress)
    logger.info("aligned: %s (%.1f %% with data)", result.output, 100 * result.valid)
    if as_json:
        print_json(result.to_dict())
