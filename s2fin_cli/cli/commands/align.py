"""`s2fin align`."""

from __future__ import annotations

import logging
from typing import Any

import click

from s2fin_cli.cli.console import print_json, shown_progress
from s2fin_cli.cli.parameters import FilePath, input_options, json_option, overwrite_option, verbosity_options
from s2fin_cli.workflows.options.align import AlignOptions

logger = logging.getLogger(__name__)


@click.command()
@click.option("--like", type=FilePath(), required=True, help="Image whose grid the other is to have.")
@input_options(without=("hsi", "device"), bands_of="the image that is aligned")
@click.option("-o", "--output", type=FilePath(), required=True, help="Aligned image to write, a GeoTIFF.")
@overwrite_option
@json_option
@verbosity_options
def align(*, like: str, as_json: bool, **options: Any) -> None:
    """Warp an image onto the grid of another, as training and classification do.

    Give the image as one of --msi, --lidar, --dsm and --sar. With --coregister shift it is also moved by what it lies
    off, where that is certain; --json tells what was found in which window.
    """
    from s2fin_cli.workflows.align import align as run

    with shown_progress() as progress:
        result = run(AlignOptions(like=like, **options), progress=progress)
    logger.info("aligned: %s (%.1f %% with data)", result.output, 100 * result.valid)
    if as_json:
        print_json(result.to_dict())
