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
@click.option("--like", type=FilePath(), required=True, help="Image whose pixels the labels are for.")
@click.option("--train", type=FilePath(), required=True, help="Training labels to write, a GeoTIFF.")
@click.option("--test", type=FilePath(), required=True, help="Test labels to write, a GeoTIFF.")
@click.option("--picture", type=FilePath(), help="Also draw both side by side: a PNG.")
@click.option(
    "--method",
    type=click.Choice(SPLITS),
    default=SplitOptions.method,
    show_default=True,
    help="What is kept together: whole polygons, blocks of pixels, or nothing (random); auto takes polygons for "
    "polygons, else blocks.",
)
@click.option("--share", default=SplitOptions.share, show_default=True, help="Of each class's pixels to test on.")
@click.option(
    "--distance",
    default=SplitOptions.distance,
    show_default=True,
    metavar="PIXELS",
    help="Training pixels nearer than this to a test pixel are left out. The default is farther than the network sees.",
)
@click.option("--seed", default=SplitOptions.seed, show_default=True, help="Of the choice.")
@overwrite_option
@json_option
@verbosity_options
def split(*, as_json: bool, **options: Any) -> None:
    """Part labels into training and test labels that lie apart.

    Both become label rasters with the classes' names and colours, which train, evaluate and any GIS take.
    """
    from s2fin_cli.workflows.split import split as run

    result = run(SplitOptions(**options))
    for name, (train, test) in result.counts.items():
        logger.info("%8d training, %8d test pixels  %s", train, test, name)
    logger.info("%d pixels are left out, as they lie too near the other part", result.dropped)
    for path in (result.train, result.test, result.picture):
        if path is not None:
            logger.info("written: %s", path)
    if as_json:
        print_json(result.to_dict())
