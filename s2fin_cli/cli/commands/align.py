"""`s2fin align`."""

from __future__ import annotations

import logging
from typing import Any

import click

from s2fin_cli.cli.console import print_json, shown_progress
from s2fin_cli.cli.parameters import FilePath, Wording, input_options, json_option, overwrite_option, verbosity_options
from s2fin_cli.core.modality import PASSIVE_NAMES
from s2fin_cli.workflows.options.align import AlignOptions

logger = logging.getLogger(__name__)

OF_TWO = Wording(
    reference="--like",
    warped="the image to align",
    bands_of="the image to align",
    nodata="what its files declare",
    has_roles=False,
)


@click.command()
@click.option("--like", type=FilePath("RASTER"), required=True, help="Image whose grid the other gets.")
@input_options(without=(PASSIVE_NAMES[0], "device"), wording=OF_TWO)
@click.option("-o", "--output", type=FilePath("RASTER"), required=True, help="Aligned image to write, a GeoTIFF.")
@overwrite_option
@json_option
@verbosity_options
def align(*, as_json: bool, **options: Any) -> None:
    """Warp an image onto the grid of another, as training and classification do.

    Give one image besides --like; if it is in several files, repeat its option. With --coregister shift, its offset
    from --like is measured and, where the measurement is reliable, corrected; --json shows what was measured in which
    window.
    """
    from s2fin_cli.workflows.align import run

    with shown_progress() as progress:
        result = run(AlignOptions(**options), progress=progress)
    logger.info("aligned: %s (%.1f %% with data)", result.output, 100 * result.valid)
    if as_json:
        print_json(result.to_dict())
