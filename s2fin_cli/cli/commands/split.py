"""`s2fin split`."""

from __future__ import annotations

import logging
from typing import Any

import click

from s2fin_cli.cli.console import print_json
from s2fin_cli.cli.parameters import FilePath, json_option, label_options, overwrite_option, verbosity_options
from s2fin_cli.core.options import SPLITS
from s2fin_cli.workflows.options.split import SplitOptions

logger = logging.getLogger(__name__)


@click.command()
@label_options
@click.option("--like", type=FilePath("RASTER"), required=True, help="Image whose grid the label rasters get.")
@click.option("--train", type=FilePath("RASTER"), required=True, help="Training labels to write, a GeoTIFF.")
@click.option("--test", type=FilePath("RASTER"), required=True, help="Test labels to write, a GeoTIFF.")
@click.option("--picture", type=FilePath("PNG"), help="Also draw both side by side, with captions.")
@click.option(
    "--method",
    type=click.Choice(SPLITS),
    default=SplitOptions.method,
    show_default=True,
    help="What is kept together: whole polygons, blocks of pixels, or nothing (random); auto takes polygons for "
    "polygons, else blocks.",
)
@click.option(
    "--share",
    default=SplitOptions.share,
    show_default=True,
    help="Share of each class's pixels that become test pixels.",
)
@click.option(
    "--distance",
    default=SplitOptions.distance,
    show_default=True,
    metavar="PIXELS",
    help="Training pixels closer than this to a test pixel are dropped. The default exceeds the network's reach.",
)
@click.option("--seed", default=SplitOptions.seed, show_default=True, help="Seed of all random choices.")
@overwrite_option
@json_option
@verbosity_options
def split(*, as_json: bool, **options: Any) -> None:
    """Split labels into spatially separate training and test labels.

    Both become label rasters with the classes' names and colours, which train, evaluate and any GIS read.
    """
    from s2fin_cli.workflows.split import run

    result = run(SplitOptions(**options))
    for name, (train, test) in result.counts.items():
        logger.info("%8d training, %8d test pixels  %s", train, test, name)
    if result.dropped:
        logger.info("%d training pixels are dropped, because they are too close to test pixels", result.dropped)
    for path in (result.train, result.test, result.picture):
        if path is not None:
            logger.info("written: %s", path)
    if as_json:
        print_json(result.to_dict())
